import { randomFillSync } from 'node:crypto';

/** Random bytes into a buffer; `crypto.randomFillSync` outside tests. */
export type FillRandom = (buffer: Buffer) => unknown;

export interface IdSource {
  /** `req_` and 24 hexadecimal digits: 96 random bits. */
  requestId: () => string;
  /** 32 hexadecimal digits, never all zero. */
  traceId: () => string;
  /** 16 hexadecimal digits, never all zero. */
  spanId: () => string;
}

/** One system call fetches the randomness of hundreds of ids. */
const POOL_BYTES = 4096;

export function createIdSource(fill: FillRandom = randomFillSync): IdSource {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  const hex = (bytes: number): string => {
    if (used + bytes > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    used += bytes;
    return pool.toString('hex', used - bytes, used);
  };
  return {
    requestId: () => `req_${hex(12)}`,
    traceId: () => nonZero(hex(16)),
    spanId: () => nonZero(hex(8)),
  };
}

function nonZero(id: string): string {
  return /^0+$/.test(id) ? `${id.slice(1)}1` : id;
}

export interface TraceParent {
  traceId: string;
  /** The caller's span. */
  spanId: string;
  sampled: boolean;
}

/** W3C Trace Context §3.2. Version ff and all-zero ids are invalid; versions after 00 may carry more fields behind a dash. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** A `traceparent` header; undefined where it is absent or invalid, which starts a new trace. */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  const found = header === undefined || header.length > 256 ? null : TRACEPARENT.exec(header);
  if (found === null || (found[1] === '00' && found[5] !== undefined)) return undefined;
  return { traceId: found[2]!, spanId: found[3]!, sampled: (Number.parseInt(found[4]!, 16) & 1) === 1 };
}

/** The header for whom we call, version 00. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
