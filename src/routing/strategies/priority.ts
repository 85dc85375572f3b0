import { lowestOfAll } from '../draw.ts';
import type { Strategy } from './strategy.ts';

/** By the order alone, which every strategy keeps: of the same order any, whatever their weights. */
export const PRIORITY: Strategy = {
  unit: 'order',
  pick: (tier, picking) => lowestOfAll(tier, picking, () => 0),
  score: (index, { pool }) => pool.candidates[index]!.order,
};
