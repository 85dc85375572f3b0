/** Ways to come to one candidate of a tier. What a filter says is asked as late as possible: of a thousand candidates a choice touches few. */
import type { Tier } from './candidate.ts';
import { mix32 } from './hash.ts';
import type { Picking } from './picking.ts';

/** Lower goes first. */
export type Score = (index: number, picking: Picking) => number;

/**
 * So many candidates are compared by their live state; of more, that many are drawn. The best of 16 is among the first 6 % on average, and
 * no two workers run to the same one at once.
 */
export const SAMPLE = 16;

/** Draws up to SAMPLE of those that pass, all alike, into `sample`; gives their number. `first`: taken before all others where they pass; -1: none. */
export function drawPassing(tier: Tier, picking: Picking, first?: Int32Array): number {
  const { urn, sample, random, passes } = picking;
  const { start, end } = tier;
  if (end - start <= SAMPLE) return takePassing(tier, picking);
  let count = 0;
  for (const index of first ?? []) if (index !== -1 && passes(index)) sample[count++] = index;
  const taken = count;
  for (let at = start; at < end && count < SAMPLE; at++) {
    const other = at + Math.floor(random() * (end - at));
    const index = urn[other]!;
    urn[other] = urn[at]!;
    urn[at] = index;
    if (passes(index) && !isAmong(sample, taken, index)) sample[count++] = index;
  }
  return count;
}

function takePassing({ start, end }: Tier, { sample, passes }: Picking): number {
  let count = 0;
  for (let index = start; index < end; index++) if (passes(index)) sample[count++] = index;
  return count;
}

function isAmong(sample: Int32Array, count: number, index: number): boolean {
  for (let at = 0; at < count; at++) if (sample[at] === index) return true;
  return false;
}

/** The lowest of those drawn, ties at random; -1: none passes. */
export function lowestDrawn(tier: Tier, picking: Picking, score: Score): number {
  const count = drawPassing(tier, picking);
  let best = -1;
  let lowest = Infinity;
  let ties = 0;
  for (let at = 0; at < count; at++) {
    const index = picking.sample[at]!;
    const own = score(index, picking);
    if (best !== -1 && own > lowest) continue;
    ties = best === -1 || own < lowest ? 1 : ties + 1;
    if (ties > 1 && picking.random() * ties >= 1) continue;
    best = index;
    lowest = own;
  }
  return best;
}

/**
 * The lowest of all that pass; -1: none does. Ties fall by a hash of the index and one random number, so that the filters are asked only of a candidate
 * that would win: about ln(n) of n.
 */
export function lowestOfAll({ start, end }: Tier, picking: Picking, score: Score): number {
  const salt = Math.floor(picking.random() * 0x100000000);
  let best = -1;
  let lowest = Infinity;
  let bestTie = -1;
  for (let index = start; index < end; index++) {
    const own = score(index, picking);
    if (own > lowest) continue;
    const tie = mix32(salt ^ Math.imul(index + 1, 0x9e3779b1));
    if (own === lowest && tie <= bestTie) continue;
    if (!picking.passes(index)) continue;
    best = index;
    lowest = own;
    bestTie = tie;
  }
  return best;
}

/** Draws by weight among those that pass; -1: none does. */
export function drawWeighted(tier: Tier, picking: Picking): number {
  for (let tries = 0; tries < TRIES; tries++) {
    const index = tier.start + positionOf(tier, picking.random());
    if (picking.passes(index)) return index;
  }
  return drawWeightedOfAll(tier, picking);
}

/** A draw that falls on an excluded one is thrown again; where nearly all are excluded, going through them is shorter. */
const TRIES = 16;

function positionOf({ start, end, sums }: Tier, random: number): number {
  if (sums === undefined) return Math.floor(random * (end - start));
  const aim = random * sums[sums.length - 1]!;
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > aim) high = middle;
    else low = middle + 1;
  }
  return low;
}

function drawWeightedOfAll({ start, end }: Tier, { pool, passes, random }: Picking): number {
  let drawn = -1;
  let sum = 0;
  for (let index = start; index < end; index++) {
    if (!passes(index)) continue;
    const share = pool.shares[index]!;
    sum += share;
    if (random() * sum < share) drawn = index;
  }
  return drawn;
}
