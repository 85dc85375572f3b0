import type { Kysely } from 'kysely';

export async function people({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('linked_identities')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.notNull())
    .addColumn('linked_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('linked_identities_pk', ['issuer', 'subject'])
    .execute();
  await schema.createIndex('linked_identities_user').on('linked_identities').column('user_id').execute();
  await schema
    .createTable('console_sessions')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('user_id', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('ends_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('ip', 'text', (column) => column.notNull())
    .addColumn('agent', 'text', (column) => column.notNull())
    .execute();
  await schema.createIndex('console_sessions_user').on('console_sessions').columns(['user_id', 'id']).execute();
  await schema.createIndex('console_sessions_ends').on('console_sessions').column('ends_at_ms').execute();
}
