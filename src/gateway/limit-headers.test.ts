import { expect, test } from 'vitest';

import type { Counted, Taken } from '../policy/limiter.ts';
import { durationText, limitHeaders } from './limit-headers.ts';

const taken = (what: Counted, most: number, used: number): Taken => ({
  scope: 'key:a',
  what,
  slot: 0,
  amount: 1,
  most,
  used,
  tick: 1,
});
const grant = (...each: Taken[]) => ({ taken: each, open: true, leased: false });

test('the rule with the least left speaks for its kind; leases have no headers', () => {
  const grants = [
    grant(taken('requests', 600, 10), taken('requests', 20, 5), taken('concurrent', 3, 3)),
    grant(taken('tokens', 1_000, 1_400)),
  ];
  expect(limitHeaders({ grants })).toEqual({
    'x-ratelimit-limit-requests': '20',
    'x-ratelimit-remaining-requests': '15',
    'x-ratelimit-reset-requests': '1m0s',
    'x-ratelimit-limit-tokens': '1000',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '1m0s',
  });
  expect(limitHeaders({ grants: [] })).toEqual({});
});

test('what refused is told instead of what was granted', () => {
  const { tick: _tick, used: _used, ...refused } = taken('requests', 5, 0);
  const headers = limitHeaders({
    grants: [grant(taken('requests', 600, 600))],
    refused: { ok: false, refused, refusal: { used: 5, retryAfterMs: 10, resetMs: 12_340 } },
  });
  expect(headers).toMatchObject({
    'x-ratelimit-limit-requests': '5',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '12.34s',
  });
});

test('durations as OpenAI writes them', () => {
  expect([0, 250, 998.5, 1_000, 12_340, 60_000, 61_500].map(durationText)).toEqual([
    '0ms',
    '250ms',
    '999ms',
    '1s',
    '12.34s',
    '1m0s',
    '1m1.5s',
  ]);
});
