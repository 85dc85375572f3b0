import { expect, test, vi } from 'vitest';

import type { PricedTarget, Snapshot } from '../config/snapshot.ts';
import type { PriceState } from '../core/price.ts';
import { createPrices } from './prices.ts';

const TARGET = { id: 'lab/x', provider: 'lab', upstreamModel: 'x', priceState: { status: 'lazy' } } as PricedTarget;
const SNAPSHOT = { providers: {} } as Snapshot;
const FREE: PriceState = { status: 'free' };

test('a price that main does not tell holds nobody up, and is taken once it comes', async () => {
  vi.useFakeTimers();
  try {
    const { promise, resolve } = Promise.withResolvers<PriceState>();
    const ask = vi.fn(() => promise);
    const priceOf = createPrices(SNAPSHOT, ask, () => 0);
    const waiting = Promise.all([Promise.resolve(priceOf(TARGET)), Promise.resolve(priceOf(TARGET))]);
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toMatchObject([{ status: 'unpriced' }, { status: 'unpriced' }]);
    resolve(FREE);
    await promise;
    expect(await priceOf(TARGET)).toEqual(FREE);
    expect(ask).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});

test('a price is asked for once, however many exchanges want it at the same time', async () => {
  const ask = vi.fn(() => Promise.resolve(FREE));
  const priceOf = createPrices(SNAPSHOT, ask, () => 0);
  expect(await Promise.all([Promise.resolve(priceOf(TARGET)), Promise.resolve(priceOf(TARGET))])).toEqual([FREE, FREE]);
  expect(priceOf(TARGET)).toEqual(FREE);
  expect(ask).toHaveBeenCalledTimes(1);
});
