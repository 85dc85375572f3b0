/** The ledger against the bill of a provider that keeps its own. The long form is in test/long. */
import { expect, it } from 'vitest';

import { measureTruth } from '../support/bill-truth.ts';

it('agrees with the provider’s bill over mixed exchanges; what differs is flagged; a strict budget is never exceeded', async () => {
  const truth = await measureTruth(500, 4_711);
  expect(truth).toMatchObject({ missing: 0, unflagged: 0 });
  expect(truth.different).toBeGreaterThan(0);
  // Some sixty of them were left or cut, each estimated with a wide spread; ten thousand exchanges are held to half a per cent.
  expect(Math.abs(truth.booked / truth.billed - 1)).toBeLessThan(0.06);
  expect(truth.strict.billed).toBeLessThanOrEqual(truth.strict.limit);
  expect(truth.strict.booked).toBeLessThanOrEqual(truth.strict.limit);
  // It was used, not only refused: what is reserved at the same time leaves less room the slower the machine.
  expect(truth.strict.booked).toBeGreaterThan(truth.strict.limit / 5);
}, 120_000);
