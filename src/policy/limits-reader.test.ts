import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Rules } from '../core/rules.ts';
import { type Acquired, type Demand, openLimiter } from './limiter.ts';
import { createLimitsMemory } from './limits-memory.ts';
import { limitsInUse, openLimitsReader } from './limits-reader.ts';
import { peekAt, sumAt, take, windowsAt, WORDS_PER_WINDOW } from './windows.ts';

const demand = (what: Demand['what'], slot: number, amount: number): Demand => ({
  scope: 'target:p/m',
  what,
  slot,
  amount,
  most: 1e9,
});

test('it sees what was taken by any worker, until a minute has passed', () => {
  let nowMs = 5_000;
  const memory = createLimitsMemory({ windows: 4, leases: 2, workers: 2 }, 0);
  const limiter = openLimiter(memory, 1, () => nowMs);
  const acquired = limiter.acquire([demand('requests', 0, 1), demand('tokens', 1, 400), demand('concurrent', 0, 1)]);
  const own: Rules = {
    scope: 'target:p/m',
    requests: { slot: 0, perMinute: 10 },
    tokens: { slot: 1, perMinute: 1_000 },
    concurrent: { slot: 0, most: 2 },
    budgets: [],
  };
  const providers: Rules = { scope: 'provider:p', requests: { slot: 0, perMinute: 2 }, budgets: [] };
  const used = limitsInUse(
    openLimitsReader(memory, () => nowMs),
    (place) => [[own], [own, providers], []][place]!,
  );
  expect([used.requestsUsed(0), used.tokensUsed(0), used.concurrencyUsed(0)]).toEqual([0.1, 0.4, 0.5]);
  // The limit that is nearest counts.
  expect(used.requestsUsed(1)).toBe(0.5);
  expect([used.requestsUsed(2), used.tokensUsed(2), used.concurrencyUsed(2)]).toEqual([0, 0, 0]);
  limiter.release([(acquired as Extract<Acquired, { ok: true }>).grant]);
  nowMs += 61_000;
  expect([used.requestsUsed(0), used.tokensUsed(0), used.concurrencyUsed(0)]).toEqual([0, 0, 0]);
});

test('a limit of nothing is used up', () => {
  const reader = openLimitsReader(createLimitsMemory({ windows: 1, leases: 1, workers: 1 }, 0), () => 0);
  const rules: Rules = { scope: 'target:p/m', requests: { slot: 0, perMinute: 0 }, budgets: [] };
  expect(limitsInUse(reader, () => [rules]).requestsUsed(0)).toBe(1);
});

test('looking says what counting would, and changes nothing', () => {
  const step = fc.record({ amount: fc.nat({ max: 100 }), afterMs: fc.nat({ max: 40_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const windows = windowsAt(new SharedArrayBuffer(WORDS_PER_WINDOW * 4), 0, 1);
      let nowMs = 0;
      for (const { amount, afterMs } of steps) {
        nowMs += afterMs;
        const seen = peekAt(windows, 0, nowMs);
        expect(peekAt(windows, 0, nowMs)).toBe(seen);
        expect(sumAt(windows, 0, nowMs)).toBe(seen);
        take(windows, 0, { amount, nowMs });
      }
    }),
  );
});
