import { COST } from './cost.ts';
import { LATENCY } from './latency.ts';
import { LEAST_BUSY } from './least-busy.ts';
import { PRIORITY } from './priority.ts';
import { RATE_LIMIT_AWARE } from './rate-limit-aware.ts';
import { ROUND_ROBIN } from './round-robin.ts';
import type { Strategy } from './strategy.ts';
import { USAGE } from './usage.ts';
import { WEIGHTED } from './weighted.ts';

export const STRATEGIES = {
  weighted: WEIGHTED,
  round_robin: ROUND_ROBIN,
  least_busy: LEAST_BUSY,
  latency: LATENCY,
  cost: COST,
  usage: USAGE,
  rate_limit_aware: RATE_LIMIT_AWARE,
  priority: PRIORITY,
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof STRATEGIES;

/** Names under which other gateways' configurations ask for them. */
export const STRATEGY_ALIASES: Readonly<Record<string, StrategyName>> = {
  simple_shuffle: 'weighted',
  'simple-shuffle': 'weighted',
  'round-robin': 'round_robin',
  'least-busy': 'least_busy',
  latency_based: 'latency',
  'latency-based-routing': 'latency',
  cost_based: 'cost',
  'cost-based-routing': 'cost',
  usage_based: 'usage',
  'usage-based-routing': 'usage',
  'usage-based-routing-v2': 'usage',
  'rate-limit-aware': 'rate_limit_aware',
  priority_based: 'priority',
};

/** By its name or one of its other names; undefined: there is no such strategy. */
export function strategyNamed(name: string): StrategyName | undefined {
  if (Object.hasOwn(STRATEGIES, name)) return name as StrategyName;
  return Object.hasOwn(STRATEGY_ALIASES, name) ? STRATEGY_ALIASES[name] : undefined;
}
