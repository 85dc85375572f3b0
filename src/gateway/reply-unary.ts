import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import type { ChatResponse } from '../core/chat.ts';
import { GatewayError } from '../core/errors.ts';
import type { UpstreamFailure } from '../core/parts.ts';
import type { JsonObject } from '../dialects/dialect.ts';
import { beginsWithNumbers, numbersAsBase64 } from '../dialects/openai-embeddings/base64.ts';
import { sendJson } from '../http/reply.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import { type Collected, collect, pipeBody } from '../upstream/unary.ts';
import { endAdmission } from './admit.ts';
import type { Served } from './open-attempt.ts';
import { closeAttempt, noteStored } from './open-attempt.ts';
import { type Exchange, priceUsage } from './exchange.ts';
import { guardAnswer, guardsOf } from './guard.ts';
import { isCallersOwn, refusalOf } from './refusal.ts';
import { answerHeaders, exchangeHeaders } from './reply-headers.ts';
import { chatDialect } from './surface.ts';
import { usageInTail } from './tail-usage.ts';

/** Answers are held up to this size until their usage is read, so that a priced one carries its cost; larger ones pass through. */
const HOLD_BYTES = 1024 * 1024;
/** What is to be changed must be held whole. */
const HOLD_CHANGED_BYTES = 64 * 1024 * 1024;

/** Answers a whole body: relayed to the byte, or translated. Throws what an upstream's refusal means. */
export async function replyUnary(exchange: Exchange, served: Served, response: ServerResponse): Promise<void> {
  const { answer, prepared } = served;
  const waitedFrom = performance.now();
  const collected = await hold(exchange, served);
  exchange.waitedMs += performance.now() - waitedFrom;
  if ('error' in collected) throw collected.error;
  exchange.firstByteAt = performance.now();
  if (!('whole' in collected)) {
    // A refusal too large to hold cannot be cleaned of secrets as a whole: its beginning is told in our words.
    if (answer.status >= 400) throw refusalIn(exchange, answer, collected.head);
    return passLargeAnswer(exchange, served, { head: collected.head, response });
  }
  if (answer.status >= 400) throw refused(exchange, served, collected.whole);
  if (prepared.translation === undefined) await relayWhole(exchange, served, { bytes: collected.whole, response });
  else await translateWhole(exchange, served, { bytes: collected.whole, response });
}

async function hold(exchange: Exchange, { answer, prepared }: Served): Promise<Collected> {
  const reserve = (bytes: number): boolean => exchange.request.reserve(bytes);
  const contentLength = answer.headers['content-length'];
  const maxBytes = mustBeHeld(exchange, prepared) ? HOLD_CHANGED_BYTES : HOLD_BYTES;
  const collected = await collect(answer.body, { maxBytes, contentLength, reserve });
  if (!prepared.base64 || !('head' in collected) || !beginsWithNumbers(collected.head)) return collected;
  const rest = await collect(answer.body, { maxBytes: HOLD_CHANGED_BYTES, contentLength: undefined, reserve });
  if ('error' in rest) return rest;
  return 'whole' in rest
    ? { whole: Buffer.concat([collected.head, rest.whole]) }
    : { head: Buffer.concat([collected.head, rest.head]) };
}

function mustBeHeld(exchange: Exchange, { translation }: Served['prepared']): boolean {
  return translation !== undefined || guardsOf(exchange, 'response').length > 0;
}

/** Sends a whole answer, as far as guards let it. */
async function deliver(
  exchange: Exchange,
  answer: { status: number; headers: () => OutgoingHttpHeaders },
  reply: Reply,
): Promise<void> {
  const guards = guardsOf(exchange, 'response');
  const bytes = guards.length === 0 ? reply.bytes : await guardAnswer(exchange, reply.bytes);
  finish(exchange, answer.status, bytes.length);
  endAdmission(exchange);
  sendJson(reply.response, answer.status, answer.headers(), bytes);
}

interface Reply {
  bytes: Buffer;
  response: ServerResponse;
}

async function relayWhole(
  exchange: Exchange,
  { answer, prepared, attempt }: Served,
  { bytes: relayed, response }: Reply,
): Promise<void> {
  const parsed = tryParse(relayed);
  closeAttempt(exchange, attempt);
  const bytes = prepared.base64 && parsed !== undefined ? inBase64(exchange, relayed, parsed) : relayed;
  if (parsed !== undefined) noteSummary(exchange, exchange.surface.summarize(parsed));
  priceUsage(exchange);
  await deliver(exchange, { status: answer.status, headers: () => answerHeaders(exchange, answer) }, { bytes, response });
}

/** What the client asked for, where the provider sent numbers all the same. */
function inBase64(exchange: Exchange, bytes: Buffer, answer: JsonObject): Buffer {
  const encoded = numbersAsBase64(answer);
  if (encoded === undefined) return bytes;
  exchange.warnings.push({ param: 'encoding_format', reason: 'the provider sent numbers; Signalbox made base64 of them' });
  return Buffer.from(JSON.stringify(encoded));
}

async function translateWhole(exchange: Exchange, served: Served, { bytes, response }: Reply): Promise<void> {
  const { answer, prepared } = served;
  const { dialect } = prepared.translation!;
  const parsed = tryParse(bytes);
  if (parsed === undefined) throw unreadable(exchange, 'its body is not a JSON object');
  // First: also what cannot be read has been billed.
  noteSummary(exchange, dialect.usage.summarize(parsed));
  const decoded = decodeWhole(exchange, served, parsed);
  // Whoever reads events would find none in it, and take it for an empty answer.
  if (exchange.stream) throw unreadable(exchange, 'it is no stream, and one was asked for');
  closeAttempt(exchange, served.attempt);
  priceUsage(exchange);
  const context = { requestId: exchange.request.id, nowS: Math.floor(exchange.plane.nowMs() / 1000), includeUsage: true };
  const encoded = exchange.surface.dialect!.response.encode(decoded, context, (warning) => exchange.warnings.push(warning));
  const body = Buffer.from(JSON.stringify(encoded));
  await deliver(exchange, { status: answer.status, headers: () => exchangeHeaders(exchange) }, { bytes: body, response });
}

/** An error inside a 200 is refused as it would have been under the status it stands for. */
function decodeWhole(exchange: Exchange, { answer, prepared }: Served, parsed: JsonObject): ChatResponse {
  try {
    return prepared.translation!.dialect.response.decode(parsed);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code !== 'upstream_error') throw thrown;
    const failure = thrown.cause as UpstreamFailure;
    throw refusalOf(exchange, { ...answer, status: failure.status }, failure);
  }
}

/** An answer too large to hold goes on as it comes; usage is looked for in its last bytes, where providers put it. */
async function passLargeAnswer(
  exchange: Exchange,
  { answer, attempt, prepared }: Served,
  part: { head: Buffer; response: ServerResponse },
): Promise<void> {
  if (mustBeHeld(exchange, prepared)) throw unreadable(exchange, 'it is larger than 64 MiB');
  const { 'content-length': length } = answer.headers;
  part.response.writeHead(answer.status, {
    ...answerHeaders(exchange, answer),
    ...(length === undefined ? {} : { 'content-length': length }),
  });
  const tail = usageInTail();
  tail.see(part.head);
  const end = await pipeBody({
    head: part.head,
    body: answer.body,
    response: part.response,
    wheel: exchange.plane.wheel,
    see: tail.see,
  });
  exchange.responseBytes = end.bytes;
  closeAttempt(exchange, attempt, end.error);
  noteSummary(exchange, exchange.surface.summarize(tail.answer()));
  if (end.error === undefined) return finish(exchange, answer.status, end.bytes);
  throw end.error;
}

function refusalIn(exchange: Exchange, answer: UpstreamAnswer, bytes: Buffer): GatewayError {
  const provider = exchange.line.provider(exchange.target!);
  const errors = chatDialect(provider.dialect)?.error ?? exchange.surface.errors;
  return refusalOf(exchange, answer, errors.decode(answer.status, tryParse(bytes) ?? bytes.toString('utf8')));
}

/** On a relay the caller's own mistakes are told in the provider's words, should it come to that. */
function refused(exchange: Exchange, { answer, prepared }: Served, bytes: Buffer): GatewayError {
  const error = refusalIn(exchange, answer, bytes);
  if (prepared.translation === undefined && isCallersOwn(exchange, answer.status)) exchange.relayable = { error, answer, bytes };
  return error;
}

function noteSummary(exchange: Exchange, summary: ReturnType<Exchange['surface']['summarize']>): void {
  if (summary.usage !== undefined) exchange.usage = summary.usage;
  if (summary.finish !== undefined) exchange.finish = summary.finish;
  noteStored(exchange, summary.storedId);
  if (summary.model !== undefined) exchange.upstreamModel = summary.model.slice(0, 256);
}

function finish(exchange: Exchange, status: number, bytes: number): void {
  exchange.status = status;
  exchange.outcome = 'ok';
  exchange.responseBytes = bytes;
}

function tryParse(bytes: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

export function unreadable(exchange: Exchange, why: string): GatewayError {
  const provider = exchange.target!.provider;
  const message = `The answer of provider \`${provider}\` cannot be read: ${why}`;
  return new GatewayError('upstream_bad_response', { details: { message, provider } });
}
