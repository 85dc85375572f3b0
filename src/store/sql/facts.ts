/** Carries out what `import/fold.ts` decided: one transaction per batch, the position in it. */
import { type Kysely, type Transaction, sql } from 'kysely';

import type { Fact } from '../../core/fact.ts';
import { foldExpired } from '../import/expire.ts';
import { foldFacts } from '../import/fold.ts';
import type { Folded } from '../import/sums.ts';
import type { FactsPort, ImportBatch, Imported } from '../ports/facts.ts';
import { ROWS, VALUES, chunksOf } from './chunks.ts';
import type { Tables } from './tables.ts';
import { addUsage } from './usage-rollup.ts';

type Tx = Transaction<Tables>;

/** Expired at once: small enough for one short transaction. */
const EXPIRED_AT_ONCE = 200;

/** `durable`: what is committed is on the disk afterwards. */
export function createFactsStore(db: Kysely<Tables>, durable: () => Promise<void>): FactsPort {
  return {
    positions: async (node) => {
      const rows = await db.selectFrom('journal_positions').select(['file', 'position']).where('node', '=', node).execute();
      return Object.fromEntries(rows.map(({ file, position }) => [file, position]));
    },
    import: (batch) => db.transaction().execute((tx) => importBatch(tx, batch)),
    expire: (node, threads) => expire(db, node, threads),
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

async function importBatch(tx: Tx, batch: ImportBatch): Promise<Imported> {
  const { node, file, thread, facts, toByte } = batch;
  if (!(await advance(tx, batch))) return { taken: 0, position: await positionOf(tx, node, file) };
  const folded = foldFacts(facts, { node, thread, ended: await endedOf(tx, facts) });
  await write(tx, folded);
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

async function endedOf(tx: Tx, facts: readonly Fact[]): Promise<Set<string>> {
  const ids = [...new Set(facts.flatMap((fact) => (fact.kind === 'event' || fact.kind === 'body' ? [] : [fact.id])))];
  const ended = new Set<string>();
  for (const some of chunksOf(ids, VALUES)) {
    for (const { id } of await tx.selectFrom('request_log').select('id').where('id', 'in', some).execute()) ended.add(id);
  }
  return ended;
}

async function write(tx: Tx, folded: Folded): Promise<void> {
  for (const rows of chunksOf(folded.log, ROWS)) await tx.insertInto('request_log').values(rows).execute();
  for (const rows of chunksOf(folded.entries, ROWS)) await tx.insertInto('ledger_entries').values(rows).execute();
  for (const ids of chunksOf(folded.ended, VALUES)) {
    await tx.deleteFrom('open_reservations').where('exchange_id', 'in', ids).execute();
  }
  await count(tx, folded);
  await addUsage(tx, folded.usage);
  await reserve(tx, folded);
  for (const rows of chunksOf(folded.bodies, ROWS)) {
    await tx
      .insertInto('recorded_bodies')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

async function count(tx: Tx, { quarters }: Folded): Promise<void> {
  for (const rows of chunksOf(quarters, ROWS)) {
    await tx
      .insertInto('spend_quarters')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .columns(['scope', 'quarter_ms'])
          .doUpdateSet({ nano_usd: sql<number>`spend_quarters.nano_usd + excluded.nano_usd` }),
      )
      .execute();
  }
}

async function reserve(tx: Tx, { opened, checkpoints }: Folded): Promise<void> {
  for (const rows of chunksOf(opened, ROWS)) {
    await tx
      .insertInto('open_reservations')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  for (const { id, attempt, nanoUsd } of checkpoints) {
    await tx
      .updateTable('open_reservations')
      .set({ checkpoint_nano_usd: nanoUsd })
      .where('exchange_id', '=', id)
      .where('attempt', '=', attempt)
      .execute();
  }
}

/** Some at a time; answers how many reservations that were. */
async function expire(db: Kysely<Tables>, node: string, threads: Parameters<FactsPort['expire']>[1]): Promise<number> {
  for (let expired = 0; ;) {
    const taken = await db.transaction().execute((tx) => expireSome(tx, node, threads));
    if (taken === 0) return expired;
    expired += taken;
  }
}

async function expireSome(tx: Tx, node: string, threads: Parameters<FactsPort['expire']>[1]): Promise<number> {
  let open = tx.selectFrom('open_reservations').where('node', '=', node);
  if ('only' in threads) open = open.where('thread', 'in', threads.only);
  else if (threads.except.length > 0) open = open.where('thread', 'not in', threads.except);
  const some = await open.select('exchange_id').distinct().orderBy('exchange_id').limit(EXPIRED_AT_ONCE).execute();
  if (some.length === 0) return 0;
  // All attempts of an exchange end together, else the second one would find it ended.
  const ids = some.map((row) => row.exchange_id);
  const rows = await tx.selectFrom('open_reservations').selectAll().where('exchange_id', 'in', ids).execute();
  await write(tx, foldExpired(rows));
  return rows.length;
}
