/**
 * How many retries a model may cause: ten at first, and one more for every five requests, so that a storm of failures adds a fifth to the traffic and not a multiple. What is
 * saved up never exceeds what the requests of ten seconds earn, or those first ten.
 *
 * All workers count as one, without a lock: words in shared memory that change by compare-and-exchange. Nobody holds anything, so the dead leave nothing.
 */

/** Plain data; crosses threads in `workerData`. */
export interface RetryMemory {
  buffer: SharedArrayBuffer;
  /** Wall clock when it was made. */
  originMs: number;
}

/** By the place of the model. */
export interface RetryBudgets {
  /** Once per request, however many attempts it takes. */
  requested: (place: number, nowMs: number) => void;
  /** False: no retry may be sent; nothing was taken. */
  takeRetry: (place: number) => boolean;
  /** Whole retries left. */
  retriesLeft: (place: number) => number;
}

/** One share is what a request earns: 0.2 retries. */
const SHARES_PER_RETRY = 5;
const FIRST_SHARES = 10 * SHARES_PER_RETRY;

/** Shares beyond the first ones, so that zeroed memory is a full budget; then requests by second. */
const BALANCE = 0;
const SECONDS = 1;
const SPAN_S = 10;
const WORDS_PER_PLACE = 16;

/** A word of a second: its number, of which twelve bits tell apart what an hour has, above its requests. */
const COUNT_BITS = 20;
const MOST_COUNTED = 2 ** COUNT_BITS - 1;
const SECOND_MASK = 0xf_ff;

export function createRetryMemory(places: number, originMs: number): RetryMemory {
  return { originMs, buffer: new SharedArrayBuffer(places * WORDS_PER_PLACE * Int32Array.BYTES_PER_ELEMENT) };
}

export function openRetryBudgets({ buffer, originMs }: RetryMemory): RetryBudgets {
  const words = new Int32Array(buffer);
  return {
    requested: (place, nowMs) => {
      const base = place * WORDS_PER_PLACE;
      const second = Math.max(0, Math.floor((nowMs - originMs) / 1000));
      countRequest(words, base, second);
      change(words, base + BALANCE, (balance) => {
        // Within the first ten there is room, whatever the traffic.
        if (balance < 0) return balance + 1;
        const most = Math.max(0, recentRequests(words, base, second) - FIRST_SHARES);
        return balance === most ? undefined : Math.min(balance + 1, most);
      });
    },
    takeRetry: (place) =>
      change(words, place * WORDS_PER_PLACE + BALANCE, (balance) =>
        balance + FIRST_SHARES < SHARES_PER_RETRY ? undefined : balance - SHARES_PER_RETRY,
      ),
    retriesLeft: (place) => {
      const balance = Atomics.load(words, place * WORDS_PER_PLACE + BALANCE);
      return Math.floor((balance + FIRST_SHARES) / SHARES_PER_RETRY);
    },
  };
}

/** For another model. */
export function clearRetries({ buffer }: RetryMemory, place: number): void {
  new Int32Array(buffer).fill(0, place * WORDS_PER_PLACE, (place + 1) * WORDS_PER_PLACE);
}

function countRequest(words: Int32Array, base: number, second: number): void {
  const tag = second & SECOND_MASK;
  change(words, base + SECONDS + (second % SPAN_S), (word) => {
    if (word >>> COUNT_BITS !== tag) return (tag << COUNT_BITS) | 1;
    return (word & MOST_COUNTED) === MOST_COUNTED ? undefined : word + 1;
  });
}

function recentRequests(words: Int32Array, base: number, second: number): number {
  let sum = 0;
  for (let each = Math.max(0, second - SPAN_S + 1); each <= second; each++) {
    const word = Atomics.load(words, base + SECONDS + (each % SPAN_S));
    if (word >>> COUNT_BITS === (each & SECOND_MASK)) sum += word & MOST_COUNTED;
  }
  return sum;
}

/** True: it was changed, by nobody else in between; false: `to` wants it as it is. */
function change(words: Int32Array, at: number, to: (value: number) => number | undefined): boolean {
  for (;;) {
    const value = Atomics.load(words, at);
    const next = to(value);
    if (next === undefined) return false;
    if (Atomics.compareExchange(words, at, value, next | 0) === value) return true;
  }
}
