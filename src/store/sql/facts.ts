/** Carries out what `import/fold.ts` decided: one transaction per batch, the position in it. */
import { type Kysely, type RawBuilder, type Transaction, sql } from 'kysely';

import type { Fact } from '../../core/fact.ts';
import { foldExpired } from '../import/expire.ts';
import { foldFacts } from '../import/fold.ts';
import type { Folded } from '../import/sums.ts';
import type { FactsPort, ImportBatch, Imported } from '../ports/facts.ts';
import { type Bulk, createBulk } from './bulk.ts';
import { VALUES, chunksOf } from './chunks.ts';
import type { Tables } from './tables.ts';
import type { LedgerEntryTable, OpenReservationTable, RequestLogTable, SpendQuarterTable } from './tables/ledger.ts';
import type { AgentTaskCostTable, AgentTaskTable, AgentTotalTable } from './tables/agents.ts';
import type { EndUserUsageTable, RecordedBodyTable } from './tables/usage.ts';
import { createUsageWriter } from './usage-rollup.ts';

type Tx = Transaction<Tables>;

/** Expired at once: small enough for one short transaction. */
const EXPIRED_AT_ONCE = 200;

/** `durable`: what is committed is on the disk afterwards. */
export function createFactsStore(db: Kysely<Tables>, durable: () => Promise<void>): FactsPort {
  const writer = createWriter();
  return {
    positions: async (node) => {
      const rows = await db.selectFrom('journal_positions').select(['file', 'position']).where('node', '=', node).execute();
      return Object.fromEntries(rows.map(({ file, position }) => [file, position]));
    },
    import: (batch) => db.transaction().execute((tx) => importBatch(tx, writer, batch)),
    expire: (node, threads) => expire(() => db.transaction().execute((tx) => expireBatch(tx, writer, { node, threads }))),
    durable,
    forget: async (node, files) => {
      for (const names of chunksOf(files, VALUES)) {
        await db.deleteFrom('journal_positions').where('node', '=', node).where('file', 'in', names).execute();
      }
    },
    probe: async () => {
      await db
        .insertInto('store_marks')
        .values({ name: 'probe', value: 1 })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql<number>`(store_marks.value + 1) % 1000000` }))
        .execute();
    },
  };
}

async function importBatch(tx: Tx, writer: Writer, batch: ImportBatch): Promise<Imported> {
  const { node, file, thread, facts, toByte } = batch;
  if (!(await advance(tx, batch))) return { taken: 0, position: await positionOf(tx, node, file) };
  const folded = foldFacts(facts, { node, thread, ended: await endedOf(tx, facts) });
  await write(tx, writer, folded);
  return { taken: folded.taken, position: toByte };
}

async function positionOf(tx: Tx, node: string, file: string): Promise<number> {
  const row = await tx
    .selectFrom('journal_positions')
    .select('position')
    .where('node', '=', node)
    .where('file', '=', file)
    .executeTakeFirst();
  return row?.position ?? 0;
}

/** First of all, since it also keeps out whoever tries the same batch at the same time. */
async function advance(tx: Tx, { node, file, fromByte, toByte }: ImportBatch): Promise<boolean> {
  if (fromByte === 0) {
    await tx
      .insertInto('journal_positions')
      .values({ node, file, position: 0 })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const moved = await tx
    .updateTable('journal_positions')
    .set({ position: toByte })
    .where('node', '=', node)
    .where('file', '=', file)
    .where('position', '=', fromByte)
    .executeTakeFirstOrThrow();
  return moved.numUpdatedRows === 1n;
}

/** What does not end with an exchange. */
const UNENDING: ReadonlySet<Fact['kind']> = new Set(['event', 'body', 'agent_task']);

async function endedOf(tx: Tx, facts: readonly Fact[]): Promise<Set<string>> {
  const ids = [...new Set(facts.flatMap((fact) => (UNENDING.has(fact.kind) ? [] : [fact.id])))];
  const ended = new Set<string>();
  for (const some of chunksOf(ids, VALUES)) {
    for (const { id } of await tx.selectFrom('request_log').select('id').where('id', 'in', some).execute()) ended.add(id);
  }
  return ended;
}

/** What becomes of a task's row when another one comes: as `merged` in import/agents.ts has it. */
const MERGED_TASK = {
  replica: ofFirst<string>('replica'),
  owner: ofFirst<string>('owner'),
  team: ofFirst<string | null>('team'),
  end_user: ofFirst<string | null>('end_user'),
  created_at_ms: ofFirst<number>('created_at_ms'),
  context: sql<
    string | null
  >`case when ${isLater()} then coalesce(excluded.context, agent_tasks.context) else coalesce(agent_tasks.context, excluded.context) end`,
  state: ofLast<string>('state'),
  updated_at_ms: ofLast<number>('updated_at_ms'),
};

function ofFirst<Value>(column: keyof AgentTaskTable): RawBuilder<Value> {
  const [known, came] = [sql.ref(`agent_tasks.${column}`), sql.ref(`excluded.${column}`)];
  return sql<Value>`case when excluded.created_at_ms < agent_tasks.created_at_ms then ${came} else ${known} end`;
}

function ofLast<Value>(column: keyof AgentTaskTable): RawBuilder<Value> {
  const [known, came] = [sql.ref(`agent_tasks.${column}`), sql.ref(`excluded.${column}`)];
  return sql<Value>`case when ${isLater()} then ${came} else ${known} end`;
}

function isLater(): RawBuilder<boolean> {
  return sql<boolean>`excluded.updated_at_ms >= agent_tasks.updated_at_ms`;
}

interface Writer {
  log: Bulk<RequestLogTable>;
  entries: Bulk<LedgerEntryTable>;
  quarters: Bulk<SpendQuarterTable>;
  opened: Bulk<OpenReservationTable>;
  bodies: Bulk<RecordedBodyTable>;
  agentTotals: Bulk<AgentTotalTable>;
  agentTasks: Bulk<AgentTaskTable>;
  agentTaskCosts: Bulk<AgentTaskCostTable>;
  usage: (tx: Tx, hours: readonly EndUserUsageTable[]) => Promise<void>;
}

function createWriter(): Writer {
  return {
    log: createBulk((tx, rows) => tx.insertInto('request_log').values(rows)),
    entries: createBulk((tx, rows) => tx.insertInto('ledger_entries').values(rows)),
    quarters: createBulk((tx, rows) =>
      tx
        .insertInto('spend_quarters')
        .values(rows)
        .onConflict((conflict) =>
          conflict
            .columns(['scope', 'quarter_ms'])
            .doUpdateSet({ nano_usd: sql<number>`spend_quarters.nano_usd + excluded.nano_usd` }),
        ),
    ),
    opened: createBulk((tx, rows) =>
      tx
        .insertInto('open_reservations')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing()),
    ),
    bodies: createBulk((tx, rows) =>
      tx
        .insertInto('recorded_bodies')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing()),
    ),
    agentTotals: createBulk((tx, rows) =>
      tx
        .insertInto('agent_totals')
        .values(rows)
        .onConflict((conflict) =>
          conflict.column('agent').doUpdateSet({
            invocations: sql<number>`agent_totals.invocations + excluded.invocations`,
            nano_usd: sql<number>`agent_totals.nano_usd + excluded.nano_usd`,
          }),
        ),
    ),
    agentTasks: createBulk((tx, rows) =>
      tx
        .insertInto('agent_tasks')
        .values(rows)
        .onConflict((conflict) => conflict.columns(['agent', 'task']).doUpdateSet(MERGED_TASK)),
    ),
    agentTaskCosts: createBulk((tx, rows) =>
      tx
        .insertInto('agent_task_costs')
        .values(rows)
        .onConflict((conflict) =>
          conflict
            .columns(['agent', 'task'])
            .doUpdateSet({ nano_usd: sql<number>`agent_task_costs.nano_usd + excluded.nano_usd` }),
        ),
    ),
    usage: createUsageWriter(),
  };
}

async function write(tx: Tx, writer: Writer, folded: Folded): Promise<void> {
  await writer.log(tx, folded.log);
  await writer.entries(tx, folded.entries);
  await close(tx, folded.ended);
  await writer.quarters(tx, folded.quarters);
  await writer.usage(tx, folded.usage);
  await writer.opened(tx, folded.opened);
  for (const { id, attempt, nanoUsd } of folded.checkpoints) {
    await tx
      .updateTable('open_reservations')
      .set({ checkpoint_nano_usd: nanoUsd })
      .where('exchange_id', '=', id)
      .where('attempt', '=', attempt)
      .where('checkpoint_nano_usd', '<', nanoUsd)
      .execute();
  }
  await writer.bodies(tx, folded.bodies);
  await writer.agentTotals(tx, folded.agentTotals);
  await writer.agentTasks(tx, folded.agentTasks);
  await writer.agentTaskCosts(tx, folded.agentTaskCosts);
}

/** Few are open across batches: they are looked for first. */
async function close(tx: Tx, ended: readonly string[]): Promise<void> {
  const some = await tx.selectFrom('open_reservations').select('exchange_id').limit(1).executeTakeFirst();
  if (some === undefined) return;
  for (const ids of chunksOf(ended, VALUES)) {
    await tx.deleteFrom('open_reservations').where('exchange_id', 'in', ids).execute();
  }
}

type Threads = Parameters<FactsPort['expire']>[1];

/** Some at a time; answers how many reservations that were. */
async function expire(expireSome: () => Promise<number>): Promise<number> {
  let expired = 0;
  for (let some = await expireSome(); some > 0; some = await expireSome()) expired += some;
  return expired;
}

async function expireBatch(tx: Tx, writer: Writer, { node, threads }: { node: string; threads: Threads }): Promise<number> {
  let open = tx.selectFrom('open_reservations').where('node', '=', node);
  if ('only' in threads) open = open.where('thread', 'in', threads.only);
  else if (threads.except.length > 0) open = open.where('thread', 'not in', threads.except);
  const some = await open.select('exchange_id').distinct().orderBy('exchange_id').limit(EXPIRED_AT_ONCE).execute();
  if (some.length === 0) return 0;
  // All attempts of an exchange end together, else the second one would find it ended.
  const ids = some.map((row) => row.exchange_id);
  const rows = await tx.selectFrom('open_reservations').selectAll().where('exchange_id', 'in', ids).execute();
  await write(tx, writer, foldExpired(rows));
  return rows.length;
}
