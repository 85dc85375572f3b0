/**
 * Many small JSON records in one piece of shared memory, each found by one or several names. Made once and never changed, so that any number of threads read it
 * without a lock and without a copy of their own.
 *
 * Layout: two words (number of slots, where they begin), the records (length, then UTF-8), the slots (hash and place of a record, two words each, at most half of them used).
 */

const HEADER_BYTES = 8;
const SLOT_BYTES = 8;
const LENGTH_BYTES = 4;
/** Two million keys. Addresses are reserved, memory is taken as it is needed: the table is made where it stays. */
const MOST_BYTES = 2 ** 30;
const STEP_BYTES = 1024 * 1024;

export interface RecordTableBuilder {
  add: (names: readonly string[], record: object) => void;
  build: () => SharedArrayBuffer;
}

export interface RecordTable {
  /** The first record of that name that `accepts` takes for it: names are compared by a hash only. */
  find: <Record extends object>(name: string, accepts: (record: Record) => boolean) => Record | undefined;
}

/** Throws RangeError where the records take more than 1 GiB. */
export function recordTableBuilder(): RecordTableBuilder {
  const hashes: number[] = [];
  const places: number[] = [];
  const shared = new SharedArrayBuffer(STEP_BYTES, { maxByteLength: MOST_BYTES });
  let bytes = Buffer.from(shared);
  let used = HEADER_BYTES;
  const makeRoom = (size: number): void => {
    if (used + size <= bytes.length) return;
    shared.grow(Math.max(used + size, bytes.length + STEP_BYTES));
    bytes = Buffer.from(shared);
  };
  return {
    add(names, record) {
      const text = JSON.stringify(record);
      makeRoom(LENGTH_BYTES + 3 * text.length);
      const length = bytes.write(text, used + LENGTH_BYTES);
      bytes.writeUInt32LE(length, used);
      for (const name of names) {
        hashes.push(hashOf(name));
        places.push(used);
      }
      used += LENGTH_BYTES + length;
    },
    build() {
      const slots = 2 * places.length + 1;
      makeRoom(slots * SLOT_BYTES);
      bytes.fill(0, used, used + slots * SLOT_BYTES);
      bytes.writeUInt32LE(slots, 0);
      bytes.writeUInt32LE(used, 4);
      for (const [entry, hash] of hashes.entries()) {
        let at = hash % slots;
        while (bytes.readUInt32LE(slotAt(used, at) + 4) !== 0) at = (at + 1) % slots;
        bytes.writeUInt32LE(hash, slotAt(used, at));
        bytes.writeUInt32LE(places[entry]!, slotAt(used, at) + 4);
      }
      return shared;
    },
  };
}

export function openRecordTable(shared: SharedArrayBuffer): RecordTable {
  const bytes = Buffer.from(shared);
  const slots = bytes.readUInt32LE(0);
  const index = bytes.readUInt32LE(4);
  const read = (place: number): unknown => {
    const length = bytes.readUInt32LE(place);
    return JSON.parse(bytes.toString('utf8', place + LENGTH_BYTES, place + LENGTH_BYTES + length));
  };
  return {
    find: <Record extends object>(name: string, accepts: (record: Record) => boolean) => {
      const hash = hashOf(name);
      for (let at = hash % slots; ; at = (at + 1) % slots) {
        const place = bytes.readUInt32LE(slotAt(index, at) + 4);
        // No record stands at 0: a free slot.
        if (place === 0) return undefined;
        if (bytes.readUInt32LE(slotAt(index, at)) !== hash) continue;
        const record = read(place) as Record;
        if (accepts(record)) return record;
      }
    },
  };
}

function slotAt(index: number, slot: number): number {
  return index + slot * SLOT_BYTES;
}

/** FNV-1a, 32 bits. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
