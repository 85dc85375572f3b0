/** What is charged where a provider counts nothing, and says so with zeros. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Agent } from 'undici';
import { expect, it } from 'vitest';

import { billOf, startBillingUpstream } from '../support/billing-upstream.ts';
import { PRICE, askBox, readBooks, startBudgetBox } from '../support/budget-box.ts';

it.each([false, true])('zeros are no usage: the answer is estimated, streamed: %s', async (stream) => {
  const home = mkdtempSync(join(tmpdir(), 'signalbox-told-'));
  const upstream = await startBillingUpstream();
  const dispatcher = new Agent();
  const dataDir = join(home, 'data');
  const box = await startBudgetBox(upstream, { workers: 1, budget: '{ limit_usd: 10, window: total }', dataDir });
  try {
    expect(await askBox(box, dispatcher, { stream, play: { tokens: 100, zeros: true } })).toMatchObject({ status: 200 });
    await box.stop();
    const { spent, differences } = await readBooks(dataDir);
    expect(differences).toBe(0);
    expect(spent).toBeGreaterThan(billOf(upstream.bills[0]!, PRICE) / 20);
  } finally {
    await dispatcher.destroy();
    await box.stop();
    await upstream.close();
    rmSync(home, { recursive: true, force: true });
  }
});
