/**
 * What the client of a model gets of a call to an agent: the text of its artifacts, whole or as it comes, in the client's dialect. Guards judge it as they judge every
 * answer: a whole one before it is sent, a stream before or after.
 */
import type { ServerResponse } from 'node:http';

import type { ChatRequest, ChatResponse } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import { isConversation } from '../../core/agent.ts';
import type { StreamPart } from '../../core/parts.ts';
import type { Dialect, ReplyContext } from '../../dialects/dialect.ts';
import { endWith, sendJson } from '../../http/reply.ts';
import { createHeldBytes } from '../../lib/held-bytes.ts';
import { endAdmission } from '../admit.ts';
import { type Exchange, noteFailure } from '../exchange.ts';
import { guardAnswer } from '../guard.ts';
import { holdsStream, observerOf } from '../guard-stream.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import type { TakeResults } from './answer.ts';
import type { AgentWork } from './call.ts';
import { type AgentAnswer, createAgentAnswer } from './model-answer.ts';
import { openEvents, streamHead } from './reply.ts';

/** What agents are called as models. */
export const AGENT_MODEL = 'a2a/';

export interface Replying {
  exchange: Exchange;
  work: AgentWork;
  response: ServerResponse;
  dialect: Dialect;
  request: ChatRequest;
  /** What went wrong, as the client is told. */
  told: (thrown: unknown) => GatewayError;
}

export interface ModelReply {
  /** Rejects with what went wrong; a stream that has begun has told it by then. */
  take: TakeResults;
  /** Once the call is over and charged: what could not be sent before. Throws guard_blocked, guard_unavailable. */
  deliver: () => Promise<void>;
}

export function replyOf(replying: Replying): ModelReply {
  if (!replying.exchange.stream) return wholeReply(replying);
  return holdsStream(replying.exchange) ? heldReply(replying) : liveReply(replying);
}

function wholeReply(replying: Replying): ModelReply {
  const { exchange, response, dialect, work } = replying;
  const answer = createAgentAnswer();
  const held = createHeldText(exchange);
  return {
    async take(events) {
      for await (const event of events) held.add(answer.take(event));
      requireAnswered(answer, work);
      held.add(answer.rest());
    },
    async deliver() {
      const text = held.take().toString('utf8');
      const told: ChatResponse = {
        ...idsOf(replying),
        choices: [{ index: 0, content: [{ type: 'text', text }], finish: 'stop' }],
      };
      const encoded = dialect.response.encode(told, contextOf(replying), (warning) => exchange.warnings.push(warning));
      const bytes = await guardAnswer(exchange, Buffer.from(JSON.stringify(encoded)));
      noteSent(exchange, bytes);
      sendJson(response, 200, { ...exchangeHeaders(exchange), ...taskHeaders(work, answer) }, bytes);
    },
  };
}

/** Sent as it comes, and judged afterwards. */
function liveReply(replying: Replying): ModelReply {
  const { exchange, response } = replying;
  const take: TakeResults = async (events) => {
    const writer = openEvents(exchange, response, exchange.plane.wheel);
    const observer = observerOf(exchange);
    const stream = createStream(replying, {
      name(headers) {
        if (!response.headersSent) for (const name in headers) response.setHeader(name, headers[name]!);
      },
      write: (text) => writer.write(observer?.see(text) ?? text),
    });
    let isAnswer = true;
    try {
      await stream.pass(events);
    } catch (thrown) {
      isAnswer = response.headersSent;
      if (isAnswer) await stream.fail(noteFailure(exchange, replying.told(thrown)));
      throw thrown;
    } finally {
      if (isAnswer) writer.end();
      else writer.leave();
      if (isAnswer) observer?.judge();
    }
  };
  return { take, deliver: () => Promise.resolve() };
}

/** Held until it is whole and judged. */
function heldReply(replying: Replying): ModelReply {
  const { exchange, response } = replying;
  const held = createHeldText(exchange);
  let named = {};
  const stream = createStream(replying, {
    name(headers) {
      named = headers;
    },
    write(text) {
      held.add(text);
      return Promise.resolve(true);
    },
  });
  return {
    take: stream.pass,
    async deliver() {
      const bytes = await guardAnswer(exchange, held.take(), 'events');
      noteSent(exchange, bytes);
      response.writeHead(200, { ...streamHead(exchange), ...named });
      endWith(response, bytes);
    },
  };
}

/** Where events go. */
interface Out {
  /** The headers of the answer, as far as they are known. */
  name: (headers: Record<string, string>) => void;
  /** False: the client has left. */
  write: (text: string) => Promise<boolean>;
}

interface Stream {
  pass: TakeResults;
  /** In the place of its end. */
  fail: (error: GatewayError) => Promise<unknown>;
}

function createStream(replying: Replying, out: Out): Stream {
  const { exchange, dialect, work } = replying;
  const answer = createAgentAnswer();
  const encoder = dialect.stream.encoder(contextOf(replying), (warning) => exchange.warnings.push(warning));
  let isOpen = false;
  const write = (...parts: StreamPart[]): Promise<boolean> => {
    const opening: StreamPart[] = isOpen
      ? []
      : [
          { type: 'start', ...idsOf(replying) },
          { type: 'text_start', block: 0, choice: 0 },
        ];
    isOpen = true;
    return out.write([...opening, ...parts].map((part) => encoder.encode(part)).join(''));
  };
  const say = async (text: string): Promise<boolean> => text === '' || write({ type: 'text_delta', block: 0, text });
  return {
    async pass(events) {
      for await (const event of events) {
        const text = answer.take(event);
        out.name(taskHeaders(work, answer));
        if (!(await say(text))) return;
      }
      requireAnswered(answer, work);
      await say(answer.rest());
      exchange.finish = 'stop';
      await write({ type: 'text_end', block: 0 }, { type: 'finish', choice: 0, reason: 'stop' }, { type: 'end' });
    },
    fail: (error) => {
      exchange.status = 200;
      return out.write(encoder.fail(error));
    },
  };
}

/** As long as whole answers may be. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Of the memory that all exchanges share. */
const STEP_BYTES = 256 * 1024;

interface HeldText {
  /** Throws overloaded, upstream_bad_response. */
  add: (text: string) => void;
  take: () => Buffer;
}

function createHeldText({ request }: Exchange): HeldText {
  const held = createHeldBytes();
  let reserved = 0;
  return {
    add(text) {
      if (text === '') return;
      held.add(Buffer.from(text));
      for (; reserved < held.size; reserved += STEP_BYTES)
        if (!request.reserve(STEP_BYTES)) throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
      if (held.size <= MOST_BYTES) return;
      throw new GatewayError('upstream_bad_response', { details: { message: 'The answer of the agent is larger than 64 MiB' } });
    },
    take: () => held.take(),
  };
}

function noteSent(exchange: Exchange, bytes: Buffer): void {
  Object.assign(exchange, { status: 200, responseBytes: bytes.length, firstByteAt: performance.now(), finish: 'stop' });
  endAdmission(exchange);
}

function idsOf({ exchange: { id, plane, surface }, work: { view } }: Replying): Pick<ChatResponse, 'id' | 'model' | 'createdS'> {
  const prefix = surface.errorKind === 'anthropic' ? 'msg_' : 'chatcmpl-';
  return {
    id: `${prefix}${id.replace(/^ex_/, '')}`,
    model: `${AGENT_MODEL}${view.name}`,
    createdS: Math.floor(plane.nowMs() / 1000),
  };
}

/** Where the client goes on with the conversation. */
function taskHeaders({ task, context }: AgentWork, { state }: AgentAnswer): Record<string, string> {
  return {
    ...(context !== undefined && visible('x-a2a-context-id', context)),
    ...(task !== undefined && !isConversation(task) && visible('x-a2a-task-id', task)),
    ...(state !== undefined && { 'x-a2a-task-state': state }),
  };
}

/** Ids are the agent's to choose; one that is no header stays unsaid. */
function visible(name: string, value: string): Record<string, string> {
  return /^[\x21-\x7e]+$/.test(value) ? { [name]: value } : {};
}

/** A task that came to nothing is no answer. */
function requireAnswered({ state, statusText }: AgentAnswer, { view }: AgentWork): void {
  if (state === undefined || !['failed', 'rejected', 'canceled'].includes(state)) return;
  const said = statusText === '' ? '' : `: ${statusText.slice(0, 500)}`;
  throw new GatewayError('agent_error', {
    details: { message: `The agent \`${view.name}\` has ${state === 'canceled' ? 'cancelled' : state} the task${said}` },
  });
}

function contextOf({ exchange: { request, plane }, request: { includeUsage } }: Replying): ReplyContext {
  return { requestId: request.id, nowS: Math.floor(plane.nowMs() / 1000), includeUsage };
}
