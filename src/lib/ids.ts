/** Ids of requests and of W3C trace contexts. */

export interface IdSource {
  /** `req_` and 24 lower-case letters and digits: 120 random bits. */
  requestId: () => string;
  /** `ex_`, nine letters and digits of the time and fifteen of chance: 75 random bits, ordered by the millisecond. */
  exchangeId: (nowMs: number) => string;
  /** `evt_` and the same: of things that operators are told of. */
  eventId: (nowMs: number) => string;
  /** The same of another kind: `key_` and the 24 characters. */
  timedId: (prefix: string, nowMs: number) => string;
  /** 32 hex digits. */
  traceId: () => string;
  /** 16 hex digits. */
  spanId: () => string;
}

/** Crockford's base 32: no letter is mistaken for another, and five bits need no rejection. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** One call for randomness serves a hundred ids: a call of its own would cost each id some microseconds. */
const POOL_BYTES = 4_096;

/** `random(size)` answers that many random bytes, as node:crypto's randomBytes does. */
export function createIdSource(random: (size: number) => Buffer): IdSource {
  let pool: Buffer = Buffer.alloc(0);
  let used = 0;
  /** Offset in the pool of `size` bytes never used before. */
  const draw = (size: number): number => {
    if (used + size > pool.length) {
      pool = random(POOL_BYTES);
      used = 0;
    }
    used += size;
    return used - size;
  };
  const hex = (size: number): string => {
    const at = draw(size);
    return pool.toString('hex', at, at + size);
  };
  const letters = (size: number): string => {
    const at = draw(size);
    let text = '';
    for (let index = at; index < at + size; index++) text += ALPHABET[(pool[index] ?? 0) & 31];
    return text;
  };
  return {
    requestId: () => `req_${letters(24)}`,
    exchangeId: (nowMs) => `ex_${timeLetters(nowMs)}${letters(15)}`,
    timedId: (prefix, nowMs) => `${prefix}_${timeLetters(nowMs)}${letters(15)}`,
    eventId: (nowMs) => `evt_${timeLetters(nowMs)}${letters(15)}`,
    traceId: () => hex(16),
    spanId: () => hex(8),
  };
}

const TIME_LETTERS = 9;

/** 45 bits of milliseconds, most significant first: enough until the year 3084. */
function timeLetters(nowMs: number): string {
  let rest = Math.floor(nowMs);
  let text = '';
  for (let place = 0; place < TIME_LETTERS; place++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** What a `traceparent` header carries. `spanId` is the caller's span: the parent of ours. */
export interface TraceParent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * W3C Trace Context §3.2: undefined where the header is absent or malformed, which starts a new trace. A later version is read by the fields
 * it shares with version 00 and may have more after them; `ff` is no version.
 */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The header to send on: version 00, and no flag but `sampled`, the only one it knows. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
