/** Who belongs to a team or an organisation, and as what. */
import * as z from 'zod';

import { pathId } from '../contract/fields.ts';
import { ADMINS, type Holder, type Place, holdsAt, notThere } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import type { Services } from '../contract/ports.ts';
import { type AdminRoute, readRoute, writeRoute } from '../contract/route.ts';
import { orgPlace, teamPlaceOf, userPlace } from './groups.ts';
import { late } from './resource.ts';

interface Kind {
  plural: 'teams' | 'orgs';
  param: 'team' | 'org';
  noun: string;
  /** What somebody who is taken out of it leaves. */
  out: string;
  place: (id: string, services: Services) => Promise<Place | undefined>;
  see: readonly Holder[];
  lead: readonly Holder[];
}

const KINDS: readonly Kind[] = [
  {
    plural: 'teams',
    param: 'team',
    noun: 'a team',
    out: 'a team',
    place: teamPlaceOf,
    see: ['root', 'admin', 'viewer', 'org_admin', 'team_admin', 'member'],
    lead: ['root', 'admin', 'org_admin', 'team_admin'],
  },
  {
    plural: 'orgs',
    param: 'org',
    noun: 'an organisation',
    out: 'an organisation and all its teams',
    place: orgPlace,
    see: ['root', 'admin', 'viewer', 'org_admin', 'member'],
    lead: ['root', 'admin', 'org_admin'],
  },
];

export const memberRoutes: readonly AdminRoute[] = KINDS.flatMap(routesOf);

function routesOf(kind: Kind): AdminRoute[] {
  return [listRoute(kind), setRoute(kind), removeRoute(kind)];
}

function partsOf({ plural, param, place }: Kind) {
  const idOf = (params: unknown): string => (params as Record<string, string>)[param] ?? '';
  const role = z.enum([`${param}_admin`, 'member']);
  return {
    path: `/admin/v1/${plural}/{${param}}/members` as const,
    idOf,
    at: (params: unknown, services: Services): Promise<Place | undefined> => place(idOf(params), services),
    role,
    member: z.object({ user: z.string(), role }),
    both: z.strictObject({ [param]: pathId, user: pathId }),
  };
}

function listRoute(kind: Kind): AdminRoute {
  const { path, idOf, at, member } = partsOf(kind);
  return readRoute({
    path,
    summary: `List the members of ${kind.noun}`,
    tag: kind.plural,
    access: { on: 'object', allow: kind.lead.concat('viewer'), see: kind.see, place: at },
    params: z.strictObject({ [kind.param]: pathId }),
    answer: { status: 200, schema: z.object({ data: z.array(member) }) },
    handle: async ({ params, services }) => {
      const members = await services.directory.members.of(idOf(params));
      return { body: { data: members.map(({ user, role }) => ({ user, role })) } };
    },
  });
}

function setRoute(kind: Kind): AdminRoute {
  const { path, idOf, at, role, member, both } = partsOf(kind);
  const { param } = kind;
  return writeRoute({
    method: 'PUT',
    path: `${path}/{user}`,
    summary: `Add a member to ${kind.noun}, or change what he is there; whoever leads one chooses among the people of its organisation`,
    tag: kind.plural,
    access: { on: 'object', allow: kind.lead, see: kind.see, place: at },
    params: both,
    body: z.strictObject({ role: role.default('member') }),
    answer: { status: 200, schema: member },
    audit: `${param}.member.set`,
    handle: async ({ actor, params, body, services }) => {
      const { user = '' } = params as Record<string, string>;
      const group = idOf(params);
      await requireKnown(actor, user, await at(params, services), services);
      const { before, inForce } = await services.directory.members.set({ user, group, role: body.role });
      const change = { target: `${param}:${group} user:${user}`, before: before && { role: before.role }, after: body };
      return { body: { user, role: body.role }, change, ...late(inForce) };
    },
  });
}

function removeRoute(kind: Kind): AdminRoute {
  const { path, idOf, at, member, both } = partsOf(kind);
  const { param } = kind;
  return writeRoute({
    method: 'DELETE',
    path: `${path}/{user}`,
    summary: `Take a member out of ${kind.out}; his keys there end with it`,
    tag: kind.plural,
    access: { on: 'object', allow: kind.lead, see: kind.see, place: at },
    params: both,
    answer: { status: 200, schema: member },
    audit: `${param}.member.remove`,
    handle: async ({ params, services }) => {
      const { user = '' } = params as Record<string, string>;
      const { before, teams, inForce } = await services.directory.members.expel(user, idOf(params));
      const { role } = before;
      const left = teams.map((each) => ({ team: each.group, role: each.role }));
      return {
        body: { user, role },
        change: { target: `${param}:${idOf(params)} user:${user}`, before: { role, ...(left.length > 0 && { teams: left }) } },
        ...late(inForce),
      };
    },
  });
}

/** Throws not_found for people who do not exist, and for those of other tenants: whoever leads a team chooses among those of its organisation. */
async function requireKnown(actor: Actor, user: string, place: Place | undefined, services: Services): Promise<void> {
  const where = await userPlace(user, services);
  if (where === undefined) throw notThere();
  if (holdsAt(actor, {}, ADMINS)) return;
  const known = new Set([where.org, where.team].flat());
  if (![place?.org, place?.team].some((each) => typeof each === 'string' && known.has(each))) throw notThere();
}
