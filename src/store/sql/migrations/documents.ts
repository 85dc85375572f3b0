import type { Kysely } from 'kysely';

export async function documents({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('config_versions')
    .addColumn('number', 'bigint', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('by_actor', 'text', (column) => column.notNull())
    .addColumn('note', 'text', (column) => column.notNull())
    .addColumn('content_json', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('credentials')
    .addColumn('provider', 'text', (column) => column.primaryKey())
    .addColumn('bound_to', 'text', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('by_actor', 'text', (column) => column.notNull())
    .execute();
}
