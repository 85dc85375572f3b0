/** Recorded bodies, opened: only for who manages the whole installation, since they hold whatever people wrote. */
import * as z from 'zod';

import { ADMINS, notThere } from '../contract/access.ts';
import { isoOf, isoTime, pathId } from '../contract/fields.ts';
import { readRoute } from '../contract/route.ts';

const body = z.object({
  part: z.enum(['request', 'response']),
  at: isoTime,
  bytes: z.int().describe('Of the whole body; a record holds its first 256 KiB.'),
  text: z.string().nullable().describe('`null`: it was sealed under a key that is not there any more.'),
});

export const bodyRoutes = [
  readRoute({
    path: '/admin/v1/requests/{request}/bodies',
    summary: 'What was sent and answered, where the key or the model has bodies recorded',
    tag: 'requests',
    access: { on: 'installation', allow: ADMINS },
    params: z.strictObject({ request: pathId }),
    answer: { status: 200, schema: z.object({ data: z.array(body) }) },
    handle: async ({ services, params }) => {
      const [found, bodies] = await Promise.all([
        services.store.usage.request(params.request),
        services.store.usage.bodies(params.request),
      ]);
      if (found === undefined) throw notThere();
      const data = bodies.map(({ part, atMs, bytes, sealed }) => {
        const text = services.openBody({ id: params.request, part }, sealed) ?? null;
        return { part, at: isoOf(atMs), bytes, text };
      });
      return { body: { data } };
    },
  }),
];
