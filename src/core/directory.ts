/**
 * Who may call: keys, and the parties that they belong to. Those of the store stand beside the snapshot, because they change with every key minted: workers get them
 * whole once (`directoryNames` says how each is found) and changes after that. Rights are computed at use from what stands here then: grant ∩ the owner's present
 * role and team.
 */
import type { Rules, Scope } from './rules.ts';

export type PartyKind = 'org' | 'team' | 'user' | 'service';

/** An organisation, a team, or a principal (user, service account). */
export interface Party {
  /** `org_…`, `team_…`, `usr_…`, `svc_…`. */
  id: string;
  kind: PartyKind;
  name: string;
  blocked: boolean;
  /** A team's organisation, a service account's team. */
  parent?: string;
  /** A user's teams and organisations, with the role in each. */
  teams?: Readonly<Record<string, 'team_admin' | 'member'>>;
  orgs?: Readonly<Record<string, 'org_admin' | 'member'>>;
  /** Absent: no restriction of its own. Empty: nothing. */
  models?: readonly string[];
  agents?: readonly string[];
  rules?: Rules;
}

/** A virtual key. */
export interface KeyEntry {
  /** A key of the file: its name. A minted one: `key_…`. Its identity in the ledger. */
  id: string;
  name: string;
  /** HMAC(pepper, SHA-256(key)), hex. After a rotation the old one holds until its grace ends. */
  digests: readonly { digest: string; untilMs?: number }[];
  /** Public model names, `prefix*` or `*`. */
  models: readonly string[];
  /** Agent names, `tag:x` or `*`. */
  agents: readonly string[];
  blocked: boolean;
  expiresAtMs?: number;
  /** Party ids. */
  principal?: string;
  team?: string;
  org?: string;
  /** Key id; the child's rights end with the parent's. Depth ≤ 8. */
  parent?: string;
  task?: string;
  /** CIDR ranges from which it is accepted; absent: from anywhere. */
  ips?: readonly string[];
  tags: readonly string[];
  /** Share class under load; absent: `normal`. */
  priority?: 'high' | 'normal' | 'low';
  /** Whether bodies of its exchanges are recorded. */
  recordBodies?: boolean;
  rules?: Rules;
}

/** What the store adds to, changes in or takes from the directory, all at once. Keys of the file come with the snapshot and go before all others. */
export interface DirectoryChange {
  /** One more than that of the change before. */
  version: number;
  keys: readonly KeyEntry[];
  parties: readonly Party[];
  removedKeys: readonly string[];
  removedParties: readonly string[];
}

/** A key with all that stands above it at the moment of use. */
export interface Caller {
  key: KeyEntry;
  /** The keys it descends from, nearest first. */
  ancestors: readonly KeyEntry[];
  principal?: Party;
  team?: Party;
  org?: Party;
  /** Key, ancestors, principal, team, org and tags: what its money belongs to before a model is chosen. */
  scopes: readonly Scope[];
  /** The rules of those scopes that have any, in the same order. */
  rules: readonly Rules[];
}

/** Under which names a record table holds keys and parties. */
export const directoryNames = {
  digest: (digest: string): string => `d:${digest}`,
  key: (id: string): string => `k:${id}`,
  party: (id: string): string => `p:${id}`,
};

/**
 * What no two keys share: the name, within whom it belongs to. A key of the file shadows one of the store of the same identity.
 */
export function keyIdentity({ principal = '', team = '', name }: Pick<KeyEntry, 'principal' | 'team' | 'name'>): string {
  return `${principal}/${team}/${name}`;
}
