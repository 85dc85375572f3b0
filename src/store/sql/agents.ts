import { type Kysely, type Selectable, sql } from 'kysely';

import type { TaskFilter, TaskPage, TaskRecord } from '../../core/agent.ts';
import { clean } from '../import/owners.ts';
import type { AgentSwitch, AgentsPort, StoredAgent } from '../ports/agents.ts';
import { VALUES, chunksOf } from './chunks.ts';
import { StoreError } from '../store.ts';
import type { Tables } from './tables.ts';
import type { AgentTaskTable } from './tables/agents.ts';

/** Ids of tasks and contexts are their agents' own, or made up by a client: they are looked for as imports have written them. */
export function createAgentsStore(db: Kysely<Tables>): AgentsPort {
  return {
    list: async () => {
      const rows = await db.selectFrom('agents').selectAll().orderBy('name').execute();
      return rows.map(agentOf);
    },
    put: (agent) => put(db, agent),
    remove: async (name) => {
      const { numDeletedRows } = await db.deleteFrom('agents').where('name', '=', name).executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    },
    switches: async () => {
      const rows = await db.selectFrom('agent_switches').selectAll().execute();
      return rows.map(switchOf);
    },
    switch: async ({ agent, enabled, fileSays, atMs, by }) => {
      const row = { enabled: enabled ? 1 : 0, file_says: fileSays ? 1 : 0, at_ms: atMs, by_actor: by };
      await db
        .insertInto('agent_switches')
        .values({ agent, ...row })
        .onConflict((conflict) => conflict.column('agent').doUpdateSet(row))
        .execute();
    },
    forgetSwitch: async (agent) => {
      await db.deleteFrom('agent_switches').where('agent', '=', agent).execute();
    },
    totals: async () => {
      const rows = await db.selectFrom('agent_totals').selectAll().execute();
      return rows.map(({ agent, invocations, nano_usd }) => ({ agent, invocations, nanoUsd: nano_usd }));
    },
    forgetTotals: async (agent) => {
      await db.deleteFrom('agent_totals').where('agent', '=', agent).execute();
    },
    task: async (agent, task) => {
      const row = await db
        .selectFrom('agent_tasks')
        .selectAll()
        .where('agent', '=', agent)
        .where('task', '=', clean(task))
        .executeTakeFirst();
      return row && recordOf(row);
    },
    taskOfContext: async (agent, context) => {
      const row = await db
        .selectFrom('agent_tasks')
        .selectAll()
        .where('agent', '=', agent)
        .where('context', '=', clean(context))
        .orderBy('updated_at_ms', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && recordOf(row);
    },
    tasks: (filter) => tasksOf(db, filter),
    taskCosts: (agent, tasks) => costsOf(db, agent, tasks),
  };
}

function switchOf({ agent, enabled, file_says, at_ms, by_actor }: Selectable<Tables['agent_switches']>): AgentSwitch {
  return { agent, enabled: enabled === 1, fileSays: file_says === 1, atMs: at_ms, by: by_actor };
}

async function put(db: Kysely<Tables>, { name, version, atMs, by, content, sealed }: StoredAgent): Promise<void> {
  const row = { version, at_ms: atMs, by_actor: by, content_json: content, sealed: sealed ?? null };
  if (version === 1) {
    await db
      .insertInto('agents')
      .values({ name, ...row })
      .execute();
    return;
  }
  const { numUpdatedRows } = await db
    .updateTable('agents')
    .set(row)
    .where('name', '=', name)
    .where('version', '=', version - 1)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw new StoreError('conflict', 'the agent has changed in between');
}

async function tasksOf(
  db: Kysely<Tables>,
  { agent, owner, state, sinceMs, context, after, limit }: TaskFilter,
): Promise<TaskPage> {
  let query = db.selectFrom('agent_tasks').selectAll().where('agent', '=', agent);
  if (owner !== undefined) query = query.where('owner', '=', owner);
  if (state !== undefined) query = query.where('state', '=', state);
  if (sinceMs !== undefined) query = query.where('updated_at_ms', '>=', sinceMs);
  if (context !== undefined) query = query.where('context', '=', clean(context));
  const cursor = cursorOf(after);
  if (cursor !== undefined) {
    query = query.where(sql<boolean>`(updated_at_ms, task) < (${cursor.atMs}, ${cursor.task})`);
  }
  const rows = await query
    .orderBy('updated_at_ms', 'desc')
    .orderBy('task', 'desc')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit).map(recordOf);
  const last = page.at(-1);
  return { rows: page, ...(rows.length > limit && last !== undefined && { next: `${last.updatedAtMs}:${last.task}` }) };
}

async function costsOf(db: Kysely<Tables>, agent: string, tasks: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const costs = new Map<string, number>();
  for (const some of chunksOf(tasks, VALUES)) {
    const cleaned = some.map(clean);
    const rows = await db
      .selectFrom('agent_task_costs')
      .select(['task', 'nano_usd'])
      .where('agent', '=', agent)
      .where('task', 'in', cleaned)
      .execute();
    const known = new Map(rows.map((row) => [row.task, row.nano_usd]));
    for (const [index, task] of some.entries()) {
      const nanoUsd = known.get(cleaned[index]!);
      if (nanoUsd !== undefined) costs.set(task, nanoUsd);
    }
  }
  return costs;
}

/** Undefined: it is none of ours, and counts as the first page. */
function cursorOf(after: string | undefined): { atMs: number; task: string } | undefined {
  const [, atMs, task] = /^(\d{1,15}):(.+)$/s.exec(after ?? '') ?? [];
  return atMs === undefined || task === undefined ? undefined : { atMs: Number(atMs), task: clean(task) };
}

function agentOf(row: Selectable<Tables['agents']>): StoredAgent {
  const { name, version, at_ms, by_actor, content_json, sealed } = row;
  return {
    name,
    version,
    atMs: at_ms,
    by: by_actor,
    content: content_json,
    ...(sealed !== null && { sealed }),
  };
}

function recordOf(row: AgentTaskTable): TaskRecord {
  const { context, team, end_user } = row;
  return {
    agent: row.agent,
    task: row.task,
    ...(context !== null && { context }),
    replica: row.replica,
    owner: row.owner,
    ...(team !== null && { team }),
    ...(end_user !== null && { endUser: end_user }),
    state: row.state,
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  };
}
