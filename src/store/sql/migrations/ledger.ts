import type { Kysely } from 'kysely';

import { clustered } from './clustered.ts';

export async function ledger(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('journal_positions')
    .addColumn('node', 'text', (column) => column.notNull())
    .addColumn('file', 'text', (column) => column.notNull())
    .addColumn('position', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('journal_positions_pk', ['node', 'file'])
    .execute();
  await schema
    .createTable('ledger_entries')
    .addColumn('exchange_id', 'text', (column) => column.notNull())
    .addColumn('attempt', 'integer', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('reserved_nano_usd', 'bigint', (column) => column.notNull())
    .addColumn('nano_usd', 'bigint', (column) => column.notNull())
    .addColumn('estimated', 'integer', (column) => column.notNull())
    .addColumn('target', 'text', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('ledger_entries_pk', ['exchange_id', 'attempt'])
    .execute();
  await schema.createIndex('ledger_entries_at').on('ledger_entries').column('at_ms').execute();
  const quarters = schema
    .createTable('spend_quarters')
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('quarter_ms', 'bigint', (column) => column.notNull())
    .addColumn('nano_usd', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('spend_quarters_pk', ['scope', 'quarter_ms']);
  await clustered(db, quarters).execute();
  await schema.createIndex('spend_quarters_quarter').on('spend_quarters').column('quarter_ms').execute();
  await schema
    .createTable('open_reservations')
    .addColumn('exchange_id', 'text', (column) => column.notNull())
    .addColumn('attempt', 'integer', (column) => column.notNull())
    .addColumn('node', 'text', (column) => column.notNull())
    .addColumn('thread', 'text', (column) => column.notNull())
    .addColumn('floor_nano_usd', 'bigint', (column) => column.notNull())
    .addColumn('checkpoint_nano_usd', 'bigint', (column) => column.notNull())
    .addColumn('fact', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('open_reservations_pk', ['exchange_id', 'attempt'])
    .execute();
  await schema
    .createTable('store_marks')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute();
  await requestLog(db);
}

/** Readers of the log see it through one of these columns, newest first. Indexed by the time and not by the id, which is four times as long. */
const SEEN_BY = ['key_id', 'principal', 'team', 'org', 'model', 'end_user'] as const;

async function requestLog({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('request_log')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('surface', 'text', (column) => column.notNull())
    .addColumn('stream', 'integer', (column) => column.notNull())
    .addColumn('key_id', 'text')
    .addColumn('principal', 'text')
    .addColumn('team', 'text')
    .addColumn('org', 'text')
    .addColumn('end_user', 'text')
    .addColumn('model', 'text')
    .addColumn('provider', 'text')
    .addColumn('target', 'text')
    .addColumn('status', 'integer', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('error', 'text')
    .addColumn('input_tokens', 'bigint')
    .addColumn('output_tokens', 'bigint')
    .addColumn('cache_read_tokens', 'bigint')
    .addColumn('cost_nano_usd', 'bigint')
    .addColumn('estimated', 'integer', (column) => column.notNull())
    .addColumn('first_byte_ms', 'double precision')
    .addColumn('total_ms', 'double precision', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .execute();
  await schema.createIndex('request_log_at').on('request_log').column('at_ms').execute();
  for (const column of SEEN_BY) {
    await schema
      .createIndex(`request_log_${column}`)
      .on('request_log')
      .columns([column, 'at_ms'])
      .where(column as never, 'is not', null)
      .execute();
  }
  await schema
    .createIndex('request_log_troubled')
    .on('request_log')
    .columns(['outcome', 'at_ms'])
    .where('outcome' as never, '<>', 'ok')
    .execute();
}
