/** Kysely over a pool of PostgreSQL connections. Loaded only where the URL asks for it. */
import { type PostgresPool, type PostgresPoolClient, PostgresDialect } from 'kysely';
import { Pool, types } from 'pg';

export interface PostgresTimes {
  connectMs: number;
  /** Beyond it the server gives a statement up, and a second later we the connection. 0: never (migrations). */
  statementMs: number;
}

const CONNECTIONS = 4;
const IDLE_MS = 30_000;
/** Our patience with a server that does not even say that it gave up. */
const SILENCE_MS = 1_000;

/** Whole numbers below 2^53, as money and times are by construction. */
const TYPES: Pick<typeof types, 'getTypeParser'> = {
  getTypeParser: (oid: Parameters<typeof types.getTypeParser>[0], format?: 'text' | 'binary') =>
    oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format),
};

/** `onLost`: an idle connection broke; the next query makes a new one. */
export function postgresDialect(url: string, times: PostgresTimes, onLost: (error: Error) => void): PostgresDialect {
  const { connectMs, statementMs } = times;
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: IDLE_MS,
    keepAlive: true,
    application_name: 'signalbox',
    types: TYPES,
    ...(statementMs > 0 && { statement_timeout: statementMs, query_timeout: statementMs + SILENCE_MS }),
  });
  pool.on('error', onLost);
  return new PostgresDialect({ pool: withoutBroken(pool) });
}

/**
 * A connection on which a query ran out of time still waits for its answer, and would let the next user wait too: whatever does not carry an SQLSTATE
 * ends the connection.
 */
function withoutBroken(pool: Pool): PostgresPool {
  return {
    options: {},
    end: () => pool.end(),
    connect: async () => {
      const client = await pool.connect();
      let broken: Error | undefined;
      const query = async (text: string, values: readonly unknown[]): Promise<unknown> => {
        if (broken !== undefined) throw broken;
        try {
          return await client.query(text, [...values]);
        } catch (error) {
          if (!hasSqlState(error)) broken = error as Error;
          throw error;
        }
      };
      // Kysely asks for cursors only in streams, which nobody uses here.
      return {
        query: query as PostgresPoolClient['query'],
        release: (destroy) => client.release(destroy === true || broken !== undefined),
      };
    },
  };
}

function hasSqlState(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code));
}
