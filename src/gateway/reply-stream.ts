import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import type { UpstreamFailure } from '../core/parts.ts';
import type { Usage } from '../core/usage.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { createRelayStage } from '../upstream/relay.ts';
import { pumpStream } from '../upstream/stream.ts';
import type { StreamResult, StreamStage } from '../upstream/types.ts';
import { releaseLeases } from './admit.ts';
import { type Served, closeAttempt, noteContent, noteStored } from './open-attempt.ts';
import { cleanErrors } from './clean.ts';
import { type Continuation, type Joined, continuedComment, createJoin, readAlong } from './continuation.ts';
import { type Exchange, noteFailure } from './exchange.ts';
import { type HeldStream, deliverHeld, holdStream, holdsStream, observed } from './guard-stream.ts';
import { refusalOf } from './refusal.ts';
import { answerHeaders, exchangeHeaders } from './reply-headers.ts';
import { unreadable } from './reply-unary.ts';
import { watchSpend } from './spend-watch.ts';
import { chatDialect } from './surface.ts';
import { createTranslateStage } from './translate-stage.ts';

/** `no-transform` and `x-accel-buffering` keep compressing and buffering proxies from holding events back. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Until then nobody has waited so long for a first word that he wants to see the role at least. */
const HOLD_MS = 2_000;

/** Answers a stream: relayed to the byte, or translated. Throws only where nothing was sent yet. */
export async function replyStream(exchange: Exchange, served: Served, response: ServerResponse): Promise<void> {
  const { prepared, attempt } = served;
  if (prepared.translation !== undefined && !exchange.stream)
    throw unreadable(exchange, 'it is a stream, and none was asked for');
  const staged = stagedFor(exchange, served);
  if (!response.headersSent) setHead(response, served.answer.status, staged.headers);
  else response.write(continuedComment(served.attempt.candidate.target.id));
  const waitedFrom = performance.now();
  const { result, held } = await receive(exchange, served, { staged, response });
  exchange.waitedMs += performance.now() - waitedFrom;
  const told = staged.told();
  noteTold(exchange, result, told);
  if (result.firstByteAt !== undefined) {
    exchange.firstByteAt ??= result.firstByteAt;
    attempt.fact.firstByteMs = result.firstByteAt - attempt.startedAt;
  }
  if (result.end !== 'whole' && isOpen(exchange, response) && !exchange.gone) throw unsent(exchange, served, { result, told });
  OUTCOMES[result.end](exchange, result, told.said?.message);
  closeAttempt(exchange, attempt, exchange.failure);
  if (held !== undefined) return deliverHeld(exchange, held, response);
}

function stagedFor(exchange: Exchange, served: Served): Staged {
  const { prepared } = served;
  if (exchange.continuation?.resumed === true) return goOn(exchange, served, exchange.continuation);
  return prepared.translation === undefined ? relay(exchange, served) : translate(exchange, served);
}

/** The client has nothing yet, or a beginning that another target may go on with. */
export function isOpen({ continuation }: Exchange, response: ServerResponse): boolean {
  return !response.headersSent || (continuation !== undefined && !response.writableEnded && !response.destroyed);
}

/** What its client has nothing of is a refusal like any other, whatever status it came under. */
function unsent(
  exchange: Exchange,
  { answer }: Served,
  { result, told: { said } }: { result: StreamResult; told: Told },
): GatewayError {
  if (result.end !== 'upstream_error' || said === undefined) return result.error ?? new GatewayError('upstream_incomplete');
  return refusalOf(exchange, { ...answer, status: said.status >= 400 ? said.status : 502 }, said);
}

/** Sends it as it comes, or takes it in whole where a guard wants to see it first. */
async function receive(
  exchange: Exchange,
  served: Served,
  { staged, response }: { staged: Staged; response: ServerResponse },
): Promise<{ result: StreamResult; held?: HeldStream }> {
  const { stage } = staged;
  if (holdsStream(exchange)) {
    const held = await holdStream(exchange, served, stage);
    return { result: held.result, held };
  }
  const { continuation } = exchange;
  const read = continuation === undefined ? stage : readAlong(continuation, stage);
  const watched = observed(exchange, releasing(exchange, read));
  const result = await pumpStream(served.answer.body, response, watched.stage, {
    wheel: exchange.plane.wheel,
    holdMs: HOLD_MS,
    mayContinue: () => mayContinue(exchange),
    onContent: () => {
      noteContent(exchange, served.attempt);
      noteStored(exchange, staged.told().storedId);
    },
    ...watchSpend(exchange),
  });
  watched.judge();
  return { result };
}

function mayContinue({ continuation, gone, cut }: Exchange): boolean {
  return continuation?.possible === true && !gone && cut === undefined;
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
    get hasContent() {
      return stage.hasContent;
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
  storedId?: string | undefined;
  /** The provider's own error event. */
  said: UpstreamFailure | undefined;
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
    told: () => ({ usage: tap.usage, finish: tap.finish, model: tap.model, storedId: tap.storedId, said: tap.failure }),
  };
}

function translate(exchange: Exchange, { prepared }: Served): Staged {
  const { dialect, request } = prepared.translation!;
  return translated(exchange, { from: dialect, includeUsage: request.includeUsage });
}

/** Whatever dialect the next target speaks, its stream is taken apart, since only its rest is wanted. */
function goOn(exchange: Exchange, { prepared, attempt }: Served, continuation: Continuation): Staged {
  const { dialect } = exchange.line.provider(attempt.candidate.target);
  const includeUsage = prepared.translation?.request.includeUsage ?? !prepared.stripUsage;
  return translated(exchange, { from: chatDialect(dialect)!, includeUsage, joined: createJoin(continuation) });
}

function translated(
  exchange: Exchange,
  { from, includeUsage, joined }: { from: Dialect; includeUsage: boolean; joined?: Joined },
): Staged {
  const { surface, request, plane } = exchange;
  const context = { requestId: request.id, nowS: Math.floor(plane.nowMs() / 1000), includeUsage };
  const stage = createTranslateStage({ from, to: surface.dialect!, context, exchange, joined });
  const { notes } = stage;
  return {
    stage,
    headers: { ...exchangeHeaders(exchange), ...STREAM_HEADERS },
    told: () => ({ usage: notes.usage, finish: notes.finish, model: notes.model, said: notes.failure }),
  };
}

/** The head leaves with the first event, so that an upstream which fails before it can still be answered with a status. */
function setHead(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.statusCode = status;
  for (const name in headers) response.setHeader(name, headers[name] as string);
}

function noteTold(exchange: Exchange, result: StreamResult, { usage, finish, model }: Told): void {
  exchange.responseBytes = result.bytes;
  exchange.status = 200;
  if (usage !== undefined) exchange.usage = usage;
  if (finish !== undefined) exchange.finish = finish;
  if (model !== undefined) exchange.upstreamModel = model.slice(0, 256);
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
