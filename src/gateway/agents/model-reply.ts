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
import { sendJson } from '../../http/reply.ts';
import { endAdmission } from '../admit.ts';
import { type Exchange, noteFailure } from '../exchange.ts';
import { guardAnswer, guardsOf } from '../guard.ts';
import { MOST_HELD_BYTES, createHeldText } from '../held-text.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import type { Results, TakeResults } from './answer.ts';
import type { AgentWork } from './call.ts';
import { type AgentAnswer, createAgentAnswer } from './model-answer.ts';
import { type EventWriter, openEvents } from './event-writer.ts';

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
  /** Rejects with what went wrong; a stream that has begun has told it by then. Rejects with guard_blocked, guard_unavailable. */
  take: TakeResults;
  /** Once the call is over and charged: the whole answer. Rejects in the same way. */
  deliver: () => Promise<void>;
}

export function replyOf(replying: Replying): ModelReply {
  return replying.exchange.stream ? streamReply(replying) : wholeReply(replying);
}

function answerOf({ call }: AgentWork): AgentAnswer {
  return createAgentAnswer({ isFollowUp: call.refs.task !== undefined });
}

/** Pieces may end in the middle of a character. */
const TEXT = 'utf16le';

function wholeReply(replying: Replying): ModelReply {
  const { exchange, response, dialect, work } = replying;
  const answer = answerOf(work);
  // Twice what it is as UTF-8, as long as it is ASCII.
  const held = createHeldText(exchange, { mostBytes: 2 * MOST_HELD_BYTES });
  return {
    async take(events) {
      for await (const event of events) held.add(Buffer.from(answer.take(event), TEXT));
      requireAnswered(answer, replying);
      held.add(Buffer.from(answer.rest(), TEXT));
    },
    async deliver() {
      const text = held.take().toString(TEXT);
      const told: ChatResponse = {
        ...idsOf(replying),
        choices: [{ index: 0, content: [{ type: 'text', text }], finish: 'stop' }],
      };
      const encoded = dialect.response.encode(told, contextOf(replying), (warning) => exchange.warnings.push(warning));
      const bytes = await guardAnswer(exchange, Buffer.from(JSON.stringify(encoded)));
      Object.assign(exchange, { status: 200, responseBytes: bytes.length, firstByteAt: performance.now(), finish: 'stop' });
      endAdmission(exchange);
      sendJson(response, 200, { ...exchangeHeaders(exchange), ...taskHeaders(work, answer.state) }, bytes);
    },
  };
}

function streamReply(replying: Replying): ModelReply {
  const { exchange, response, work } = replying;
  const take: TakeResults = async (events) => {
    const writer = openEvents(exchange, response);
    const speaker = createSpeaker(replying, writer);
    let isAnswer = true;
    try {
      await speaker.pass(events, ({ state }) => {
        if (response.headersSent) return;
        const headers = taskHeaders(work, state);
        for (const name in headers) response.setHeader(name, headers[name]!);
      });
    } catch (thrown) {
      isAnswer = response.headersSent;
      if (isAnswer) await speaker.fail(noteFailure(exchange, replying.told(thrown)));
      throw thrown;
    } finally {
      if (isAnswer) await writer.end();
      else writer.leave();
    }
  };
  return { take, deliver: () => Promise.resolve() };
}

interface Speaker {
  /** Passes on what the results say; `see` hears of the answer after each. */
  pass: (results: Results, see: (answer: AgentAnswer) => void) => Promise<void>;
  /** In the place of its end. */
  fail: (error: GatewayError) => Promise<unknown>;
}

function createSpeaker(replying: Replying, writer: EventWriter): Speaker {
  const { exchange, dialect, work } = replying;
  const answer = answerOf(work);
  const encoder = dialect.stream.encoder(contextOf(replying), (warning) => exchange.warnings.push(warning));
  let isOpen = false;
  const opening = (): StreamPart[] => {
    if (isOpen) return [];
    isOpen = true;
    return [
      { type: 'start', ...idsOf(replying) },
      { type: 'text_start', block: 0, choice: 0 },
    ];
  };
  const write = (...parts: StreamPart[]): Promise<boolean> =>
    writer.write([...opening(), ...parts].map((part) => encoder.encode(part)).join(''));
  const say = async (text: string): Promise<boolean> => text === '' || write({ type: 'text_delta', block: 0, text });
  return {
    async pass(results, see) {
      for await (const result of results) {
        const text = answer.take(result);
        see(answer);
        if (!(await say(text))) return;
      }
      requireAnswered(answer, replying);
      await say(answer.rest());
      exchange.finish = 'stop';
      await write({ type: 'text_end', block: 0 }, { type: 'finish', choice: 0, reason: 'stop' }, { type: 'end' });
    },
    fail: (error) => {
      exchange.status = 200;
      return writer.write(encoder.fail(error));
    },
  };
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
function taskHeaders({ task, context }: AgentWork, state: string | undefined): Record<string, string> {
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
function requireAnswered({ state, statusText }: AgentAnswer, { exchange, work: { view } }: Replying): void {
  if (state === undefined || !['failed', 'rejected', 'canceled'].includes(state)) return;
  // Errors pass no guard: where one wants to see what is said, nothing is.
  const isSilent = statusText === '' || guardsOf(exchange, 'response').length > 0;
  const said = isSilent ? '' : `: ${statusText.slice(0, 500)}`;
  throw new GatewayError('agent_error', {
    details: { message: `The agent \`${view.name}\` has ${state === 'canceled' ? 'cancelled' : state} the task${said}` },
  });
}

function contextOf({ exchange: { request, plane }, request: { includeUsage } }: Replying): ReplyContext {
  return { requestId: request.id, nowS: Math.floor(plane.nowMs() / 1000), includeUsage };
}
