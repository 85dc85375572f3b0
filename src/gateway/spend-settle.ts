/** What an attempt is charged, once it is over. */
import type { AttemptFact } from '../core/exchange.ts';
import type { NanoUsd } from '../core/money.ts';
import { type Usage, tellsTokens } from '../core/usage.ts';
import { costNanoUsd } from '../ledger/cost.ts';
import type { Unanswered } from '../ledger/estimate.ts';
import type { Exchange } from './exchange.ts';
import { type Charge, type OpenSpend, endSpend, keepsWhole } from './spend.ts';

/** The attempt failed before its answer began. `undelivered`: the provider never saw it. */
export function settleFailed(exchange: Exchange, attempt: AttemptFact, undelivered: boolean): void {
  const { spend } = exchange;
  if (spend === undefined || spend.ended) return;
  if (undelivered) endSpend(exchange, spend, attempt, { nanoUsd: 0 });
  else settleEstimated(exchange, spend, attempt);
}

/** The end of the last attempt: what its provider told is charged, else what is estimated; a refusal costs nothing. */
export function settleSpend(exchange: Exchange): void {
  const { spend, usage, finish } = exchange;
  const attempt = exchange.attempts.at(-1);
  if (spend === undefined || spend.ended || attempt === undefined) return;
  if (attempt.status !== undefined && attempt.status >= 400) return endSpend(exchange, spend, attempt, { nanoUsd: 0 });
  // Usage before the finish is a count under way: Anthropic's first event has one, and some providers send it with every chunk.
  // What a guard keeps back was whole.
  const whole = exchange.outcome === 'ok' || exchange.outcome === 'refused';
  const final = usage !== undefined && tellsTokens(usage) && (finish !== undefined || whole);
  if (!final) return settleEstimated(exchange, spend, attempt);
  learn(exchange, spend, { usage, attempt });
  endSpend(exchange, spend, attempt, { nanoUsd: chargeOf(spend, usage), ...(isCeiling(spend) && { usage }) });
}

function settleEstimated(exchange: Exchange, spend: OpenSpend, attempt: AttemptFact): void {
  exchange.estimated = true;
  endSpend(exchange, spend, attempt, estimatedCharge(exchange, spend, unansweredOf(exchange, spend, attempt)));
}

/**
 * The ledger gets what is most likely. A hard budget counts with what is possible, or estimates that were low would add up to more than its limit; where output can be
 * hidden, that is all of the reservation, for the ledger too.
 */
function estimatedCharge({ plane }: Exchange, spend: OpenSpend, seen: Unanswered): Charge {
  const { price, plan, reservedNanoUsd, kind } = spend;
  const usage = plane.estimator.usageOf(kind, seen);
  if (price === undefined) return { nanoUsd: 0, usage };
  if (keepsWhole(plan, spend.hidden)) return { nanoUsd: reservedNanoUsd, usage };
  const nanoUsd = Math.max(spend.floorNanoUsd, chargeOf(spend, usage));
  if (plan?.hard !== true) return { nanoUsd, usage };
  const mostNanoUsd = Math.max(nanoUsd, chargeOf(spend, plane.estimator.mostUsageOf(kind, seen)));
  return { nanoUsd: Math.min(nanoUsd, reservedNanoUsd), mostNanoUsd: Math.min(mostNanoUsd, reservedNanoUsd), usage };
}

/** We hung up: the client left, or we had enough. Else the provider ended by itself. */
function hungUp({ gone, cut, failure }: Exchange, { error }: AttemptFact): boolean {
  const timedOut = failure?.code === 'upstream_timeout' || error === 'upstream_timeout';
  return gone || cut !== undefined || timedOut || error === 'client_gone';
}

function unansweredOf(exchange: Exchange, { requestBytes, mostTokens }: OpenSpend, attempt: AttemptFact): Unanswered {
  const { usage, responseBytes, stream } = exchange;
  return {
    requestBytes,
    answerBytes: responseBytes,
    elapsedMs: attempt.totalMs,
    stream,
    hungUp: hungUp(exchange, attempt),
    ...(mostTokens !== undefined && { mostTokens }),
    ...(usage !== undefined && { told: usage }),
  };
}

function learn(
  exchange: Exchange,
  { kind, requestBytes }: OpenSpend,
  { usage, attempt }: { usage: Usage; attempt: AttemptFact },
): void {
  const { outcome, responseBytes, plane } = exchange;
  if (outcome !== 'ok') return;
  const firstByteMs = attempt.firstByteMs ?? attempt.totalMs;
  plane.estimator.learn(kind, { requestBytes, answerBytes: responseBytes, firstByteMs, totalMs: attempt.totalMs, usage });
}

function chargeOf({ price }: OpenSpend, usage: Usage): NanoUsd {
  return price === undefined ? 0 : costNanoUsd(usage, price);
}

/** A ceiling is nobody's price: whatever is charged by it is an estimate. */
function isCeiling({ price, priceState }: OpenSpend): boolean {
  return price !== undefined && priceState.status === 'unpriced';
}
