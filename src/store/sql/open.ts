/** From a URL to a store. */
import { type Dialect, Kysely, sql } from 'kysely';

import type { Store } from '../store.ts';
import { createAgentsStore } from './agents.ts';
import { createAuditStore } from './audit.ts';
import { createEntitiesStore } from './entities.ts';
import { createDocumentsStore } from './documents.ts';
import { asStoreError } from './errors.ts';
import { createFactsStore } from './facts.ts';
import { createLedgerStore } from './ledger.ts';
import { migrate } from './migrate.ts';
import { createPeopleStore } from './people.ts';
import { createPushesStore } from './pushes.ts';
import type { PostgresTimes } from './postgres.ts';
import { sqliteDialect } from './sqlite.ts';
import type { Tables } from './tables.ts';
import { createUsageStore } from './usage.ts';

export interface OpenOptions {
  /** Told of every migration that ran. */
  onMigrated?: (name: string) => void;
  /** A connection broke while nobody used it. */
  onLost?: (error: Error) => void;
}

const CONNECT_MS = 3_000;
const STATEMENT_MS = 5_000;

/**
 * `postgres://…`, or the path of an SQLite file, or `:memory:`. Runs the migrations. Rejects with StoreError `store_down` where the database cannot be reached.
 */
export async function openStore(url: string, options: OpenOptions = {}): Promise<Store> {
  const open = /^postgres(ql)?:\/\//.test(url) ? openPostgres : openSqlite;
  try {
    return await open(url, options);
  } catch (error) {
    throw asStoreError(error);
  }
}

async function openSqlite(path: string, options: OpenOptions): Promise<Store> {
  const db = new Kysely<Tables>({ dialect: sqliteDialect(path) });
  // A checkpoint writes the log of commits to the disk before anything else.
  const durable = async (): Promise<void> => void (await sql`pragma wal_checkpoint(passive)`.execute(db));
  return groups(await migrated(db, options), durable);
}

/** Migrations may take as long as they need: on connections of their own. */
async function openPostgres(url: string, options: OpenOptions): Promise<Store> {
  const { postgresDialect } = await import('./postgres.ts');
  const connect = (times: PostgresTimes): Dialect => postgresDialect(url, times, (error) => options.onLost?.(error));
  const patient = new Kysely<Tables>({ dialect: connect({ connectMs: CONNECT_MS, statementMs: 0 }) });
  await (await migrated(patient, options)).destroy();
  const db = new Kysely<Tables>({ dialect: connect({ connectMs: CONNECT_MS, statementMs: STATEMENT_MS }) });
  // It answers a commit only when the disk has it.
  return groups(db, () => Promise.resolve());
}

async function migrated(db: Kysely<Tables>, { onMigrated }: OpenOptions): Promise<Kysely<Tables>> {
  try {
    for (const name of await migrate(db as unknown as Kysely<unknown>)) onMigrated?.(name);
    return db;
  } catch (error) {
    await db.destroy().catch(() => undefined);
    throw error;
  }
}

function groups(db: Kysely<Tables>, durable: () => Promise<void>): Store {
  return {
    facts: speaking(createFactsStore(db, durable)),
    ledger: speaking(createLedgerStore(db)),
    usage: speaking(createUsageStore(db)),
    entities: speaking(createEntitiesStore(db)),
    documents: speaking(createDocumentsStore(db)),
    audit: speaking(createAuditStore(db)),
    people: speaking(createPeopleStore(db)),
    agents: speaking(createAgentsStore(db)),
    pushes: speaking(createPushesStore(db)),
    close: () => db.destroy(),
  };
}

/** The group, with every rejection a StoreError. */
function speaking<Group extends object>(group: Group): Group {
  const guarded = Object.entries(group as Record<string, (...args: unknown[]) => Promise<unknown>>).map(
    ([name, method]) =>
      [
        name,
        async (...args: unknown[]): Promise<unknown> => {
          try {
            return await method(...args);
          } catch (error) {
            throw asStoreError(error);
          }
        },
      ] as const,
  );
  return Object.fromEntries(guarded) as Group;
}
