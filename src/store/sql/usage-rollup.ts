/** Adds what a batch used to the roll-ups: hours and days without end users, days with them. */
import { type Transaction, sql } from 'kysely';

import { NO_COUNTS } from '../import/sums.ts';
import { ROWS, chunksOf } from './chunks.ts';
import type { Tables } from './tables.ts';
import type { EndUserUsageTable, UsageCounts, UsageTable, UsageTables } from './tables/usage.ts';

const DAY_MS = 86_400_000;
const KEY = ['at_ms', 'key_id', 'principal', 'team', 'org', 'tags', 'model', 'provider'] as const;
export const COUNTS = Object.keys(NO_COUNTS) as (keyof UsageCounts)[];

type RollUp = Exclude<keyof UsageTables, 'recorded_bodies'>;

/** `hours`: rows per hour and end user. */
export async function addUsage(db: Transaction<Tables>, hours: readonly EndUserUsageTable[]): Promise<void> {
  const days = hours.map((row) => ({ ...row, at_ms: row.at_ms - (row.at_ms % DAY_MS) }));
  const attributed = days.filter((row) => row.end_user !== '');
  await add(db, 'usage_hours', summed(hours, KEY));
  await add(db, 'usage_days', summed(days, KEY));
  await add(db, 'end_user_days', summed(attributed, [...KEY, 'end_user']));
}

/** Sums by that key, with its columns only: one statement must not meet one row twice. */
function summed(rows: readonly EndUserUsageTable[], key: readonly (keyof EndUserUsageTable)[]): Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const id = key.map((name) => String(row[name])).join('\n');
    const known = sums.get(id) ?? {
      ...(Object.fromEntries(key.map((name) => [name, row[name]])) as unknown as Row),
      ...NO_COUNTS,
    };
    for (const count of COUNTS) known[count] += row[count];
    sums.set(id, known);
  }
  return [...sums.values()];
}

/** A row of any of the tables; the key's columns say of which. */
type Row = UsageTable & Partial<EndUserUsageTable>;

async function add(db: Transaction<Tables>, table: RollUp, rows: readonly Row[]): Promise<void> {
  const key = table === 'end_user_days' ? [...KEY, 'end_user'] : KEY;
  const changes = Object.fromEntries(
    COUNTS.map((name) => [name, sql<number>`${sql.ref(`${table}.${name}`)} + ${sql.ref(`excluded.${name}`)}`]),
  );
  for (const chunk of chunksOf(rows, ROWS)) {
    await db
      .insertInto(table)
      .values(chunk)
      .onConflict((conflict) => conflict.columns(key as never).doUpdateSet(changes))
      .execute();
  }
}
