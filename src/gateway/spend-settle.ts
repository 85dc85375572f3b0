/** What an attempt is charged, once it is over. */
import type { AttemptFact } from '../core/exchange.ts';
import type { NanoUsd } from '../core/money.ts';
import type { Usage } from '../core/usage.ts';
import { costNanoUsd } from '../ledger/cost.ts';
import type { Exchange } from './exchange.ts';
import { type OpenSpend, endSpend, keepsWhole } from './spend.ts';

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
  // A refusal after an attempt is a guard's, which sees whole answers only.
  const whole = exchange.outcome === 'ok' || exchange.outcome === 'refused';
  const final = usage !== undefined && (finish !== undefined || whole);
  if (!final) return settleEstimated(exchange, spend, attempt);
  learn(exchange, spend, { usage, attempt });
  endSpend(exchange, spend, attempt, { nanoUsd: chargeOf(spend, usage), ...(isCeiling(spend) && { usage }) });
}

function settleEstimated(exchange: Exchange, spend: OpenSpend, attempt: AttemptFact): void {
  const usage = estimatedUsage(exchange, spend, attempt);
  exchange.estimated = true;
  const { price, plan, reservedNanoUsd } = spend;
  if (price === undefined) return endSpend(exchange, spend, attempt, { nanoUsd: 0, usage });
  const least = Math.max(spend.floorNanoUsd, chargeOf(spend, usage));
  const nanoUsd = keepsWhole(plan, spend.hidden)
    ? reservedNanoUsd
    : plan?.hard === true
      ? Math.min(least, reservedNanoUsd)
      : least;
  endSpend(exchange, spend, attempt, { nanoUsd, usage });
}

function estimatedUsage(
  { plane, usage, responseBytes, stream, ...exchange }: Exchange,
  spend: OpenSpend,
  attempt: AttemptFact,
): Usage {
  const { kind, requestBytes, mostTokens } = spend;
  const hungUp = exchange.gone || exchange.cut !== undefined || exchange.failure?.code === 'upstream_timeout';
  return plane.estimator.usageOf(kind, {
    requestBytes,
    answerBytes: responseBytes,
    elapsedMs: attempt.totalMs,
    stream,
    hungUp: hungUp || attempt.error === 'upstream_timeout' || attempt.error === 'client_gone',
    ...(attempt.firstByteMs !== undefined && { firstByteMs: attempt.firstByteMs }),
    ...(mostTokens !== undefined && { mostTokens }),
    ...(usage !== undefined && { told: usage }),
  });
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
