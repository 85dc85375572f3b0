import type { Kysely } from 'kysely';

export async function entities({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('entities')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('identity', 'text')
    .addColumn('org', 'text')
    .addColumn('team', 'text')
    .addColumn('principal', 'text')
    .addColumn('parent', 'text')
    .addColumn('data', 'text', (column) => column.notNull())
    .execute();
  await schema.createIndex('entities_kind').on('entities').columns(['kind', 'id']).execute();
  await schema.createIndex('entities_identity').on('entities').columns(['kind', 'identity']).unique().execute();
  for (const column of ['org', 'team', 'principal', 'parent']) {
    await schema.createIndex(`entities_${column}`).on('entities').columns([column, 'kind', 'id']).execute();
  }
  await schema
    .createTable('entity_digests')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('entity', 'text', (column) => column.notNull())
    .execute();
  await schema.createIndex('entity_digests_entity').on('entity_digests').column('entity').execute();
  await schema
    .createTable('memberships')
    .addColumn('user_id', 'text', (column) => column.notNull())
    .addColumn('group_id', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('memberships_key', ['user_id', 'group_id'])
    .execute();
  await schema.createIndex('memberships_group').on('memberships').columns(['group_id', 'user_id']).execute();
}
