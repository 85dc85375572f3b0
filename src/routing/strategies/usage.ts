import { type Score, lowestDrawn } from '../draw.ts';
import type { Strategy } from './strategy.ts';

const tokensUsed: Score = (index, { pool, live, nowMs }) =>
  pool.limited[index] === 0 ? 0 : live.tokensUsed(pool.places[index]!, nowMs);

/** The smallest part of its tokens per minute in use; one without such a limit has used none of it. */
export const USAGE: Strategy = {
  unit: 'part of the tokens per minute in use',
  pick: (tier, picking) => lowestDrawn(tier, picking, tokensUsed),
  score: tokensUsed,
};
