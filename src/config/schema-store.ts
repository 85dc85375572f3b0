/** `store` of the operator's file. */
import * as z from 'zod';

import { int, text } from './schema-parts.ts';
import * as values from './values.ts';

const MAX_DAYS = 36_500;
const MAX_BYTES = 1_099_511_627_776;

function days(fallback: number, least = 1) {
  return int(least, MAX_DAYS).default(fallback);
}

const retention = z
  .strictObject({
    requests_days: days(30).describe('The request log, one line per call.'),
    bodies_days: days(7).describe('Recorded bodies, of keys with `record_bodies`.'),
    hours_days: days(90).describe('Usage by the hour.'),
    days_days: days(800).describe('Usage by the day.'),
    ledger_days: days(400, 62).describe(
      'Entries of the ledger. Their sums stay in the budgets that run for ever, but can no longer be proven.',
    ),
  })
  .prefault({})
  .describe('For how many days what is kept.');

export const store = z
  .strictObject({
    url: text(values.storeUrlProblem)
      .exactOptional()
      .describe(
        'Where everything is kept that outlives a run: the path of an SQLite file, relative paths start at the data directory, or `postgres://…`, by reference where it holds a password. Absent: `store.db`.',
      ),
    on_down: z
      .enum(['refuse', 'allow'])
      .default('refuse')
      .describe(
        'Calls are served while the store is down, and journals grow. Beyond `max_journal_bytes`, calls under a hard budget are refused with 503 (`refuse`) or served all the same (`allow`).',
      ),
    max_journal_bytes: int(1_048_576, MAX_BYTES)
      .default(1_073_741_824)
      .describe('How many bytes of facts may wait for the store, over all workers.'),
    retention,
  })
  .prefault({})
  .describe('What outlives a run: money, the request log, usage, entities.');
