/** Money of streams while they flow: how far they have come, once a second; the next step of a stepped budget, before it is needed. */
import type { GatewayError } from '../core/errors.ts';
import { NO_USAGE } from '../core/usage.ts';
import type { Hold } from '../ledger/accounts.ts';
import { costNanoUsd } from '../ledger/cost.ts';
import { boundAt } from '../ledger/reserve.ts';
import { atPresent, budgetRefusal } from '../policy/budget.ts';
import type { PumpOptions } from '../upstream/stream.ts';
import type { Exchange } from './exchange.ts';
import { type OpenSpend, STEP_TOKENS, windowAt } from './spend.ts';

const CHECKPOINT_MS = 1_000;
/** The next step is asked for when so much of the last one is left: a fast model writes that in a second or two. */
const AHEAD_TOKENS = STEP_TOKENS / 2;

/** What looks at the stream with every turn of the wheel; nothing where nobody counts its money. */
export function watchSpend(exchange: Exchange): Pick<PumpOptions, 'watch'> {
  const { spend, plane } = exchange;
  if (spend?.price === undefined) return {};
  let checkedAt = performance.now();
  let told = spend.floorNanoUsd;
  const watch = (bytes: number): void => {
    if (spend.paidTokens !== undefined) payAhead(exchange, spend, bytes);
    const now = performance.now();
    if (now - checkedAt < CHECKPOINT_MS) return;
    checkedAt = now;
    const nanoUsd = costSoFar(exchange, spend, bytes);
    if (nanoUsd <= told) return;
    told = nanoUsd;
    plane.record({ kind: 'checkpoint', id: exchange.id, attempt: exchange.attempts.length - 1, atMs: plane.nowMs(), nanoUsd });
  };
  return { watch };
}

function costSoFar({ plane }: Exchange, { kind, requestBytes, price, reservedNanoUsd, plan }: OpenSpend, bytes: number): number {
  const inputTokens = plane.estimator.inputTokens(kind, requestBytes);
  const outputTokens = plane.estimator.outputTokens(kind, bytes);
  const nanoUsd = costNanoUsd({ ...NO_USAGE, inputTokens, outputTokens }, price!);
  return plan?.hard === true ? Math.min(nanoUsd, reservedNanoUsd) : nanoUsd;
}

/** Pays for as many steps as it has come, and another, or ends the stream where what is paid for is used up. */
function payAhead(exchange: Exchange, spend: OpenSpend, bytes: number): void {
  const written = exchange.plane.estimator.mostOutputTokens(spend.kind, bytes);
  const paid = (): number => spend.paidTokens! * spend.choices;
  while (written + AHEAD_TOKENS >= paid() && paid() < (spend.mostTokens ?? Infinity)) {
    const refusal = payStep(exchange, spend);
    if (refusal === undefined) continue;
    if (written < paid()) return;
    exchange.cut = refusal;
    exchange.abort();
    return;
  }
}

/** In the present windows: a step after the end of the one that pays for the stream must fit the next. Answers why it does not. */
function payStep({ plane }: Exchange, spend: OpenSpend): GatewayError | undefined {
  const nowMs = plane.nowMs();
  const plan = atPresent(spend.plan!, plane.windowOf, nowMs);
  const { bound } = spend;
  const nanoUsd = boundAt({ fixedPicoUsd: 0, perTokenPicoUsd: bound!.perTokenPicoUsd }, STEP_TOKENS);
  const reserved = plane.accounts.reserve(plan.demands, { wantNanoUsd: nanoUsd, leastNanoUsd: nanoUsd });
  if (!reserved.ok) {
    // What the stream itself has reserved will not come back to it.
    const { slot, limitNanoUsd } = plan.demands[reserved.demand]!;
    const own = [...spend.holds, ...spend.later]
      .filter((hold) => hold.slot === slot)
      .reduce((sum, hold) => sum + hold.nanoUsd, 0);
    const bySpent = reserved.spentNanoUsd + own + nanoUsd > limitNanoUsd;
    if (bySpent)
      plane.raise('budget.exceeded', plan.accounts[reserved.demand]!.scope, { window: windowAt(plan, reserved.demand) });
    return budgetRefusal(plan, { ...reserved, bySpent }, nowMs);
  }
  addStep(spend, reserved.holds);
  return undefined;
}

function addStep(spend: OpenSpend, holds: readonly Hold[]): void {
  for (const [index, step] of holds.entries()) {
    const hold = spend.holds[index];
    if (hold !== undefined && hold.windowStartMs === step.windowStartMs) hold.nanoUsd += step.nanoUsd;
    else spend.later.push(step);
  }
  spend.reservedNanoUsd += holds[0]?.nanoUsd ?? 0;
  spend.paidTokens! += STEP_TOKENS;
}
