/** Reports by any two entities, from the roll-ups: days, or hours where the time asked for does not fall on days. */
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';

import type { Report, ReportQuery, ReportRow, UsageEntity, UsageSums } from '../ports/usage.ts';
import { StoreError } from '../store.ts';
import type { Tables } from './tables.ts';
import type { EndUserUsageTable, UsageCounts, UsageTables } from './tables/usage.ts';
import { COUNTS } from './usage-rollup.ts';
import { isOneOf, isVisible } from './visible.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MAX_ROWS = 10_000;
const EVERY_MS = { hour: HOUR_MS, day: DAY_MS } as const;

const COLUMNS = {
  key: 'key_id',
  principal: 'principal',
  team: 'team',
  org: 'org',
  tag: 'tags',
  model: 'model',
  provider: 'provider',
  end_user: 'end_user',
} as const satisfies Record<UsageEntity, keyof EndUserUsageTable>;

type Source = Exclude<keyof UsageTables, 'recorded_bodies'>;
type Row = UsageCounts & Partial<Record<string, string>> & { bucket_ms?: number };

export async function readReport(db: Kysely<Tables>, query: ReportQuery): Promise<Report> {
  const limit = Math.min(Math.max(1, query.limit), MAX_ROWS);
  // Rows of several tags are put together here: for that all are needed.
  const hasTags = query.by.includes('tag');
  const { rows } = await statement(query, hasTags ? undefined : limit + 1).execute(db);
  // Without a grouping there is one row of nothing where nothing is.
  const found = rows.filter((row) => (row.requests as number | null) !== null).map((row) => rowOf(row, query));
  const all = hasTags ? sorted(perTag(found), query) : found;
  return { rows: all.slice(0, limit), isCut: all.length > limit };
}

function statement(query: ReportQuery, limit: number | undefined): RawBuilder<Row> {
  const source = sourceOf(query);
  const bucket = query.every === undefined ? [] : [sql`at_ms - at_ms % ${sql.lit(EVERY_MS[query.every])}`];
  const entities = query.by.map((entity) => sql.ref(COLUMNS[entity]));
  const sums = COUNTS.map((name) => sql`cast(sum(${sql.ref(name)}) as double precision) as ${sql.ref(name)}`);
  const columns = [...entities, ...bucket.map((start) => sql`${start} as bucket_ms`), ...sums];
  const groups = [...entities, ...bucket];
  return sql<Row>`
    select ${sql.join(columns)} from ${sql.table(source)} where ${sql.join(conditions(query, source), sql` and `)}
    ${groups.length === 0 ? sql`` : sql`group by ${sql.join(groups)}`}
    order by ${query.every === undefined ? sql`sum(nano_usd) desc` : sql`bucket_ms, sum(nano_usd) desc`}
    ${limit === undefined ? sql`` : sql`limit ${limit}`}`;
}

function sourceOf({ by, where = {}, every, sinceMs, untilMs }: ReportQuery): Source {
  if (by.includes('end_user') || where.end_user !== undefined) {
    if (every === 'hour') throw new StoreError('failed', 'usage of end users is kept by the day');
    return 'end_user_days';
  }
  const fallsOnDays = every !== 'hour' && sinceMs % DAY_MS === 0 && untilMs % DAY_MS === 0;
  return fallsOnDays ? 'usage_days' : 'usage_hours';
}

function conditions({ within, where = {}, sinceMs, untilMs }: ReportQuery, source: Source): RawBuilder<SqlBool>[] {
  const grainMs = source === 'usage_hours' ? HOUR_MS : DAY_MS;
  const named = Object.entries(where) as [UsageEntity, readonly string[]][];
  return [
    sql<SqlBool>`at_ms >= ${sinceMs - (sinceMs % grainMs)}`,
    sql<SqlBool>`at_ms < ${untilMs}`,
    ...(within === undefined ? [] : [isVisible(within)]),
    ...named.map(([entity, ids]) => (entity === 'tag' ? hasTag(ids) : isOneOf(COLUMNS[entity], ids))),
  ];
}

/** Tags stand as a JSON list of strings. */
function hasTag(tags: readonly string[]): RawBuilder<SqlBool> {
  const patterns = tags.map((tag) => `%${JSON.stringify(tag).replace(/[\\%_]/g, String.raw`\$&`)}%`);
  const each = patterns.map((pattern) => sql`tags like ${pattern} escape '\\'`);
  return each.length === 0 ? sql`1 = 0` : sql`(${sql.join(each, sql` or `)})`;
}

function rowOf(row: Row, { by, every }: ReportQuery): ReportRow {
  const entities = Object.fromEntries(by.map((entity) => [entity, row[COLUMNS[entity]] ?? '']));
  return { ...(every !== undefined && { atMs: Number(row.bucket_ms) }), ...entities, ...sumsOf(row) };
}

function sumsOf(row: UsageCounts): UsageSums {
  return {
    requests: row.requests,
    refused: row.refused,
    failed: row.failed,
    attempts: row.attempts,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cacheReadTokens: row.cache_read_tokens,
    cacheWriteTokens: row.cache_write_tokens,
    reasoningTokens: row.reasoning_tokens,
    nanoUsd: row.nano_usd,
    estimatedNanoUsd: row.estimated_nano_usd,
    totalMs: row.total_ms,
  };
}

/** A row of several tags counts under each of them, one without any under none. */
function perTag(rows: readonly ReportRow[]): ReportRow[] {
  const sums = new Map<string, ReportRow>();
  for (const { tag: list = '[]', ...row } of rows) {
    const tags = JSON.parse(list) as string[];
    for (const tag of tags.length === 0 ? [''] : tags) add(sums, { ...row, tag });
  }
  return [...sums.values()];
}

function add(sums: Map<string, ReportRow>, row: ReportRow): void {
  const { atMs, key, principal, team, org, tag, model, provider } = row;
  const id = JSON.stringify([atMs, key, principal, team, org, tag, model, provider, row.end_user]);
  const known = sums.get(id);
  if (known === undefined) sums.set(id, row);
  else for (const name of Object.keys(SUMS) as (keyof UsageSums)[]) known[name] += row[name];
}

const SUMS: UsageSums = sumsOf(Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<keyof UsageCounts, number>);

function sorted(rows: ReportRow[], { every }: ReportQuery): ReportRow[] {
  return rows.sort((a, b) => (every === undefined ? 0 : (a.atMs ?? 0) - (b.atMs ?? 0)) || b.nanoUsd - a.nanoUsd);
}
