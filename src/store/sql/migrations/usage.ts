import type { Kysely } from 'kysely';

import { clustered } from './clustered.ts';

const DIMENSIONS = ['key_id', 'principal', 'team', 'org', 'tags', 'model', 'provider'] as const;
const COUNTS = [
  'requests',
  'refused',
  'failed',
  'attempts',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'nano_usd',
  'estimated_nano_usd',
] as const;

export async function usage(db: Kysely<unknown>): Promise<void> {
  await rollUp(db, 'usage_hours', DIMENSIONS);
  await rollUp(db, 'usage_days', DIMENSIONS);
  await rollUp(db, 'end_user_days', [...DIMENSIONS, 'end_user']);
  await db.schema
    .createTable('recorded_bodies')
    .addColumn('exchange_id', 'text', (column) => column.notNull())
    .addColumn('part', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('recorded_bodies_pk', ['exchange_id', 'part'])
    .execute();
  await db.schema.createIndex('recorded_bodies_at').on('recorded_bodies').column('at_ms').execute();
}

async function rollUp(db: Kysely<unknown>, table: string, dimensions: readonly string[]): Promise<void> {
  let create = db.schema.createTable(table).addColumn('at_ms', 'bigint', (column) => column.notNull());
  for (const name of dimensions) create = create.addColumn(name, 'text', (column) => column.notNull());
  for (const name of COUNTS) create = create.addColumn(name, 'bigint', (column) => column.notNull());
  create = create.addColumn('total_ms', 'double precision', (column) => column.notNull());
  const keyed = create.addPrimaryKeyConstraint(`${table}_pk`, ['at_ms', ...dimensions] as never);
  await clustered(db, keyed).execute();
}
