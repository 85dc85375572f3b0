/**
 * The shortest expected time: to the first content, and per token of the output expected.
 *
 * Of those near the best, two are drawn and the less busy one goes: one target alone would take all requests until it slows down. What is not known
 * (new, forgotten, back from an outage), or has had no request for a while, is explored by a small part of the requests, one at a time each.
 *
 * Of large tiers a few candidates are drawn, beside the best of the draws before: power of d choices with memory (Mitzenmacher, Prabhakar and Shah, 2002).
 */
import type { Tier } from '../candidate.ts';
import { SAMPLE, drawPassing } from '../draw.ts';
import type { Picking } from '../picking.ts';
import type { Strategy } from './strategy.ts';

/** What exploring may cost: this part of the best expected time, on average over all requests. */
const EXPLORING = 0.04;

/** Nobody knows a new target: so many of the requests find out, one at a time each, until it has answered once. */
const TRYING_NEW = 0.5;

/** What is nearly as good would cost nothing; nor shall all requests explore. */
const LEAST_EXCESS = 0.25;

/** So long without a request, what is known of a target may be over. */
const STALE_MS = 2_000;

/** As good as the best: smoothed times of equal targets differ by more than this anyway. */
const NEAR = 1.05;

export const LATENCY: Strategy = {
  unit: 'expected ms',
  pick: (tier, picking) => {
    const count = drawPassing(tier, picking, picking.remembered.get(tier));
    if (count < 2) return count === 0 ? -1 : picking.sample[0]!;
    const known = measure(count, picking);
    if (known === 0) return lessBusy(count, picking);
    sortBest(known, picking);
    remember(tier, known, picking);
    const explored = explore(known, count, picking);
    return explored === -1 ? lessBusy(near(known, picking), picking) : explored;
  },
  score: (index, picking) => {
    const first = firstContentMs(index, picking);
    return first === undefined ? undefined : first + (perTokenMs(index, picking) ?? 0) * picking.request.outputTokens;
  },
};

/** Known ones to the front of the sample, their expected times beside them; gives their number. */
function measure(count: number, picking: Picking): number {
  const { sample, scores, request } = picking;
  const typical = typicalPerTokenMs(count, picking);
  let known = 0;
  for (let at = 0; at < count; at++) {
    const index = sample[at]!;
    const first = firstContentMs(index, picking);
    if (first === undefined) continue;
    sample[at] = sample[known]!;
    sample[known] = index;
    // Whose pace is not known is not thereby quicker than the others.
    scores[known] = first + (perTokenMs(index, picking) ?? typical) * request.outputTokens;
    known += 1;
  }
  return known;
}

/** The mean over those of which it is known; 0: of none. */
function typicalPerTokenMs(count: number, picking: Picking): number {
  let sum = 0;
  let found = 0;
  for (let at = 0; at < count; at++) {
    const own = perTokenMs(picking.sample[at]!, picking);
    if (own === undefined) continue;
    sum += own;
    found += 1;
  }
  return found === 0 ? 0 : sum / found;
}

/** What was measured before an outage says nothing of what comes after it. A silence longer than the time that was measured refutes it. */
function firstContentMs(index: number, { pool, live, nowMs }: Picking): number | undefined {
  const place = pool.places[index]!;
  if (live.breaker(place, nowMs) !== 'closed') return undefined;
  const first = live.firstContentMs(place, nowMs);
  return first === undefined ? undefined : Math.max(first, live.waitingMs?.(place, nowMs) ?? 0);
}

function perTokenMs(index: number, { pool, live, nowMs }: Picking): number | undefined {
  return live.perTokenMs(pool.places[index]!, nowMs);
}

/** The first `known` of the sample by rising time: by insertion, there are 16 at most. */
function sortBest(known: number, { sample, scores }: Picking): void {
  for (let at = 1; at < known; at++) {
    const index = sample[at]!;
    const score = scores[at]!;
    let to = at;
    for (; to > 0 && scores[to - 1]! > score; to--) {
      sample[to] = sample[to - 1]!;
      scores[to] = scores[to - 1]!;
    }
    sample[to] = index;
    scores[to] = score;
  }
}

/** Half of the sample is drawn anew each time. */
function remember(tier: Tier, known: number, { sample, remembered }: Picking): void {
  if (tier.end - tier.start <= SAMPLE) return;
  const best = remembered.get(tier)!;
  for (let at = 0; at < best.length; at++) best[at] = at < known ? sample[at]! : -1;
}

/** The one that this request finds out about, mostly -1: it shall go where it is best. Each is explored the more often the less it costs. */
function explore(known: number, count: number, picking: Picking): number {
  const { sample, scores } = picking;
  const tried = picking.random() < TRYING_NEW ? newOne(known, count, picking) : -1;
  if (tried !== -1) return tried;
  const bestMs = scores[0]!;
  const unknownMs = Math.max(2 * bestMs, meanOf(known, scores));
  let choices = 0;
  for (let at = 0; at < count; at++) if (isExplorable(sample[at]!, at < known, picking)) choices += 1;
  let left = choices === 0 ? 1 : picking.random();
  for (let at = 0; at < count && left < 1; at++) {
    if (!isExplorable(sample[at]!, at < known, picking)) continue;
    const excessMs = Math.max((at < known ? scores[at]! : unknownMs) - bestMs, bestMs * LEAST_EXCESS);
    left -= (EXPLORING * bestMs) / (excessMs * choices);
    if (left < 0) return sample[at]!;
  }
  return -1;
}

/** One of the sample that has never been asked; -1: there is none. */
function newOne(known: number, count: number, { sample, pool, live, random }: Picking): number {
  const unknown = count - known;
  const from = Math.floor(random() * unknown);
  for (let step = 0; step < unknown; step++) {
    const index = sample[known + ((from + step) % unknown)]!;
    if (live.lastSentMs(pool.places[index]!) === 0) return index;
  }
  return -1;
}

/** Nobody is finding out about it at this moment, and what is known may be over. */
function isExplorable(index: number, known: boolean, { pool, live, nowMs }: Picking): boolean {
  const place = pool.places[index]!;
  if (live.inFlight(place) > 0) return false;
  return !known || nowMs - live.lastSentMs(place) > STALE_MS;
}

function meanOf(known: number, scores: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < known; at++) sum += scores[at]!;
  return sum / known;
}

/** How many of the sorted ones are near the best. */
function near(known: number, { scores }: Picking): number {
  let count = 1;
  while (count < known && scores[count]! <= scores[0]! * NEAR) count += 1;
  return count;
}

/** Draws two of the first `count` and gives the one with fewer attempts under way; of equals the first drawn, which is any. */
function lessBusy(count: number, { sample, pool, live, random }: Picking): number {
  const first = Math.floor(random() * count);
  if (count === 1) return sample[first]!;
  const step = 1 + Math.floor(random() * (count - 1));
  const one = sample[first]!;
  const other = sample[(first + step) % count]!;
  return live.inFlight(pool.places[other]!) < live.inFlight(pool.places[one]!) ? other : one;
}
