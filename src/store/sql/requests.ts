/** The request log, read from the newest back. */
import { type Kysely, type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';

import type { RecordedBody, RequestDetail, RequestLine, RequestPage, RequestQuery, Visible } from '../ports/usage.ts';
import { StoreError } from '../store.ts';
import type { Tables } from './tables.ts';
import type { RequestLogTable } from './tables/ledger.ts';
import { isVisible } from './visible.ts';

const MAX_PAGE = 1_000;

const FILTERS = {
  key: 'key_id',
  principal: 'principal',
  team: 'team',
  org: 'org',
  endUser: 'end_user',
  model: 'model',
  provider: 'provider',
  outcome: 'outcome',
  status: 'status',
  requestId: 'request_id',
} as const;

type Line = Omit<RequestLogTable, 'detail'>;
type Query<Row> = SelectQueryBuilder<Tables, 'request_log', Row>;

const LINE = [
  'id',
  'at_ms',
  'request_id',
  'surface',
  'stream',
  'key_id',
  'principal',
  'team',
  'org',
  'end_user',
  'model',
  'provider',
  'target',
  'status',
  'outcome',
  'error',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cost_nano_usd',
  'estimated',
  'first_byte_ms',
  'total_ms',
] as const satisfies readonly (keyof Line)[];

export async function readRequests(db: Kysely<Tables>, query: RequestQuery): Promise<RequestPage> {
  const limit = Math.min(Math.max(1, query.limit), MAX_PAGE);
  const rows = await filtered(db.selectFrom('request_log').select(LINE), query)
    .orderBy('at_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const requests = rows.slice(0, limit).map(lineOf);
  const last = requests.at(-1);
  return { requests, ...(rows.length > limit && last !== undefined && { next: `${last.atMs}.${last.id}` }) };
}

export async function readRequest(db: Kysely<Tables>, id: string, within?: Visible): Promise<RequestDetail | undefined> {
  let query = db.selectFrom('request_log').selectAll().where('id', '=', id);
  if (within !== undefined) query = query.where(isVisible(within));
  const row = await query.executeTakeFirst();
  if (row === undefined) return undefined;
  const bodies = await db.selectFrom('recorded_bodies').select('part').where('exchange_id', '=', id).orderBy('part').execute();
  return { ...lineOf(row), detail: JSON.parse(row.detail) as Record<string, unknown>, bodies: bodies.map(({ part }) => part) };
}

export async function readBodies(db: Kysely<Tables>, id: string): Promise<RecordedBody[]> {
  const rows = await db.selectFrom('recorded_bodies').selectAll().where('exchange_id', '=', id).orderBy('part').execute();
  return rows.map(({ part, at_ms, sealed, bytes }) => ({ part, atMs: at_ms, sealed, bytes }));
}

function filtered<Row>(query: Query<Row>, { within, where = {}, sinceMs, untilMs, after }: RequestQuery): Query<Row> {
  let narrowed = query;
  if (within !== undefined) narrowed = narrowed.where(isVisible(within));
  for (const [name, value] of Object.entries(where)) {
    const column = FILTERS[name as keyof typeof FILTERS];
    if (value !== undefined) narrowed = narrowed.where(sql.ref(column), '=', value);
  }
  if (sinceMs !== undefined) narrowed = narrowed.where('at_ms', '>=', sinceMs);
  if (untilMs !== undefined) narrowed = narrowed.where('at_ms', '<', untilMs);
  return after === undefined ? narrowed : narrowed.where(isBehind(after));
}

/** The first condition is the second's, said so that an index by time can be used. */
function isBehind(cursor: string): RawBuilder<SqlBool> {
  const [, time = '', id = ''] = /^(\d{1,16})\.(.+)$/.exec(cursor) ?? [];
  if (id === '') throw new StoreError('not_found', 'there is no such page');
  return sql`at_ms <= ${Number(time)} and (at_ms < ${Number(time)} or id < ${id})`;
}

function lineOf(row: Line): RequestLine {
  const { at_ms, request_id, stream, estimated, key_id, end_user, total_ms, ...others } = row;
  const { input_tokens, output_tokens, cache_read_tokens, cost_nano_usd, first_byte_ms, ...same } = others;
  const renamed = {
    key: key_id,
    endUser: end_user,
    inputTokens: input_tokens,
    outputTokens: output_tokens,
    cacheReadTokens: cache_read_tokens,
    costNanoUsd: cost_nano_usd,
    firstByteMs: first_byte_ms,
  };
  const known = Object.entries({ ...same, ...renamed }).filter(([, value]) => value !== null);
  const line = { atMs: at_ms, requestId: request_id, stream: stream === 1, estimated: estimated === 1, totalMs: total_ms };
  return { ...Object.fromEntries(known), ...line } as unknown as RequestLine;
}
