/** Entities of the store as the data plane wants them. */
import { placedRules } from '../../config/resolve-rules.ts';
import type { KeyEntry, Party } from '../../core/directory.ts';
import type { SlotOf } from '../../core/rules.ts';
import type { Key, Membership, Org, ServiceAccount, Team, User } from '../../store/ports/entities.ts';

/** What keys belong to. */
export type Ruled = Org | Team | User | ServiceAccount;

/** Throws where shared memory has no place left for its limits and budgets. */
export function entryOf(key: Key, slotOf: SlotOf): KeyEntry {
  const rules = placedRules(`key:${key.id}`, key, slotOf);
  return {
    id: key.id,
    name: key.name,
    digests: key.digests,
    models: key.models,
    agents: key.agents,
    tags: key.tags,
    blocked: key.blocked,
    ...given({
      expiresAtMs: key.expiresAtMs,
      principal: key.principal,
      team: key.team,
      org: key.org,
      parent: key.parent,
      task: key.task,
      ips: key.ips,
      priority: key.priority === 'normal' ? undefined : key.priority,
      recordBodies: key.recordBodies ? true : undefined,
      rules,
    }),
  };
}

export function partyOf(entity: Ruled, memberships: readonly Membership[], slotOf: SlotOf): Party {
  const rules = placedRules(`${entity.kind}:${entity.id}`, entity, slotOf);
  return {
    id: entity.id,
    kind: entity.kind,
    name: entity.name,
    blocked: entity.blocked,
    ...given({ parent: parentOf(entity), models: entity.models, agents: entity.agents, rules }),
    ...(entity.kind === 'user' && rolesOf(memberships)),
  };
}

/** Whether it is of any use at that moment. */
export function isLive(key: Pick<Key, 'blocked' | 'expiresAtMs'>, nowMs: number): boolean {
  return !key.blocked && (key.expiresAtMs === undefined || nowMs < key.expiresAtMs);
}

/** A user's roles by group: ids tell which kind of group it is. */
function rolesOf(memberships: readonly Membership[]): Required<Pick<Party, 'teams' | 'orgs'>> {
  const roles = (prefix: string) =>
    Object.fromEntries(memberships.filter(({ group }) => group.startsWith(prefix)).map(({ group, role }) => [group, role]));
  return { teams: roles('team_'), orgs: roles('org_') } as Required<Pick<Party, 'teams' | 'orgs'>>;
}

function parentOf(entity: Ruled): string | undefined {
  if (entity.kind === 'team') return entity.org;
  return entity.kind === 'service' ? entity.team : undefined;
}

/** Without the members that are undefined. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  for (const name of Object.keys(members) as (keyof T)[]) if (members[name] === undefined) delete members[name];
  return members;
}
