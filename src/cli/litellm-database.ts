/** The rows of a LiteLLM database that say who may do what; in one transaction that cannot write. */
import { Client } from 'pg';

import type { LitellmRows } from '../control/import/litellm-entities.ts';
import { errorText } from '../runtime/start-error.ts';
import { CommandError } from './command-error.ts';

const TABLES = {
  budgets: 'LiteLLM_BudgetTable',
  orgs: 'LiteLLM_OrganizationTable',
  teams: 'LiteLLM_TeamTable',
  users: 'LiteLLM_UserTable',
  keys: 'LiteLLM_VerificationToken',
  orgMembers: 'LiteLLM_OrganizationMembership',
  teamMembers: 'LiteLLM_TeamMembership',
} as const satisfies Record<keyof LitellmRows, string>;
type TableName = keyof typeof TABLES;
/** Older versions do not have them. */
const OPTIONAL: ReadonlySet<TableName> = new Set<TableName>(['budgets', 'orgs', 'orgMembers', 'teamMembers']);
const TIMEOUT_MS = 60_000;

/** Throws CommandError. `url`: `postgres://…`. */
export async function readLitellmDatabase(url: string): Promise<LitellmRows> {
  const client = clientOf(url);
  try {
    await client.connect();
    await client.query('begin transaction isolation level repeatable read read only');
    const there = await tablesIn(client);
    const names = Object.keys(TABLES) as TableName[];
    const missing = names.filter((name) => !there.has(TABLES[name]) && !OPTIONAL.has(name)).map((name) => TABLES[name]);
    if (missing.length > 0) throw new CommandError(`this is no LiteLLM database: it has no table ${missing.join(', ')}`);
    const rows: Partial<Record<TableName, Record<string, unknown>[]>> = {};
    for (const name of names) rows[name] = there.has(TABLES[name]) ? await rowsOf(client, TABLES[name]) : [];
    return rows as LitellmRows;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`the database cannot be read: ${errorText(error)}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The driver throws for what is no URL. */
function clientOf(url: string): Client {
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new Error('the driver takes a bare word for a host');
    return new Client({ connectionString: url, statement_timeout: TIMEOUT_MS, connectionTimeoutMillis: 10_000 });
  } catch {
    throw new CommandError('--database must be a URL that begins with postgres://, or `env`');
  }
}

async function tablesIn(client: Client): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    'select table_name as name from information_schema.tables where table_schema = current_schema()',
  );
  return new Set(rows.map(({ name }) => name));
}

/** As JSON, in which a timestamp is text: the driver would read one without a zone in this machine's. The name is one of ours. */
async function rowsOf(client: Client, table: string): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<{ row: Record<string, unknown> }>(`select row_to_json(t) as row from "${table}" t`);
  return rows.map(({ row }) => row);
}
