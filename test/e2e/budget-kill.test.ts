/** kill -9 under load. The long form, with two hundred kills, is in test/long. */
import { expect, it } from 'vitest';

import { auditKills } from '../support/kill-audit.ts';

it('loses nothing that was completed, counts nothing twice, and flags what was under way', async () => {
  const { completed, interrupted, cutShort, slowestStartMs, ...audit } = await auditKills(4, { seed: 7, sync: 'interval' });
  expect(audit).toEqual({ kills: 4, lost: 0, wrong: 0, missing: 0, unflagged: 0, above: 0, differences: 0, off: 0 });
  expect(completed).toBeGreaterThan(50);
  expect(interrupted).toBeGreaterThan(10);
  expect(cutShort).toBeLessThanOrEqual(completed / 20);
  expect(slowestStartMs).toBeLessThan(20_000);
}, 120_000);
