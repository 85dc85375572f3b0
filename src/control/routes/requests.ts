/** The request log: what was asked, by whom, how it ended and what it cost. */
import * as z from 'zod';

import type { RequestLine, Visible } from '../../store/ports/usage.ts';
import { ledBy, notThere, seesAll } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { isoOf, isoTime, pageOf, pageQuery, pathId, queryInt, queryTime, usd, usdOf } from '../contract/fields.ts';
import { readRoute } from '../contract/route.ts';

const line = z.object({
  id: z.string(),
  at: isoTime,
  request_id: z.string().describe('The one that the client saw.'),
  surface: z.string(),
  stream: z.boolean(),
  key: z.string().optional(),
  principal: z.string().optional(),
  team: z.string().optional(),
  org: z.string().optional(),
  end_user: z.string().optional(),
  model: z.string().optional(),
  provider: z.string().optional(),
  target: z.string().optional(),
  status: z.int().describe('HTTP status; 0: the process died first.'),
  outcome: z.string(),
  error: z.string().optional(),
  input_tokens: z.int().optional(),
  output_tokens: z.int().optional(),
  cache_read_tokens: z.int().optional(),
  cost_usd: usd.optional(),
  estimated: z.boolean().describe('Whether the cost rests on our own count.'),
  first_byte_ms: z.number().optional(),
  total_ms: z.number(),
});

const detailed = line.extend({
  detail: z.record(z.string(), z.unknown()).describe('Attempts, warnings, usage, trace.'),
  bodies: z.array(z.enum(['request', 'response'])).describe('Which bodies are kept.'),
});

const text = z.string().min(1).max(256).exactOptional();

export const requestRoutes = [
  readRoute({
    path: '/admin/v1/requests',
    summary: 'The request log, newest first; members see their own requests',
    tag: 'requests',
    access: { on: 'anyone' },
    query: z.strictObject({
      ...pageQuery,
      key: text,
      principal: text,
      team: text,
      org: text,
      end_user: text,
      model: text,
      provider: text,
      outcome: text,
      status: queryInt(0, 599).exactOptional(),
      request_id: text,
      since: queryTime.exactOptional(),
      until: queryTime.exactOptional(),
    }),
    answer: { status: 200, schema: pageOf(line) },
    handle: async ({ actor, services, query }) => {
      const { after, limit, since, until, end_user, request_id, ...same } = query;
      const within = requestsSeenBy(actor);
      const where = {
        ...same,
        ...(end_user !== undefined && { endUser: end_user }),
        ...(request_id !== undefined && { requestId: request_id }),
      };
      const { requests, next } = await services.store.usage.requests({
        ...(within !== undefined && { within }),
        where,
        ...(since !== undefined && { sinceMs: since }),
        ...(until !== undefined && { untilMs: until }),
        ...(after !== undefined && { after }),
        limit,
      });
      return { body: { data: requests.map(viewOf), next: next ?? null } };
    },
  }),
  readRoute({
    path: '/admin/v1/requests/{request}',
    summary: 'One line of the request log with all that is known of it',
    tag: 'requests',
    access: { on: 'anyone' },
    params: z.strictObject({ request: pathId }),
    answer: { status: 200, schema: detailed },
    handle: async ({ actor, services, params }) => {
      const found = await services.store.usage.request(params.request, requestsSeenBy(actor));
      if (found === undefined) throw notThere();
      const { detail, bodies } = found;
      return { body: { ...viewOf(found), detail, bodies } };
    },
  }),
];

/** Whose requests somebody sees one by one: his own, and those of the teams and organisations that he leads. Undefined: all. */
function requestsSeenBy(actor: Actor): Visible | undefined {
  if (seesAll(actor)) return undefined;
  return { ...ledBy(actor), principals: actor.kind === 'user' ? [actor.id] : [] };
}

/** To hundredths. */
function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function viewOf(request: RequestLine): z.input<typeof line> {
  const { atMs, requestId, endUser, inputTokens, outputTokens, cacheReadTokens, costNanoUsd, firstByteMs, totalMs, ...same } =
    request;
  return {
    ...same,
    at: isoOf(atMs),
    request_id: requestId,
    end_user: endUser,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cache_read_tokens: cacheReadTokens,
    cost_usd: costNanoUsd === undefined ? undefined : usdOf(costNanoUsd),
    first_byte_ms: firstByteMs === undefined ? undefined : rounded(firstByteMs),
    total_ms: rounded(totalMs),
  };
}
