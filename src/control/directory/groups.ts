/** Organisations, teams, users and service accounts: made, changed and removed alike, but for what each is bound to. */
import type { Budget, Limits } from '../../core/rules.ts';
import type { EntityKind, EntityQuery, Org, ServiceAccount, Team, User } from '../../store/ports/entities.ts';
import { type Patch, conflict, named, patched, require } from './change.ts';
import { type Ruled, given } from './entries.ts';
import { allOf, withDescendants } from './family.ts';
import type { DirectoryParts, Written } from './parts.ts';
import type { Writer } from './writer.ts';

/** What all of them may be given. Absent grants: no restriction of its own; empty: nothing. */
export interface GroupFields {
  name: string;
  blocked?: boolean;
  models?: readonly string[];
  agents?: readonly string[];
  limits?: Limits;
  budgets?: readonly Budget[];
  metadata?: Readonly<Record<string, string>>;
}

export interface UserFields extends GroupFields {
  email?: string;
  role?: User['role'];
}

/** What they are bound to is chosen once. */
export interface OrgInput extends GroupFields {}
export interface TeamInput extends GroupFields {
  org?: string;
}
export interface UserInput extends UserFields {}
export interface ServiceAccountInput extends GroupFields {
  team?: string;
}

export interface GroupOf<Entity, Input, Fields> {
  create: (input: Input, by: string) => Promise<Written<Entity> & { after: Entity }>;
  get: (id: string) => Promise<Entity | undefined>;
  list: (query: EntityQuery) => Promise<Entity[]>;
  update: (id: string, patch: Patch<Fields>) => Promise<Written<Entity> & { before: Entity; after: Entity }>;
  /** Organisations and teams must be empty; with people and service accounts go their keys and tokens. */
  remove: (id: string) => Promise<Written<Entity> & { before: Entity }>;
}

export interface Groups {
  orgs: GroupOf<Org, OrgInput, GroupFields>;
  teams: GroupOf<Team, TeamInput, GroupFields>;
  users: GroupOf<User, UserInput, UserFields>;
  serviceAccounts: GroupOf<ServiceAccount, ServiceAccountInput, GroupFields>;
}

export function createGroups(parts: DirectoryParts, writer: Writer): Groups {
  return {
    orgs: groupOf<Org, OrgInput, GroupFields>(parts, writer, { kind: 'org', prefix: 'org', bonds: () => Promise.resolve({}) }),
    teams: groupOf<Team, TeamInput, GroupFields>(parts, writer, {
      kind: 'team',
      prefix: 'team',
      bonds: async ({ org }) => {
        if (org === undefined) return {};
        await named(parts.store.entities, { kind: 'org', id: org, param: 'org' });
        return { org };
      },
    }),
    users: groupOf<User, UserInput, UserFields>(parts, writer, {
      kind: 'user',
      prefix: 'usr',
      bonds: ({ email, role = 'none' }) => Promise.resolve({ role, ...given({ email }) }),
    }),
    serviceAccounts: groupOf<ServiceAccount, ServiceAccountInput, GroupFields>(parts, writer, {
      kind: 'service',
      prefix: 'svc',
      bonds: async ({ team }) => {
        if (team === undefined) return {};
        const { org } = await named(parts.store.entities, { kind: 'team', id: team, param: 'team' });
        return { team, ...given({ org }) };
      },
    }),
  };
}

interface Kind<Entity extends Ruled, Input> {
  kind: Entity['kind'];
  prefix: string;
  /** Checked members of the input that only this kind has. */
  bonds: (input: Input) => Promise<Partial<Entity>>;
}

function groupOf<Entity extends Ruled, Input extends GroupFields, Fields>(
  parts: DirectoryParts,
  writer: Writer,
  { kind, prefix, bonds }: Kind<Entity, Input>,
): GroupOf<Entity, Input, Fields> {
  const { entities } = parts.store;
  const get = (id: string) => entities.get(kind, id) as Promise<Entity | undefined>;
  const existing = (id: string) => require(entities, kind, id) as unknown as Promise<Entity>;
  return {
    get,
    list: (query) => entities.list(kind, query) as unknown as Promise<Entity[]>,
    create: (input, by) =>
      writer.exclusive(async () => {
        const nowMs = parts.nowMs();
        const { name, blocked = false, budgets = [], metadata = {}, models, agents, limits } = input;
        const common = { kind, id: parts.newId(prefix), name, blocked, budgets, metadata, ...given({ models, agents, limits }) };
        const made = { createdAtMs: nowMs, updatedAtMs: nowMs, createdBy: by };
        const after = { ...common, ...made, ...(await bonds(input)) } as unknown as Entity;
        return { after, inForce: await writer.make(after) };
      }),
    update: (id, patch) =>
      writer.exclusive(async () => {
        const before = await existing(id);
        const after = patched(before, patch, parts.nowMs());
        return { before, after, inForce: await writer.commit({ put: [after] }) };
      }),
    remove: (id) =>
      writer.exclusive(async () => {
        const before = await existing(id);
        const remove = [{ kind, id }, ...(await removedWith(parts, before))];
        return { before, inForce: await writer.commit({ remove }) };
      }),
  };
}

/** What ends with it. Throws conflict where something is in it that must be removed or moved by hand. */
async function removedWith({ store }: DirectoryParts, { kind, id }: Ruled): Promise<{ kind: EntityKind; id: string }[]> {
  const { entities } = store;
  if (kind === 'org' || kind === 'team') {
    const within = kind === 'org' ? { org: id } : { team: id };
    for (const inside of INSIDE[kind]) {
      const [first] = await entities.list(inside, { ...within, limit: 1 });
      if (first !== undefined) throw conflict(`It still has ${CALLED[inside]}; remove them first`);
    }
    return [];
  }
  const keys = await withDescendants(entities, await allOf(entities, 'key', { principal: id }));
  const tokens = await allOf(entities, 'token', { principal: id });
  return [...keys, ...tokens].map((each) => ({ kind: each.kind, id: each.id }));
}

const INSIDE = { org: ['team', 'service', 'key'], team: ['service', 'key'] } as const;
const CALLED = { team: 'teams', service: 'service accounts', key: 'keys' } as const;
