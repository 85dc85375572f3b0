/** Reports by any two entities, from the roll-ups: days, and hours for what the time asked for begins or ends within a day. Hours are given up long before days. */
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
  const bucket = query.every === undefined ? [] : [sql`at_ms - at_ms % ${sql.lit(EVERY_MS[query.every])}`];
  const entities = query.by.map((entity) => sql.ref(COLUMNS[entity]));
  const sums = COUNTS.map((name) => sql`cast(sum(${sql.ref(name)}) as double precision) as ${sql.ref(name)}`);
  const columns = [...entities, ...bucket.map((start) => sql`${start} as bucket_ms`), ...sums];
  const groups = [...entities, ...bucket];
  const needed = sql.join([sql.ref('at_ms'), ...entities, ...COUNTS.map((name) => sql.ref(name))]);
  const pieces = piecesOf(query).map(
    (piece) => sql`select ${needed} from ${sql.table(piece.source)} where ${sql.join(conditions(query, piece), sql` and `)}`,
  );
  return sql<Row>`
    select ${sql.join(columns)} from (${sql.join(pieces, sql` union all `)}) as pieces
    ${groups.length === 0 ? sql`` : sql`group by ${sql.join(groups)}`}
    order by ${query.every === undefined ? sql`sum(nano_usd) desc` : sql`bucket_ms, sum(nano_usd) desc`}
    ${limit === undefined ? sql`` : sql`limit ${limit}`}`;
}

interface Piece {
  source: Source;
  fromMs: number;
  untilMs: number;
}

/** What to read from which roll-up: whole days as days. */
function piecesOf({ by, where = {}, every, sinceMs, untilMs }: ReportQuery): Piece[] {
  if (by.includes('end_user') || where.end_user !== undefined) {
    if (every === 'hour') throw new StoreError('failed', 'usage of end users is kept by the day');
    return [{ source: 'end_user_days', fromMs: sinceMs - (sinceMs % DAY_MS), untilMs }];
  }
  const fromMs = sinceMs - (sinceMs % HOUR_MS);
  const [firstDayMs, endOfDaysMs] = [Math.ceil(fromMs / DAY_MS) * DAY_MS, untilMs - (untilMs % DAY_MS)];
  if (every === 'hour' || firstDayMs >= endOfDaysMs) return [{ source: 'usage_hours', fromMs, untilMs }];
  const pieces: Piece[] = [
    { source: 'usage_hours', fromMs, untilMs: firstDayMs },
    { source: 'usage_days', fromMs: firstDayMs, untilMs: endOfDaysMs },
    { source: 'usage_hours', fromMs: endOfDaysMs, untilMs },
  ];
  return pieces.filter((piece) => piece.fromMs < piece.untilMs);
}

function conditions({ within, where = {} }: ReportQuery, { fromMs, untilMs }: Piece): RawBuilder<SqlBool>[] {
  const named = Object.entries(where) as [UsageEntity, readonly string[]][];
  return [
    sql<SqlBool>`at_ms >= ${fromMs}`,
    sql<SqlBool>`at_ms < ${untilMs}`,
    ...(within === undefined ? [] : [isVisible(within)]),
    ...named.map(([entity, ids]) => (entity === 'tag' ? hasTag(ids) : isOneOf(COLUMNS[entity], ids))),
  ];
}

/** Tags stand as a JSON list of strings. Not by `like`, which one database reads without regard to case and the other with it. */
function hasTag(tags: readonly string[]): RawBuilder<SqlBool> {
  const each = tags.map((tag) => sql`replace(tags, ${JSON.stringify(tag)}, '') <> tags`);
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
