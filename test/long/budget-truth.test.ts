/** The ledger against the bill of a provider that keeps its own: ten thousand mixed exchanges, half a per cent. */
import { expect, it } from 'vitest';

import { measureTruth } from '../support/bill-truth.ts';

const EXCHANGES = Number(process.env['SIGNALBOX_EXCHANGES'] ?? 10_000);

it(`${EXCHANGES} mixed exchanges`, async () => {
  const truth = await measureTruth(EXCHANGES, 20_261);
  const off = truth.booked / truth.billed - 1;
  const { strict } = truth;
  const usd = (nanoUsd: number): string => (nanoUsd / 1e9).toFixed(4);
  process.stdout.write(
    `bill ${usd(truth.billed)} USD, ledger ${usd(truth.booked)} (${(100 * off).toFixed(3)} %), ${truth.different} differ, ${truth.unflagged} of them unflagged; strict: ${usd(strict.booked)} booked, ${usd(strict.billed)} billed of ${usd(strict.limit)}\n`,
  );
  expect(truth).toMatchObject({ missing: 0, unflagged: 0 });
  expect(Math.abs(off)).toBeLessThan(0.005);
  expect(strict.billed).toBeLessThanOrEqual(strict.limit);
  expect(strict.booked).toBeLessThanOrEqual(strict.limit);
}, 1_800_000);
