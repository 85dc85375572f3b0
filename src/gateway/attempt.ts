/** One attempt: one request to one candidate, from its money to the end of its answer. It teaches the live state how its target does. */
import type { ServerResponse } from 'node:http';

import type { PricedTarget } from '../config/snapshot.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { Candidate } from '../routing/candidate.ts';
import { type FailureKind, kindOf } from '../routing/failure.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import { endTarget } from './admit.ts';
import type { ClientBody } from './body.ts';
import { beginContinuation, breakOff } from './continuation.ts';
import { type Exchange, forgetAnswer } from './exchange.ts';
import { type Chosen, type OpenAttempt, type Served, closeAttempt, openAttempt, waiveProbe } from './open-attempt.ts';
import { type Prepared, prepare } from './prepare.ts';
import { isOpen, replyStream } from './reply-stream.ts';
import { replyUnary } from './reply-unary.ts';
import { settleFailed, settleSpend } from './spend-settle.ts';
import { cancelSpend, journalSpend, warnOfCap } from './spend.ts';

/** Why an attempt did not lead to an answer. */
export interface Failure {
  error: GatewayError;
  kind: FailureKind;
  candidate: Candidate;
  /** Provably nothing of the request reached the provider. */
  undelivered: boolean;
}

/**
 * Sends the request to the candidate and its answer to the client. Undefined: the client has it. A failure: the client has nothing yet, and another attempt may follow.
 * Throws once the client has a part of it, and what is no target's doing.
 */
export async function attemptAt(
  exchange: Exchange,
  body: ClientBody,
  chosen: Chosen,
  response: ServerResponse,
): Promise<Failure | undefined> {
  const { target } = chosen.candidate;
  const spanId = exchange.plane.spanId();
  forgetAnswer(exchange);
  if (!response.headersSent) exchange.continuation = beginContinuation(exchange, body);
  const ready = await readyToSend(exchange, body, target, spanId).catch((thrown: unknown) => unready(exchange, chosen, thrown));
  if ('kind' in ready) return ready;
  const startedAt = performance.now();
  const sent = exchange.plane.send({
    endpoint: chosen.candidate.endpoint,
    method: 'POST',
    path: ready.path,
    headers: ready.headers,
    body: ready.body,
    timeouts: target.timeouts,
    stream: exchange.stream,
  });
  exchange.target = target;
  const attempt = openAttempt(exchange, chosen, { spanId, startedAt, sent });
  const outcome = await sent.answer;
  const headersMs = performance.now() - startedAt;
  exchange.waitedMs += headersMs;
  attempt.fact.headersMs = headersMs;
  if (outcome.failed) {
    const { undelivered, reusedSocket } = outcome;
    return failed(exchange, attempt, namedAfter(outcome.error, target), { undelivered, reused: reusedSocket });
  }
  attempt.fact.status = outcome.status;
  return reply(exchange, { answer: outcome, prepared: ready, attempt }, response);
}

async function reply(exchange: Exchange, served: Served, response: ServerResponse): Promise<Failure | undefined> {
  try {
    if (isEventStream(served.answer)) await replyStream(exchange, served, response);
    else await replyUnary(exchange, served, response);
    return undefined;
  } catch (thrown) {
    const error = toGatewayError(thrown);
    const isOver = !isOpen(exchange, response) || exchange.gone || exchange.cut !== undefined;
    if (isOver || kindOf(error) === 'ours') throw thrown;
    const failure = failed(exchange, served.attempt, error, { undelivered: false, reused: false });
    if (response.headersSent) breakOff(exchange.continuation!, exchange, served.attempt.fact);
    return failure;
  }
}

/** A refusal is none, whatever it calls itself: it is read whole, so that it can be told apart and cleaned. */
function isEventStream({ status, headers }: UpstreamAnswer): boolean {
  return status < 400 && /^text\/event-stream/i.test(headers['content-type'] ?? '');
}

/** The request, and the money for it in the journal: from here on it may be billed. What cannot be sent gives its money back. */
async function readyToSend(exchange: Exchange, body: ClientBody, target: PricedTarget, spanId: string): Promise<Prepared> {
  const { spend } = exchange;
  try {
    const prepared = prepare(exchange, body, target, spanId);
    if (spend === undefined) return prepared;
    warnOfCap(exchange, spend);
    await journalSpend(exchange, spend);
    if (exchange.gone) throw new GatewayError('client_gone');
    return prepared;
  } catch (thrown) {
    if (spend !== undefined) cancelSpend(exchange, spend);
    throw thrown;
  }
}

/** A target that has no words for what is asked is passed over; nobody has been asked. Rethrows all else. */
function unready(exchange: Exchange, { candidate, probe }: Chosen, thrown: unknown): Failure {
  const error = toGatewayError(thrown);
  const kind = kindOf(error);
  if (probe) waiveProbe(exchange, candidate);
  if (kind !== 'inexpressible') throw thrown;
  endTarget(exchange, { undelivered: true });
  return { error, kind, candidate, undelivered: true };
}

/** Books an attempt that led to nothing: its time, its money, its place in the limits, and what it says of its target. */
function failed(
  exchange: Exchange,
  attempt: OpenAttempt,
  error: GatewayError,
  { undelivered, reused }: { undelivered: boolean; reused: boolean },
): Failure {
  const kind = kindOf(error, reused);
  closeAttempt(exchange, attempt, error, kind);
  if (attempt.fact.status === undefined) settleFailed(exchange, attempt.fact, undelivered);
  else settleSpend({ ...exchange, outcome: 'upstream_error' });
  endTarget(exchange, { undelivered });
  return { error, kind, candidate: attempt.candidate, undelivered };
}

/** The same failure with the target's name in its words, for the log and the caller. */
function namedAfter(error: GatewayError, target: PricedTarget): GatewayError {
  if (error.details.provider !== undefined || error.code === 'client_gone') return error;
  const message = `${error.message} (provider \`${target.provider}\`)`;
  return new GatewayError(error.code, { cause: error.cause, details: { ...error.details, message, provider: target.provider } });
}
