import type { PricedTarget } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import type { AttemptFact } from '../core/exchange.ts';
import type { Endpoint } from '../core/target.ts';
import { planRoutes } from '../routing/plan.ts';
import type { Dispatched, UpstreamAnswer } from '../upstream/types.ts';
import { admitTarget, refundTarget } from './admit.ts';
import type { ClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import { type Prepared, prepare } from './prepare.ts';

/** An upstream that answered, and how its answer is to be read. Its attempt is still open: it ends with the body. */
export interface Served {
  answer: UpstreamAnswer;
  prepared: Prepared;
  attempt: OpenAttempt;
}

/** An attempt under way. */
export interface OpenAttempt {
  fact: AttemptFact;
  startedAt: number;
  /** Its end is booked. */
  closed: boolean;
}

/**
 * Tries the targets in the order of the plan until one answers. A failed attempt is followed by another only where the
 * connection provably delivered nothing: what may have arrived may also have been billed, so it is never sent twice.
 * A target whose limits are used up is passed over. Throws the last failure; where no target had room, rate_limited.
 */
export async function attemptInTurn(exchange: Exchange, body: ClientBody): Promise<Served> {
  const { line, plane, resolved } = exchange;
  const routes = planRoutes(resolved!.targets, (target) => line.provider(target).endpoints, plane.random);
  let last: GatewayError | undefined;
  const full: GatewayError[] = [];
  for (const { target, endpoint } of routes) {
    const refused = await admitTarget(exchange, body, target);
    if (refused !== undefined) {
      full.push(refused);
      continue;
    }
    const { served, failure, undelivered } = await attemptOne(exchange, body, target, endpoint);
    if (served !== undefined) return served;
    last = failure;
    if (undelivered) refundTarget(exchange);
    if (!undelivered || exchange.gone || exchange.cut !== undefined) break;
  }
  throw last ?? soonest(full) ?? new GatewayError('no_target', { details: { model: resolved!.name } });
}

/** Of several targets without room, the one that has some first. */
function soonest(full: readonly GatewayError[]): GatewayError | undefined {
  return full.toSorted((a, b) => a.details.retryAfterS! - b.details.retryAfterS!)[0];
}

interface AttemptResult {
  served?: Served;
  failure?: GatewayError;
  undelivered?: boolean;
}

async function attemptOne(
  exchange: Exchange,
  body: ClientBody,
  target: PricedTarget,
  endpoint: Endpoint,
): Promise<AttemptResult> {
  const { plane } = exchange;
  const spanId = plane.spanId();
  // What an attempt before had to leave out may concern another target.
  exchange.warnings.length = 0;
  const prepared = prepare(exchange, body, target, spanId);
  const startedAt = performance.now();
  const sent = plane.send({
    endpoint,
    method: 'POST',
    path: prepared.path,
    headers: prepared.headers,
    body: prepared.body,
    timeouts: target.timeouts,
    stream: exchange.stream,
  });
  exchange.target = target;
  const attempt = openAttempt(exchange, target, { spanId, startedAt, sent });
  const outcome = await sent.answer;
  const headersMs = performance.now() - startedAt;
  exchange.waitedMs += headersMs;
  attempt.fact.headersMs = headersMs;
  if (outcome.failed) {
    closeAttempt(attempt, outcome.error);
    return { failure: namedAfter(outcome.error, target), undelivered: outcome.undelivered };
  }
  attempt.fact.status = outcome.status;
  return { served: { answer: outcome, prepared, attempt } };
}

function openAttempt(
  exchange: Exchange,
  target: PricedTarget,
  begun: { spanId: string; startedAt: number; sent: Dispatched },
): OpenAttempt {
  const fact: AttemptFact = {
    target: target.id,
    provider: target.provider,
    upstreamModel: target.upstreamModel,
    startedAtMs: exchange.atMs + (begun.startedAt - exchange.request.startedAt),
    totalMs: 0,
    spanId: begun.spanId,
  };
  const attempt: OpenAttempt = { fact, startedAt: begun.startedAt, closed: false };
  exchange.attempts.push(fact);
  exchange.abort = () => begun.sent.abort();
  exchange.abandon = (error) => {
    begun.sent.abort();
    closeAttempt(attempt, error);
  };
  return attempt;
}

/** Books the end of an attempt, once, and the first error that is known of it. */
export function closeAttempt(attempt: OpenAttempt, error?: GatewayError): void {
  if (!attempt.closed) attempt.fact.totalMs = performance.now() - attempt.startedAt;
  attempt.closed = true;
  if (error !== undefined) attempt.fact.error ??= error.code;
}

/** The same failure with the target's name in its words, for the log and the caller. */
function namedAfter(error: GatewayError, target: PricedTarget): GatewayError {
  if (error.details.provider !== undefined || error.code === 'client_gone') return error;
  const message = `${error.message} (provider \`${target.provider}\`)`;
  return new GatewayError(error.code, { cause: error.cause, details: { ...error.details, message, provider: target.provider } });
}
