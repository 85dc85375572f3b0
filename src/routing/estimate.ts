/**
 * A smoothed time that forgets: the mean of what was measured, where each measurement weighs less the older it is. What nobody measured for long
 * enough is not known any more.
 */
export interface Estimate {
  meanMs: number;
  /** How many measurements of this moment it is worth; 0: nothing is known. */
  weight: number;
  /** Of the last measurement, wall clock. */
  atMs: number;
}

export const NOTHING: Readonly<Estimate> = Object.freeze({ meanMs: 0, weight: 0, atMs: 0 });

/** The newest of many measurements counts one fifth: the α of 0.2 of an exponentially weighted mean. The first ones count alike. */
const MOST_WEIGHT = 5;
/** In which what is known loses half of its weight. */
const HALF_LIFE_MS = 60_000;
/** Less than half a measurement is a memory, not knowledge. */
const LEAST_WEIGHT = 0.5;

export function learned(before: Estimate, measuredMs: number, atMs: number): Estimate {
  const weight = Math.min(MOST_WEIGHT, weightAt(before.weight, before.atMs, atMs) + 1);
  const meanMs = before.meanMs + (measuredMs - before.meanMs) / weight;
  return { meanMs, weight, atMs: Math.max(before.atMs, atMs) };
}

/** Takes no object, because it is read from memory for many targets of every request. Undefined: not known, or forgotten. */
export function knownMs(meanMs: number, weight: number, ageMs: number): number | undefined {
  if (weight < LEAST_WEIGHT) return undefined;
  // Nothing can be forgotten so soon, and powers are dear.
  if (ageMs < HALF_LIFE_MS && weight >= 1) return meanMs;
  return weightAt(weight, 0, ageMs) < LEAST_WEIGHT ? undefined : meanMs;
}

function weightAt(weight: number, atMs: number, nowMs: number): number {
  return weight * 2 ** (-Math.max(0, nowMs - atMs) / HALF_LIFE_MS);
}
