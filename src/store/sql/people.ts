import type { Kysely, Selectable } from 'kysely';

import type { ConsoleSession, PeoplePort } from '../ports/people.ts';
import type { Tables } from './tables.ts';

export function createPeopleStore(db: Kysely<Tables>): PeoplePort {
  return { ...identities(db), ...sessions(db) };
}

function identities(db: Kysely<Tables>): Pick<PeoplePort, 'identity' | 'identitiesOf' | 'link'> {
  return {
    identity: async (issuer, subject) => {
      const row = await db
        .selectFrom('linked_identities')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .executeTakeFirst();
      return row && { issuer, subject, user: row.user_id, linkedAtMs: row.linked_at_ms };
    },
    identitiesOf: async (user) => {
      const rows = await db.selectFrom('linked_identities').selectAll().where('user_id', '=', user).execute();
      return rows.map(({ issuer, subject, linked_at_ms }) => ({ issuer, subject, user, linkedAtMs: linked_at_ms }));
    },
    link: ({ issuer, subject, user, linkedAtMs }, instead) =>
      db.transaction().execute(async (transaction) => {
        if (instead !== undefined) {
          await transaction
            .deleteFrom('linked_identities')
            .where('issuer', '=', issuer)
            .where('subject', '=', subject)
            .where('user_id', '=', instead)
            .execute();
        }
        const row = { issuer, subject, user_id: user, linked_at_ms: linkedAtMs };
        await transaction.insertInto('linked_identities').values(row).execute();
      }),
  };
}

function sessions(db: Kysely<Tables>): Omit<PeoplePort, 'identity' | 'identitiesOf' | 'link'> {
  return {
    openSession: async (session, digest) => {
      await db.insertInto('console_sessions').values(toRow(session, digest)).execute();
    },
    session: async (digest) => {
      const row = await db.selectFrom('console_sessions').selectAll().where('digest', '=', digest).executeTakeFirst();
      return row && fromRow(row);
    },
    sessionOf: async (id) => {
      const row = await db.selectFrom('console_sessions').selectAll().where('id', '=', id).executeTakeFirst();
      return row && fromRow(row);
    },
    seen: async (digest, atMs) => {
      await db.updateTable('console_sessions').set({ seen_at_ms: atMs }).where('digest', '=', digest).execute();
    },
    sessions: async ({ user, nowMs, seenAfterMs, afterId, limit }) => {
      let query = db
        .selectFrom('console_sessions')
        .selectAll()
        .where('ends_at_ms', '>', nowMs)
        .where('seen_at_ms', '>', seenAfterMs)
        .orderBy('id')
        .limit(limit);
      if (user !== undefined) query = query.where('user_id', '=', user);
      if (afterId !== undefined) query = query.where('id', '>', afterId);
      return (await query.execute()).map(fromRow);
    },
    endSession: async (id) => {
      await db.deleteFrom('console_sessions').where('id', '=', id).execute();
    },
    forgetSessions: async (which) => {
      const gone = db.deleteFrom('console_sessions');
      if ('user' in which) await gone.where('user_id', '=', which.user).execute();
      else {
        await gone
          .where((eb) => eb.or([eb('ends_at_ms', '<', which.endedBeforeMs), eb('seen_at_ms', '<', which.seenBeforeMs)]))
          .execute();
      }
    },
  };
}

type Row = Selectable<Tables['console_sessions']>;

function toRow({ user, createdAtMs, seenAtMs, endsAtMs, ...same }: ConsoleSession, digest: string): Row {
  return { ...same, digest, user_id: user, created_at_ms: createdAtMs, seen_at_ms: seenAtMs, ends_at_ms: endsAtMs };
}

function fromRow({ digest: _digest, user_id, created_at_ms, seen_at_ms, ends_at_ms, ...same }: Row): ConsoleSession {
  return { ...same, user: user_id, createdAtMs: created_at_ms, seenAtMs: seen_at_ms, endsAtMs: ends_at_ms };
}
