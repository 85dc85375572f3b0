/** What was planned from a LiteLLM database, made over the admin API: owners first, so that nothing is ever free of what binds it. */
import type { EntityPlan, PlannedEntity, PlannedKey, PlannedMember } from '../control/import/litellm-entities.ts';
import type { Note } from '../control/import/note.ts';
import type { AdminClient } from './admin-client.ts';
import { CommandError } from './command-error.ts';

/** Of each kind: made now, there already from an earlier run, refused. */
interface Tally {
  made: number;
  there: number;
  refused: number;
}

export interface Outcome {
  tallies: Record<'organisations' | 'teams' | 'users' | 'keys', Tally>;
  notes: Note[];
}

export async function carryOut(plan: EntityPlan, client: AdminClient): Promise<Outcome> {
  const notes: Note[] = [];
  const context = { client, notes };
  const orgs = await makeAll('orgs', plan.orgs, { ...context, orgs: new Map() });
  const teams = await makeAll('teams', plan.teams, { ...context, orgs: orgs.ids });
  const users = await makeAll('users', plan.users, { ...context, orgs: new Map() });
  await setMembers('orgs', plan.orgMembers, { ...context, groups: orgs.ids, users: users.ids });
  await setMembers('teams', plan.teamMembers, { ...context, groups: teams.ids, users: users.ids });
  const keys = await importKeys(plan.keys, { ...context, ids: { org: orgs.ids, team: teams.ids, user: users.ids } });
  return { tallies: { organisations: orgs.tally, teams: teams.tally, users: users.tally, keys }, notes };
}

interface Context {
  client: AdminClient;
  notes: Note[];
}

/** LiteLLM's ids to ours. */
type Ids = ReadonlyMap<string, string>;

interface Made {
  ids: Ids;
  tally: Tally;
}

async function makeAll(plural: string, wanted: readonly PlannedEntity[], context: Context & { orgs: Ids }): Promise<Made> {
  const { client, notes, orgs } = context;
  const ids = await earlierOnes(plural, client);
  const tally = { made: 0, there: 0, refused: 0 };
  for (const { litellmId, body, org } of wanted) {
    const ours = org === undefined ? {} : { org: orgs.get(org) };
    if (ids.has(litellmId)) tally.there += 1;
    else {
      const made = 'org' in ours && ours.org === undefined ? NO_OWNER : await make(`/${plural}`, { ...body, ...ours }, client);
      if ('id' in made) ids.set(litellmId, made.id);
      else notes.push({ place: `${plural} ${String(body['name'])}`, message: made.refused });
      tally['id' in made ? 'made' : 'refused'] += 1;
    }
  }
  return { ids, tally };
}

const NO_OWNER = { refused: 'is left out: what it belongs to could not be made' };

async function make(path: string, body: object, client: AdminClient): Promise<{ id: string } | { refused: string }> {
  try {
    return { id: (await client.json<{ id: string }>('POST', path, { body })).id };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { refused: error.message };
  }
}

async function earlierOnes(plural: string, client: AdminClient): Promise<Map<string, string>> {
  const there = await client.list<{ id: string; metadata: Record<string, string> }>(`/${plural}`, { limit: '1000' });
  return new Map(
    there.flatMap(({ id, metadata }) => (metadata['litellm_id'] === undefined ? [] : [[metadata['litellm_id'], id] as const])),
  );
}

async function setMembers(
  plural: string,
  members: readonly PlannedMember[],
  context: Context & { groups: Ids; users: Ids },
): Promise<void> {
  for (const { group, user, role } of members) {
    const [groupId, userId] = [context.groups.get(group), context.users.get(user)];
    if (groupId === undefined || userId === undefined) continue;
    try {
      await context.client.ask('PUT', `/${plural}/${groupId}/members/${userId}`, { body: { role } });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      context.notes.push({ place: `${plural} ${group}`, message: `user ${user} is no member: ${error.message}` });
    }
  }
}

/** Each is put in force in every worker; so many of them are done well within an answer's time. */
const BATCH = 100;

interface Batched {
  imported: unknown[];
  refused: { index: number; message: string }[];
}

async function importKeys(
  keys: readonly PlannedKey[],
  context: Context & { ids: Record<'org' | 'team' | 'user', Ids> },
): Promise<Tally> {
  const { client, notes, ids } = context;
  const earlier = await earlierOnes('keys', client);
  const fresh = keys.filter(({ litellmId }) => !earlier.has(litellmId));
  const bodies = fresh.flatMap((key) => ownedBody(key, ids) ?? []);
  const tally = { made: 0, there: keys.length - fresh.length, refused: fresh.length - bodies.length };
  if (tally.refused > 0)
    notes.push({ place: 'keys', message: `${tally.refused} are left out: what they belong to could not be made` });
  for (let at = 0; at < bodies.length; at += BATCH) {
    const batch = bodies.slice(at, at + BATCH);
    const { imported, refused } = await client.json<Batched>('POST', '/keys/import', { body: { keys: batch } });
    tally.made += imported.length;
    tally.refused += refused.length;
    for (const { index, message } of refused) notes.push({ place: `key ${batch[index]?.name}`, message });
  }
  return tally;
}

/** Undefined where one of its owners is not there. */
function ownedBody({ body, ...owners }: PlannedKey, ids: Record<'org' | 'team' | 'user', Ids>): PlannedKey['body'] | undefined {
  const owned = { ...body };
  for (const kind of ['user', 'team', 'org'] as const) {
    const theirs = owners[kind];
    if (theirs === undefined) continue;
    const ours = ids[kind].get(theirs);
    if (ours === undefined) return undefined;
    owned[kind] = ours;
  }
  return owned;
}
