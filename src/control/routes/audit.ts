/** The audit log: to read, and to check. */
import * as z from 'zod';

import type { AuditRow } from '../../store/ports/audit.ts';
import { auditKey, proveChain } from '../audit-chain.ts';
import { READERS } from '../contract/access.ts';
import { isoOf, isoTime, pageFrom, pageOf, pageQuery, queryInt, queryTime } from '../contract/fields.ts';
import { readRoute } from '../contract/route.ts';

const entry = z.object({
  seq: z.int(),
  at: isoTime,
  actor: z.string().describe('`root`: the admin key; else a user’s id.'),
  via: z.string().describe('How the actor proved who he is: `admin_key`, `token`, `session`.'),
  action: z.string(),
  outcome: z
    .enum(['begun', 'done', 'failed'])
    .describe('`begun` stands before every action; one without a later row was cut short.'),
  target: z.string().nullable(),
  before: z.unknown().describe('What it was, without secrets.'),
  after: z.unknown(),
  error: z.string().nullable(),
  ip: z.string(),
  request_id: z.string(),
  hash: z.string().describe('HMAC over the hash of the row before and all of this row.'),
});

const proof = z.object({
  intact: z.boolean(),
  rows: z.int(),
  head: z
    .object({ seq: z.int(), hash: z.string() })
    .describe('Keep it elsewhere: it proves later that nothing up to here was taken away.'),
  faults: z.array(
    z.object({
      seq: z.int(),
      fault: z
        .enum(['gap', 'link', 'hash', 'checkpoint'])
        .describe(
          '`gap`: rows before it are missing. `link`: it does not follow the row before it. `hash`: it is not as it was written. `checkpoint`: the log disagrees with the one given.',
        ),
    }),
  ),
});

const text = z.string().min(1).max(256).exactOptional();

export const auditRoutes = [
  readRoute({
    path: '/admin/v1/audit',
    summary: 'Who changed what, newest first',
    tag: 'audit',
    access: { on: 'installation', allow: READERS },
    query: z.strictObject({
      ...pageQuery,
      after: queryInt(1, Number.MAX_SAFE_INTEGER / 10)
        .exactOptional()
        .describe('`next` of the page before.'),
      actor: text,
      action: text,
      target: text,
      outcome: z.enum(['begun', 'done', 'failed']).exactOptional(),
      since: queryTime.exactOptional(),
      until: queryTime.exactOptional(),
    }),
    answer: { status: 200, schema: pageOf(entry) },
    handle: async ({ query: { after, limit, since, until, ...same }, services }) => {
      const rows = await services.store.audit.list({
        ...same,
        beforeSeq: after,
        sinceMs: since,
        untilMs: until,
        limit: limit + 1,
      });
      const { page, next } = pageFrom(rows, limit, ({ seq }) => String(seq));
      return { body: { data: page.map(viewOf), next } };
    },
  }),
  readRoute({
    path: '/admin/v1/audit/verify',
    summary: 'Check the whole log: each row against its hash and the row before it',
    tag: 'audit',
    access: { on: 'installation', allow: READERS },
    query: z.strictObject({
      checkpoint: z
        .string()
        .regex(/^\d{1,15}:[0-9a-f]{64}$/, 'must be `seq:hash`')
        .exactOptional()
        .describe('A head or checkpoint that was kept elsewhere, as `seq:hash`.'),
    }),
    answer: { status: 200, schema: proof },
    handle: async ({ query, services: { store, snapshot } }) => {
      const checkpoints = query.checkpoint === undefined ? [] : [checkpointOf(query.checkpoint)];
      const read = (seq: number, limit: number): Promise<AuditRow[]> => store.audit.after(seq, limit);
      const { rows, head, faults } = await proveChain(auditKey(snapshot().pepper), read, checkpoints);
      return { body: { intact: faults.length === 0, rows, head, faults } };
    },
  }),
];

function checkpointOf(text: string): { seq: number; hash: string } {
  const [seq = '', hash = ''] = text.split(':');
  return { seq: Number(seq), hash };
}

function viewOf({ atMs, requestId, before, after, ...same }: AuditRow): z.input<typeof entry> {
  return { ...same, at: isoOf(atMs), before: parsed(before), after: parsed(after), request_id: requestId };
}

function parsed(json: string | null): unknown {
  return json === null ? null : JSON.parse(json);
}
