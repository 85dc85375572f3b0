/**
 * Which places of end users are in use, as main and all workers see it. Main gives a place to somebody else only where nobody has used it for a minute; a worker that
 * uses one says so first and looks then whether it is still the one it knew. Whichever of the two is second sees the other.
 */

/** Place 0 belongs to all that have none of their own. */
export const OTHER_PLACE = 0;
/** As many as `end_users.max_live` may be. */
const MOST_LIVE = 10_000;

const WORDS_PER_PLACE = 2;
const USED = 0;
const GENERATION = 1;

export interface EndUserMemory {
  buffer: SharedArrayBuffer;
  /** Of the clock that all threads share, when the memory was made. */
  originMs: number;
}

export function createEndUserMemory(originMs: number): EndUserMemory {
  const bytes = (MOST_LIVE + 1) * WORDS_PER_PLACE * Int32Array.BYTES_PER_ELEMENT;
  return { buffer: new SharedArrayBuffer(bytes), originMs };
}

export interface PlaceMarks {
  /** The place is used now; answers whose it is: its generation. */
  use(place: number): number;
  generation(place: number): number;
  /** From now on nobody who knew the place knows it. */
  renew(place: number): number;
  /** Milliseconds since anybody used it. */
  idleMs(place: number): number;
}

export function placeMarks({ buffer, originMs }: EndUserMemory, nowMs: () => number): PlaceMarks {
  const words = new Int32Array(buffer);
  const seconds = (): number => Math.floor((nowMs() - originMs) / 1000);
  const at = (place: number, word: number): number => place * WORDS_PER_PLACE + word;
  return {
    use(place) {
      const now = seconds();
      // Most uses fall into the second of the one before.
      if (Atomics.load(words, at(place, USED)) !== now) Atomics.store(words, at(place, USED), now);
      return Atomics.load(words, at(place, GENERATION));
    },
    generation: (place) => Atomics.load(words, at(place, GENERATION)),
    renew: (place) => Atomics.add(words, at(place, GENERATION), 1) + 1,
    idleMs: (place) => (seconds() - Atomics.load(words, at(place, USED))) * 1000,
  };
}
