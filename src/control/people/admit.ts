/**
 * From a person that an identity provider vouches for to a user of this installation: found by issuer and subject, or by a verified e-mail address, or made; with
 * the roles and places that the provider decides about.
 */
import type { VouchedPerson } from '../../core/person.ts';
import { GatewayError } from '../../core/errors.ts';
import type { EntitiesPort, Membership, User } from '../../store/ports/entities.ts';
import type { PeoplePort } from '../../store/ports/people.ts';
import type { AuditTrail } from '../contract/audit.ts';
import type { DirectoryService } from '../directory/directory.ts';

export interface AdmitParts {
  store: { readonly people: PeoplePort; readonly entities: Pick<EntitiesPort, 'get' | 'userByEmail' | 'membershipsOf'> };
  directory: {
    users: Pick<DirectoryService['users'], 'create' | 'update'>;
    members: Pick<DirectoryService['members'], 'set' | 'remove'>;
  };
  audit: () => Promise<AuditTrail>;
  nowMs: () => number;
  log: (level: 'warn', fields: Record<string, unknown>, message: string) => void;
}

export interface Admitted {
  user: string;
  team?: string;
  org?: string;
}

/**
 * `sign_on`: role and places are made to be what the provider says. `token`: places are given, nothing is taken away and no role given; what a program
 * carries must not change who manages. Undefined: not let in. Rejects with StoreError.
 */
export type Admit = (person: VouchedPerson, by: 'sign_on' | 'token') => Promise<Admitted | undefined>;

/** What has to be done about a user. */
interface Change {
  role?: User['role'];
  set: Membership[];
  remove: Membership[];
}

export function createAdmit(parts: AdmitParts): Admit {
  const { entities } = parts.store;
  let tail: Promise<unknown> = Promise.resolve();
  const exclusive = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
  return async (vouched, by) => {
    const person = await inPresentPlaces(parts, vouched);
    const known = await findUser(parts, person);
    // Mostly there is nothing to do, and nobody has to wait for anybody.
    if (known !== undefined && isNothing(await changeOf(parts, known, { person, by }))) return admitted(person, known);
    return exclusive(async () => {
      const user = (await findUser(parts, person)) ?? (await newUser(parts, person));
      if (user === undefined || user.blocked) return undefined;
      await carryOut(parts, user, await changeOf(parts, user, { person, by }));
      const after = await entities.get('user', user.id);
      return after && admitted(person, after);
    });
  };
}

/** A place of the configuration that is not there (any more) keeps nobody out: nobody is in it, and no call is made there. */
async function inPresentPlaces({ store, log }: AdmitParts, person: VouchedPerson): Promise<VouchedPerson> {
  const memberships: VouchedPerson['memberships'] = [];
  for (const each of person.memberships) {
    const { group } = each;
    if ((await store.entities.get(group.startsWith('team_') ? 'team' : 'org', group)) !== undefined) memberships.push(each);
    else log('warn', { group }, 'the configuration gives people a place that does not exist');
  }
  return { ...person, memberships };
}

function admitted({ memberships }: VouchedPerson, user: User): Admitted | undefined {
  if (user.blocked) return undefined;
  const team = memberships.find(({ group }) => group.startsWith('team_'))?.group;
  const org = memberships.find(({ group }) => group.startsWith('org_'))?.group;
  return { user: user.id, ...(team !== undefined && { team }), ...(org !== undefined && { org }) };
}

async function findUser({ store }: AdmitParts, { issuer, subject }: VouchedPerson): Promise<User | undefined> {
  const identity = await store.people.identity(issuer, subject);
  return identity && store.entities.get('user', identity.user);
}

/** One that is there already, by a verified address, or a new one. */
async function newUser(parts: AdmitParts, person: VouchedPerson): Promise<User | undefined> {
  const { people } = parts.store;
  const { issuer, subject } = person;
  const gone = (await people.identity(issuer, subject))?.user;
  const sameAddress = await ofSameAddress(parts, person);
  const isFree = sameAddress === undefined || !(await people.identitiesOf(sameAddress.id)).some((each) => each.issuer === issuer);
  // An address that the provider has given to somebody else since must not bring the old owner's rights along.
  const user = isFree ? sameAddress : undefined;
  if (user === undefined && !person.creatable) return undefined;
  return audited(parts, user === undefined ? 'user.create' : 'user.link', async () => {
    const linked = user ?? (await createUser(parts, person, isFree));
    await people.link({ issuer, subject, user: linked.id, linkedAtMs: parts.nowMs() }, gone);
    return { user: linked, after: { issuer, subject, name: linked.name } };
  });
}

async function ofSameAddress({ store }: AdmitParts, { email }: VouchedPerson): Promise<User | undefined> {
  return email === undefined ? undefined : store.entities.userByEmail(email);
}

async function createUser({ directory }: AdmitParts, { name, email }: VouchedPerson, isFree: boolean): Promise<User> {
  const { after } = await directory.users.create({ name, ...(email !== undefined && isFree && { email }) }, 'identity_provider');
  return after;
}

async function changeOf(
  { store }: AdmitParts,
  user: User,
  { person, by }: { person: VouchedPerson; by: 'sign_on' | 'token' },
): Promise<Change> {
  const held = new Map((await store.entities.membershipsOf([user.id])).map((each) => [each.group, each]));
  const given = new Set(person.memberships.map(({ group }) => group));
  const isRight = ({ group, role }: VouchedPerson['memberships'][0]): boolean =>
    by === 'token' ? held.has(group) : held.get(group)?.role === role;
  return {
    ...(by === 'sign_on' && person.role !== undefined && person.role !== user.role && { role: person.role }),
    set: person.memberships.filter((each) => !isRight(each)).map(({ group, role }) => ({ user: user.id, group, role })),
    remove: by === 'token' ? [] : [...held.values()].filter(({ group }) => person.decided.includes(group) && !given.has(group)),
  };
}

function isNothing({ role, set, remove }: Change): boolean {
  return role === undefined && set.length === 0 && remove.length === 0;
}

async function carryOut(parts: AdmitParts, user: User, change: Change): Promise<void> {
  if (isNothing(change)) return;
  const { role, set, remove } = change;
  await audited(parts, 'user.follow_claims', async () => {
    if (role !== undefined) await parts.directory.users.update(user.id, { role });
    for (const membership of set) await parts.directory.members.set(membership);
    for (const { user: id, group } of remove) await parts.directory.members.remove(id, group);
    return { user, before: { role: user.role }, after: { ...(role !== undefined && { role }), set, remove } };
  });
}

interface AuditedWork {
  user: User;
  before?: object;
  after: object;
}

/** In the audit log before it is done, and what came of it after; nobody of ours did it. */
async function audited({ audit }: AdmitParts, action: string, work: () => Promise<AuditedWork>): Promise<User> {
  const trail = await audit();
  const entry = await trail.begin({ actor: { kind: 'nobody' }, via: 'identity_provider', action, ip: '', requestId: '' });
  let done: AuditedWork;
  try {
    done = await work();
  } catch (error) {
    await entry.failed(error instanceof GatewayError ? error.code : 'internal');
    throw error;
  }
  await entry.done({ target: `user:${done.user.id}`, before: done.before, after: done.after });
  return done.user;
}
