/** The chat behind an agent: asked of a worker in the caller's name, and read as it comes. */
import { BEHIND_PATH, readError, BEHIND } from '../../core/agent-behind.ts';
import { GatewayError } from '../../core/errors.ts';
import { dataOf, readEvents } from '../../upstream/events.ts';
import type { Send } from '../../upstream/send.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { collect } from '../../upstream/unary.ts';
import type { JsonObject } from '../a2a/methods.ts';
import { objectOf } from '../a2a/read.ts';
import type { ChatSaid } from './message.ts';

export interface ChatAsked {
  socketPath: string;
  headers: Readonly<Record<string, string>>;
  model: string;
  messages: readonly ChatSaid[];
}

export interface OpenChat {
  /** Resolves when the model answers; rejects with the GatewayError that it comes to instead. */
  readonly begun: Promise<unknown>;
  /** Pieces of the answer. Answers why it ended: `stop`, `length`. Throws a GatewayError where it broke off. Read once. */
  pieces: () => AsyncGenerator<string, string, undefined>;
  abort: () => void;
}

const CONNECT_MS = 5_000;
/** The worker keeps the model's own times, and always says how it ended; its death closes the socket. */
const NEVER_MS = 86_400_000;
const MAX_BYTES = 8 * 1024 * 1024;

export function openChat(send: Send, { socketPath, headers, model, messages }: ChatAsked): OpenChat {
  const sent = send({
    endpoint: { baseUrl: 'http://localhost', headers: {}, weight: 1, socketPath },
    method: 'POST',
    path: BEHIND_PATH,
    headers: { ...headers, accept: 'text/event-stream', 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ model, messages, stream: true })),
    timeouts: { connectMs: CONNECT_MS, firstByteMs: NEVER_MS, idleMs: NEVER_MS, totalMs: NEVER_MS },
    stream: true,
  });
  const begun = sent.answer.then(async (answer) => {
    if (answer.failed) throw answer.error;
    if (answer.status >= 400) throw await refusalOf(answer);
    return answer;
  });
  // Whoever waits for it hears of it; a task that nobody waits for hears it by its pieces.
  begun.catch(() => undefined);
  return {
    begun,
    async *pieces() {
      const answer = await begun;
      return /^text\/event-stream/i.test(answer.headers['content-type'] ?? '') ? yield* streamed(answer) : yield* whole(answer);
    },
    abort: () => sent.abort(),
  };
}

/** Ours in our own words. A provider's, which says what the caller's message lacks, in its. */
async function refusalOf({ status, headers, body }: UpstreamAnswer): Promise<GatewayError> {
  const own = readError(headers[BEHIND.error]);
  if (own !== undefined) {
    body.abort();
    return own;
  }
  const collected = await collect(body, { maxBytes: MAX_BYTES, contentLength: headers['content-length'] });
  const told = 'whole' in collected ? jsonOf(collected.whole.toString('utf8')) : undefined;
  return failureIn(told, status) ?? new GatewayError(codeOf(status), { details: { message: `The model refused (${status})` } });
}

function codeOf(status: number): 'invalid_request' | 'upstream_error' {
  return status < 500 ? 'invalid_request' : 'upstream_error';
}

const MAX_MESSAGE = 500;

function failureIn(told: JsonObject | undefined, status: number): GatewayError | undefined {
  const error = objectOf(told?.error);
  if (error === undefined) return undefined;
  const said = typeof error.message === 'string' ? error.message : 'it gave no reason';
  const what = status < 500 ? 'refused' : 'failed';
  return new GatewayError(codeOf(status), { details: { message: `The model ${what}: ${said.slice(0, MAX_MESSAGE)}` } });
}

async function* streamed({ body }: UpstreamAnswer): AsyncGenerator<string, string, undefined> {
  let finish: string | undefined;
  for await (const event of readEvents(body, { maxEventBytes: MAX_BYTES })) {
    const data = dataOf(event);
    if (data === undefined) continue;
    if (data === '[DONE]') return finish ?? 'stop';
    const told = jsonOf(data);
    const broken = failureIn(told, 500);
    if (broken !== undefined) throw broken;
    const choice = choiceOf(told);
    finish = textOf(choice?.finish_reason) ?? finish;
    const text = wordsOf(choice?.delta);
    if (text !== '') yield text;
  }
  throw new GatewayError('upstream_incomplete', { details: { message: 'The answer of the model broke off' } });
}

/** Of a provider that streams nothing. */
async function* whole({ headers, body }: UpstreamAnswer): AsyncGenerator<string, string, undefined> {
  const collected = await collect(body, { maxBytes: MAX_BYTES, contentLength: headers['content-length'] });
  const told = 'whole' in collected ? jsonOf(collected.whole.toString('utf8')) : undefined;
  const choice = choiceOf(told);
  if (choice === undefined) throw new GatewayError('upstream_bad_response');
  const text = wordsOf(choice.message);
  if (text !== '') yield text;
  return textOf(choice.finish_reason) ?? 'stop';
}

/** Of a message, or a piece of one. */
function wordsOf(message: unknown): string {
  const { content, refusal } = objectOf(message) ?? {};
  return textOf(content) ?? textOf(refusal) ?? '';
}

function choiceOf(told: JsonObject | undefined): JsonObject | undefined {
  return Array.isArray(told?.choices) ? objectOf(told.choices[0]) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function jsonOf(text: string): JsonObject | undefined {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}
