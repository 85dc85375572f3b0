/** The record of money, in SQL. Sums are sums of integers; they leave the database as doubles, exact below nine million dollars. */
import { type Kysely, type Transaction, sql } from 'kysely';

import { QUARTER_MS } from '../import/sums.ts';
import type { LedgerDifference, LedgerPort, LedgerProof, SpendQuery } from '../ports/ledger.ts';
import type { Tables } from './tables.ts';

const HOUR_MS = 3_600_000;
/** Below the number of parameters that every database takes. */
const SCOPES_PER_QUERY = 500;
const REPORTED_DIFFERENCES = 100;
/** Mark: what lies before has been folded into quarter 0, and its entries are given up. */
export const LEDGER_SINCE = 'ledger_since';

export function createLedgerStore(db: Kysely<Tables>): LedgerPort {
  return {
    spentSince: (queries) => spentSince(db, queries),
    verify: () => verify(db),
  };
}

function quarterOf(atMs: number): number {
  return atMs - (atMs % QUARTER_MS);
}

async function spentSince(db: Kysely<Tables>, queries: readonly SpendQuery[]): Promise<number[]> {
  const spent = new Map<string, number>();
  for (const [sinceMs, asked] of Map.groupBy(queries, (query) => query.sinceMs)) {
    const scopes = [...new Set(asked.map(({ scope }) => scope))];
    for (let at = 0; at < scopes.length; at += SCOPES_PER_QUERY) {
      const rows = await db
        .selectFrom('spend_quarters')
        .select(['scope', sql<number>`cast(sum(nano_usd) as double precision)`.as('nano_usd')])
        .where('scope', 'in', scopes.slice(at, at + SCOPES_PER_QUERY))
        .where('quarter_ms', '>=', sinceMs)
        .groupBy('scope')
        .execute();
      for (const row of rows) spent.set(`${sinceMs} ${row.scope}`, row.nano_usd);
    }
  }
  return queries.map(({ scope, sinceMs }) => spent.get(`${sinceMs} ${scope}`) ?? 0);
}

/** Hour by hour, so that no ledger is too large; each hour in one view of the database, so that imports may go on. */
async function verify(db: Kysely<Tables>): Promise<LedgerProof> {
  const mark = await db.selectFrom('store_marks').select('value').where('name', '=', LEDGER_SINCE).executeTakeFirst();
  const proof: LedgerProof = { entries: 0, counters: 0, nanoUsd: 0, sinceMs: mark?.value ?? 0, differences: [] };
  let hourMs = await nextHour(db, Math.max(proof.sinceMs, 1));
  while (hourMs !== undefined) {
    const from = hourMs;
    await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute((view) => verifyHour(view, from, proof));
    hourMs = await nextHour(db, from + HOUR_MS);
  }
  return proof;
}

/** The first hour from there on that has an entry or a counter. */
async function nextHour(db: Kysely<Tables>, fromMs: number): Promise<number | undefined> {
  const entry = db
    .selectFrom('ledger_entries')
    .select(({ fn }) => fn.min('at_ms').as('first'))
    .where('at_ms', '>=', fromMs);
  const counter = db
    .selectFrom('spend_quarters')
    .select(({ fn }) => fn.min('quarter_ms').as('first'))
    .where('quarter_ms', '>=', fromMs);
  const found = await Promise.all([entry.executeTakeFirst(), counter.executeTakeFirst()]);
  const times = found.map((row) => row?.first as number | null | undefined).filter((first) => typeof first === 'number');
  if (times.length === 0) return undefined;
  const first = Math.min(...times);
  return first - (first % HOUR_MS);
}

async function verifyHour(view: Transaction<Tables>, hourMs: number, proof: LedgerProof): Promise<void> {
  const until = hourMs + HOUR_MS;
  const entries = await view
    .selectFrom('ledger_entries')
    .select(['at_ms', 'nano_usd', 'scopes'])
    .where('at_ms', '>=', hourMs)
    .where('at_ms', '<', until)
    .execute();
  const counters = await view
    .selectFrom('spend_quarters')
    .selectAll()
    .where('quarter_ms', '>=', hourMs)
    .where('quarter_ms', '<', until)
    // Quarter 0 holds what cannot be proven any more.
    .where('quarter_ms', '>', 0)
    .execute();
  const sums = new Map<string, LedgerDifference>();
  const at = (scope: string, quarterMs: number): LedgerDifference => {
    const key = `${quarterMs} ${scope}`;
    const known = sums.get(key) ?? { scope, quarterMs, countedNanoUsd: 0, recordedNanoUsd: 0 };
    sums.set(key, known);
    return known;
  };
  for (const entry of entries) {
    proof.nanoUsd += entry.nano_usd;
    for (const scope of JSON.parse(entry.scopes) as string[]) at(scope, quarterOf(entry.at_ms)).recordedNanoUsd += entry.nano_usd;
  }
  for (const counter of counters) at(counter.scope, counter.quarter_ms).countedNanoUsd += counter.nano_usd;
  proof.entries += entries.length;
  proof.counters += counters.length;
  const wrong = [...sums.values()].filter(({ countedNanoUsd, recordedNanoUsd }) => countedNanoUsd !== recordedNanoUsd);
  proof.differences.push(...wrong.slice(0, REPORTED_DIFFERENCES - proof.differences.length));
}
