/** Who may make a key where, and with what. */
import { type Holder, type Place, holdsAt } from './contract/access.ts';
import type { Actor } from './contract/actor.ts';
import { requireBounded } from './contract/bounds.ts';
import { invalidInput } from './contract/input.ts';
import type { Services } from './contract/ports.ts';
import { GatewayError } from '../core/errors.ts';
import type { Key } from '../store/ports/entities.ts';
import type { KeyEntry } from '../core/directory.ts';
import { requireWritable, withRules } from './routes/entity-fields.ts';
import { teamPlace } from './routes/groups.ts';
import type { KeyInputBody } from './routes/key-input.ts';
import { placeOfKey } from './routes/key-view.ts';
import { requirePlace } from './routes/resource.ts';

export const KEY_LEADERS = ['root', 'admin', 'org_admin', 'team_admin'] as const satisfies Holder[];
export const KEY_READERS = [...KEY_LEADERS, 'viewer', 'owner'] as const satisfies Holder[];

/** What people choose for their own keys. Tags and classes are what others count and weigh them by. */
const OWN_FIELDS = [
  'name',
  'models',
  'agents',
  'limits',
  'budget',
  'budgets',
  'expires_at',
  'ips',
  'metadata',
  'user',
  'team',
  'parent',
  'task',
];
/** What they may change later: bounds that somebody else may have set are not theirs to widen. */
export const OWN_CHANGES = ['name', 'metadata'];

/** A key of the file stands before one of the store that has its id. */
export async function findKey(
  id: string,
  { directory, snapshot }: Services,
): Promise<{ filed: KeyEntry } | { stored: Key } | undefined> {
  const filed = snapshot().keys.find((key) => key.id === id);
  if (filed !== undefined) return { filed };
  const stored = await directory.keys.get(id);
  return stored && { stored };
}

export async function keyPlace(id: string, services: Services): Promise<Place | undefined> {
  const found = await findKey(id, services);
  if (found === undefined) return undefined;
  return placeOfKey('filed' in found ? found.filed : found.stored);
}

/** Throws forbidden or invalid_request where the actor may not make that key. Whoever and whatever he does not see answers like what does not exist. */
export async function requireMayMint(actor: Actor, body: KeyInputBody, services: Services): Promise<void> {
  const place = await newKeyPlace(actor, body, services);
  const isOwn = actor.kind === 'user' && place.owner === actor.id && typeof place.team === 'string' && place.team in actor.teams;
  if (!isOwn) requirePlace(actor, place, KEY_LEADERS);
  requireWritable(actor, place, body, { all: KEY_LEADERS, some: OWN_FIELDS });
  await requireKnownUser(actor, body, services);
  requirePriority(actor, body);
  await requireBounded(services.store.entities, actor, place, withRules(body));
}

/** Who goes before others is for those who run the installation. */
export function requirePriority(actor: Actor, { priority }: { priority?: string | undefined }): void {
  if (priority !== 'high' || holdsAt(actor, {}, ['root', 'admin'])) return;
  throw new GatewayError('forbidden', { details: { message: 'Your role does not allow `high`', param: 'priority' } });
}

async function parentPlace(
  actor: Actor,
  { parent, service_account, user, team, org }: KeyInputBody & { parent: string },
  services: Services,
): Promise<Place> {
  // Before anybody is looked up: which complaint comes would tell who belongs where.
  if ([user, service_account, team, org].some((each) => each !== undefined))
    throw invalidInput([{ param: 'parent', message: 'settles whom a child belongs to: name nobody beside it' }]);
  const place = await keyPlace(parent, services);
  // The directory says so for those who see everything.
  if (place === undefined || !holdsAt(actor, place, KEY_READERS))
    throw invalidInput([{ param: 'parent', message: 'names no key that there is' }]);
  return place;
}

async function newKeyPlace(actor: Actor, body: KeyInputBody, services: Services): Promise<Place> {
  const { parent, service_account, user, team, org } = body;
  if (user !== undefined && service_account !== undefined) {
    throw invalidInput([{ param: 'service_account', message: 'and `user` exclude each other' }]);
  }
  if (parent !== undefined) return parentPlace(actor, { ...body, parent }, services);
  if (service_account !== undefined) {
    const service = await services.directory.serviceAccounts.get(service_account);
    const place = { team: service?.team, org: service?.org };
    if (service === undefined || !holdsAt(actor, place, KEY_READERS)) {
      throw invalidInput([{ param: 'service_account', message: 'names no service account that there is' }]);
    }
    return place;
  }
  const place = team === undefined ? { org } : await teamPlace(team, services);
  return { ...place, owner: user };
}

/** Whoever leads a team makes keys for its members, and learns nothing of other people. */
async function requireKnownUser(actor: Actor, { user, team, org }: KeyInputBody, { directory }: Services): Promise<void> {
  if (user === undefined || holdsAt(actor, {}, ['root', 'admin'])) return;
  const groups = (await directory.members.ofUser(user)).map(({ group }) => group);
  if (!groups.some((group) => group === (team ?? org)))
    throw invalidInput([{ param: 'user', message: 'names nobody who belongs there' }]);
}
