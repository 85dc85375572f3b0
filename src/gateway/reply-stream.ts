import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import type { Usage } from '../core/usage.ts';
import { createRelayStage } from '../upstream/relay.ts';
import { pumpStream } from '../upstream/stream.ts';
import type { StreamResult, StreamStage } from '../upstream/types.ts';
import { releaseLeases } from './admit.ts';
import { type Served, closeAttempt } from './attempt.ts';
import { cleanErrors } from './clean.ts';
import { type Exchange, noteFailure } from './exchange.ts';
import { type HeldStream, deliverHeld, holdStream, holdsStream, observed } from './guard-stream.ts';
import { answerHeaders, exchangeHeaders } from './reply-headers.ts';
import { unreadable } from './reply-unary.ts';
import { watchSpend } from './spend-watch.ts';
import { createTranslateStage } from './translate-stage.ts';

/** `no-transform` and `x-accel-buffering` keep compressing and buffering proxies from holding events back. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Answers a stream: relayed to the byte, or translated. Throws only where nothing was sent yet. */
export async function replyStream(exchange: Exchange, served: Served, response: ServerResponse): Promise<void> {
  const { prepared, attempt } = served;
  if (prepared.translation !== undefined && !exchange.stream)
    throw unreadable(exchange, 'it is a stream, and none was asked for');
  const staged = prepared.translation === undefined ? relay(exchange, served) : translate(exchange, served);
  setHead(response, served.answer.status, staged.headers);
  const waitedFrom = performance.now();
  const { result, held } = await receive(exchange, served, { stage: staged.stage, response });
  exchange.waitedMs += performance.now() - waitedFrom;
  noteStream(exchange, { result, ...staged.told() });
  if (result.firstByteAt !== undefined) {
    exchange.firstByteAt = result.firstByteAt;
    attempt.fact.firstByteMs = result.firstByteAt - attempt.startedAt;
  }
  closeAttempt(attempt, exchange.failure);
  if (held !== undefined && result.end !== 'incomplete') return deliverHeld(exchange, held, response);
  if (exchange.failure !== undefined && !response.headersSent && !exchange.gone) throw exchange.failure;
}

/** Sends it as it comes, or takes it in whole where a guard wants to see it first. */
async function receive(
  exchange: Exchange,
  served: Served,
  { stage, response }: { stage: StreamStage; response: ServerResponse },
): Promise<{ result: StreamResult; held?: HeldStream }> {
  if (holdsStream(exchange)) {
    const held = await holdStream(exchange, served, stage);
    return { result: held.result, held };
  }
  const watched = observed(exchange, releasing(exchange, stage));
  const result = await pumpStream(served.answer.body, response, watched.stage, {
    wheel: exchange.plane.wheel,
    ...watchSpend(exchange),
  });
  watched.judge();
  return { result };
}

/** The stage, which gives leases back before it passes the end of the answer on. */
function releasing(exchange: Exchange, stage: StreamStage): StreamStage {
  if (exchange.admission === undefined) return stage;
  const see = <Part>(part: Part): Part => {
    if (stage.state !== 'open') releaseLeases(exchange);
    return part;
  };
  return {
    push: (chunk) => see(stage.push(chunk)),
    end: () => see(stage.end()),
    fail: (error) => stage.fail(error),
    get state() {
      return stage.state;
    },
    get atBoundary() {
      return stage.atBoundary;
    },
  };
}

/** What a stream said of itself. */
interface Told {
  usage: Usage | undefined;
  finish: string | undefined;
  model: string | undefined;
  /** The provider's own error event, in its words. */
  said: string | undefined;
}

/** How a stream is to be read and sent. */
interface Staged {
  stage: StreamStage;
  headers: OutgoingHttpHeaders;
  told: () => Told;
}

function relay(exchange: Exchange, { answer, prepared }: Served): Staged {
  const { surface, request } = exchange;
  const tap = cleanErrors(surface.tap({ stripUsage: prepared.stripUsage }), exchange.line.redact);
  const failEvent = (error: GatewayError): string => surface.errors.event(exchange.cut ?? error, request.id);
  return {
    stage: createRelayStage({ tap, failEvent }),
    headers: { ...STREAM_HEADERS, ...answerHeaders(exchange, answer) },
    told: () => ({ usage: tap.usage, finish: tap.finish, model: tap.model, said: tap.failure?.message }),
  };
}

function translate(exchange: Exchange, { prepared }: Served): Staged {
  const { surface, request, plane } = exchange;
  const { dialect, request: asked } = prepared.translation!;
  const context = { requestId: request.id, nowS: Math.floor(plane.nowMs() / 1000), includeUsage: asked.includeUsage };
  const stage = createTranslateStage({ from: dialect, to: surface.dialect!, context, exchange });
  const { notes } = stage;
  return {
    stage,
    headers: { ...exchangeHeaders(exchange), ...STREAM_HEADERS },
    told: () => ({ usage: notes.usage, finish: notes.finish, model: notes.model, said: notes.failure?.message }),
  };
}

/** The head leaves with the first event, so that an upstream which fails before it can still be answered with a status. */
function setHead(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.statusCode = status;
  for (const name in headers) response.setHeader(name, headers[name] as string);
}

function noteStream(exchange: Exchange, { result, usage, finish, model, said }: Told & { result: StreamResult }): void {
  exchange.responseBytes = result.bytes;
  exchange.status = 200;
  if (usage !== undefined) exchange.usage = usage;
  if (finish !== undefined) exchange.finish = finish;
  if (model !== undefined) exchange.upstreamModel = model.slice(0, 256);
  OUTCOMES[result.end](exchange, result, said);
}

const OUTCOMES: Record<StreamResult['end'], (exchange: Exchange, result: StreamResult, said: string | undefined) => void> = {
  whole: (exchange) => {
    exchange.outcome = 'ok';
  },
  upstream_error: (exchange, _result, said) => {
    const message = exchange.line.redact(said ?? 'The upstream ended its stream with an error');
    noteFailure(exchange, new GatewayError('upstream_error', { details: { message } }), 'upstream_error');
    exchange.status = 200;
  },
  incomplete: (exchange, result, said) => {
    // A client that leaves aborts the upstream, and which of the two ends is seen first is chance.
    if (exchange.gone) return OUTCOMES.client_gone(exchange, result, said);
    noteFailure(exchange, result.error ?? new GatewayError('upstream_incomplete'), 'upstream_incomplete');
    if (result.firstByteAt !== undefined) exchange.status = 200;
  },
  client_gone: (exchange, result) => {
    exchange.gone = true;
    noteFailure(exchange, result.error ?? new GatewayError('client_gone'), 'client_gone');
  },
};
