/** The money of an exchange: set aside for each attempt right before it is sent, ended exactly once. */
import type { PricedTarget } from '../config/snapshot.ts';
import { rulesOfAgent } from '../core/agent.ts';
import { GatewayError } from '../core/errors.ts';
import type { AttemptFact, AttemptSpend } from '../core/exchange.ts';
import type { NanoUsd } from '../core/money.ts';
import type { Rules } from '../core/rules.ts';
import type { Price, PriceState } from '../core/price.ts';
import type { Usage } from '../core/usage.ts';
import type { Hold } from '../ledger/accounts.ts';
import { type Bound, boundAt, tokensFor } from '../ledger/reserve.ts';
import { type BudgetPlan, budgetRefusal, planBudgets, thresholdsPassed, unenforceable } from '../policy/budget.ts';
import type { ClientBody } from './body.ts';
import { type Exchange, scopesOf } from './exchange.ts';
import { holdsStream } from './guard-stream.ts';
import { type Wanted, wantedBy } from './spend-bound.ts';

/** What is set aside for one attempt. */
export interface OpenSpend {
  readonly target: PricedTarget;
  readonly atMs: number;
  readonly priceState: PriceState;
  /** What it is charged by; absent: nobody knows a price. */
  readonly price: Price | undefined;
  readonly plan: BudgetPlan | undefined;
  /** As the estimator learns it. */
  readonly kind: string;
  readonly requestBytes: number;
  /** Output may be billed that no answer shows. */
  readonly hidden: boolean;
  /** In all choices; absent: nothing bounds it. */
  readonly mostTokens?: number;
  /** The cap that must be sent; absent: the client's own does. */
  readonly capTokens?: number;
  readonly bound: Bound | undefined;
  /** Stepped: tokens per choice that are paid for so far. */
  paidTokens?: number;
  readonly choices: number;
  /** Per account in the order of the plan. */
  readonly holds: Hold[];
  /** Steps taken in windows that began after the one that pays. */
  readonly later: Hold[];
  reservedNanoUsd: NanoUsd;
  readonly floorNanoUsd: NanoUsd;
  ended: boolean;
}

/** Where neither the client nor anybody else bounds an answer. Every model takes it; `max_output_tokens` of a model allows more. */
const DEFAULT_CAP_TOKENS = 4_096;
/** A cap is lowered to no less than this. */
const LEAST_CAP_TOKENS = 256;
/** Stepped budgets pay for streams in pieces of this size. */
export const STEP_TOKENS = 2_048;

/**
 * Sets money aside in all budgets of the exchange, or says why not: budget_exceeded, budget_reserved, budget_unenforceable. Undefined: the surface costs nothing. A
 * promise only where the main thread must look the price up first.
 */
export function reserveSpend(
  exchange: Exchange,
  body: ClientBody,
  target: PricedTarget,
): OpenSpend | GatewayError | undefined | Promise<OpenSpend | GatewayError> {
  if (exchange.surface.name === 'count_tokens') return undefined;
  const state = exchange.plane.priceOf(target);
  const reserve = (priceState: PriceState): OpenSpend | GatewayError => reserveAt(exchange, body, { target, priceState });
  return state instanceof Promise ? state.then(reserve) : reserve(state);
}

interface Attempted {
  target: PricedTarget;
  priceState: PriceState;
}

function reserveAt(exchange: Exchange, body: ClientBody, { target, priceState }: Attempted): OpenSpend | GatewayError {
  const { plane } = exchange;
  const atMs = plane.nowMs();
  const plan = planFor(exchange, target, atMs);
  const wanted = wantedBy(exchange, body, { target, priceState, plan });
  if ('because' in wanted) return unenforceable(plan!, wanted.because);
  const ask = askFor(exchange, wanted, plan);
  // What costs nothing passes whatever is spent.
  const reserved = plane.accounts.reserve(plan === undefined || ask.wantNanoUsd === 0 ? [] : plan.demands, ask);
  if (!reserved.ok) {
    const refusal = budgetRefusal(plan!, reserved, atMs);
    if (reserved.bySpent) plane.raise('budget.exceeded', refusal.details.scope, { window: windowAt(plan!, reserved.demand) });
    return refusal;
  }
  const { grantedNanoUsd, holds } = reserved;
  const { price, kind, requestBytes, hidden, choices, bound, inputNanoUsd } = wanted;
  return {
    target,
    atMs,
    priceState,
    price,
    plan,
    kind,
    requestBytes,
    hidden,
    choices,
    bound,
    ...capOf(wanted, ask, grantedNanoUsd),
    holds,
    later: [],
    reservedNanoUsd: grantedNanoUsd,
    floorNanoUsd: keepsWhole(plan, hidden) ? grantedNanoUsd : Math.min(grantedNanoUsd, inputNanoUsd),
    ended: false,
  };
}

function planFor(
  { plane, line, caller, endUserRules = [], resolved, behind }: Exchange,
  target: PricedTarget,
  nowMs: number,
): BudgetPlan | undefined {
  const rules = (): Rules[] => [...caller!.rules, ...line.modelRules(resolved!), ...line.targetRules(target)];
  const others = behind === undefined ? endUserRules : [...endUserRules, ...rulesOfAgent(behind.view)];
  if (others.some(({ budgets }) => budgets.length > 0)) return planBudgets([...rules(), ...others], plane.windowOf, nowMs);
  return line.planOf({ caller: caller!, model: resolved!.model, targetId: target.configuredId ?? target.id, rules }, nowMs);
}

/** The kind of the window that had no room. */
export function windowAt(plan: BudgetPlan, demand: number): string {
  return plan.accounts[demand]!.budgets[0]!.window;
}

interface Ask {
  wantNanoUsd: NanoUsd;
  leastNanoUsd: NanoUsd;
  /** Per choice; stepped: of the first step. */
  tokens: number;
  stepped: boolean;
}

function askFor(exchange: Exchange, wanted: Wanted, plan: BudgetPlan | undefined): Ask {
  const { bound, hidden, leastCapTokens = LEAST_CAP_TOKENS } = wanted;
  if (bound === undefined) {
    return { wantNanoUsd: wanted.inputNanoUsd, leastNanoUsd: wanted.inputNanoUsd, tokens: 0, stepped: false };
  }
  const stepped = plan!.stepped && exchange.stream && !hidden && !holdsStream(exchange);
  const most = bound.perTokenPicoUsd === 0 ? 0 : (bound.capTokens ?? (stepped ? Infinity : DEFAULT_CAP_TOKENS));
  const tokens = stepped ? Math.min(most, STEP_TOKENS) : most;
  const least = wanted.cappable ? Math.min(tokens, leastCapTokens) : tokens;
  return { wantNanoUsd: boundAt(bound, tokens), leastNanoUsd: boundAt(bound, least), tokens, stepped };
}

/** What the granted amount means for the cap. Where nobody knows a maximum, or the client's cap is above it, ours must be sent as well: it may be all that bounds the answer. */
function capOf(
  { bound, choices, cappable }: Wanted,
  ask: Ask,
  granted: NanoUsd,
): Pick<OpenSpend, 'capTokens' | 'mostTokens' | 'paidTokens'> {
  if (bound === undefined || bound.perTokenPicoUsd === 0) return {};
  const paid = granted < ask.wantNanoUsd ? tokensFor(bound, granted) : ask.tokens;
  if (ask.stepped) {
    return { paidTokens: paid, ...(bound.capTokens !== undefined && { mostTokens: choices * bound.capTokens }) };
  }
  const must = cappable && paid < (bound.sentCapTokens ?? bound.capTokens ?? Infinity);
  return { mostTokens: choices * paid, ...(must && { capTokens: paid }) };
}

/** Strict budgets: what cannot be seen may be all of it. */
export function keepsWhole(plan: BudgetPlan | undefined, hidden: boolean): boolean {
  return hidden && plan?.hard === true;
}

/** Says in the headers that the answer may end before the client's own limit. */
export function warnOfCap({ warnings }: Exchange, { capTokens, bound }: OpenSpend): void {
  // The model's own maximum takes nothing from anybody.
  if (capTokens === undefined || capTokens === bound?.capTokens) return;
  const reason =
    bound?.capTokens === undefined
      ? `limited to ${capTokens} tokens, since neither the request nor the model's configuration bounds it and a budget must hold`
      : `lowered to ${capTokens} tokens, since more would not fit the budget`;
  warnings.push({ param: 'max_tokens', reason });
}

/** Journals the reservation; under a hard budget it is written before anything is sent. Throws store_down where it cannot be. */
export function journalSpend(exchange: Exchange, spend: OpenSpend): void | Promise<void> {
  const { plane, request, surface, caller, resolved } = exchange;
  const { target, holds } = spend;
  plane.record({
    kind: 'reserve',
    id: exchange.id,
    attempt: exchange.attempts.length,
    atMs: spend.atMs,
    nanoUsd: spend.reservedNanoUsd,
    floorNanoUsd: spend.floorNanoUsd,
    scopes: scopesOf(exchange, target)!,
    requestId: request.id,
    worker: plane.worker,
    surface: surface.name,
    stream: exchange.stream,
    key: caller!.key.id,
    model: resolved!.model.name,
    provider: target.provider,
    target: target.id,
    ...(holds.length > 0 && { holds: holds.map(({ slot, windowStartMs }) => ({ slot, windowStartMs })) }),
  });
  if (spend.plan?.hard !== true) return undefined;
  return plane.commit();
}

/** The attempt was never sent: nothing is charged, and nothing of it was told. */
export function cancelSpend({ plane }: Exchange, spend: OpenSpend): void {
  if (spend.ended) return;
  spend.ended = true;
  plane.accounts.settle([...spend.holds, ...spend.later], 0);
}

export interface Charge {
  nanoUsd: NanoUsd;
  /** What the budgets of this process count with, where that is more. */
  mostNanoUsd?: NanoUsd;
  /** Present: it is an estimate, from this. */
  usage?: Usage;
}

function estimatedPart({ inputTokens, outputTokens }: Usage): Pick<AttemptSpend, 'estimated' | 'inputTokens' | 'outputTokens'> {
  return { estimated: true, inputTokens, outputTokens };
}

/** Ends what was set aside, once, and books what the attempt is charged. */
export function endSpend(exchange: Exchange, spend: OpenSpend, attempt: AttemptFact, charge: Charge): void {
  if (spend.ended) return;
  spend.ended = true;
  const { plan, holds } = spend;
  attempt.spend = {
    reservedNanoUsd: spend.reservedNanoUsd,
    nanoUsd: charge.nanoUsd,
    ...(charge.usage !== undefined && estimatedPart(charge.usage)),
  };
  const changes = exchange.plane.accounts.settle(holds, charge.mostNanoUsd ?? charge.nanoUsd);
  exchange.plane.accounts.settle(spend.later, 0);
  if (plan === undefined) return;
  for (const { type, scope, details } of thresholdsPassed(plan, changes)) exchange.plane.raise(type, scope, details);
}
