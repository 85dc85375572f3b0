/** Reports of usage and cost, by any two of the entities and time, as JSON or CSV. */
import * as z from 'zod';

import { formatUsd } from '../../core/money.ts';
import { type ReportQuery, type ReportRow, USAGE_ENTITIES, type UsageEntity, type Visible } from '../../store/ports/usage.ts';
import { ledBy, seesAll } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { isoOf, isoTime, queryInt, queryTime, usd, usdOf } from '../contract/fields.ts';
import { invalidInput } from '../contract/input.ts';
import { readRoute } from '../contract/route.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MAX_ROWS = 10_000;
const DEFAULT_ROWS = 1_000;
const CSV_TYPE = 'text/csv; charset=utf-8';
const TIMES = ['hour', 'day'] as const;

const entityFields = Object.fromEntries(
  USAGE_ENTITIES.map((entity) => [entity, z.string().optional().describe('Empty: the usage belongs to none of that kind.')]),
) as Record<UsageEntity, z.ZodOptional<z.ZodString>>;

const row = z.object({
  at: isoTime.optional().describe('Beginning of the hour or day, UTC.'),
  ...entityFields,
  requests: z.int(),
  refused: z.int().describe('Refused by Signalbox itself.'),
  failed: z.int(),
  attempts: z.int(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_read_tokens: z.int(),
  cache_write_tokens: z.int(),
  reasoning_tokens: z.int(),
  spent_usd: usd,
  estimated_usd: usd.describe('The part of `spent_usd` that rests on our own count.'),
  total_ms: z.number().describe('Duration of all requests together.'),
});

const report = z.object({
  since: isoTime,
  until: isoTime,
  data: z.array(row),
  cut: z.boolean().describe('There are more rows than `limit`.'),
});

const filters = Object.fromEntries(
  USAGE_ENTITIES.map((entity) => [
    entity,
    z
      .union([z.string().max(256), z.array(z.string().max(256)).max(100)])
      .exactOptional()
      .describe('Only usage of this one; repeat it for several.'),
  ]),
) as Record<UsageEntity, z.ZodExactOptional<z.ZodUnion<[z.ZodString, z.ZodArray<z.ZodString>]>>>;

const query = z.strictObject({
  by: z
    .string()
    .default('')
    .transform((text) => (text === '' ? [] : text.split(',')))
    .pipe(z.array(z.enum([...USAGE_ENTITIES, ...TIMES])).max(3))
    .describe(`Up to two of ${USAGE_ENTITIES.join(', ')}, and \`hour\` or \`day\`; separated by commas.`),
  since: queryTime.exactOptional().describe(`Rounded down to the hour. Absent: ${DEFAULT_DAYS} days back.`),
  until: queryTime.exactOptional().describe('Absent: now.'),
  limit: queryInt(1, MAX_ROWS).exactOptional().describe(`Rows; absent: ${DEFAULT_ROWS}, as CSV ${MAX_ROWS}.`),
  format: z
    .enum(['json', 'csv'])
    .default('json')
    .describe('CSV has `x-signalbox-cut: true` in its head where there are more rows.'),
  ...filters,
});
type Query = z.output<typeof query>;

export const usageRoutes = [
  readRoute({
    path: '/admin/v1/usage',
    summary: 'Requests, tokens and cost, by any two entities; members see their own and their teams’ usage',
    tag: 'usage',
    access: { on: 'anyone' },
    query,
    answer: { status: 200, schema: report, text: [CSV_TYPE] },
    handle: async ({ actor, services, query }) => {
      const asked = askedReport(query, services.nowMs());
      const within = usageSeenBy(actor);
      const { rows, isCut } = await services.store.usage.report({ ...asked, ...(within !== undefined && { within }) });
      if (query.format === 'csv') {
        return { text: csvOf(asked, rows), contentType: CSV_TYPE, headers: { 'x-signalbox-cut': String(isCut) } };
      }
      return { body: { since: isoOf(asked.sinceMs), until: isoOf(asked.untilMs), data: rows.map(viewOf), cut: isCut } };
    },
  }),
];

/** Whose usage somebody sees in sums: beside what he leads, his teams'. Undefined: all. */
export function usageSeenBy(actor: Actor): Visible | undefined {
  if (seesAll(actor)) return undefined;
  return actor.kind === 'user' ? { orgs: ledBy(actor).orgs, teams: Object.keys(actor.teams), principals: [actor.id] } : {};
}

function askedReport({ by, since, until, limit, format, ...rest }: Query, nowMs: number): ReportQuery {
  const times = by.filter((each) => each === 'hour' || each === 'day');
  const entities = [...new Set(by.filter((each) => each !== 'hour' && each !== 'day'))];
  if (times.length > 1 || entities.length > 2)
    throw invalidInput([{ param: 'by', message: 'takes up to two entities, and one of `hour` and `day`' }]);
  const where = Object.fromEntries(
    USAGE_ENTITIES.flatMap((entity) => (rest[entity] === undefined ? [] : [[entity, [rest[entity]].flat()]])),
  ) as NonNullable<ReportQuery['where']>;
  const every = times[0];
  if (every === 'hour' && (entities.includes('end_user') || where.end_user !== undefined)) {
    throw invalidInput([{ param: 'by', message: 'cannot be `hour` for end users: their usage is kept by the day' }]);
  }
  const untilMs = until ?? nowMs;
  const sinceMs = since ?? untilMs - DEFAULT_DAYS * DAY_MS;
  if (sinceMs >= untilMs) throw invalidInput([{ param: 'since', message: 'must be before `until`' }]);
  return {
    by: entities,
    ...(every !== undefined && { every }),
    sinceMs,
    untilMs,
    where,
    limit: limit ?? (format === 'csv' ? MAX_ROWS : DEFAULT_ROWS),
  };
}

function viewOf(found: ReportRow): z.input<typeof row> {
  const {
    atMs,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens,
    nanoUsd,
    estimatedNanoUsd,
    totalMs,
    ...same
  } = found;
  return {
    ...same,
    ...(atMs !== undefined && { at: isoOf(atMs) }),
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cache_read_tokens: cacheReadTokens,
    cache_write_tokens: cacheWriteTokens,
    reasoning_tokens: reasoningTokens,
    spent_usd: usdOf(nanoUsd),
    estimated_usd: usdOf(estimatedNanoUsd),
    total_ms: Math.round(totalMs),
  };
}

/** RFC 4180. Money as exact decimals. */
function csvOf({ by, every }: ReportQuery, rows: readonly ReportRow[]): string {
  const columns = [...(every === undefined ? [] : ['at' as const]), ...by, ...SUMS];
  const lines = rows.map((each) => {
    const view = { ...viewOf(each), spent_usd: formatUsd(each.nanoUsd), estimated_usd: formatUsd(each.estimatedNanoUsd) };
    return columns.map((column) => csvField(view[column]));
  });
  return [columns, ...lines].map((fields) => `${fields.join(',')}\r\n`).join('');
}

const SUMS = [
  'requests',
  'refused',
  'failed',
  'attempts',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'spent_usd',
  'estimated_usd',
  'total_ms',
] as const;

/** Names come from clients: one that a spreadsheet would take for a formula is made text. */
function csvField(value: string | number = ''): string {
  const text = String(value);
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
