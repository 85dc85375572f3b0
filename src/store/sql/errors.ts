/** What a database's complaint means to whoever asked. */
import { StoreError, type StoreErrorCode } from '../store.ts';

/** Primary result codes of SQLite: busy, locked, disk I/O, full, cannot open, read-only, not a database, corrupt. */
const SQLITE_DOWN = new Set([5, 6, 10, 13, 14, 8, 26, 11]);
const SQLITE_CONSTRAINT = 19;
/** SQLSTATE classes: connection, resources, operator's intervention (shutdown, timeout), system; lock not available; deadlock; read-only. */
const POSTGRES_DOWN = /^(08|53|57|58)|^55P03$|^40P01$|^40001$|^25006$|^28|^3D000$/;
const POSTGRES_CONFLICT = /^23/;

/** StoreErrors pass as they are. Messages name the database's code and never its values. */
export function asStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  if (typeof errcode === 'number') return sqliteError(errcode, error);
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return postgresError(code, error);
  if (isConnectionError(error)) return new StoreError('store_down', 'the store cannot be reached', error);
  return new StoreError('failed', 'the store failed', error);
}

/** Too big, a constraint, of another type. */
const SQLITE_CONTENT = new Set([18, 19, 20]);
/** Data, integrity, what a row may hold. */
const POSTGRES_CONTENT = /^(22|23|54)/;

/** Whether it is what was to be written that the store cannot take, so that trying again is no use; not that it cannot write now, or lost a table or a right. */
export function isAboutContent(error: StoreError): boolean {
  const { cause } = error;
  if (cause instanceof RangeError || cause instanceof TypeError) return true;
  const { errcode, code } = (cause ?? {}) as { errcode?: unknown; code?: unknown };
  if (typeof errcode === 'number') return SQLITE_CONTENT.has(errcode & 0xff);
  return typeof code === 'string' && POSTGRES_CONTENT.test(code);
}

/** A statement that took too long, a deadlock, two writes at once, a lock. */
const POSTGRES_PASSING = new Set(['57014', '40P01', '40001', '55P03']);

/** Whether it says something of this one statement, and nothing of the store: others go on. */
export function isPassing({ cause }: StoreError): boolean {
  return POSTGRES_PASSING.has(String((cause as { code?: unknown } | undefined)?.code));
}

function sqliteError(errcode: number, cause: unknown): StoreError {
  // Extended codes carry the primary one in their low byte.
  const primary = errcode & 0xff;
  if (primary === SQLITE_CONSTRAINT) return new StoreError('conflict', 'the store holds something of that identity', cause);
  return coded(SQLITE_DOWN.has(primary) ? 'store_down' : 'failed', `SQLite ${errcode}`, cause);
}

function postgresError(code: string, cause: unknown): StoreError {
  if (POSTGRES_CONFLICT.test(code)) return new StoreError('conflict', 'the store holds something of that identity', cause);
  return coded(POSTGRES_DOWN.test(code) ? 'store_down' : 'failed', `PostgreSQL ${code}`, cause);
}

function coded(code: StoreErrorCode, name: string, cause: unknown): StoreError {
  return new StoreError(
    code,
    code === 'store_down' ? `the store cannot be used now (${name})` : `the store failed (${name})`,
    cause,
  );
}

/** The drivers' own words, where the database said nothing; and what they say of a store that is being closed. */
function isConnectionError(error: unknown): boolean {
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  if (code === 'ERR_INVALID_STATE' || name === 'AbortedTransactionError') return true;
  if (typeof code === 'string' && /^E[A-Z_]+$/.test(code) && !code.startsWith('ERR_')) return true;
  return (
    error instanceof Error &&
    !(error instanceof TypeError) &&
    /timeout|terminated|ended|closed|not queryable|connection|destroyed/i.test(String(message))
  );
}
