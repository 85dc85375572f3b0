/** A call to an agent that speaks the caller's version over the caller's binding: bytes go through as they are, in both directions. */
import type { ServerResponse } from 'node:http';

import { type GatewayError } from '../../core/errors.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { type Seen, endsStream, objectOf } from '../../agents/a2a/read.ts';
import { badResponse } from '../../core/read.ts';
import { dataOf, readEvents } from '../../upstream/events.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { collect } from '../../upstream/unary.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { type Reach, headOf, refusalOf } from './reach.ts';
import type { EventWriter } from './event-writer.ts';
import { deliverWhole } from './reply.ts';

const MAX_EVENT_BYTES = 10 * 1024 * 1024;

export interface Relaying {
  exchange: Exchange;
  work: AgentWork;
  reach: Reach;
  headers: Readonly<Record<string, string>>;
  /** Called with a result or an event before the client has it; answers what it tells of a task. */
  learn: (result: unknown) => Promise<Seen | undefined>;
  /** Called before the client has the last of the answer: what it asks next must find its limits and its money free. */
  finish: () => void;
}

/** Where the call goes at that interface. */
function urlOf({ rest }: AgentCall, interfaceUrl: string, query: string): string {
  if (rest === undefined) return interfaceUrl;
  const [base = '', own = ''] = interfaceUrl.split('?');
  const asked = [own, query.replace(/^\?/, '')].filter((each) => each !== '').join('&');
  return `${base.replace(/\/+$/, '')}${rest.below}${asked === '' ? '' : `?${asked}`}`;
}

/** Sends the call; the head of the answer, if it is one of the protocol. Throws what it is instead. */
export async function askRaw(relaying: Relaying): Promise<UpstreamAnswer> {
  const { exchange, work, reach, headers } = relaying;
  const { call, upstream } = work;
  const answer = await headOf(
    reach({
      url: urlOf(call, upstream!.url, exchange.request.query),
      method: call.rest?.method ?? 'POST',
      headers,
      body: call.bytes !== undefined && call.bytes.length > 0 ? call.bytes : undefined,
      stream: call.streams,
    }),
  );
  if (answer.status < 400 || isJson(answer)) return answer;
  answer.body.abort();
  throw refusalOf(answer, work.view.name);
}

function isJson({ headers }: UpstreamAnswer): boolean {
  return /^application\/([\w.+-]*\+)?json/i.test(headers['content-type'] ?? '');
}

export function isEventStream({ headers }: UpstreamAnswer): boolean {
  return /^text\/event-stream/i.test(headers['content-type'] ?? '');
}

/** A whole answer, learnt from and passed on. Throws a ProtocolError where it holds one: the caller is told in the same words. */
export async function relayWhole(relaying: Relaying, answer: UpstreamAnswer, response: ServerResponse): Promise<void> {
  const { exchange, work } = relaying;
  const { bytes } = await readWhole(relaying, answer);
  relaying.finish();
  await deliverWhole(exchange, response, { shape: work.call, status: answer.status, body: bytes, headers: passedOn(answer) });
}

/** The same without passing it on. */
export async function readWhole(relaying: Relaying, answer: UpstreamAnswer): Promise<{ bytes: Buffer; result: unknown }> {
  const { exchange, work } = relaying;
  const { view } = work;
  const collected = await collect(answer.body, {
    maxBytes: MAX_EVENT_BYTES,
    contentLength: answer.headers['content-length'],
    reserve: (bytes) => exchange.request.reserve(bytes),
  });
  if ('error' in collected) throw collected.error;
  if (!('whole' in collected)) {
    answer.body.abort();
    throw badResponse(`The agent \`${view.name}\` answered more than ${MAX_EVENT_BYTES} bytes`);
  }
  const result = resultOf(parsed(collected.whole), work, answer);
  work.answered = true;
  await relaying.learn(result);
  return { bytes: collected.whole, result };
}

function passedOn({ headers }: UpstreamAnswer): Record<string, string> {
  const extensions = headers['a2a-extensions'] ?? headers['x-a2a-extensions'];
  return typeof extensions === 'string' ? { 'a2a-extensions': extensions } : {};
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The result that an answer carries. Throws the error that it carries instead, or -32006 where it is neither, or no answer to this call. */
function resultOf(body: unknown, { view, call }: AgentWork, answer: Pick<UpstreamAnswer, 'status' | 'headers'>): unknown {
  const told = objectOf(body);
  if (call.form === 'rest') {
    if (answer.status < 400 && told !== undefined) return told;
    const error = objectOf(told?.error) ?? told;
    throw restFailure(error, answer, view.name);
  }
  if (told?.jsonrpc !== '2.0')
    throw answer.status >= 400 ? refusalOf(answer, view.name) : strange(view.name, 'it is no JSON-RPC answer');
  const error = objectOf(told.error);
  if (error !== undefined) throw rpcFailure(error, view.name);
  if (told.id !== call.rpcId) throw strange(view.name, 'it answers another request (its `id` is not the one asked)');
  if (!('result' in told)) throw strange(view.name, 'it has neither a result nor an error');
  return told.result;
}

function rpcFailure({ code, message, data }: Record<string, unknown>, agent: string): ProtocolError {
  if (typeof code !== 'number') return strange(agent, 'its error has no code');
  return new ProtocolError(code, typeof message === 'string' ? message : 'The agent gave no reason', data);
}

const BY_REASON: Readonly<Record<string, number>> = {
  TASK_NOT_FOUND: -32001,
  TASK_NOT_CANCELABLE: -32002,
  PUSH_NOTIFICATION_NOT_SUPPORTED: -32003,
  UNSUPPORTED_OPERATION: -32004,
  CONTENT_TYPE_NOT_SUPPORTED: -32005,
  INVALID_AGENT_RESPONSE: -32006,
  EXTENDED_AGENT_CARD_NOT_CONFIGURED: -32007,
  EXTENSION_SUPPORT_REQUIRED: -32008,
  VERSION_NOT_SUPPORTED: -32009,
};

/** 0.3 writes the JSON-RPC code, 1.0 a status and an ErrorInfo. */
function restFailure(
  error: Record<string, unknown> | undefined,
  answer: Pick<UpstreamAnswer, 'status' | 'headers'>,
  agent: string,
): ProtocolError | GatewayError {
  const { code, message, details, data } = error ?? {};
  if (typeof code !== 'number') return refusalOf(answer, agent);
  const text = typeof message === 'string' ? message : 'The agent gave no reason';
  if (code < 0) return new ProtocolError(code, text, data);
  const reasons = Array.isArray(details) ? details.map((each) => objectOf(each)?.reason) : [];
  const known = reasons.flatMap((reason) =>
    typeof reason === 'string' && Object.hasOwn(BY_REASON, reason) ? BY_REASON[reason]! : [],
  )[0];
  if (known !== undefined) return new ProtocolError(known, text, details);
  if (answer.status >= 500 || answer.status === 401 || answer.status === 403 || answer.status === 429)
    return refusalOf(answer, agent);
  return new ProtocolError(answer.status === 404 ? -32601 : -32602, text, details);
}

function strange(agent: string, why: string): ProtocolError {
  return new ProtocolError(-32006, `The answer of the agent \`${agent}\` cannot be used: ${why}`);
}

/** Where an event tells how its task stands. */
const TELLING = Buffer.from('"status');

/** A stream, event by event. Answers what the last telling event said; throws what ended it early. */
export async function relayEvents(relaying: Relaying, answer: UpstreamAnswer, writer: EventWriter): Promise<Seen | undefined> {
  const familiar = createFamiliar(relaying.work);
  let last: Seen | undefined;
  for await (const event of readEvents(answer.body, { maxEventBytes: MAX_EVENT_BYTES })) {
    if (last === undefined || event.includes(TELLING) || !familiar.is(event)) {
      last = (await noteEvent(relaying, event)) ?? last;
      familiar.note(event);
    }
    if (!(await writer.write(event))) return last;
  }
  return last;
}

interface Familiar {
  /** It is in the envelope of an event that was read, and names the task of the stream. */
  is: (event: Buffer) => boolean;
  note: (event: Buffer) => void;
}

const RESULT = Buffer.from('"result"');
const ID = Buffer.from('"id"');

/** Parsing every piece of a long text would cost ten times the relay, and pieces of one stream begin alike. What does not look so is read. */
function createFamiliar(work: AgentWork): Familiar {
  let head: Buffer | undefined;
  let task: { id: string; words: Buffer } | undefined;
  return {
    is(event) {
      if (head === undefined || work.task === undefined) return false;
      if (task?.id !== work.task) task = { id: work.task, words: Buffer.from(JSON.stringify(work.task)) };
      return event.subarray(0, head.length).equals(head) && event.includes(task.words);
    },
    note(event) {
      if (head !== undefined) return;
      const isBare = work.call.form === 'rest';
      const envelope = event.subarray(0, isBare ? 0 : Math.max(0, event.indexOf(RESULT)));
      // Else its id comes after its result.
      if (isBare || envelope.includes(ID)) head = envelope;
    },
  };
}

/** What an event tells of its task, if anything; known everywhere before the client has it. */
async function noteEvent(relaying: Relaying, event: Buffer): Promise<Seen | undefined> {
  const data = dataOf(event);
  if (data === undefined) return undefined;
  const result = eventResult(data, relaying.work);
  relaying.work.answered = true;
  const seen = await relaying.learn(result);
  if (seen !== undefined && endsStream(seen)) relaying.finish();
  return seen?.state === undefined && seen?.kind !== 'message' && seen?.kind !== 'artifact' ? undefined : seen;
}

function eventResult(data: string, work: AgentWork): unknown {
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    throw strange(work.view.name, 'one of its events is not JSON');
  }
  if (work.call.form === 'rest' && objectOf(objectOf(body)?.error) === undefined) return body;
  return resultOf(body, work, { status: work.call.form === 'rest' ? 400 : 200, headers: {} });
}
