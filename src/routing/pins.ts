/**
 * Which candidate has answered under an id that only its provider knows (a stored response), so that what refers to it goes there again. Shared by all workers: a word of
 * 32 bits per id, half of it a fingerprint, half the place, in a table that overwrites its oldest by chance. A wrong match, at most one in sixteen thousand
 * look-ups, costs the choice of a candidate that serves as well as another.
 */
import { mix32 } from './hash.ts';

/** Plain data; crosses threads in `workerData`. */
export interface PinMemory {
  buffer: SharedArrayBuffer;
}

export interface Pins {
  note: (id: string, place: number) => void;
  /** Undefined: not known, or no longer. */
  placeOf: (id: string) => number | undefined;
}

const SLOTS = 131_072;
/** Places that an id may have; the last one written wins where all are taken. */
const WAYS = 4;
const PLACE_BITS = 16;

export function createPinMemory(): PinMemory {
  return { buffer: new SharedArrayBuffer(SLOTS * Uint32Array.BYTES_PER_ELEMENT) };
}

export function openPins({ buffer }: PinMemory): Pins {
  const words = new Uint32Array(buffer);
  return {
    note: (id, place) => {
      const { first, mark } = whereabouts(id);
      const word = ((mark << PLACE_BITS) | place) >>> 0;
      let at = first + (mark % WAYS);
      for (let way = 0; way < WAYS; way++) {
        const known = Atomics.load(words, first + way);
        if (known !== 0 && known >>> PLACE_BITS !== mark) continue;
        at = first + way;
        break;
      }
      Atomics.store(words, at, word);
    },
    placeOf: (id) => {
      const { first, mark } = whereabouts(id);
      for (let way = 0; way < WAYS; way++) {
        const word = Atomics.load(words, first + way);
        if (word !== 0 && word >>> PLACE_BITS === mark) return word & (2 ** PLACE_BITS - 1);
      }
      return undefined;
    },
  };
}

/** The mark is never 0, so that an empty word matches nothing. */
function whereabouts(id: string): { first: number; mark: number } {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  const slot = mix32(hash) % SLOTS;
  return { first: slot - (slot % WAYS), mark: (mix32(hash ^ 0x9e3779b9) % 65_535) + 1 };
}
