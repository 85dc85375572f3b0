import { expect, test } from 'vitest';

import { createIdSource, formatTraceparent, parseTraceparent } from './ids.ts';

test('ids have their shape and do not repeat', () => {
  const ids = createIdSource();
  expect(ids.requestId()).toMatch(/^req_[0-9a-f]{24}$/);
  expect(ids.traceId()).toMatch(/^[0-9a-f]{32}$/);
  expect(ids.spanId()).toMatch(/^[0-9a-f]{16}$/);
  expect(new Set(Array.from({ length: 2000 }, ids.spanId)).size).toBe(2000);
});

test('an all-zero id is never given out', () => {
  const ids = createIdSource((buffer) => buffer.fill(0));
  expect(ids.spanId()).toBe('0000000000000001');
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

test.each([
  [`00-${TRACE}-${SPAN}-01`, { traceId: TRACE, spanId: SPAN, sampled: true }],
  [`00-${TRACE}-${SPAN}-00`, { traceId: TRACE, spanId: SPAN, sampled: false }],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-brings`, { traceId: TRACE, spanId: SPAN, sampled: true }],
  [`00-${TRACE}-${SPAN}-01-more`, undefined],
  [`ff-${TRACE}-${SPAN}-01`, undefined],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
  ['', undefined],
  [undefined, undefined],
])('traceparent %s', (header, expected) => {
  expect(parseTraceparent(header)).toEqual(expected);
});

test('what is formatted parses again', () => {
  const parent = { traceId: TRACE, spanId: SPAN, sampled: true };
  expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent);
});
