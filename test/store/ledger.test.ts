import { expect, test } from 'vitest';

import { forEachStore } from '../support/stores.ts';

forEachStore((_, open) => {
  test('an empty ledger proves itself', async () => {
    const { store } = await open();
    expect(await store.ledger.verify()).toMatchObject({ entries: 0, counters: 0, nanoUsd: 0, differences: [] });
    expect(await store.ledger.spentSince([{ scope: 'key:a', sinceMs: 0 }])).toEqual([0]);
  });
});
