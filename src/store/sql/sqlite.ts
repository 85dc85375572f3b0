/** Kysely over the SQLite that Node brings: one connection, write-ahead log. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { SqliteAdapter, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';

import { createLru } from '../../lib/lru.ts';

/** How long a statement waits for a lock that another process holds; the store's thread stands still meanwhile. */
const BUSY_MS = 1_000;
/** Compiled statements that are kept; our own are some hundred. */
const KEPT_STATEMENTS = 500;

/**
 * What was committed survives the end of the process; a loss of power may cost the last commits, until `wal_checkpoint`. A checkpoint every 40 MiB instead of
 * every 4 halves the time of an import, since pages change many times in between.
 */
const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = NORMAL',
  'wal_autocheckpoint = 10000',
  'foreign_keys = ON',
  'temp_store = MEMORY',
  'cache_size = -65536',
];

/** `path`: a file, or `:memory:`. */
export function sqliteDialect(path: string): SqliteDialect {
  return new TransactionalSqlite({ database: () => Promise.resolve(open(path)) });
}

function open(path: string): SqliteDatabase {
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  for (const pragma of PRAGMAS) db.exec(`PRAGMA ${pragma}`);
  const statements = createLru<string, SqliteStatement>(KEPT_STATEMENTS);
  return {
    close: () => db.close(),
    prepare: (sql) => {
      const known = statements.get(sql);
      if (known !== undefined) return known;
      const statement = asKyselyWants(db.prepare(sql));
      statements.set(sql, statement);
      return statement;
    },
  };
}

function asKyselyWants(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
    run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  };
}

/** SQLite rolls changes of the schema back like any other; a migration cut short leaves nothing behind. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class TransactionalSqlite extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}
