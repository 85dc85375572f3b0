/** A key together with everything above it, as it stands at the moment of use. */
import type { Caller, KeyEntry, Party } from '../core/directory.ts';
import type { Rules, Scope } from '../core/rules.ts';
import { inRanges } from '../lib/cidr.ts';

/** Keys may descend from keys so far: deeper ones are of no use to anybody, and a ring would never end. */
export const MAX_KEY_DEPTH = 8;

/** What callers are made of. */
export interface Lookup {
  key: (id: string) => KeyEntry | undefined;
  party: (id: string) => Party | undefined;
  tagRules: (tag: string) => Rules | undefined;
}

/** A caller as long as the directory does not change. */
export interface Usable {
  caller: Caller;
  /** Infinity: until something changes. */
  untilMs: number;
  /** Absent: from anywhere. */
  acceptsIp?: (address: string) => boolean;
}

/**
 * The caller that a key makes; undefined where the key, or anything above it, is blocked, expired, gone or contradicts the rest: what cannot be told is denied.
 * `untilMs` of the key alone comes from the digest it was found by.
 */
export function usableKey(key: KeyEntry, look: Lookup, nowMs: number): Usable | undefined {
  const line = lineage(key, look);
  if (line === undefined || line.some((each) => each.blocked)) return undefined;
  const untilMs = Math.min(...line.map((each) => each.expiresAtMs ?? Infinity));
  if (nowMs >= untilMs) return undefined;
  const owners = line.map((each) => ownersOf(each, look));
  if (!owners.every((each) => each !== undefined)) return undefined;
  const caller = callerOf(line, owners[0]!, look);
  const ranges = line.flatMap((each) => (each.ips === undefined ? [] : [inRanges(each.ips)]));
  return { caller, untilMs, ...(ranges.length > 0 && { acceptsIp: (address) => ranges.every((range) => range(address)) }) };
}

/** The key and those it descends from, nearest first. */
function lineage(key: KeyEntry, look: Lookup): KeyEntry[] | undefined {
  const line = [key];
  for (let parent = key.parent; parent !== undefined;) {
    const next = look.key(parent);
    if (next === undefined || line.length > MAX_KEY_DEPTH) return undefined;
    line.push(next);
    parent = next.parent;
  }
  return line;
}

type Owners = Pick<Caller, 'principal' | 'team' | 'org'>;

const RANKS = { low: 0, normal: 1, high: 2 } as const;

/** Its own, or that of a key above it where that one goes behind: what is taken from a parent is taken from its children. */
export function priorityOf({ key, ancestors }: Pick<Caller, 'key' | 'ancestors'>): keyof typeof RANKS {
  let least = key.priority ?? 'normal';
  for (const { priority = 'normal' } of ancestors) if (RANKS[priority] < RANKS[least]) least = priority;
  return least;
}

/** Stands for a party that is named but cannot be relied on. */
const UNUSABLE = Symbol('unusable');
type Found = Party | undefined | typeof UNUSABLE;

/** Undefined: one of them is blocked or gone, they contradict each other, or the user is not in the team any more. */
function ownersOf(key: KeyEntry, look: Lookup): Owners | undefined {
  const principal = present([key.principal], look, ['user', 'service']);
  if (principal === UNUSABLE) return undefined;
  const team = present([key.team, principal?.kind === 'service' ? principal.parent : undefined], look, ['team']);
  if (team === UNUSABLE) return undefined;
  const org = present([key.org, team?.parent], look, ['org']);
  if (org === UNUSABLE || !isMember(principal, team, org)) return undefined;
  return { ...(principal && { principal }), ...(team && { team }), ...(org && { org }) };
}

/** The party that these ids name together. */
function present(named: readonly (string | undefined)[], look: Lookup, kinds: readonly Party['kind'][]): Found {
  const [id, ...others] = new Set(named.filter((each) => each !== undefined));
  if (id === undefined) return undefined;
  const party = others.length === 0 ? look.party(id) : undefined;
  return party !== undefined && !party.blocked && kinds.includes(party.kind) ? party : UNUSABLE;
}

/** Of the team; of the organisation, where there is no team between. */
function isMember(principal: Party | undefined, team: Party | undefined, org: Party | undefined): boolean {
  if (principal?.kind !== 'user') return true;
  if (team !== undefined) return principal.teams?.[team.id] !== undefined;
  return org === undefined || principal.orgs?.[org.id] !== undefined;
}

function callerOf(line: readonly KeyEntry[], owners: Owners, look: Lookup): Caller {
  const [key, ...ancestors] = line as [KeyEntry, ...KeyEntry[]];
  const parties = [owners.principal, owners.team, owners.org].filter((party) => party !== undefined);
  const tags = [...new Set(line.flatMap((each) => each.tags))];
  const scopes: Scope[] = [
    ...line.map(({ id }): Scope => `key:${id}`),
    ...parties.map(({ kind, id }): Scope => `${kind}:${id}`),
    ...tags.map((tag): Scope => `tag:${tag}`),
  ];
  const rules = [...line, ...parties].map((each) => each.rules).concat(tags.map(look.tagRules));
  return { key, ancestors, ...owners, scopes, rules: rules.filter((each) => each !== undefined) };
}
