/** Rows of LiteLLM's database as bodies of our admin API. Ids are LiteLLM's until somebody has made what they name. */
import { keyNameProblem, tagProblem } from '../../config/values.ts';
import { type MemberShare, memberShares } from './litellm-members.ts';
import { bothRules, grantsOf, perModelBounds, rulesOf } from './litellm-rules.ts';
import { type Fields, type Note, fieldsOf, listOf, textOf } from './note.ts';

/** Whole rows, so that columns that some version does not have are simply absent. */
export interface LitellmRows {
  budgets: readonly Fields[];
  orgs: readonly Fields[];
  teams: readonly Fields[];
  users: readonly Fields[];
  keys: readonly Fields[];
  orgMembers: readonly Fields[];
  /** What bounds people within teams. */
  teamMembers: readonly Fields[];
}

export interface PlannedEntity {
  litellmId: string;
  body: Record<string, unknown>;
  /** LiteLLM's id. */
  org?: string;
}

export interface PlannedMember {
  group: string;
  user: string;
  role: string;
}

export interface PlannedKey {
  /** The beginning of its hash: tells it from others, and is of no other use. */
  litellmId: string;
  body: Record<string, unknown> & { name: string; sha256: string };
  user?: string;
  team?: string;
  org?: string;
}

export interface EntityPlan {
  orgs: PlannedEntity[];
  teams: PlannedEntity[];
  users: PlannedEntity[];
  orgMembers: PlannedMember[];
  teamMembers: PlannedMember[];
  keys: PlannedKey[];
  notes: Note[];
}

interface Planning {
  rows: LitellmRows;
  budgets: ReadonlyMap<string, Fields>;
  groups: ReadonlyMap<string, readonly string[]>;
  nowMs: number;
  note: (place: string, message: string) => void;
}

/** Logins of its own console. */
const DASHBOARD = 'litellm-dashboard';

export function planEntities(rows: LitellmRows, groups: ReadonlyMap<string, readonly string[]>, nowMs: number): EntityPlan {
  const notes: Note[] = [];
  const note = (place: string, message: string): void => void notes.push({ place, message });
  const budgets = new Map(rows.budgets.map((row) => [String(row['budget_id']), row]));
  const planning: Planning = { rows, budgets, groups, nowMs, note };
  const orgs = named(rows.orgs, (row) => orgOf(row, planning));
  const teams = named(
    rows.teams.filter((row) => row['team_id'] !== DASHBOARD),
    (row) => teamOf(row, planning),
  );
  const users = named(rows.users, (row) => userOf(row, planning));
  const known = { orgs: idsOf(orgs), teams: idsOf(teams), users: idsOf(users) };
  const teamMembers = rows.teams.flatMap(membersOf).filter(({ group, user }) => known.teams.has(group) && known.users.has(user));
  const orgMembers = rows.orgMembers.map(orgMemberOf).filter(({ group, user }) => known.orgs.has(group) && known.users.has(user));
  const keys = keysOf(planning, { ...known, members: new Set(teamMembers.map(({ group, user }) => `${group}/${user}`)) });
  if (keys.some(({ user, team }) => user !== undefined && team !== undefined)) {
    note('users', 'a user’s budget and limits count all of his keys here; LiteLLM leaves those of teams out');
  }
  if (keys.length > 0)
    note(
      'keys',
      'what was spent in the present window of a budget is not carried over; budgets without a window keep what is left',
    );
  return { orgs, teams, users, orgMembers, teamMembers, keys, notes };
}

function idsOf(entities: readonly PlannedEntity[]): Set<string> {
  return new Set(entities.map(({ litellmId }) => litellmId));
}

/** Names that two of a kind share get the id behind them. */
function named(rows: readonly Fields[], plan: (row: Fields) => PlannedEntity): PlannedEntity[] {
  const taken = new Set<string>();
  return rows.map((row) => {
    const entity = plan(row);
    entity.body['name'] = nameFor(String(entity.body['name']), entity.litellmId, taken);
    return entity;
  });
}

const MAX_NAME = 128;

function nameFor(wanted: string, id: string, taken: Set<string>): string {
  const clean = keyNameProblem(wanted) === undefined && wanted !== '' ? wanted : id;
  const suffix = ` (${id.slice(0, 16)})`;
  const name = taken.has(clean) ? `${clean.slice(0, MAX_NAME - suffix.length)}${suffix}` : clean;
  taken.add(name);
  return name;
}

function orgOf(row: Fields, planning: Planning): PlannedEntity {
  const litellmId = String(row['organization_id']);
  const name = textOf(row['organization_alias']) ?? litellmId;
  return { litellmId, body: { name, ...commonOf(row, `organization ${name}`, planning), metadata: { litellm_id: litellmId } } };
}

function teamOf(row: Fields, planning: Planning): PlannedEntity {
  const litellmId = String(row['team_id']);
  const name = textOf(row['team_alias']) ?? litellmId;
  const org = textOf(row['organization_id']);
  const body = { name, ...commonOf(row, `team ${name}`, planning), ...blockedOf(row), metadata: { litellm_id: litellmId } };
  return { litellmId, body, ...(org !== undefined && { org }) };
}

const ROLES: Readonly<Record<string, string>> = { proxy_admin: 'admin', proxy_admin_viewer: 'viewer' };

/** Models of a user restrict his own keys only, in LiteLLM: they are given to those. */
function userOf(row: Fields, planning: Planning): PlannedEntity {
  const litellmId = String(row['user_id']);
  const email = emailOf(row);
  const name = textOf(row['user_alias']) ?? email ?? litellmId;
  const { models: _, ...rules } = commonOf(row, `user ${name}`, planning);
  const role = ROLES[String(row['user_role'])] ?? 'none';
  const body = { name, ...(email !== undefined && { email }), role, ...rules, metadata: { litellm_id: litellmId } };
  return { litellmId, body };
}

function emailOf(row: Fields): string | undefined {
  const email = textOf(row['user_email']);
  return email !== undefined && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email) ? email : undefined;
}

function commonOf(row: Fields, place: string, { budgets, groups, note }: Planning) {
  const tell = (message: string): void => note(place, message);
  const models = grantsOf(row['models'], groups, tell);
  const linked = budgets.get(String(row['budget_id'])) ?? {};
  return { ...(models !== undefined && { models }), ...rulesOf(row, linked, tell) };
}

function blockedOf(row: Fields): { blocked?: true } {
  return row['blocked'] === true ? { blocked: true } : {};
}

function membersOf(team: Fields): PlannedMember[] {
  const group = String(team['team_id']);
  const withRoles = listOf(team['members_with_roles']).map(fieldsOf);
  const admins = new Set(listOf(team['admins']).map(String));
  const roles = new Map(
    listOf(team['members']).map((user) => [String(user), admins.has(String(user)) ? 'team_admin' : 'member']),
  );
  for (const { user_id: user, role } of withRoles)
    if (typeof user === 'string') roles.set(user, role === 'admin' ? 'team_admin' : 'member');
  return [...roles].map(([user, role]) => ({ group, user, role }));
}

function orgMemberOf(row: Fields): PlannedMember {
  const role = row['user_role'] === 'org_admin' ? 'org_admin' : 'member';
  return { group: String(row['organization_id']), user: String(row['user_id']), role };
}

interface Known {
  orgs: ReadonlySet<string>;
  teams: ReadonlySet<string>;
  users: ReadonlySet<string>;
  /** `team/user`. */
  members: ReadonlySet<string>;
}

function keysOf(planning: Planning, known: Known): PlannedKey[] {
  const taken = new Map<string, Set<string>>();
  const fit = planning.rows.keys.filter((row) => {
    if (row['team_id'] === DASHBOARD) return false;
    const why = unfit(row, known, planning.nowMs);
    if (why !== undefined) planning.note(placeOf(row), `is left out: ${why}`);
    return why === undefined;
  });
  const share = memberShares({ memberships: planning.rows.teamMembers, budgets: planning.budgets, keys: fit });
  return fit.map((row) => {
    const token = String(row['token']);
    const place = placeOf(row);
    const owners = ownersOf(row, known);
    if (textOf(row['user_id']) !== undefined && owners.user === undefined)
      planning.note(place, 'is its team’s alone: its user is no member');
    const within = `${owners.user ?? ''}/${owners.team ?? ''}`;
    if (!taken.has(within)) taken.set(within, new Set());
    const name = nameFor(aliasOf(row), token, taken.get(within)!);
    const body = { name, ...keyFields(row, owners, share, planning), sha256: token };
    return Object.assign({ litellmId: token.slice(0, 16), body }, owners);
  });
}

function aliasOf(row: Fields): string {
  return textOf(row['key_alias']) ?? textOf(row['key_name']) ?? String(row['token']).slice(0, 8);
}

function placeOf(row: Fields): string {
  return `key ${aliasOf(row)}`;
}

/** A key whose owner is not there would be free of all that its owner is bound by. */
function unfit(row: Fields, known: Known, nowMs: number): string | undefined {
  const [user, team, org] = [textOf(row['user_id']), textOf(row['team_id']), textOf(row['organization_id'])];
  if (!/^[0-9a-f]{64}$/.test(String(row['token']))) return 'it is kept in plain text there, not as a hash: rotate it first';
  const expires = timeOf(row['expires']);
  if (expires !== undefined && expires <= nowMs) return 'it has expired';
  if (team !== undefined && !known.teams.has(team)) return 'its team is not there';
  if (org !== undefined && !known.orgs.has(org)) return 'its organisation is not there';
  return user !== undefined && team === undefined && !known.users.has(user) ? 'its user is not there' : undefined;
}

type Owners = Pick<PlannedKey, 'user' | 'team' | 'org'>;

/** A user holds a key in a team, here, only as its member; a team's organisation comes with it. */
function ownersOf(row: Fields, known: Known): Owners {
  const [user, team, org] = [textOf(row['user_id']), textOf(row['team_id']), textOf(row['organization_id'])];
  const holds = user !== undefined && (team === undefined || known.members.has(`${team}/${user}`));
  if (team !== undefined) return { team, ...(holds && { user }) };
  if (user !== undefined) return { user };
  return org === undefined ? {} : { org };
}

const MAX_TAGS = 16;
/** Settings of keys that are not carried over, where they say anything. */
const UNREAD = [
  'permissions',
  'aliases',
  'config',
  'policies',
  'access_group_ids',
  'agent_id',
  'object_permission_id',
  'auto_rotate',
];

function keyFields(row: Fields, { user, team }: Owners, share: MemberShare, planning: Planning): Record<string, unknown> {
  const place = placeOf(row);
  const { models: own, ...rules } = commonOf(row, place, planning);
  const asMember = share(row, (message) => planning.note(place, message)) ?? {};
  const personal =
    user !== undefined && team === undefined ? planning.rows.users.find((each) => each['user_id'] === user) : undefined;
  const models = own ?? (personal && grantsOf(personal['models'], planning.groups, () => undefined));
  const expires = timeOf(row['expires']);
  const tags = listOf(fieldsOf(row['metadata'])['tags']).map(String);
  const fit = tags.filter((tag) => tagProblem(tag) === undefined).slice(0, MAX_TAGS);
  if (fit.length < tags.length)
    planning.note(place, 'some of its tags are not carried over: they have characters that tags may not have');
  const unread = UNREAD.filter((name) => saysSomething(row[name]));
  if (unread.length > 0) planning.note(place, `not carried over: ${unread.join(', ')}`);
  return {
    ...(models !== undefined && { models }),
    ...bothRules(rules, asMember),
    ...(isBound(row, place, planning) ? { blocked: true } : blockedOf(row)),
    ...(expires !== undefined && { expires_at: new Date(expires).toISOString() }),
    ...(fit.length > 0 && { tags: fit }),
    metadata: { litellm_id: String(row['token']).slice(0, 16) },
  };
}

/** All that keys are for, in LiteLLM's words. */
const MODEL_ROUTES = /^(llm_api_routes|openai_routes|anthropic_routes|\*)$/;

/** What held a key back and cannot be said here must not set it free. */
function isBound(row: Fields, place: string, { note }: Planning): boolean {
  const routes = listOf(row['allowed_routes']).map(String);
  const bounds = [
    ...(routes.every((route) => MODEL_ROUTES.test(route)) ? [] : [`its routes (${routes.join(', ')})`]),
    ...(saysSomething(row['project_id']) ? ['its project'] : []),
    ...perModelBounds(row).map((name) => `\`${name}\``),
    ...(saysSomething(fieldsOf(row['metadata'])['guardrails']) ? ['its guardrails'] : []),
  ];
  if (bounds.length === 0) return false;
  note(place, `is taken over blocked, because ${bounds.join(' and ')} held it back; unblock it if it may have all the rest`);
  return true;
}

function saysSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/** Epoch ms. Timestamps without a zone are UTC there. */
function timeOf(value: unknown): number | undefined {
  if (value instanceof Date) return value.getTime();
  const text = textOf(value);
  if (text === undefined) return undefined;
  const ms = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
