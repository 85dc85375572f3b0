/** End users: whom clients name as their own. They are no accounts of ours; what they used is known. */
import * as z from 'zod';

import type { ReportRow } from '../../store/ports/usage.ts';
import { isoTime, isoOf, pathId, queryInt, queryTime, usd, usdOf } from '../contract/fields.ts';
import { notThere } from '../contract/access.ts';
import { type Call, readRoute } from '../contract/route.ts';
import { usageSeenBy } from './usage.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MAX_ROWS = 1_000;
const DEFAULT_ROWS = 100;

const endUser = z.object({
  end_user: z.string(),
  requests: z.int(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  spent_usd: usd,
});

const span = {
  since: queryTime.exactOptional().describe(`Rounded down to the day. Absent: ${DEFAULT_DAYS} days back.`),
  until: queryTime.exactOptional().describe('Absent: now.'),
};
type Span = { since?: number; until?: number };

export const endUserRoutes = [
  readRoute({
    path: '/admin/v1/end-users',
    summary: 'End users by what they cost, the dearest first',
    tag: 'end-users',
    access: { on: 'anyone' },
    query: z.strictObject({ ...span, limit: queryInt(1, MAX_ROWS).default(DEFAULT_ROWS) }),
    answer: {
      status: 200,
      schema: z.object({
        since: isoTime,
        until: isoTime,
        data: z.array(endUser),
        cut: z.boolean().describe('There are more than `limit`.'),
      }),
    },
    handle: async (call) => {
      const { since, until, rows, isCut } = await report(call, undefined, call.query.limit);
      return { body: { since, until, data: rows.filter((row) => row.end_user !== '').map(viewOf), cut: isCut } };
    },
  }),
  readRoute({
    path: '/admin/v1/end-users/{end_user}',
    summary: 'What one end user used',
    tag: 'end-users',
    access: { on: 'anyone' },
    params: z.strictObject({ end_user: pathId }),
    query: z.strictObject(span),
    answer: { status: 200, schema: endUser.extend({ since: isoTime, until: isoTime }) },
    handle: async (call) => {
      const { since, until, rows } = await report(call, call.params.end_user, 1);
      const [row] = rows;
      if (row === undefined) throw notThere();
      return { body: { since, until, ...viewOf(row) } };
    },
  }),
];

async function report({ actor, query, services }: Call<unknown, Span>, only: string | undefined, limit: number) {
  const untilMs = query.until ?? services.nowMs();
  const sinceMs = Math.min(query.since ?? untilMs - DEFAULT_DAYS * DAY_MS, untilMs);
  const within = usageSeenBy(actor);
  const where = only === undefined ? {} : { where: { end_user: [only] } };
  const found = await services.store.usage.report({
    by: ['end_user'],
    sinceMs,
    untilMs,
    limit,
    ...where,
    ...(within && { within }),
  });
  return { ...found, since: isoOf(sinceMs), until: isoOf(untilMs) };
}

function viewOf({ end_user = '', requests, inputTokens, outputTokens, nanoUsd }: ReportRow): z.input<typeof endUser> {
  return { end_user, requests, input_tokens: inputTokens, output_tokens: outputTokens, spent_usd: usdOf(nanoUsd) };
}
