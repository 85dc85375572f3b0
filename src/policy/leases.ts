/**
 * What is under way at once, as leases in shared memory: for each slot a row with one count per worker. A dead worker's column is zeroed, and with it all that it
 * held, whatever it was doing.
 *
 * All functions but `dropColumn` run inside a section of the lock that guards the memory.
 */

export interface Leases {
  words: Int32Array;
  workers: number;
}

export function leasesAt(buffer: SharedArrayBuffer, offset: number, size: { leases: number; workers: number }): Leases {
  return { words: new Int32Array(buffer, offset, size.leases * size.workers), workers: size.workers };
}

/** Over all workers. */
export function leased({ words, workers }: Leases, slot: number): number {
  let sum = 0;
  for (let at = slot * workers; at < (slot + 1) * workers; at++) sum += words[at]!;
  return sum;
}

export function lease({ words, workers }: Leases, slot: number, worker: number): void {
  words[slot * workers + worker]! += 1;
}

export function giveBack({ words, workers }: Leases, slot: number, worker: number): void {
  const at = slot * workers + worker;
  words[at] = Math.max(0, words[at]! - 1);
}

/** Only after the thread is gone. Writes where something stands: pages that nobody used stay untouched. */
export function dropColumn({ words, workers }: Leases, worker: number): void {
  for (let at = worker; at < words.length; at += workers) if (words[at] !== 0) Atomics.store(words, at, 0);
}
