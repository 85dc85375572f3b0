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
import { settleFailed } from './spend-settle.ts';
import { cancelSpend, journalSpend, reserveSpend, warnOfCap } from './spend.ts';

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
 * A target whose limits are used up, or that no budget pays for, is passed over. Throws the last failure; where there was none, what stood in the way: budget_exceeded,
 * budget_reserved, budget_unenforceable, rate_limited.
 */
export async function attemptInTurn(exchange: Exchange, body: ClientBody): Promise<Served> {
  const { line, plane, resolved } = exchange;
  const routes = planRoutes(resolved!.targets, (target) => line.provider(target).endpoints, plane.random);
  let last: GatewayError | undefined;
  const passedOver: GatewayError[] = [];
  for (const { target, endpoint } of routes) {
    const refused = (await admitTarget(exchange, body, target)) ?? (await payFor(exchange, body, target));
    if (refused !== undefined) {
      passedOver.push(refused);
      continue;
    }
    const { served, failure, undelivered } = await attemptOne(exchange, body, target, endpoint);
    if (served !== undefined) return served;
    last = failure;
    if (undelivered) refundTarget(exchange);
    if (!undelivered || exchange.gone || exchange.cut !== undefined) break;
  }
  throw last ?? soonest(passedOver) ?? new GatewayError('no_target', { details: { model: resolved!.name } });
}

/** Of several targets without room, the one that has some first; what never has comes last. */
function soonest(passedOver: readonly GatewayError[]): GatewayError | undefined {
  const seconds = ({ details }: GatewayError): number => details.retryAfterS ?? Number.MAX_SAFE_INTEGER;
  return passedOver.toSorted((a, b) => seconds(a) - seconds(b))[0];
}

/** Sets the attempt's money aside. Undefined: it may go; else which budget does not pay for it. */
async function payFor(exchange: Exchange, body: ClientBody, target: PricedTarget): Promise<GatewayError | undefined> {
  const spend = await reserveSpend(exchange, body, target);
  if (!(spend instanceof GatewayError)) {
    exchange.spend = spend;
    return undefined;
  }
  refundTarget(exchange);
  return spend;
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
  const prepared = await readyToSend(exchange, body, target, spanId);
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
    settleFailed(exchange, attempt.fact, outcome.undelivered);
    return { failure: namedAfter(outcome.error, target), undelivered: outcome.undelivered };
  }
  attempt.fact.status = outcome.status;
  return { served: { answer: outcome, prepared, attempt } };
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

function openAttempt(
  exchange: Exchange,
  target: PricedTarget,
  begun: { spanId: string; startedAt: number; sent: Dispatched },
): OpenAttempt {
  const fact: AttemptFact = {
    target: target.id,
    provider: target.provider,
    upstreamModel: target.upstreamModel,
    // The window that pays is the one in which the money was set aside.
    startedAtMs: exchange.spend?.atMs ?? exchange.atMs + (begun.startedAt - exchange.request.startedAt),
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
