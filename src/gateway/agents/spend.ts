/** The money of a call: what a send costs is known beforehand, set aside in all budgets before it goes out, and charged where the agent answered with a result. */
import type { Rules, Scope } from '../../core/rules.ts';
import { budgetRefusal, planBudgets, thresholdsPassed } from '../../policy/budget.ts';
import type { Exchange } from '../exchange.ts';
import type { BudgetPlan } from '../../policy/budget.ts';
import type { Hold } from '../../ledger/accounts.ts';
import type { AgentWork } from './call.ts';

export interface AgentSpend {
  plan: BudgetPlan | undefined;
  holds: Hold[];
  nanoUsd: number;
  ended: boolean;
}

/** All that the money of the call belongs to. */
function agentScopes({ caller }: Exchange, agent: string): Scope[] {
  return [...(caller?.scopes ?? []), `agent:${agent}`];
}

/** Throws budget_exceeded, budget_reserved, store_down. Undefined: it costs nothing and no budget counts it. */
export async function reserveCall(exchange: Exchange, { view }: AgentWork): Promise<AgentSpend | undefined> {
  const { plane, caller, request } = exchange;
  const nanoUsd = view.config.costPerRequestNanoUsd ?? 0;
  if (nanoUsd === 0) return undefined;
  const atMs = plane.nowMs();
  const rules: Rules[] = [...caller!.rules, ...(view.config.rules === undefined ? [] : [view.config.rules])];
  const plan = planBudgets(rules, plane.windowOf, atMs);
  const reserved = plane.accounts.reserve(plan?.demands ?? [], { wantNanoUsd: nanoUsd, leastNanoUsd: nanoUsd });
  if (!reserved.ok) {
    const refusal = budgetRefusal(plan!, reserved, atMs);
    if (reserved.bySpent) {
      plane.raise('budget.exceeded', refusal.details.scope, { window: plan!.accounts[reserved.demand]!.budgets[0]!.window });
    }
    throw refusal;
  }
  const { holds } = reserved;
  plane.record({
    kind: 'reserve',
    id: exchange.id,
    attempt: 0,
    atMs,
    nanoUsd,
    // Whether it answered before the process died nobody can tell: what was sent is charged.
    floorNanoUsd: nanoUsd,
    scopes: agentScopes(exchange, view.name),
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
