/** A million schedules of the ledger's simulator; `SIGNALBOX_SCHEDULES` and `SIGNALBOX_FIRST_SCHEDULE` choose others. */
import { expect, test } from 'vitest';

import { simulate } from '../support/ledger-simulator.ts';

const SCHEDULES = Number(process.env['SIGNALBOX_SCHEDULES'] ?? 1_000_000);
const FIRST = Number(process.env['SIGNALBOX_FIRST_SCHEDULE'] ?? 1_000_000);

test(`${SCHEDULES} schedules of crashes, second readings and reordering keep the books`, async () => {
  const from = performance.now();
  for (let seed = FIRST; seed < FIRST + SCHEDULES; seed++) await simulate(seed);
  const seconds = (performance.now() - from) / 1000;
  process.stdout.write(`ledger: ${SCHEDULES} schedules from ${FIRST} in ${seconds.toFixed(0)} s\n`);
  expect(seconds).toBeGreaterThan(0);
}, 3_600_000);
