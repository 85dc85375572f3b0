/** What operators are told of, for those who have no webhook. */
import * as z from 'zod';

import type { EventFact } from '../../core/fact.ts';
import { READERS } from '../contract/access.ts';
import { isoOf, isoTime, queryInt } from '../contract/fields.ts';
import { readRoute } from '../contract/route.ts';

const MAX_EVENTS = 1_000;
const DEFAULT_EVENTS = 100;

const event = z.object({
  id: z.string(),
  at: isoTime,
  type: z.string(),
  scope: z.string().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

export const eventRoutes = [
  readRoute({
    path: '/admin/v1/events',
    summary: 'The latest events since the start, newest first, at most a thousand',
    tag: 'events',
    access: { on: 'installation', allow: READERS },
    query: z.strictObject({
      type: z.string().max(64).exactOptional(),
      scope: z.string().max(256).exactOptional(),
      limit: queryInt(1, MAX_EVENTS).default(DEFAULT_EVENTS),
    }),
    answer: { status: 200, schema: z.object({ data: z.array(event) }) },
    handle: ({ query: { type, scope, limit }, services }) => {
      const fits = (each: EventFact): boolean =>
        (type === undefined || each.type === type) && (scope === undefined || each.scope === scope);
      const found = services.recentEvents().filter(fits).slice(0, limit);
      return Promise.resolve({ body: { data: found.map(viewOf) } });
    },
  }),
];

function viewOf({ id, atMs, type, scope, details }: EventFact): z.input<typeof event> {
  return { id, at: isoOf(atMs), type, scope, details };
}
