/** Which budgets an exchange must fit into, and what is said where it does not. */
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import type { EventFact, EventType } from '../core/fact.ts';
import { formatUsd } from '../core/money.ts';
import type { Budget, Rules, Scope } from '../core/rules.ts';
import type { Change, Demand, Reserved } from '../ledger/accounts.ts';
import type { WindowOf } from '../ledger/window.ts';

/** All budgets of an exchange, by the account that counts for them. */
export interface BudgetPlan {
  demands: Demand[];
  /** In the order of the demands: whose they are. Several budgets of one scope and window share an account. */
  accounts: { scope: Scope; budgets: readonly Budget[]; endMs: number }[];
  /** One of them refuses what does not fit. */
  hard: boolean;
  /** All of those let streams reserve in steps. */
  stepped: boolean;
  /** The strictest of those. */
  unpriced: Budget['unpriced'];
}

const STRICTNESS: readonly Budget['unpriced'][] = ['allow', 'ceiling', 'block'];

/** Undefined: there is none. */
export function planBudgets(rules: readonly Rules[], windowOf: WindowOf, nowMs: number): BudgetPlan | undefined {
  if (!rules.some(({ budgets }) => budgets.length > 0)) return undefined;
  const places = new Map<number, Place>();
  for (const { scope, budgets } of rules) for (const budget of budgets) put(places, scope, budget);
  const all = [...places.values()];
  const hard = all.flatMap(({ budgets }) => budgets.filter((budget) => budget.hard));
  const windows = all.map(({ budgets: [first] }) => windowOf(first!.window, first!.timeZone, nowMs));
  return {
    demands: all.map(({ slot, budgets }, index) => ({
      slot,
      windowStartMs: windows[index]!.startMs,
      limitNanoUsd: Math.min(...budgets.map((budget) => (budget.hard ? budget.limitNanoUsd : Infinity))),
    })),
    accounts: all.map(({ scope, budgets }, index) => ({ scope, budgets, endMs: windows[index]!.endMs })),
    hard: hard.length > 0,
    stepped: hard.length > 0 && hard.every(({ mode }) => mode === 'stepped'),
    unpriced: STRICTNESS[Math.max(0, ...hard.map(({ unpriced }) => STRICTNESS.indexOf(unpriced)))]!,
  };
}

/** Whose budgets count for an exchange, beside end users, who come and go. */
export interface PlanParts {
  caller: Caller;
  model: object;
  targetId: string;
  /** Asked only for what is not known yet. */
  rules: () => readonly Rules[];
}

export type PlanOf = (parts: PlanParts, nowMs: number) => BudgetPlan | undefined;

interface Kept {
  plan: BudgetPlan | undefined;
  /** The first of its windows ends. */
  untilMs: number;
}

/** Plans of one snapshot, each made once for a caller, a model and a target until a window ends: making one takes 2 µs, finding it a tenth of that. */
export function createPlans(windowOf: WindowOf): PlanOf {
  const byCaller = new WeakMap<Caller, Map<object, Map<string, Kept>>>();
  return ({ caller, model, targetId, rules }, nowMs) => {
    let byModel = byCaller.get(caller);
    if (byModel === undefined) byCaller.set(caller, (byModel = new Map()));
    let byTarget = byModel.get(model);
    if (byTarget === undefined) byModel.set(model, (byTarget = new Map()));
    const known = byTarget.get(targetId);
    if (known !== undefined && nowMs < known.untilMs) return known.plan;
    const plan = planBudgets(rules(), windowOf, nowMs);
    const untilMs = plan === undefined ? Infinity : Math.min(...plan.accounts.map(({ endMs }) => endMs));
    byTarget.set(targetId, { plan, untilMs });
    return plan;
  };
}

interface Place {
  slot: number;
  scope: Scope;
  budgets: Budget[];
}

function put(places: Map<number, Place>, scope: Scope, budget: Rules['budgets'][number]): void {
  const place = places.get(budget.slot);
  if (place === undefined) places.set(budget.slot, { slot: budget.slot, scope, budgets: [budget] });
  else place.budgets.push(budget);
}

/** The same plan in the windows of now. */
export function atPresent(plan: BudgetPlan, windowOf: WindowOf, nowMs: number): BudgetPlan {
  if (plan.accounts.every(({ endMs }) => nowMs < endMs)) return plan;
  const windows = plan.accounts.map(({ budgets: [first] }) => windowOf(first!.window, first!.timeZone, nowMs));
  return {
    ...plan,
    demands: plan.demands.map(({ slot, limitNanoUsd }, index) => ({
      slot,
      limitNanoUsd,
      windowStartMs: windows[index]!.startMs,
    })),
    accounts: plan.accounts.map(({ scope, budgets }, index) => ({ scope, budgets, endMs: windows[index]!.endMs })),
  };
}

/** Reservations come back when exchanges end; most take less. */
const RESERVED_RETRY_S = 2;

/** budget_exceeded, or budget_reserved where all that stands in the way is money that is only set aside. */
export function budgetRefusal(plan: BudgetPlan, refused: Extract<Reserved, { ok: false }>, nowMs: number): GatewayError {
  const { scope, budgets, endMs } = plan.accounts[refused.demand]!;
  const { limitNanoUsd } = plan.demands[refused.demand]!;
  const name = `The ${budgets[0]!.window === 'total' ? 'budget' : `budget of the ${budgets[0]!.window}`} of ${wordsOf(scope)}`;
  const left = formatUsd(Math.max(0, limitNanoUsd - refused.spentNanoUsd));
  if (!refused.bySpent) {
    const message = `${name} has ${left} USD left, which requests under way have reserved. Try again in ${RESERVED_RETRY_S} s`;
    return new GatewayError('budget_reserved', { details: { message, scope, retryAfterS: RESERVED_RETRY_S } });
  }
  const ends = Number.isFinite(endMs);
  const when = ends ? `It begins anew at ${new Date(endMs).toISOString()}` : 'It does not begin anew';
  const spent = formatUsd(refused.spentNanoUsd);
  const message = `${name} is used up: ${spent} of ${formatUsd(limitNanoUsd)} USD are spent, and what is left does not pay for this request. ${when}`;
  const retryAfterS = Math.max(1, Math.ceil((endMs - nowMs) / 1000));
  return new GatewayError('budget_exceeded', { details: { message, scope, shouldRetry: false, ...(ends && { retryAfterS }) } });
}

/** Why an exchange under a hard budget cannot be priced. `because`: one clause. */
export function unenforceable(plan: BudgetPlan, because: string): GatewayError {
  const { scope } = plan.accounts.find(({ budgets }) => budgets.some(({ hard }) => hard))!;
  const message = `The hard budget of ${wordsOf(scope)} cannot hold for this request, because ${because}`;
  return new GatewayError('budget_unenforceable', { details: { message, scope } });
}

function wordsOf(scope: Scope): string {
  const colon = scope.indexOf(':');
  return `${scope.slice(0, colon).replace('_', ' ')} \`${scope.slice(colon + 1)}\``;
}

export interface Told {
  type: EventType;
  scope: Scope;
  details: EventFact['details'];
}

/** In per cent of the limit. */
const THRESHOLDS = [80, 100] as const;

/** What a settlement made operators want to hear: which thresholds of which budgets it passed. Each is passed once in a window, whichever worker does it. */
export function thresholdsPassed(plan: BudgetPlan, changes: readonly Change[]): Told[] {
  return changes.flatMap((change, index) => {
    if (change === undefined || change.before === change.after) return [];
    const { scope, budgets } = plan.accounts[index]!;
    return budgets.flatMap((budget) => passedBy(budget, scope, change));
  });
}

function passedBy({ limitNanoUsd, window, hard }: Budget, scope: Scope, { before, after }: NonNullable<Change>): Told[] {
  const passed = THRESHOLDS.filter((percent) => {
    const at = (limitNanoUsd / 100) * percent;
    return before < at && after >= at;
  });
  return passed.map((percent) => ({
    type: percent === 100 && !hard ? 'budget.soft_exceeded' : 'budget.threshold',
    scope,
    details: { percent, window, limitUsd: formatUsd(limitNanoUsd), spentUsd: formatUsd(after) },
  }));
}
