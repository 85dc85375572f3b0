/** Full jitter: 100 ms at most, then twice that, up to a second. `tries`: attempts that failed so far. */
export function backoffMs(tries: number, random: () => number): number {
  return random() * Math.min(1_000, 100 * 2 ** (tries - 1));
}
