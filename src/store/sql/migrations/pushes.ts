import type { Kysely } from 'kysely';

export async function pushes(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('agent_pushes')
    .addColumn('push', 'text', (column) => column.primaryKey())
    .addColumn('agent', 'text', (column) => column.notNull())
    .addColumn('task', 'text')
    .addColumn('config_id', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('replica', 'text')
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('team', 'text')
    .addColumn('end_user', 'text')
    .addColumn('sealed', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .execute();
  // Those that have no task yet do not exclude each other: null equals nothing.
  await schema.createIndex('agent_pushes_of_task').on('agent_pushes').columns(['agent', 'task', 'config_id']).unique().execute();
  await schema.createIndex('agent_pushes_old').on('agent_pushes').column('created_at_ms').execute();
  await schema
    .createTable('agent_push_deliveries')
    .addColumn('push', 'text', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('tries', 'integer', (column) => column.notNull())
    .addColumn('due_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('sealed', 'text')
    .addColumn('reason', 'text')
    .addPrimaryKeyConstraint('agent_push_deliveries_pk', ['push', 'digest'])
    .execute();
  await schema.createIndex('agent_push_deliveries_queue').on('agent_push_deliveries').columns(['state', 'push', 'seq']).execute();
}
