/**
 * Who may do what where. Roles hold at places: the installation, an organisation, a team, one's own things. Everything here is a pure function of the
 * actor's present roles, so that a right ends with the role that gave it.
 */
import { GatewayError } from '../../core/errors.ts';
import type { Actor } from './actor.ts';

/** `owner`: it is the actor's own. Roles do not imply each other: a route lists all that it means. */
export type Holder = 'root' | 'admin' | 'viewer' | 'org_admin' | 'team_admin' | 'member' | 'owner';

/** Where an object stands. A team's place has its organisation too; a key's has the user that it belongs to. People stand in several teams at once. */
export interface Place {
  org?: string | readonly string[] | undefined;
  team?: string | readonly string[] | undefined;
  /** A user's id. */
  owner?: string | undefined;
}

/**
 * `public`: no credential (never under /admin). `people`: everybody who is somebody, not the admin key: for one's own things.
 * `anyone`: every credential. `agents`: whoever reads in the whole installation, and virtual keys, which are shown the agents that they may call. `installation`: by the role in the whole installation. `anywhere`: whoever holds one of the roles at some place; the handler
 * answers only what lies within the actor's places. `object`: by the roles held where the object of the path stands; who may not even `see` it gets the
 * answer for ids that do not exist.
 */
export type Access<Params, Services> =
  | { on: 'public' }
  | { on: 'people' }
  | { on: 'anyone' }
  | { on: 'agents' }
  | { on: 'installation'; allow: readonly ('root' | 'admin' | 'viewer')[] }
  | { on: 'anywhere'; allow: readonly Holder[] }
  | {
      on: 'object';
      allow: readonly Holder[];
      see: readonly Holder[];
      /** Undefined: there is no such object. */
      place: (params: Params, services: Services) => Place | undefined | Promise<Place | undefined>;
    };

export const ADMINS = ['root', 'admin'] as const;
export const READERS = ['root', 'admin', 'viewer'] as const;

/** All that the actor is at that place. */
export function holdersAt(actor: Actor, { org, team, owner }: Place): Set<Holder> {
  const held = new Set<Holder>();
  if (actor.kind === 'root') held.add('root');
  if (actor.kind !== 'user') return held;
  if (actor.role !== 'none') held.add(actor.role);
  for (const id of listOf(org)) {
    const role = actor.orgs[id];
    // Being in an organisation says nothing about its teams; leading it does.
    if (role === 'org_admin' || (role === 'member' && team === undefined)) held.add(role);
  }
  for (const id of listOf(team)) {
    const role = actor.teams[id];
    if (role !== undefined) held.add(role);
  }
  if (owner === actor.id) held.add('owner');
  return held;
}

function listOf(ids: Place['org']): readonly string[] {
  return typeof ids === 'string' ? [ids] : (ids ?? []);
}

/** Whether the actor holds one of the roles at any place at all. Everybody owns something: himself. */
export function holdsAnywhere(actor: Actor, allow: readonly Holder[]): boolean {
  if (actor.kind !== 'user') return actor.kind === 'root' && allow.includes('root');
  const held: Holder[] = ['owner', ...Object.values(actor.orgs), ...Object.values(actor.teams)];
  if (actor.role !== 'none') held.push(actor.role);
  return held.some((holder) => allow.includes(holder));
}

export function holdsAt(actor: Actor, place: Place, allow: readonly Holder[]): boolean {
  const held = holdersAt(actor, place);
  return allow.some((holder) => held.has(holder));
}

/** Whether nothing is hidden from the actor: for lists. */
export function seesAll(actor: Actor): boolean {
  return actor.kind === 'root' || (actor.kind === 'user' && actor.role !== 'none');
}

/** The organisations that the actor leads, and the teams that he leads himself. */
export function ledBy(actor: Actor): { orgs: string[]; teams: string[] } {
  if (actor.kind !== 'user') return { orgs: [], teams: [] };
  const leading = (roles: Readonly<Record<string, string>>, role: string): string[] =>
    Object.keys(roles).filter((id) => roles[id] === role);
  return { orgs: leading(actor.orgs, 'org_admin'), teams: leading(actor.teams, 'team_admin') };
}

/** Throws not_found where the actor may not see the object, or it does not exist; forbidden where he may see it only. */
export function requireAt(
  actor: Actor,
  place: Place | undefined,
  rule: { allow: readonly Holder[]; see: readonly Holder[] },
): void {
  if (place === undefined || !holdsAt(actor, place, [...rule.see, ...rule.allow])) throw notThere();
  if (!holdsAt(actor, place, rule.allow)) throw notAllowed();
}

export function notAllowed(): GatewayError {
  return new GatewayError('forbidden', { details: { message: 'Your role does not allow that' } });
}

/** One sentence for what is not there and for what the actor may not see. */
export function notThere(): GatewayError {
  return new GatewayError('not_found', { details: { message: 'There is no such thing, or you may not see it' } });
}
