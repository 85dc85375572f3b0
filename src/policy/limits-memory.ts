/**
 * The shared memory of limits: one lock, the note of the section under way, leases, windows. And main's hands on it: after a thread's death it mends the section that
 * the thread died in, and takes back its leases.
 */
import { heldBy, unlock } from '../lib/shared-lock.ts';
import { type Leases, dropColumn, leasesAt } from './leases.ts';
import { WORDS_PER_WINDOW, type Windows, mendWindow, windowsAt } from './windows.ts';

/** Plain data; crosses threads in `workerData`. */
export interface LimitsMemory {
  buffer: SharedArrayBuffer;
  windows: number;
  leases: number;
  workers: number;
  /** Of the clock that all threads share, when the memory was made. */
  originMs: number;
}

/** Indices into `LimitsViews.words`. */
export const LOCK_AT = 0;
/** How many windows the section under way may change; their slots follow at NOTE_AT. */
export const NOTED_AT = 2;
export const NOTE_AT = 3;
/** Rules of one section; an exchange has some dozens at most. */
export const MAX_NOTED = 509;
const HEAD_WORDS = NOTE_AT + MAX_NOTED;

export interface LimitsViews {
  words: Int32Array;
  windows: Windows;
  leases: Leases;
}

/** Zeroed. Pages that nobody touches cost nothing. */
export function createLimitsMemory(size: Omit<LimitsMemory, 'buffer' | 'originMs'>, originMs: number): LimitsMemory {
  const words = HEAD_WORDS + size.leases * size.workers + size.windows * WORDS_PER_WINDOW;
  return { ...size, originMs, buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT) };
}

export function limitsViews(memory: LimitsMemory): LimitsViews {
  const { buffer, windows, leases, workers } = memory;
  const leasesFrom = HEAD_WORDS * Int32Array.BYTES_PER_ELEMENT;
  const windowsFrom = leasesFrom + leases * workers * Int32Array.BYTES_PER_ELEMENT;
  return {
    words: new Int32Array(buffer, 0, HEAD_WORDS),
    leases: leasesAt(buffer, leasesFrom, { leases, workers }),
    windows: windowsAt(buffer, windowsFrom, windows),
  };
}

/** As owner of the lock. */
export function ownerOf(worker: number): number {
  return worker + 1;
}

/**
 * After the death of a worker's thread, before its place is given to another: the others go on at once, what it had under way has ended. Of a taking that it died in,
 * a part may stay taken: that errs on the safe side, for at most 60 s.
 */
export function reclaimLimits({ words, windows, leases }: LimitsViews, worker: number): void {
  if (heldBy(words, LOCK_AT) === ownerOf(worker)) {
    for (let noted = Atomics.load(words, NOTED_AT) - 1; noted >= 0; noted--) mendWindow(windows, words[NOTE_AT + noted]!);
    Atomics.store(words, NOTED_AT, 0);
    unlock(words, LOCK_AT);
  }
  dropColumn(leases, worker);
}
