/** What runs, and how it does. */
import * as z from 'zod';

import { READERS } from '../contract/access.ts';
import { readRoute } from '../contract/route.ts';

const worker = z.object({
  worker: z.int(),
  generation: z.int().describe('Counts the threads that have run in this place.'),
  serving: z.boolean(),
  inflight: z.int().describe('Exchanges under way.'),
  inflight_bytes: z.int(),
  loop_delay_p99_ms: z.number(),
  heartbeat_age_ms: z.number().describe('Since it last showed that its loop turns.'),
});

const status = z.object({
  version: z.string(),
  uptime_s: z.int(),
  config_file: z.string().nullable(),
  snapshot_hash: z.string(),
  snapshot_version: z.int(),
  workers: z.array(worker),
});

export type ControlStatus = z.output<typeof status>;

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export const statusRoutes = [
  readRoute({
    path: '/metrics',
    summary: 'Metrics of Prometheus',
    tag: 'status',
    access: { on: 'installation', allow: READERS },
    // Scrapers may add what they like; nothing of it is read.
    query: z.looseObject({}),
    answer: { status: 200, schema: z.never(), text: [METRICS_TYPE] },
    handle: async ({ services }) => ({ text: await services.metricsText(), contentType: METRICS_TYPE }),
  }),
  readRoute({
    path: '/admin/v1/status',
    summary: 'Version, configuration in force, workers',
    tag: 'status',
    access: { on: 'installation', allow: READERS },
    answer: { status: 200, schema: status },
    handle: ({ services }) => Promise.resolve({ body: services.status() }),
  }),
];
