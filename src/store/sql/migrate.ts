/** Brings a database to the present form, at every start. */
import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';

import { StoreError } from '../store.ts';
import { agents } from './migrations/agents.ts';
import { audit } from './migrations/audit.ts';
import { documents } from './migrations/documents.ts';
import { entities } from './migrations/entities.ts';
import { ledger } from './migrations/ledger.ts';
import { people } from './migrations/people.ts';
import { pushes } from './migrations/pushes.ts';
import { usage } from './migrations/usage.ts';

type Up = (db: Kysely<unknown>) => Promise<void>;

/** In this order. What was once released is never changed; a change is a further row. */
const MIGRATIONS: readonly (readonly [name: string, up: Up])[] = [
  ['01-ledger', ledger],
  ['02-usage', usage],
  ['03-entities', entities],
  ['04-documents', documents],
  ['05-audit', audit],
  ['06-people', people],
  ['07-agents', agents],
  ['08-pushes', pushes],
];

/** Answers the names of those that ran now. Each is one transaction; two nodes that start at once wait for each other. */
export async function migrate(db: Kysely<unknown>): Promise<string[]> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(Object.fromEntries(MIGRATIONS.map(([name, up]) => [name, { up }]))) },
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
    allowUnorderedMigrations: true,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error === undefined) return results.map(({ migrationName }) => migrationName);
  const failed = results.find(({ status }) => status === 'Error');
  if (failed !== undefined) throw new StoreError('failed', `migration ${failed.migrationName} failed`, error);
  throw error;
}
