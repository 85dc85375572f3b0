import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createIdSource, formatTraceparent, parseTraceparent } from './ids.ts';

describe('createIdSource', () => {
  it('makes ids of the promised shapes', () => {
    const ids = createIdSource(randomBytes);
    expect(ids.requestId()).toMatch(/^req_[0-9a-z]{24}$/);
    expect(ids.traceId()).toMatch(/^[0-9a-f]{32}$/);
    expect(ids.spanId()).toMatch(/^[0-9a-f]{16}$/);
  });

  it('uses no random byte twice and asks for many at once', () => {
    let calls = 0;
    // Each call's bytes name the call and the place in it, so a byte used twice would show as an id made twice.
    const ids = createIdSource((size) => {
      calls++;
      const bytes = Buffer.alloc(size);
      for (let at = 0; at < size; at += 8) bytes.writeUInt32BE((calls << 16) | at, at);
      return bytes;
    });
    const made = Array.from({ length: 2_000 }, () => ids.spanId());
    expect(new Set(made).size).toBe(2_000);
    expect(calls).toBe(Math.ceil((2_000 * 8) / 4_096));
  });

  it('repeats none among many', () => {
    const ids = createIdSource(randomBytes);
    const made = new Set(Array.from({ length: 20_000 }, (_, index) => [ids.requestId, ids.traceId, ids.spanId][index % 3]?.()));
    expect(made.size).toBe(20_000);
  });
});

describe('traceparent', () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const spanId = 'b7ad6b7169203331';

  it.each([
    [`00-${traceId}-${spanId}-01`, true],
    [`00-${traceId}-${spanId}-00`, false],
    [`00-${traceId}-${spanId}-03`, true],
    [`cc-${traceId}-${spanId}-01`, true],
    [`cc-${traceId}-${spanId}-01-what-the-future-brings`, true],
  ])('reads %s', (header, sampled) => {
    expect(parseTraceparent(header)).toEqual({ traceId, spanId, sampled });
  });

  it.each([
    [undefined],
    [''],
    [`00-${traceId}-${spanId}-01-more`],
    [`00-${traceId}-${spanId}-01 `],
    [`00-${traceId}-${spanId}-1`],
    [`00-${traceId}-${spanId}`],
    [`ff-${traceId}-${spanId}-01`],
    [`cc-${traceId}-${spanId}-01.more`],
    [`00-${'0'.repeat(32)}-${spanId}-01`],
    [`00-${traceId}-${'0'.repeat(16)}-01`],
    [`00-${traceId.toUpperCase()}-${spanId}-01`],
    [`00-${traceId.slice(1)}-${spanId}-01`],
    [`0g-${traceId}-${spanId}-01`],
  ])('refuses %j', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  it('writes what it reads', () => {
    for (const header of [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-00`]) {
      const parent = parseTraceparent(header);
      expect(parent && formatTraceparent(parent)).toBe(header);
    }
  });
});
