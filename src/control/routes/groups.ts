/** Organisations, teams, people and service accounts: what each has of its own, who may do what to it. */
import * as z from 'zod';

import { text } from '../../config/schema-parts.ts';
import { idProblem } from '../../config/values.ts';
import type { Org, ServiceAccount, Team, User } from '../../store/ports/entities.ts';
import { ADMINS, type Holder, type Place, ledBy, seesAll } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import type { Services } from '../contract/ports.ts';
import { allOf } from '../directory/family.ts';
import { commonInput, commonView, commonViewOf, name } from './entity-fields.ts';
import { type Resource, resourceRoutes } from './resource.ts';

const LEADERS = ['root', 'admin', 'org_admin', 'team_admin'] as const satisfies Holder[];
const ORG_LEADERS = ['root', 'admin', 'org_admin'] as const satisfies Holder[];
const DESCRIPTIVE = ['name', 'metadata'] as const;

const orgId = text(idProblem('org')).exactOptional();
const teamId = text(idProblem('team')).exactOptional();
const role = z
  .enum(['admin', 'viewer', 'none'])
  .describe('In the whole installation; roles in teams and organisations come with membership.');
const email = z.email().max(254);

/** What somebody leads, and himself. Undefined: everything. */
export function withinLed(actor: Actor) {
  if (seesAll(actor)) return undefined;
  return { ...ledBy(actor), principals: actor.kind === 'user' ? [actor.id] : [] };
}

/** What somebody belongs to, whatever he is there. */
function withinOwn(actor: Actor, kinds: { orgs: boolean; teams: boolean }) {
  if (seesAll(actor)) return undefined;
  const led = ledBy(actor);
  if (actor.kind !== 'user') return { ...led, principals: [] };
  return {
    orgs: kinds.orgs ? Object.keys(actor.orgs) : led.orgs,
    teams: kinds.teams ? Object.keys(actor.teams) : led.teams,
    principals: [],
  };
}

const orgs: Resource<Org> = {
  plural: 'orgs',
  param: 'org',
  noun: 'an organisation',
  create: z.strictObject({ name, ...commonInput }),
  view: z.object(commonView),
  viewOf: commonViewOf,
  filters: [],
  of: ({ directory }) => directory.orgs,
  placeOf: ({ id }) => ({ org: id }),
  newPlace: () => ({}),
  within: (actor) => withinOwn(actor, { orgs: true, teams: false }),
  may: { create: ADMINS, see: ['root', 'admin', 'viewer', 'org_admin', 'member'], update: ORG_LEADERS, remove: ADMINS },
  // Nobody raises his own bounds.
  writable: { all: ADMINS, some: DESCRIPTIVE },
};

const teams: Resource<Team> = {
  plural: 'teams',
  param: 'team',
  noun: 'a team',
  create: z.strictObject({ name, org: orgId.describe('Its organisation, for good.'), ...commonInput }),
  view: z.object({ ...commonView, org: z.string().optional() }),
  viewOf: (team) => ({ ...commonViewOf(team), org: team.org }),
  filters: ['org'],
  of: ({ directory }) => directory.teams,
  placeOf: ({ id, org }) => ({ team: id, org }),
  newPlace: ({ org }) => ({ org: org as string | undefined }),
  within: (actor) => withinOwn(actor, { orgs: false, teams: true }),
  may: { create: ORG_LEADERS, see: [...LEADERS, 'viewer', 'member'], update: LEADERS, remove: ORG_LEADERS },
  writable: { all: ORG_LEADERS, some: DESCRIPTIVE },
};

const users: Resource<User> = {
  plural: 'users',
  param: 'user',
  noun: 'a user',
  create: z.strictObject({ name, email: email.exactOptional(), role: role.exactOptional(), ...commonInput }),
  patch: { email: email.nullable().exactOptional(), role: role.exactOptional() },
  view: z.object({ ...commonView, email: z.string().optional(), role }),
  viewOf: (user) => ({ ...commonViewOf(user), email: user.email, role: user.role }),
  filters: [],
  of: ({ directory }) => directory.users,
  placeOf: async ({ id }, { directory }) => {
    const groups = (await directory.members.ofUser(id)).map(({ group }) => group);
    const team = groups.filter((group) => group.startsWith('team_'));
    const orgs = await Promise.all(team.map(async (each) => (await directory.teams.get(each))?.org));
    const org = [...groups.filter((group) => group.startsWith('org_')), ...orgs.filter((each) => each !== undefined)];
    return { owner: id, org, team };
  },
  newPlace: () => ({}),
  within: async (actor, { store }) => {
    const led = withinLed(actor);
    if (led === undefined || led.orgs.length === 0) return led;
    const below = await allOf(store.entities, 'team', { within: { ...led, teams: [], principals: [] } });
    return { ...led, teams: led.teams.concat(below.map(({ id }) => id)) };
  },
  // A person may belong to several organisations: none of them decides about him.
  may: { create: ADMINS, see: [...LEADERS, 'viewer', 'owner'], update: ADMINS, remove: ADMINS },
  writable: { all: ADMINS, some: [] },
};

const serviceAccounts: Resource<ServiceAccount> = {
  plural: 'service-accounts',
  param: 'service_account',
  noun: 'a service account',
  create: z.strictObject({ name, team: teamId.describe('Its team, for good.'), ...commonInput }),
  view: z.object({ ...commonView, team: z.string().optional(), org: z.string().optional() }),
  viewOf: (service) => ({ ...commonViewOf(service), team: service.team, org: service.org }),
  filters: ['org', 'team'],
  of: ({ directory }) => directory.serviceAccounts,
  placeOf: ({ team, org }) => ({ team, org }),
  newPlace: ({ team }, services) => teamPlace(team as string | undefined, services),
  within: withinLed,
  may: { create: LEADERS, see: [...LEADERS, 'viewer'], update: LEADERS, remove: LEADERS },
  writable: { all: LEADERS, some: [] },
};

/** A team that does not exist has no organisation, and nobody leads it. */
export async function teamPlace(team: string | undefined, { directory }: Services): Promise<Place> {
  if (team === undefined) return {};
  return { team, org: (await directory.teams.get(team))?.org };
}

export const groupRoutes = [
  ...resourceRoutes(orgs),
  ...resourceRoutes(teams),
  ...resourceRoutes(users),
  ...resourceRoutes(serviceAccounts),
];

export const orgPlace = (id: string, services: Services) => placeOf(orgs, id, services);
export const teamPlaceOf = (id: string, services: Services) => placeOf(teams, id, services);
export const userPlace = (id: string, services: Services) => placeOf(users, id, services);

async function placeOf<Entity extends Org | Team | User>(
  resource: Resource<Entity>,
  id: string,
  services: Services,
): Promise<Place | undefined> {
  const found = await resource.of(services).get(id);
  return found === undefined ? undefined : resource.placeOf(found, services);
}
