import { type Score, lowestDrawn } from '../draw.ts';
import type { Strategy } from './strategy.ts';

/** The scarcest of a candidate's limits as it would be with this request: above 1 it would be refused. */
const fullest: Score = (index, { pool, live, request, nowMs }) => {
  const limits = pool.candidates[index]!.limits;
  if (limits === undefined) return 0;
  const place = pool.places[index]!;
  const tokens = request.inputTokens + request.outputTokens;
  return Math.max(
    limits.rpm === undefined ? 0 : live.requestsUsed(place, nowMs) + 1 / limits.rpm,
    limits.tpm === undefined ? 0 : live.tokensUsed(place, nowMs) + tokens / limits.tpm,
    limits.concurrent === undefined ? 0 : live.concurrencyUsed(place) + 1 / limits.concurrent,
  );
};

/** The most room in requests and tokens per minute and in places, whichever is scarcest, counting what this request takes. */
export const RATE_LIMIT_AWARE: Strategy = {
  unit: 'part of the scarcest limit in use with this request',
  pick: (tier, picking) => lowestDrawn(tier, picking, fullest),
  score: fullest,
};
