/**
 * Sliding windows in shared memory: how much was taken in the last 60 s, to the millisecond at its far end, with nothing smoothed inside.
 *
 * A window is a ring of 241 buckets of 250 ms, each with its sum and the moment of its last taking, beside the sum of all. A bucket leaves the window 60 s after its
 * last taking: what was taken earlier in it stays up to 250 ms too long, and nothing ever leaves too early.
 *
 * All functions run inside a section of the lock that guards the memory. Times are whole milliseconds of one clock that all threads share and that never goes back.
 */

export const WINDOW_MS = 60_000;
const BUCKET_MS = 250;
/** The one of now, and those that reach back 60 s; of the oldest a part may still count. */
const BUCKETS = WINDOW_MS / BUCKET_MS + 1;

const HEAD = 0;
const SUM = 1;
const AMOUNTS = 2;
/** One byte a bucket: milliseconds from its beginning to its last taking. */
const LAST = AMOUNTS + BUCKETS;
export const WORDS_PER_WINDOW = LAST + Math.ceil(BUCKETS / 4);

/** Sums stay within 32 bits: what would go beyond is far over every limit anyway. */
const MAX_SUM = 2 ** 31 - 1;

export interface Windows {
  words: Int32Array;
  bytes: Uint8Array;
}

/** The windows that begin at this byte of the buffer; zeroed memory is windows in which nothing was taken. */
export function windowsAt(buffer: SharedArrayBuffer, offset: number, windows: number): Windows {
  const words = new Int32Array(buffer, offset, windows * WORDS_PER_WINDOW);
  return { words, bytes: new Uint8Array(buffer, offset, words.byteLength) };
}

/** What the window holds at that moment. Buckets that have left it are emptied. */
export function sumAt({ words, bytes }: Windows, slot: number, nowMs: number): number {
  const base = slot * WORDS_PER_WINDOW;
  const head = words[base + HEAD]!;
  const tick = Math.floor(nowMs / BUCKET_MS);
  // Another thread may have looked at the clock later, and been here earlier.
  if (tick > head) turn(words, base, { head, tick });
  if (tick >= head) {
    const oldest = (tick + 1) % BUCKETS;
    if (words[base + AMOUNTS + oldest] !== 0 && bytes[(base + LAST) * 4 + oldest]! <= nowMs % BUCKET_MS)
      drop(words, base, oldest);
  }
  return words[base + SUM]!;
}

/** The sum as it was left by the last look or change. */
export function sumOf({ words }: Windows, slot: number): number {
  return words[slot * WORDS_PER_WINDOW + SUM]!;
}

/** What `sumAt` would say, by whoever only looks: outside the lock, changing nothing. While another changes the window it may be wrong by what is being changed. */
export function peekAt({ words, bytes }: Windows, slot: number, nowMs: number): number {
  const base = slot * WORDS_PER_WINDOW;
  const head = words[base + HEAD]!;
  const sum = words[base + SUM]!;
  const tick = Math.floor(nowMs / BUCKET_MS);
  if (sum === 0 || tick - head >= BUCKETS) return 0;
  if (tick < head) return sum;
  let left = 0;
  for (let next = head + 1; next <= tick; next++) left += words[base + AMOUNTS + (next % BUCKETS)]!;
  const oldest = (tick + 1) % BUCKETS;
  if (bytes[(base + LAST) * 4 + oldest]! <= nowMs % BUCKET_MS) left += words[base + AMOUNTS + oldest]!;
  return Math.max(0, sum - left);
}

/** Empties the buckets that come to stand for new times. The head moves last: a thread that dies before leaves what the next one does again. */
function turn(words: Int32Array, base: number, { head, tick }: { head: number; tick: number }): void {
  if (tick - head >= BUCKETS) {
    if (words[base + SUM] !== 0) words.fill(0, base + AMOUNTS, base + LAST);
    words[base + SUM] = 0;
  } else if (words[base + SUM] !== 0) {
    for (let next = head + 1; next <= tick; next++) drop(words, base, next % BUCKETS);
  }
  words[base + HEAD] = tick;
}

function drop(words: Int32Array, base: number, bucket: number): void {
  words[base + SUM]! -= words[base + AMOUNTS + bucket]!;
  words[base + AMOUNTS + bucket] = 0;
}

/** Takes an amount now. Answers the bucket's number, by which it can be changed later. Call `sumAt` for the same moment first. */
export function take(windows: Windows, slot: number, { amount, nowMs }: { amount: number; nowMs: number }): number {
  const { words, bytes } = windows;
  const base = slot * WORDS_PER_WINDOW;
  const head = words[base + HEAD]!;
  const tick = Math.floor(nowMs / BUCKET_MS);
  const last = (base + LAST) * 4 + (head % BUCKETS);
  const within = tick < head ? 0 : nowMs % BUCKET_MS;
  bytes[last] = words[base + AMOUNTS + (head % BUCKETS)] === 0 ? within : Math.max(bytes[last]!, within);
  add(words, base, { bucket: head % BUCKETS, amount });
  return head;
}

/** Adds to, or takes from, what was taken in that bucket; nothing once it has left the window. Call `sumAt` first. */
export function changeBucket({ words }: Windows, slot: number, { tick, amount }: { tick: number; amount: number }): void {
  const base = slot * WORDS_PER_WINDOW;
  if (tick > words[base + HEAD]! - BUCKETS) add(words, base, { bucket: tick % BUCKETS, amount });
}

function add(words: Int32Array, base: number, { bucket, amount }: { bucket: number; amount: number }): void {
  const at = base + AMOUNTS + bucket;
  const bounded = Math.max(-words[at]!, Math.min(amount, MAX_SUM - words[base + SUM]!));
  words[at]! += bounded;
  words[base + SUM]! += bounded;
}

/** Milliseconds until the sum has fallen to `target`; 0 where it has. Call `sumAt` for the same moment first. */
export function waitMs({ words, bytes }: Windows, slot: number, { target, nowMs }: { target: number; nowMs: number }): number {
  const base = slot * WORDS_PER_WINDOW;
  const head = words[base + HEAD]!;
  let sum = words[base + SUM]!;
  let leavesAtMs = nowMs;
  for (let tick = head - BUCKETS + 1; tick <= head && sum > target; tick++) {
    const bucket = ((tick % BUCKETS) + BUCKETS) % BUCKETS;
    const amount = words[base + AMOUNTS + bucket]!;
    if (amount === 0) continue;
    sum -= amount;
    leavesAtMs = tick * BUCKET_MS + bytes[(base + LAST) * 4 + bucket]! + WINDOW_MS;
  }
  return Math.max(0, leavesAtMs - nowMs);
}

/** Makes the sum right again after a thread died while it changed this window. */
export function mendWindow({ words }: Windows, slot: number): void {
  const base = slot * WORDS_PER_WINDOW;
  let sum = 0;
  for (let at = base + AMOUNTS; at < base + LAST; at++) sum += words[at]!;
  words[base + SUM] = sum;
}
