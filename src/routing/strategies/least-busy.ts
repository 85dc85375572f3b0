import { type Score, lowestDrawn } from '../draw.ts';
import type { Strategy } from './strategy.ts';

const inFlight: Score = (index, { pool, live }) => live.inFlight(pool.places[index]!);

/** The fewest attempts under way, over all workers. */
export const LEAST_BUSY: Strategy = {
  unit: 'attempts in flight',
  pick: (tier, picking) => lowestDrawn(tier, picking, inFlight),
  score: inFlight,
};
