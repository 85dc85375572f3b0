/** Adds what a batch used to the roll-ups: hours and days without end users, days with them. */
import { type Transaction, sql } from 'kysely';

import { NO_COUNTS, inOrder } from '../import/sums.ts';
import { type Bulk, createBulk } from './bulk.ts';
import type { Tables } from './tables.ts';
import type { EndUserUsageTable, UsageCounts, UsageTable, UsageTables } from './tables/usage.ts';

const DAY_MS = 86_400_000;
const KEY = ['at_ms', 'key_id', 'principal', 'team', 'org', 'tags', 'model', 'provider'] as const;
const END_USER_KEY = [...KEY, 'end_user'] as const;
export const COUNTS = Object.keys(NO_COUNTS) as (keyof UsageCounts)[];

type RollUp = Exclude<keyof UsageTables, 'recorded_bodies'>;

/** `hours`: rows per hour and end user. */
export function createUsageWriter(): (tx: Transaction<Tables>, hours: readonly EndUserUsageTable[]) => Promise<void> {
  const writers = {
    hours: adder('usage_hours', KEY),
    days: adder('usage_days', KEY),
    ofEndUsers: adder('end_user_days', END_USER_KEY),
  };
  return async (tx, hours) => {
    const days = hours.map((row) => ({ ...row, at_ms: row.at_ms - (row.at_ms % DAY_MS) }));
    const attributed = days.filter((row) => row.end_user !== '');
    await writers.hours(tx, summed(hours, KEY));
    await writers.days(tx, summed(days, KEY));
    await writers.ofEndUsers(tx, summed(attributed, END_USER_KEY));
  };
}

/** Sums by that key, with its columns only: one statement must not meet one row twice. */
function summed(rows: readonly EndUserUsageTable[], key: readonly (keyof EndUserUsageTable)[]): Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const id = key.map((name) => row[name]).join('\n');
    const known = sums.get(id) ?? {
      ...(Object.fromEntries(key.map((name) => [name, row[name]])) as unknown as Row),
      ...NO_COUNTS,
    };
    for (const count of COUNTS) known[count] += row[count];
    sums.set(id, known);
  }
  return inOrder(sums);
}

/** A row of any of the tables; the key's columns say of which. */
type Row = UsageTable & Partial<EndUserUsageTable>;

function adder(table: RollUp, key: readonly string[]): Bulk<Row> {
  const changes = Object.fromEntries(
    COUNTS.map((name) => [name, sql<number>`${sql.ref(`${table}.${name}`)} + ${sql.ref(`excluded.${name}`)}`]),
  );
  return createBulk((tx, rows) =>
    tx
      .insertInto(table)
      .values(rows)
      .onConflict((conflict) => conflict.columns(key as never).doUpdateSet(changes)),
  );
}
