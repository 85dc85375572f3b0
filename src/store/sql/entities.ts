import { type ExpressionBuilder, type Kysely, type SqlBool, type Transaction, sql } from 'kysely';

import { keyIdentity } from '../../core/directory.ts';
import type {
  AnyEntity,
  EntitiesPort,
  Entities,
  EntityChanges,
  EntityKind,
  EntityQuery,
  Key,
  Membership,
  Token,
  User,
} from '../ports/entities.ts';
import { VALUES, chunksOf } from './chunks.ts';
import type { Tables } from './tables.ts';
import type { EntityTable } from './tables/entities.ts';

export function createEntitiesStore(db: Kysely<Tables>): EntitiesPort {
  return {
    get: async <Kind extends EntityKind>(kind: Kind, id: string) => {
      const row = await db.selectFrom('entities').select('data').where('id', '=', id).where('kind', '=', kind).executeTakeFirst();
      return row && (JSON.parse(row.data) as Entities[Kind]);
    },
    list: async <Kind extends EntityKind>(kind: Kind, query: EntityQuery) => {
      const rows = await db
        .selectFrom('entities')
        .select('data')
        .where('kind', '=', kind)
        .where((eb) => eb.and(conditions(eb, query)))
        .orderBy('id')
        .limit(query.limit)
        .execute();
      return rows.map(({ data }) => JSON.parse(data) as Entities[Kind]);
    },
    pageOf: async (kind, { afterId = '', limit }) => {
      const rows = await db
        .selectFrom('entities')
        .select('data')
        .where('kind', '=', kind)
        .where('id', '>', afterId)
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(({ data }) => data);
    },
    byDigest: async (digest) => {
      const row = await db
        .selectFrom('entity_digests')
        .innerJoin('entities', 'entities.id', 'entity_digests.entity')
        .select('data')
        .where('digest', '=', digest)
        .executeTakeFirst();
      return row && (JSON.parse(row.data) as Key | Token);
    },
    userByEmail: async (email) => {
      const row = await db
        .selectFrom('entities')
        .select('data')
        .where('kind', '=', 'user')
        .where('identity', '=', email.toLowerCase())
        .executeTakeFirst();
      return row && (JSON.parse(row.data) as User);
    },
    write: (changes) => db.transaction().execute((transaction) => write(transaction, changes)),
    membersOf: async (group) => {
      const rows = await db.selectFrom('memberships').selectAll().where('group_id', '=', group).orderBy('user_id').execute();
      return rows.map(membershipOf);
    },
    membershipsOf: (users) => membershipsOf(db, users),
  };
}

async function membershipsOf(db: Kysely<Tables>, users: readonly string[]): Promise<Membership[]> {
  const found: Membership[] = [];
  for (const some of chunksOf(users, VALUES)) {
    const rows = await db.selectFrom('memberships').selectAll().where('user_id', 'in', some).execute();
    found.push(...rows.map(membershipOf));
  }
  return found;
}

type Builder = ExpressionBuilder<Tables, 'entities'>;

function conditions(eb: Builder, { afterId, search, within, org, team, principal, parent }: EntityQuery) {
  const equal = Object.entries({ org, team, principal, parent }).flatMap(([column, value]) =>
    value === undefined ? [] : [eb(column as 'org', '=', value)],
  );
  return [
    ...equal,
    ...(afterId === undefined ? [] : [eb('id', '>', afterId)]),
    ...(search === undefined ? [] : [sql<SqlBool>`${eb.ref('name')} like ${containing(search)} escape '\\'`]),
    ...(within === undefined ? [] : [eb.or(places(eb, within))]),
  ];
}

/** Every row lies in itself, so that organisations and teams are found by the same columns as what is in them. */
function places(eb: Builder, { orgs, teams, principals }: NonNullable<EntityQuery['within']>) {
  const groups = [...orgs, ...teams];
  return [
    ...(orgs.length === 0 ? [] : [eb('org', 'in', orgs)]),
    ...(teams.length === 0 ? [] : [eb('team', 'in', teams)]),
    ...(principals.length === 0 ? [] : [eb('principal', 'in', principals)]),
    ...(groups.length === 0
      ? []
      : [eb('id', 'in', eb.selectFrom('memberships').select('user_id').where('group_id', 'in', groups))]),
  ];
}

/** `%`, `_` and the sign that escapes them stand for themselves. */
function containing(text: string): string {
  return `%${text.toLowerCase().replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
}

async function write(
  db: Transaction<Tables>,
  { put = [], remove = [], members = [], leavers = [] }: EntityChanges,
): Promise<void> {
  for (const { id } of remove) {
    await db.deleteFrom('entities').where('id', '=', id).execute();
    await db.deleteFrom('entity_digests').where('entity', '=', id).execute();
    await db
      .deleteFrom('memberships')
      .where((eb) => eb.or([eb('user_id', '=', id), eb('group_id', '=', id)]))
      .execute();
  }
  for (const entity of put) await putEntity(db, entity);
  for (const { user, group } of leavers) {
    await db.deleteFrom('memberships').where('user_id', '=', user).where('group_id', '=', group).execute();
  }
  for (const { user, group, role } of members) {
    await db
      .insertInto('memberships')
      .values({ user_id: user, group_id: group, role })
      .onConflict((conflict) => conflict.columns(['user_id', 'group_id']).doUpdateSet({ role }))
      .execute();
  }
}

async function putEntity(db: Transaction<Tables>, entity: AnyEntity): Promise<void> {
  const row = toRow(entity);
  const { id: _, ...rest } = row;
  await db
    .insertInto('entities')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(rest))
    .execute();
  const digests = digestsOf(entity);
  if (digests === undefined) return;
  await db.deleteFrom('entity_digests').where('entity', '=', entity.id).execute();
  for (const digest of digests) await db.insertInto('entity_digests').values({ digest, entity: entity.id }).execute();
}

function digestsOf(entity: AnyEntity): string[] | undefined {
  if (entity.kind === 'key') return entity.digests.map(({ digest }) => digest);
  return entity.kind === 'token' ? [entity.digest] : undefined;
}

function toRow(entity: AnyEntity): EntityTable {
  const { org, team, principal, parent } = entity as Partial<Pick<Key, 'org' | 'team' | 'principal' | 'parent'>>;
  return {
    id: entity.id,
    kind: entity.kind,
    name: entity.name.toLowerCase(),
    identity: IDENTITIES[entity.kind](entity as never),
    org: (entity.kind === 'org' ? entity.id : org) ?? null,
    team: (entity.kind === 'team' ? entity.id : team) ?? null,
    principal: (entity.kind === 'user' || entity.kind === 'service' ? entity.id : principal) ?? null,
    parent: parent ?? null,
    data: JSON.stringify(entity),
  };
}

const IDENTITIES: { [Kind in EntityKind]: (entity: Entities[Kind]) => string | null } = {
  org: ({ name }) => name,
  team: ({ org = '', name }) => `${org}/${name}`,
  user: ({ email }) => email?.toLowerCase() ?? null,
  service: ({ team = '', name }) => `${team}/${name}`,
  key: keyIdentity,
  token: () => null,
};

function membershipOf({ user_id, group_id, role }: Tables['memberships']): Membership {
  return { user: user_id, group: group_id, role: role as Membership['role'] };
}
