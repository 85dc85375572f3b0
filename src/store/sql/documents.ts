import type { Kysely, Selectable } from 'kysely';

import type { DocumentVersion, DocumentsPort, SealedCredential } from '../ports/documents.ts';
import { StoreError } from '../store.ts';
import type { Tables } from './tables.ts';

/** So many versions back can be read and rolled back to. */
const KEPT_VERSIONS = 1_000;

export function createDocumentsStore(db: Kysely<Tables>): DocumentsPort {
  return {
    head: async () => {
      const row = await db.selectFrom('config_versions').selectAll().orderBy('number', 'desc').limit(1).executeTakeFirst();
      return row && versionOf(row);
    },
    get: async (number) => {
      const row = await db.selectFrom('config_versions').selectAll().where('number', '=', number).executeTakeFirst();
      return row && versionOf(row);
    },
    list: async ({ before, limit }) => {
      let query = db.selectFrom('config_versions').select(['number', 'at_ms', 'by_actor', 'note']);
      if (before !== undefined) query = query.where('number', '<', before);
      const rows = await query.orderBy('number', 'desc').limit(limit).execute();
      return rows.map(({ number, at_ms, by_actor, note }) => ({ number, atMs: at_ms, by: by_actor, note }));
    },
    append: ({ number, atMs, by, note, content }, dropCredentials) =>
      db.transaction().execute(async (within) => {
        const row = { number, at_ms: atMs, by_actor: by, note, content_json: content };
        await within.insertInto('config_versions').values(row).execute();
        await within
          .deleteFrom('config_versions')
          .where('number', '<=', number - KEPT_VERSIONS)
          .execute();
        for (const provider of dropCredentials) {
          await within.deleteFrom('credentials').where('provider', '=', provider).execute();
        }
      }),
    credentials: async () => {
      const rows = await db.selectFrom('credentials').selectAll().orderBy('provider').execute();
      return rows.map(credentialOf);
    },
    putCredential: async ({ provider, boundTo, sealed, atMs, by }) => {
      const row = { bound_to: boundTo, sealed, at_ms: atMs, by_actor: by };
      await db
        .insertInto('credentials')
        .values({ provider, ...row })
        .onConflict((conflict) => conflict.column('provider').doUpdateSet(row))
        .execute();
    },
    removeCredential: async (provider) => {
      const { numDeletedRows } = await db.deleteFrom('credentials').where('provider', '=', provider).executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    },
    reseal: (changes) =>
      db.transaction().execute(async (within) => {
        for (const { provider, before, sealed } of changes) {
          const { numUpdatedRows } = await within
            .updateTable('credentials')
            .set({ sealed })
            .where('provider', '=', provider)
            .where('sealed', '=', before)
            .executeTakeFirstOrThrow();
          if (numUpdatedRows !== 1n) throw new StoreError('conflict', 'a credential was changed in between');
        }
      }),
  };
}

function versionOf({ number, at_ms, by_actor, note, content_json }: Selectable<Tables['config_versions']>): DocumentVersion {
  return { number, atMs: at_ms, by: by_actor, note, content: content_json };
}

function credentialOf({ provider, bound_to, sealed, at_ms, by_actor }: Selectable<Tables['credentials']>): SealedCredential {
  return { provider, boundTo: bound_to, sealed, atMs: at_ms, by: by_actor };
}
