/**
 * The shared memory of targets: of every place what its breaker and its clock have learned, and what each worker has under way there.
 *
 * What was learned stands twice: whoever writes, as holder of the lock, fills the copy that does not count and then turns the version, so that readers need no lock,
 * and a thread that dies while it writes leaves what was there. What is under way has one column per worker, which only that worker writes.
 */
import { heldBy, unlock } from '../lib/shared-lock.ts';
import type { BreakerState } from './breaker.ts';
import type { Estimate } from './estimate.ts';

/** Plain data; crosses threads in `workerData`. */
export interface TargetMemory {
  buffer: SharedArrayBuffer;
  places: number;
  workers: number;
  /** Wall clock when it was made: moments in 32 bits count from here. */
  originMs: number;
}

/** What attempts have taught. */
export interface Learned {
  breaker: BreakerState;
  firstContent: Estimate;
  perToken: Estimate;
}

export interface TargetViews {
  words: Int32Array;
  /** By place and worker: attempts sent and not ended, and those of them without content. */
  counts: Int32Array;
  /** By place: two copies of what was learned. */
  cells: Float64Array;
  workers: number;
  places: number;
  originMs: number;
}

/** Index into `TargetViews.words`. */
export const LOCK_AT = 0;
const HEAD_WORDS = 16;

/** Of the words of a place. */
export const WORD = {
  /** Its lowest bit says which copy counts. */
  version: 0,
  /** 0: the breaker is closed for sure; else the copy says. */
  mayBeOpen: 1,
  /** Owner of the probe; 0: nobody's. */
  probeBy: 2,
  /** Tenths of a second since the origin, plus one; 0: never. */
  lastSent: 3,
  /** Low 32 bits of the wall clock: since when those who wait do so, or the last content came. */
  silentSince: 4,
} as const;
const WORDS_PER_PLACE = 8;

/** Of a copy. */
export const CELL = { openUntil: 6, probeUntil: 7, firstContent: 8, perToken: 11 } as const;
const CELLS_PER_COPY = 14;

/** Of a worker's column. */
export const COUNT = { inFlight: 0, waiting: 1 } as const;
const COUNTS = 2;

/** Zeroed: all places closed and unknown. Pages that nobody touches cost nothing. */
export function createTargetMemory(size: { places: number; workers: number }, originMs: number): TargetMemory {
  const { places, workers } = size;
  const words = evenly(HEAD_WORDS + places * WORDS_PER_PLACE + places * workers * COUNTS);
  const bytes = words * Int32Array.BYTES_PER_ELEMENT + places * 2 * CELLS_PER_COPY * Float64Array.BYTES_PER_ELEMENT;
  return { ...size, originMs, buffer: new SharedArrayBuffer(bytes) };
}

export function targetViews({ buffer, places, workers, originMs }: TargetMemory): TargetViews {
  const words = HEAD_WORDS + places * WORDS_PER_PLACE;
  const counts = places * workers * COUNTS;
  return {
    words: new Int32Array(buffer, 0, words),
    counts: new Int32Array(buffer, words * Int32Array.BYTES_PER_ELEMENT, counts),
    cells: new Float64Array(buffer, evenly(words + counts) * Int32Array.BYTES_PER_ELEMENT),
    workers,
    places,
    originMs,
  };
}

function evenly(words: number): number {
  return words + (words % 2);
}

/** As holder of the lock, and of probes. */
export function ownerOf(worker: number): number {
  return worker + 1;
}

export function wordAt(place: number, word: number): number {
  return HEAD_WORDS + place * WORDS_PER_PLACE + word;
}

export function countAt({ workers }: TargetViews, place: number, { worker, count }: { worker: number; count: number }): number {
  return (place * workers + worker) * COUNTS + count;
}

/** Over all workers. */
export function countOf({ counts, workers }: TargetViews, place: number, count: number): number {
  let sum = 0;
  const end = (place + 1) * workers * COUNTS;
  for (let at = place * workers * COUNTS + count; at < end; at += COUNTS) sum += Atomics.load(counts, at);
  return sum;
}

/** Where the copy of that version begins among the cells. A reader is done when the version is still the same after it has read. */
export function copyAt(place: number, version: number): number {
  return (place * 2 + (version & 1)) * CELLS_PER_COPY;
}

/** Inside a section. */
export function readLearned({ words, cells }: TargetViews, place: number): Learned {
  const at = copyAt(place, Atomics.load(words, wordAt(place, WORD.version)));
  const cell = (index: number): number => cells[at + index]!;
  const estimate = (from: number): Estimate => ({ meanMs: cell(from), weight: cell(from + 1), atMs: cell(from + 2) });
  const isProbed = Atomics.load(words, wordAt(place, WORD.probeBy)) !== 0;
  return {
    breaker: {
      inARow: cell(0),
      halfStartMs: cell(1),
      attempts: cell(2),
      faults: cell(3),
      attemptsBefore: cell(4),
      faultsBefore: cell(5),
      openUntilMs: cell(CELL.openUntil),
      probeUntilMs: isProbed ? cell(CELL.probeUntil) : 0,
    },
    firstContent: estimate(CELL.firstContent),
    perToken: estimate(CELL.perToken),
  };
}

/** Inside a section. */
export function writeLearned({ words, cells }: TargetViews, place: number, { breaker, firstContent, perToken }: Learned): void {
  const version = Atomics.load(words, wordAt(place, WORD.version)) + 1;
  const { inARow, halfStartMs, attempts, faults, attemptsBefore, faultsBefore, openUntilMs, probeUntilMs } = breaker;
  const values = [inARow, halfStartMs, attempts, faults, attemptsBefore, faultsBefore, openUntilMs, probeUntilMs];
  for (const { meanMs, weight, atMs } of [firstContent, perToken]) values.push(meanMs, weight, atMs);
  cells.set(values, copyAt(place, version));
  const isOpen = openUntilMs !== 0;
  // A thread that dies in between leaves a word that says too much, never too little.
  if (isOpen) Atomics.store(words, wordAt(place, WORD.mayBeOpen), 1);
  Atomics.store(words, wordAt(place, WORD.version), version);
  if (!isOpen) Atomics.store(words, wordAt(place, WORD.mayBeOpen), 0);
}

/** Only after the thread is gone, and before its number is given to another: the others go on, its attempts have ended, its probes are free. */
export function reclaimTargets(views: TargetViews, worker: number): void {
  const { words, counts, places } = views;
  const owner = ownerOf(worker);
  if (heldBy(words, LOCK_AT) === owner) unlock(words, LOCK_AT);
  for (let place = 0; place < places; place++) {
    // Pages that nobody used stay untouched.
    if (Atomics.load(words, wordAt(place, WORD.probeBy)) === owner)
      Atomics.compareExchange(words, wordAt(place, WORD.probeBy), owner, 0);
    for (const count of [COUNT.inFlight, COUNT.waiting]) {
      const at = countAt(views, place, { worker, count });
      if (counts[at] !== 0) Atomics.store(counts, at, 0);
    }
  }
}

/** For another target. Only where nobody has anything under way, nor will. */
export function clearPlace({ words, cells }: TargetViews, place: number): void {
  cells.fill(0, copyAt(place, 0), copyAt(place + 1, 0));
  words.fill(0, wordAt(place, 0), wordAt(place + 1, 0));
}
