/** Gives up what has been kept long enough: small batches, so that imports and questions come between them. */
import { type Kysely, sql } from 'kysely';

import { QUARTER_MS } from '../import/sums.ts';
import type { Retention } from '../ports/usage.ts';
import { LEDGER_SINCE } from './ledger.ts';
import type { Tables } from './tables.ts';

const DAY_MS = 86_400_000;
const BATCH = 500;
const AT_MOST_MS = 20_000;

/** One batch of something: how many rows went. */
type Forget = () => Promise<number>;

export async function retain(db: Kysely<Tables>, retention: Retention, nowMs: number): Promise<number> {
  const before = (days: number): number => nowMs - days * DAY_MS;
  const ledgerMs = before(retention.ledgerDays);
  const untilMs = performance.now() + AT_MOST_MS;
  await moveLedgerMark(db, ledgerMs - (ledgerMs % DAY_MS));
  const kinds: Forget[] = [
    () => forgetRows(db, { table: 'request_log', by: 'id', beforeMs: before(retention.requestsDays) }),
    () => forgetRows(db, { table: 'recorded_bodies', by: 'exchange_id', beforeMs: before(retention.bodiesDays) }),
    () => forgetRows(db, { table: 'ledger_entries', by: 'exchange_id', beforeMs: ledgerMs - (ledgerMs % DAY_MS) }),
    () => forgetBuckets(db, { table: 'usage_hours', by: 'key_id', beforeMs: before(retention.hoursDays) }),
    () => forgetBuckets(db, { table: 'usage_days', by: 'key_id', beforeMs: before(retention.daysDays) }),
    () => forgetBuckets(db, { table: 'end_user_days', by: 'end_user', beforeMs: before(retention.daysDays) }),
    () => forgetTasks(db, nowMs),
    () => forgetPushes(db, nowMs),
    () => forgetArrived(db, nowMs),
    () => foldQuarters(db),
  ];
  let forgotten = 0;
  for (const forget of kinds) {
    for (let rows = await forget(); rows > 0 && performance.now() < untilMs; rows = await forget()) forgotten += rows;
  }
  return forgotten;
}

/** Tasks can be asked for so long after their end; what never ended counts as abandoned after ten times that. */
const TASK_MS = DAY_MS;
const ABANDONED_MS = 10 * TASK_MS;
const ENDED = ['completed', 'failed', 'canceled', 'rejected', 'message'];

/** In the order of their index: in that of their names every task would be looked at for each batch. */
async function forgetTasks(db: Kysely<Tables>, nowMs: number): Promise<number> {
  const some = await db
    .selectFrom('agent_tasks')
    .select(['agent', 'task', 'updated_at_ms'])
    .where('updated_at_ms', '<', nowMs - TASK_MS)
    .where((eb) => eb.or([eb('state', 'in', ENDED), eb('updated_at_ms', '<', nowMs - ABANDONED_MS)]))
    .orderBy('updated_at_ms')
    .limit(BATCH)
    .execute();
  for (const { agent, task, updated_at_ms } of some) {
    const known = db.deleteFrom('agent_tasks').where('agent', '=', agent).where('task', '=', task);
    // An import may have moved it on in between.
    const { numDeletedRows } = await known.where('updated_at_ms', '=', updated_at_ms).executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) continue;
    await db.deleteFrom('agent_task_costs').where('agent', '=', agent).where('task', '=', task).execute();
  }
  return some.length;
}

/** Of tasks that are forgotten, and those that no task came of. The task of a younger one may still be on its way here. */
async function forgetPushes(db: Kysely<Tables>, nowMs: number): Promise<number> {
  const some = await db
    .selectFrom('agent_pushes')
    .select('push')
    .where('created_at_ms', '<', nowMs - TASK_MS)
    .where((eb) => {
      const its = eb.selectFrom('agent_tasks').select('agent_tasks.task');
      return eb.not(
        eb.exists(
          its.whereRef('agent_tasks.agent', '=', 'agent_pushes.agent').whereRef('agent_tasks.task', '=', 'agent_pushes.task'),
        ),
      );
    })
    .limit(BATCH)
    .execute();
  const pushes = some.map(({ push }) => push);
  if (pushes.length === 0) return 0;
  await db.deleteFrom('agent_push_deliveries').where('push', 'in', pushes).execute();
  await db.deleteFrom('agent_pushes').where('push', 'in', pushes).execute();
  return pushes.length;
}

/** Known for so long, so that an agent that says it again tells nobody twice. */
async function forgetArrived(db: Kysely<Tables>, nowMs: number): Promise<number> {
  const old = db
    .selectFrom('agent_push_deliveries')
    .select(['push', 'digest'])
    .where('state', '=', 'done')
    .where('seq', '<', (nowMs - TASK_MS) * 1_000)
    .limit(BATCH);
  const { numAffectedRows = 0n } = await sql`delete from agent_push_deliveries where (push, digest) in (${old})`.execute(db);
  return Number(numAffectedRows);
}

async function forgetRows(db: Kysely<Tables>, { table, by, beforeMs }: Old): Promise<number> {
  const [name, part] = [sql.table(table), sql.ref(by)];
  const some = sql`select ${part} from ${name} where at_ms < ${beforeMs} order by at_ms limit ${BATCH}`;
  const { numAffectedRows = 0n } = await sql`delete from ${name} where at_ms < ${beforeMs} and ${part} in (${some})`.execute(db);
  return Number(numAffectedRows);
}

interface Old {
  table: string;
  /** Of what a batch takes so many. */
  by: string;
  beforeMs: number;
}

async function forgetBuckets(db: Kysely<Tables>, { table, by, beforeMs }: Old): Promise<number> {
  const [name, part] = [sql.table(table), sql.ref(by)];
  const oldest = sql`(select min(at_ms) from ${name} where at_ms < ${beforeMs})`;
  const some = sql`select distinct ${part} from ${name} where at_ms = ${oldest} limit ${BATCH}`;
  const { numAffectedRows = 0n } = await sql`delete from ${name} where at_ms = ${oldest} and ${part} in (${some})`.execute(db);
  return Number(numAffectedRows);
}

/** From here on nothing older is proven. First of all, so that no proof meets half of what follows. */
async function moveLedgerMark(db: Kysely<Tables>, sinceMs: number): Promise<void> {
  await db
    .insertInto('store_marks')
    .values({ name: LEDGER_SINCE, value: sinceMs })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sinceMs }).where('store_marks.value', '<', sinceMs))
    .execute();
}

/**
 * Counters before the mark become part of quarter 0, which only sums without a beginning include. What is moved is what the deletion took: another installation on
 * the same store may do this at the same time, or an import still add to a counter. All in one order, so that they wait for each other at the first row.
 */
function foldQuarters(db: Kysely<Tables>): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const sinceMs = await ledgerMark(tx);
    const old = await tx
      .selectFrom('spend_quarters')
      .select(['scope', 'quarter_ms'])
      .where('quarter_ms', '>=', QUARTER_MS)
      .where('quarter_ms', '<', sinceMs)
      .orderBy('quarter_ms')
      .orderBy('scope')
      .limit(BATCH)
      .execute();
    for (const { scope, quarter_ms } of old) {
      const taken = await tx
        .deleteFrom('spend_quarters')
        .where('scope', '=', scope)
        .where('quarter_ms', '=', quarter_ms)
        .returning('nano_usd')
        .executeTakeFirst();
      if (taken === undefined) continue;
      await tx
        .insertInto('spend_quarters')
        .values({ scope, quarter_ms: 0, nano_usd: taken.nano_usd })
        .onConflict((conflict) =>
          conflict
            .columns(['scope', 'quarter_ms'])
            .doUpdateSet({ nano_usd: sql<number>`spend_quarters.nano_usd + excluded.nano_usd` }),
        )
        .execute();
    }
    return old.length;
  });
}

async function ledgerMark(db: Kysely<Tables>): Promise<number> {
  const mark = await db.selectFrom('store_marks').select('value').where('name', '=', LEDGER_SINCE).executeTakeFirst();
  return mark?.value ?? 0;
}
