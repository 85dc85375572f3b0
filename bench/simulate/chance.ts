/** Seeded chance: the same run on every machine. */

export interface Chance {
  /** [0, 1) */
  uniform: () => number;
  /** Time to the next of events that come at a rate, per unit of time. */
  exponential: (rate: number) => number;
  /** By its median and its 99th percentile. */
  logNormal: (p50: number, p99: number) => number;
}

/** Standard normal deviate below which 99 % lie. */
const Z99 = 2.3263;

export function createChance(seed: number): Chance {
  let state = seed;
  // mulberry32, public domain.
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    exponential: (rate) => -Math.log(1 - uniform()) / rate,
    logNormal: (p50, p99) => {
      const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
      return p50 * Math.exp((Math.log(p99 / p50) / Z99) * normal);
    },
  };
}

/** Mean of the log-normal of `p50` and `p99`. */
export function meanOf({ p50, p99 }: { p50: number; p99: number }): number {
  const sigma = Math.log(p99 / p50) / Z99;
  return p50 * Math.exp((sigma * sigma) / 2);
}
