import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type RetryBudgets, clearRetries, createRetryMemory, openRetryBudgets } from './retry-budget.ts';

const T0 = 1_800_000_000_000;
const open = (): RetryBudgets => openRetryBudgets(createRetryMemory(4, T0));

function takeAll(budgets: RetryBudgets, place = 0): number {
  let taken = 0;
  while (budgets.takeRetry(place)) taken++;
  return taken;
}

test('ten at first, then one for five requests', () => {
  const budgets = open();
  expect(budgets.retriesLeft(0)).toBe(10);
  expect(takeAll(budgets)).toBe(10);
  for (let request = 0; request < 4; request++) budgets.requested(0, T0);
  expect(budgets.takeRetry(0)).toBe(false);
  budgets.requested(0, T0);
  expect(takeAll(budgets)).toBe(1);
});

test('a quiet model has its ten back after fifty requests, and saves up no more', () => {
  const budgets = open();
  takeAll(budgets);
  for (let request = 0; request < 500; request++) budgets.requested(0, T0 + request * 60_000);
  expect(takeAll(budgets)).toBe(10);
});

test('a busy one saves up what ten seconds earn, and loses it as it falls silent', () => {
  const budgets = open();
  for (let request = 0; request < 30_000; request++) budgets.requested(0, T0 + request * 10);
  expect(budgets.retriesLeft(0)).toBe(200);
  budgets.requested(0, T0 + 4_000_000);
  expect(budgets.retriesLeft(0)).toBe(10);
});

test('models do not share, and a place is new for another', () => {
  const memory = createRetryMemory(4, T0);
  const budgets = openRetryBudgets(memory);
  takeAll(budgets, 1);
  expect([budgets.retriesLeft(0), budgets.retriesLeft(1), budgets.retriesLeft(2)]).toEqual([10, 0, 10]);
  clearRetries(memory, 1);
  expect(budgets.retriesLeft(1)).toBe(10);
});

test('retries never exceed ten and a fifth of the requests, whatever the clock does', () => {
  const step = fc.record({ retries: fc.boolean(), afterMs: fc.integer({ min: -3_000, max: 5_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const budgets = open();
      let [nowMs, requests, retried] = [T0, 0, 0];
      for (const { retries, afterMs } of steps) {
        nowMs += afterMs;
        requests++;
        budgets.requested(0, nowMs);
        if (retries && budgets.takeRetry(0)) retried++;
      }
      expect(retried).toBeLessThanOrEqual(10 + requests / 5);
    }),
  );
});

test('threads that take at the same time share one budget', async () => {
  const memory = createRetryMemory(1, T0);
  const gate = new SharedArrayBuffer(4);
  const budgets = openRetryBudgets(memory);
  for (let request = 0; request < 5_000; request++) budgets.requested(0, T0);
  expect(budgets.retriesLeft(0)).toBe(1_000);
  const race = (): Worker =>
    new Worker(new URL('../../test/fixtures/retry-race.ts', import.meta.url), { workerData: { memory, gate, rivals: 3 } });
  const taken = await Promise.all([race(), race(), race()].map(async (worker) => (await once(worker, 'message'))[0] as number));
  // Each asks a thousand times, and brings a request along each fifth time.
  expect(taken.reduce((sum, one) => sum + one, 0)).toBe(1_000 + 120);
});
