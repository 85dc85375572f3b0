import type { Kysely, Selectable } from 'kysely';

import type { AuditPort, AuditRow } from '../ports/audit.ts';
import type { Tables } from './tables.ts';

export function createAuditStore(db: Kysely<Tables>): AuditPort {
  return {
    head: async () => {
      const row = await db.selectFrom('audit_log').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst();
      return row ?? { seq: 0, hash: '' };
    },
    append: async (row) => {
      await db.insertInto('audit_log').values(toTable(row)).execute();
    },
    list: async ({ actor, action, target, outcome, sinceMs, untilMs, beforeSeq, limit }) => {
      let query = db.selectFrom('audit_log').selectAll().orderBy('seq', 'desc').limit(limit);
      for (const [column, value] of Object.entries({ actor, action, target, outcome })) {
        if (value !== undefined) query = query.where(column as 'actor', '=', value);
      }
      if (sinceMs !== undefined) query = query.where('at_ms', '>=', sinceMs);
      if (untilMs !== undefined) query = query.where('at_ms', '<', untilMs);
      if (beforeSeq !== undefined) query = query.where('seq', '<', beforeSeq);
      return (await query.execute()).map(fromTable);
    },
    after: async (seq, limit) => {
      const rows = await db.selectFrom('audit_log').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit).execute();
      return rows.map(fromTable);
    },
  };
}

type Row = Selectable<Tables['audit_log']>;

function toTable({ atMs, before, after, requestId, ...same }: AuditRow): Row {
  return { ...same, at_ms: atMs, before_json: before, after_json: after, request_id: requestId };
}

function fromTable({ at_ms, before_json, after_json, request_id, ...same }: Row): AuditRow {
  return { ...same, atMs: at_ms, before: before_json, after: after_json, requestId: request_id };
}
