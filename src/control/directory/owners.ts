/** Whom a new key belongs to. */
import type { EntitiesPort, Key } from '../../store/ports/entities.ts';
import { invalid, named } from './change.ts';
import { type Bounds, boundsOfEntry } from './child.ts';
import { given } from './entries.ts';
import type { DirectoryParts } from './parts.ts';

export interface Owners {
  /** A user's or a service account's id; a service account's team and organisation come with it. */
  principal?: string;
  team?: string;
  org?: string;
  /** The key it descends from. */
  parent?: string;
}

const MAX_DEPTH = 8;

/** Throws invalid_request where one of them does not exist, or they do not belong together. */
export async function ownersOf(parts: DirectoryParts, wanted: Owners): Promise<Owners> {
  if (wanted.parent !== undefined) return childOwners(parts, wanted.parent, wanted);
  const { entities } = parts.store;
  const { principal, org } = wanted;
  const team = await teamOf(entities, wanted);
  const teamOrg = team === undefined ? undefined : (await named(entities, { kind: 'team', id: team, param: 'team' })).org;
  // Whether there is another one is told to nobody.
  if (org !== undefined && team !== undefined && org !== teamOrg) throw invalid('org', 'is not the one of the team');
  if (org !== undefined) await named(entities, { kind: 'org', id: org, param: 'org' });
  const owners = given({ principal, team, org: org ?? teamOrg });
  await requireMember(entities, owners);
  return owners;
}

async function childOwners(parts: DirectoryParts, parent: string, { principal, team, org }: Owners): Promise<Owners> {
  if ([principal, team, org].some((each) => each !== undefined))
    throw invalid('parent', 'a child belongs to whom its parent belongs to');
  const found = await parentOf(parts, parent);
  if (found.depth >= MAX_DEPTH) throw invalid('parent', `keys descend at most ${MAX_DEPTH} deep`);
  return { ...found.owners, parent };
}

/** A service account's team comes with it. */
async function teamOf(entities: EntitiesPort, { principal, team }: Owners): Promise<string | undefined> {
  if (principal?.startsWith('svc_') !== true) return team;
  const service = await named(entities, { kind: 'service', id: principal, param: 'principal' });
  if (team !== undefined && team !== service.team) throw invalid('team', 'is not the one of the service account');
  return service.team;
}

async function requireMember(entities: EntitiesPort, { principal, team, org }: Owners): Promise<void> {
  if (principal === undefined || principal.startsWith('svc_')) return;
  await named(entities, { kind: 'user', id: principal, param: 'principal' });
  const group = team ?? org;
  if (group === undefined) return;
  const memberships = await entities.membershipsOf([principal]);
  if (!memberships.some((each) => each.group === group)) throw invalid('principal', 'the user is no member there');
}

/** A key that others may descend from: of the store, or of the file. */
export async function parentOf(
  { store, snapshot }: DirectoryParts,
  id: string,
): Promise<{ bounds: Bounds; owners: Owners; depth: number }> {
  const filed = snapshot().keys.find((each) => each.id === id);
  if (filed !== undefined) {
    const { principal, team, org } = filed;
    return { bounds: boundsOfEntry(filed), owners: given({ principal, team, org }), depth: 0 };
  }
  const key = await named(store.entities, { kind: 'key', id, param: 'parent' });
  const { principal, team, org } = key;
  return { bounds: key, owners: given({ principal, team, org }), depth: await depthOf(store.entities, key) };
}

async function depthOf(entities: EntitiesPort, key: Key): Promise<number> {
  let depth = 0;
  for (let above = key.parent; above !== undefined && depth < MAX_DEPTH; depth++) {
    above = (await entities.get('key', above))?.parent;
  }
  return depth;
}
