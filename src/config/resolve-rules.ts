/** Limits and budgets as the operator wrote them, as the data plane enforces them. */
import type { Budget, Limits, Rules, Scope, SlotOf } from '../core/rules.ts';
import type { RulesConfig } from './schema-rules.ts';

const NANO_PER_USD = 1_000_000_000;

/** `limits` and all budgets of an entry, without their places in shared memory: what is stored. */
export interface WantedRules {
  limits?: Limits;
  budgets: readonly Budget[];
}

export function wantedRules({ limits, budget, budgets }: RulesConfig, timeZone = 'UTC'): WantedRules {
  const all = [...(budget === undefined ? [] : [budget]), ...(budgets ?? [])];
  return {
    ...(limits !== undefined && { limits }),
    budgets: all.map(({ limit_usd, window, time_zone, hard, mode, unpriced }) => ({
      limitNanoUsd: Math.round(limit_usd * NANO_PER_USD),
      window,
      timeZone: time_zone ?? timeZone,
      hard,
      mode,
      unpriced,
    })),
  };
}

/** With a place in shared memory for each; undefined where there is no rule at all. */
export function placedRules(scope: Scope, { limits = {}, budgets }: WantedRules, slotOf: SlotOf): Rules | undefined {
  const { rpm, tpm, concurrent } = limits;
  if (rpm === undefined && tpm === undefined && concurrent === undefined && budgets.length === 0) return undefined;
  return {
    scope,
    ...(rpm !== undefined && { requests: { slot: slotOf(scope, 'requests'), perMinute: rpm } }),
    ...(tpm !== undefined && { tokens: { slot: slotOf(scope, 'tokens'), perMinute: tpm } }),
    ...(concurrent !== undefined && { concurrent: { slot: slotOf(scope, 'concurrent'), most: concurrent } }),
    budgets: budgets.map((budget) => ({ ...budget, slot: slotOf(scope, `budget:${budget.window}:${budget.timeZone}`) })),
  };
}
