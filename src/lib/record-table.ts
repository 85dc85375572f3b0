/**
 * Many small JSON records in one piece of shared memory, each found by one or several names. Made once and never changed, so that any number of threads read it
 * without a lock and without a copy of their own.
 *
 * Layout: two words (number of slots, bytes of records), the slots (hash and place of a record, two words each, at most half of them used), the records (length, then UTF-8).
 */

const HEADER_BYTES = 8;
const SLOT_BYTES = 8;
const LENGTH_BYTES = 4;
/** What is not yet shared grows in pieces, so that it never lies in memory twice over. */
const BLOCK_BYTES = 1024 * 1024;

export interface RecordTableBuilder {
  add: (names: readonly string[], record: object) => void;
  build: () => SharedArrayBuffer;
}

export interface RecordTable {
  /** The first record of that name that `accepts` takes for it: names are compared by a hash only. */
  find: <Record extends object>(name: string, accepts: (record: Record) => boolean) => Record | undefined;
}

export function recordTableBuilder(): RecordTableBuilder {
  const hashes: number[] = [];
  const places: number[] = [];
  const blocks: Buffer[] = [];
  let block = Buffer.alloc(BLOCK_BYTES);
  let used = 0;
  /** Bytes in all blocks before this one. */
  let before = 0;
  const nextBlock = (leastBytes: number): void => {
    blocks.push(block.subarray(0, used));
    before += used;
    used = 0;
    block = Buffer.alloc(Math.max(BLOCK_BYTES, leastBytes));
  };
  return {
    add(names, record) {
      const text = JSON.stringify(record);
      const most = LENGTH_BYTES + 3 * text.length;
      if (used + most > block.length) nextBlock(most);
      const length = block.write(text, used + LENGTH_BYTES);
      block.writeUInt32LE(length, used);
      for (const name of names) {
        hashes.push(hashOf(name));
        // 0 marks a free slot.
        places.push(before + used + 1);
      }
      used += LENGTH_BYTES + length;
    },
    build() {
      nextBlock(0);
      const slots = 2 * places.length + 1;
      const shared = new SharedArrayBuffer(HEADER_BYTES + slots * SLOT_BYTES + before);
      const bytes = Buffer.from(shared);
      bytes.writeUInt32LE(slots, 0);
      bytes.writeUInt32LE(before, 4);
      for (const [entry, hash] of hashes.entries()) {
        let at = hash % slots;
        while (bytes.readUInt32LE(slotAt(at) + 4) !== 0) at = (at + 1) % slots;
        bytes.writeUInt32LE(hash, slotAt(at));
        bytes.writeUInt32LE(places[entry]!, slotAt(at) + 4);
      }
      let end = slotAt(slots);
      for (const each of blocks) end += each.copy(bytes, end);
      return shared;
    },
  };
}

export function openRecordTable(shared: SharedArrayBuffer): RecordTable {
  const bytes = Buffer.from(shared);
  const slots = bytes.readUInt32LE(0);
  const records = slotAt(slots);
  const read = (place: number): unknown => {
    const from = records + place - 1;
    const length = bytes.readUInt32LE(from);
    return JSON.parse(bytes.toString('utf8', from + LENGTH_BYTES, from + LENGTH_BYTES + length));
  };
  return {
    find: <Record extends object>(name: string, accepts: (record: Record) => boolean) => {
      const hash = hashOf(name);
      for (let at = hash % slots; ; at = (at + 1) % slots) {
        const place = bytes.readUInt32LE(slotAt(at) + 4);
        if (place === 0) return undefined;
        if (bytes.readUInt32LE(slotAt(at)) !== hash) continue;
        const record = read(place) as Record;
        if (accepts(record)) return record;
      }
    },
  };
}

function slotAt(slot: number): number {
  return HEADER_BYTES + slot * SLOT_BYTES;
}

/** FNV-1a, 32 bits. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
