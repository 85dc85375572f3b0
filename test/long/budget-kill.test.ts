/** Two hundred times kill -9 at random moments under load with streams; `SIGNALBOX_KILLS` chooses another number, `SIGNALBOX_SYNC` the mode of the ledger. */
import { expect, it } from 'vitest';

import { auditKills } from '../support/kill-audit.ts';

const KILLS = Number(process.env['SIGNALBOX_KILLS'] ?? 200);
const SYNC = (process.env['SIGNALBOX_SYNC'] ?? 'interval') as 'off' | 'interval' | 'always';

it(`${KILLS} kills, ledger.sync: ${SYNC}`, async () => {
  const { completed, interrupted, cutShort, slowestStartMs, ...audit } = await auditKills(KILLS, { seed: 20_261, sync: SYNC });
  process.stdout.write(
    `${KILLS} kills (sync: ${SYNC}): ${completed} completed, ${cutShort} of them killed before their record, ${interrupted} under way; slowest start ${slowestStartMs.toFixed(0)} ms\n`,
  );
  expect(audit).toEqual({ kills: KILLS, lost: 0, wrong: 0, missing: 0, unflagged: 0, above: 0, differences: 0, off: 0 });
}, 3_600_000);
