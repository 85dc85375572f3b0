import { type Kysely, type Selectable, sql } from 'kysely';

import { clean } from '../import/owners.ts';
import type { DeadFilter, DeadLetter, PushesPort, StoredDelivery, StoredPush } from '../ports/pushes.ts';
import type { Tables } from './tables.ts';
import type { AgentPushTable } from './tables/pushes.ts';

export function createPushesStore(db: Kysely<Tables>): PushesPort {
  return {
    put: (push, most) => db.transaction().execute((tx) => put(tx, push, most)),
    get: async (push) => {
      const row = await db.selectFrom('agent_pushes').selectAll().where('push', '=', push).executeTakeFirst();
      return row && pushOf(row);
    },
    ofTask: async (agent, task) => {
      const rows = await ofTask(db, agent, task).orderBy('created_at_ms').orderBy('config_id').execute();
      return rows.map(pushOf);
    },
    bind: (push, place) => db.transaction().execute((tx) => bind(tx, push, place)),
    remove: (push) => db.transaction().execute((tx) => remove(tx, [push])),
    deliver: (delivery, most) => db.transaction().execute((tx) => deliver(tx, delivery, most)),
    next: async (push) => {
      const row = await waitingOf(db, push).selectAll().orderBy('seq').limit(1).executeTakeFirst();
      if (row === undefined) return undefined;
      const { digest, seq, sealed, tries, due_at_ms } = row;
      return { push, digest, seq, sealed: sealed ?? '', tries, dueAtMs: due_at_ms };
    },
    waiting: () =>
      db
        .selectFrom('agent_push_deliveries as delivery')
        .innerJoin('agent_pushes as known', 'known.push', 'delivery.push')
        .select(['known.push', 'known.owner'])
        .distinct()
        .where('delivery.state', '=', 'waiting')
        .execute(),
    claim: async ({ push, digest, tries }, dueAtMs) => {
      const { numUpdatedRows } = await db
        .updateTable('agent_push_deliveries')
        .set({ tries: tries + 1, due_at_ms: dueAtMs })
        .where('push', '=', push)
        .where('digest', '=', digest)
        .where('state', '=', 'waiting')
        .where('tries', '=', tries)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
    settle: async ({ push, digest }, reason) => {
      await db
        .updateTable('agent_push_deliveries')
        .set({ state: reason === undefined ? 'done' : 'dead', sealed: null, reason: reason ?? null })
        .where('push', '=', push)
        .where('digest', '=', digest)
        .execute();
    },
    dead: (filter) => deadOf(db, filter),
  };
}

function ofTask(db: Kysely<Tables>, agent: string, task: string) {
  return db.selectFrom('agent_pushes').selectAll().where('agent', '=', agent).where('task', '=', clean(task));
}

function waitingOf(db: Kysely<Tables>, push: string) {
  return db.selectFrom('agent_push_deliveries').where('state', '=', 'waiting').where('push', '=', push);
}

async function put(db: Kysely<Tables>, push: StoredPush, most: number): Promise<string | undefined> {
  const row = rowOf(push);
  const others = push.task === undefined ? [] : await ofTask(db, push.agent, push.task).execute();
  const same = others.find(({ config_id }) => config_id === row.config_id);
  if (same !== undefined) {
    const { push: _, created_at_ms: __, ...rest } = row;
    await db.updateTable('agent_pushes').set(rest).where('push', '=', same.push).execute();
    return same.push;
  }
  if (others.length >= most) return undefined;
  await db.insertInto('agent_pushes').values(row).execute();
  return row.push;
}

async function bind(db: Kysely<Tables>, push: string, { replica, task }: { replica?: string; task?: string }): Promise<void> {
  const open = await db.selectFrom('agent_pushes').selectAll().where('push', '=', push).executeTakeFirst();
  if (open === undefined || open.task !== null) return;
  if (task !== undefined) {
    const others = await ofTask(db, open.agent, task).where('config_id', '=', open.config_id).execute();
    await remove(
      db,
      others.map((other) => other.push),
    );
  }
  const known = { ...(replica !== undefined && { replica }), ...(task !== undefined && { task: clean(task) }) };
  await db.updateTable('agent_pushes').set(known).where('push', '=', push).where('task', 'is', null).execute();
}

async function remove(db: Kysely<Tables>, some: readonly string[]): Promise<void> {
  if (some.length === 0) return;
  await db.deleteFrom('agent_push_deliveries').where('push', 'in', some).execute();
  await db.deleteFrom('agent_pushes').where('push', 'in', some).execute();
}

async function deliver(
  db: Kysely<Tables>,
  { push, digest, seq, sealed }: Omit<StoredDelivery, 'tries' | 'dueAtMs'>,
  most: number,
): Promise<'taken' | 'known' | 'full' | 'gone'> {
  const there = await db.selectFrom('agent_pushes').select('push').where('push', '=', push).executeTakeFirst();
  if (there === undefined) return 'gone';
  const { count } = await waitingOf(db, push)
    .select(sql<number>`count(*)`.as('count'))
    .executeTakeFirstOrThrow();
  const isKnown = db.selectFrom('agent_push_deliveries').select('push').where('push', '=', push).where('digest', '=', digest);
  if ((await isKnown.executeTakeFirst()) !== undefined) return 'known';
  if (count >= most) return 'full';
  await db
    .insertInto('agent_push_deliveries')
    .values({ push, digest, seq, state: 'waiting', tries: 0, due_at_ms: 0, sealed, reason: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return 'taken';
}

async function deadOf(db: Kysely<Tables>, { agent, before, limit }: DeadFilter): Promise<DeadLetter[]> {
  let query = db
    .selectFrom('agent_push_deliveries as letter')
    .innerJoin('agent_pushes as known', 'known.push', 'letter.push')
    .select(['known.agent', 'known.push', 'known.task', 'known.owner', 'letter.seq', 'letter.tries', 'letter.reason'])
    .where('letter.state', '=', 'dead')
    .where('known.agent', '=', agent);
  if (before !== undefined) query = query.where('letter.seq', '<', before);
  const rows = await query.orderBy('letter.seq', 'desc').limit(limit).execute();
  return rows.map(({ agent, push, task, owner, seq, tries, reason }) => ({
    agent,
    push,
    task: task ?? undefined,
    owner,
    seq,
    tries,
    reason: reason ?? '',
  }));
}

function rowOf({ push, agent, task, configId, version, replica, owner, team, endUser, sealed, createdAtMs }: StoredPush) {
  return {
    push,
    agent,
    task: task === undefined ? null : clean(task),
    config_id: clean(configId),
    version,
    replica: replica ?? null,
    owner: clean(owner),
    team: team ?? null,
    end_user: endUser === undefined ? null : clean(endUser),
    sealed,
    created_at_ms: Math.floor(createdAtMs),
  } satisfies AgentPushTable;
}

function pushOf(row: Selectable<AgentPushTable>): StoredPush {
  return {
    push: row.push,
    agent: row.agent,
    ...(row.task !== null && { task: row.task }),
    configId: row.config_id,
    version: row.version as StoredPush['version'],
    ...(row.replica !== null && { replica: row.replica }),
    owner: row.owner,
    ...(row.team !== null && { team: row.team }),
    ...(row.end_user !== null && { endUser: row.end_user }),
    sealed: row.sealed,
    createdAtMs: row.created_at_ms,
  };
}
