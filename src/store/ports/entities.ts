/** Organisations, teams, people, service accounts, keys and management tokens, as they are kept. Secrets are kept as digests only. */
import type { Budget, Limits } from '../../core/rules.ts';

/** What every entity has. */
interface Entity {
  id: string;
  name: string;
  createdAtMs: number;
  updatedAtMs: number;
  /** `root` or a user's id. */
  createdBy: string;
  /** For the operator's own use. */
  metadata: Readonly<Record<string, string>>;
}

/** What an entity that may call, or stands above those who may, allows them. */
interface Ruled {
  blocked: boolean;
  limits?: Limits;
  budgets: readonly Budget[];
}

/** Absent grants: no restriction of its own. Empty: nothing. */
interface Granting extends Ruled {
  models?: readonly string[];
  agents?: readonly string[];
}

/** `org_…` */
export interface Org extends Entity, Granting {
  kind: 'org';
}

/** `team_…` */
export interface Team extends Entity, Granting {
  kind: 'team';
  org?: string;
}

/** `usr_…` */
export interface User extends Entity, Granting {
  kind: 'user';
  email?: string;
  /** In the whole installation. */
  role: 'admin' | 'viewer' | 'none';
}

/** `svc_…` */
export interface ServiceAccount extends Entity, Granting {
  kind: 'service';
  team?: string;
  /** The team's. */
  org?: string;
}

/** `key_…` */
export interface Key extends Entity, Ruled {
  kind: 'key';
  models: readonly string[];
  agents: readonly string[];
  /** Of the present secret, and of older ones until the end of their grace. */
  digests: readonly { digest: string; untilMs?: number }[];
  /** Enough of the secret to tell it from others: `sk-sb-Ab3…x9Z4`. Absent where only a hash of it is known. */
  shown?: string;
  expiresAtMs?: number;
  rotatedAtMs?: number;
  /** A user's or a service account's id. */
  principal?: string;
  team?: string;
  org?: string;
  /** The key it descends from, and what for. */
  parent?: string;
  task?: string;
  ips?: readonly string[];
  tags: readonly string[];
  priority: 'high' | 'normal' | 'low';
  recordBodies: boolean;
}

/** `tok_…`: lets a person use the admin API; no key. */
export interface Token extends Entity {
  kind: 'token';
  principal: string;
  digest: string;
  shown: string;
  expiresAtMs?: number;
}

export interface Entities {
  org: Org;
  team: Team;
  user: User;
  service: ServiceAccount;
  key: Key;
  token: Token;
}
export type EntityKind = keyof Entities;
export type AnyEntity = Entities[EntityKind];

export interface Membership {
  user: string;
  /** A team's or an organisation's id. */
  group: string;
  role: 'team_admin' | 'org_admin' | 'member';
}

export interface EntityQuery {
  /** Only what comes behind it; ids are ordered by the time they were made. */
  afterId?: string | undefined;
  limit: number;
  /** Part of the name. */
  search?: string | undefined;
  org?: string | undefined;
  team?: string | undefined;
  principal?: string | undefined;
  parent?: string | undefined;
  /** Only what lies in one of these; users: who is a member of one. Absent: everything. */
  within?: { orgs: readonly string[]; teams: readonly string[]; principals: readonly string[] } | undefined;
}

/** All or nothing. */
export interface EntityChanges {
  /** Takes the place of what has its id; `conflict` where another has its name, e-mail address or digest. */
  put?: readonly AnyEntity[];
  /** With all memberships in them or of them. */
  remove?: readonly { kind: EntityKind; id: string }[];
  members?: readonly Membership[];
  leavers?: readonly { user: string; group: string }[];
}

export interface EntitiesPort {
  get<Kind extends EntityKind>(kind: Kind, id: string): Promise<Entities[Kind] | undefined>;
  /** Ordered by id. */
  list<Kind extends EntityKind>(kind: Kind, query: EntityQuery): Promise<Entities[Kind][]>;
  /** All of a kind, page by page, each as JSON: whoever reads a hundred thousand wants them neither parsed nor cloned on the way. */
  pageOf(kind: EntityKind, page: { afterId?: string | undefined; limit: number }): Promise<string[]>;
  /** The key or token of that digest. */
  byDigest(digest: string): Promise<Key | Token | undefined>;
  /** Addresses are compared in lower case. */
  userByEmail(email: string): Promise<User | undefined>;
  write(changes: EntityChanges): Promise<void>;
  membersOf(group: string): Promise<Membership[]>;
  membershipsOf(users: readonly string[]): Promise<Membership[]>;
}
