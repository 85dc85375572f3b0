import type { StrategyName } from '../../core/routing.ts';
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
} as const satisfies Record<StrategyName, Strategy>;
