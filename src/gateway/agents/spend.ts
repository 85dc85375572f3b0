/** The money of a call: what a send costs is known beforehand, set aside in all budgets before it goes out, and charged where the agent answered with a result. */
import { rulesOfAgent } from '../../core/agent.ts';
import type { NanoUsd } from '../../core/money.ts';
import { budgetRefusal, planBudgets, thresholdsPassed } from '../../policy/budget.ts';
import { type Exchange, scopesOf } from '../exchange.ts';
import type { BudgetPlan } from '../../policy/budget.ts';
import type { Hold } from '../../ledger/accounts.ts';
import type { Plane } from '../plane.ts';
import type { AgentWork } from './call.ts';

export interface AgentSpend {
  plan: BudgetPlan | undefined;
  holds: Hold[];
  nanoUsd: number;
  ended: boolean;
}

/** Throws budget_exceeded, budget_reserved, store_down. Undefined: it costs nothing and no budget counts it. */
export async function reserveCall(exchange: Exchange, { view }: AgentWork): Promise<AgentSpend | undefined> {
  const { plane, caller, request, endUserRules = [] } = exchange;
  const nanoUsd = view.config.costPerRequestNanoUsd ?? 0;
  if (nanoUsd === 0) return undefined;
  const atMs = plane.nowMs();
  const plan = planBudgets([...caller!.rules, ...endUserRules, ...rulesOfAgent(view)], plane.windowOf, atMs);
  const holds = holdAll(plane, plan, { nanoUsd, atMs });
  plane.record({
    kind: 'reserve',
    id: exchange.id,
    attempt: 0,
    atMs,
    nanoUsd,
    // Whether it answered before the process died nobody can tell: what was sent is charged.
    floorNanoUsd: nanoUsd,
    scopes: scopesOf(exchange)!,
    requestId: request.id,
    worker: plane.worker,
    surface: exchange.surface.name,
    stream: exchange.stream,
    key: caller!.key.id,
    model: `a2a/${view.name}`,
    provider: 'a2a',
    target: `a2a/${view.name}`,
    ...(holds.length > 0 && { holds: holds.map(({ slot, windowStartMs }) => ({ slot, windowStartMs })) }),
  });
  const spend: AgentSpend = { plan, holds, nanoUsd, ended: false };
  if (plan?.hard === true) {
    try {
      await plane.commit();
    } catch (thrown) {
      endCall(exchange, spend, 0);
      throw thrown;
    }
  }
  return spend;
}

/** Room in every budget, or in none. Throws budget_exceeded, budget_reserved. */
function holdAll(plane: Plane, plan: BudgetPlan | undefined, { nanoUsd, atMs }: { nanoUsd: NanoUsd; atMs: number }): Hold[] {
  const reserved = plane.accounts.reserve(plan?.demands ?? [], { wantNanoUsd: nanoUsd, leastNanoUsd: nanoUsd });
  if (reserved.ok) return reserved.holds;
  const refusal = budgetRefusal(plan!, reserved, atMs);
  if (reserved.bySpent) {
    plane.raise('budget.exceeded', refusal.details.scope, { window: plan!.accounts[reserved.demand]!.budgets[0]!.window });
  }
  throw refusal;
}

/** Once: gives back what was set aside and charges `nanoUsd`. */
export function endCall(exchange: Exchange, spend: AgentSpend, nanoUsd: number): void {
  if (spend.ended) return;
  spend.ended = true;
  const changes = exchange.plane.accounts.settle(spend.holds, nanoUsd);
  exchange.cost = { nanoUsd };
  const [first] = exchange.attempts;
  if (first !== undefined) first.spend = { reservedNanoUsd: spend.nanoUsd, nanoUsd };
  if (spend.plan === undefined) return;
  for (const { type, scope, details } of thresholdsPassed(spend.plan, changes)) exchange.plane.raise(type, scope, details);
}
