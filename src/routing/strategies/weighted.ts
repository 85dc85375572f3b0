import { drawWeighted } from '../draw.ts';
import type { Strategy } from './strategy.ts';

/** At random, in proportion to the weights. */
export const WEIGHTED: Strategy = {
  unit: 'weight',
  pick: drawWeighted,
  score: (index, { pool }) => pool.shares[index],
  highestFirst: true,
};
