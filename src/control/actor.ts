/** What a person may do at this moment, from the store: roles are looked up at each call, so that they end when they are taken away. */
import type { EntitiesPort } from '../store/ports/entities.ts';
import type { Actor, OrgRole, TeamRole } from './contract/actor.ts';

type User = Extract<Actor, { kind: 'user' }>;

/** Undefined: there is no such user, or he is blocked. */
export async function loadActor(entities: Pick<EntitiesPort, 'get' | 'membershipsOf'>, id: string): Promise<User | undefined> {
  const user = await entities.get('user', id);
  if (user === undefined || user.blocked) return undefined;
  const orgs: Record<string, OrgRole> = {};
  const teams: Record<string, TeamRole> = {};
  for (const { group, role } of await entities.membershipsOf([id])) {
    if (group.startsWith('org_')) orgs[group] = role === 'org_admin' ? role : 'member';
    else teams[group] = role === 'team_admin' ? role : 'member';
  }
  return { kind: 'user', id, name: user.name, role: user.role, orgs, teams };
}
