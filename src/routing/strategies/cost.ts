import { lowestOfAll } from '../draw.ts';
import type { Strategy } from './strategy.ts';

/** The least money for this request: its input, what of it the provider has in its cache, and the output expected. Unpriced ones come last. */
export const COST: Strategy = {
  unit: 'pico-USD',
  pick: (tier, picking) => lowestOfAll(tier, picking, (index, { costPicoUsd }) => costPicoUsd(index)),
  score: (index, { costPicoUsd }) => {
    const cost = costPicoUsd(index);
    return cost === Infinity ? undefined : cost;
  },
};
