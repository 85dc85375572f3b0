import type { Tier } from '../candidate.ts';
import type { Picking } from '../picking.ts';

/**
 * Which of the candidates of a tier a request goes to. Knows nothing but what the picking holds; excluded ones it learns by `passes`.
 */
export interface Strategy {
  /** What scores are: shown by explain. */
  unit: string;
  /** Index of the pool, or -1 where none of the tier passes. */
  pick: (tier: Tier, picking: Picking) => number;
  /** By what it would choose now; undefined: nothing is known of it. The lowest goes first, unless `highestFirst`. */
  score: (index: number, picking: Picking) => number | undefined;
  highestFirst?: true;
}
