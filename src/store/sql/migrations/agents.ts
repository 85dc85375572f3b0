import type { Kysely } from 'kysely';

export async function agents(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('agents')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('by_actor', 'text', (column) => column.notNull())
    .addColumn('content_json', 'text', (column) => column.notNull())
    .addColumn('sealed', 'text')
    .execute();
  await schema
    .createTable('agent_switches')
    .addColumn('agent', 'text', (column) => column.primaryKey())
    .addColumn('enabled', 'integer', (column) => column.notNull())
    .addColumn('file_says', 'integer', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('by_actor', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('agent_totals')
    .addColumn('agent', 'text', (column) => column.primaryKey())
    .addColumn('invocations', 'bigint', (column) => column.notNull())
    .addColumn('nano_usd', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createTable('agent_tasks')
    .addColumn('agent', 'text', (column) => column.notNull())
    .addColumn('task', 'text', (column) => column.notNull())
    .addColumn('context', 'text')
    .addColumn('replica', 'text', (column) => column.notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('team', 'text')
    .addColumn('end_user', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_tasks_pk', ['agent', 'task'])
    .execute();
  await schema
    .createTable('agent_task_costs')
    .addColumn('agent', 'text', (column) => column.notNull())
    .addColumn('task', 'text', (column) => column.notNull())
    .addColumn('nano_usd', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_task_costs_pk', ['agent', 'task'])
    .execute();
  await schema.createIndex('agent_tasks_context').on('agent_tasks').columns(['agent', 'context', 'updated_at_ms']).execute();
  await schema.createIndex('agent_tasks_latest').on('agent_tasks').columns(['agent', 'updated_at_ms', 'task']).execute();
  await schema.createIndex('agent_tasks_old').on('agent_tasks').column('updated_at_ms').execute();
}
