/** Who a person is by the word of an identity provider: claims in, what they mean here out. */

export type Claims = Readonly<Record<string, unknown>>;

/** How claims are read. */
export interface PeopleRules {
  /** Names of claims. */
  claims: { name: string; email: string; groups: string };
  groups: GroupRule[];
  /** Lower case; empty: all. */
  allowedDomains: string[];
  createsUsers: boolean;
}

export interface GroupRule {
  /** A value of the claim. */
  group: string;
  role?: 'admin' | 'viewer';
  /** Ids. */
  team?: string;
  org?: string;
  /** The team or organisation is led by its people. */
  leads: boolean;
}

export interface GrantedMembership {
  /** A team's or an organisation's id. */
  group: string;
  role: 'team_admin' | 'org_admin' | 'member';
}

/** What an issuer says of a person, as this installation understands it. Plain data. */
export interface VouchedPerson {
  issuer: string;
  /** Unique and lasting within the issuer. */
  subject: string;
  name: string;
  /** Verified by the issuer, lower case. */
  email?: string;
  /** Absent: claims say nothing about roles here. */
  role?: 'admin' | 'viewer' | 'none';
  memberships: GrantedMembership[];
  /** Ids of all teams and organisations that claims decide about. */
  decided: string[];
  /** May be made a user of. */
  creatable: boolean;
}

/** Undefined: the issuer's word is not enough: no usable subject, or an e-mail address of a domain that is not let in. */
export function readPerson(issuer: string, claims: Claims, rules: PeopleRules): VouchedPerson | undefined {
  const { sub: subject } = claims;
  // OpenID Connect Core §2: at most 255 ASCII characters. It becomes part of ids.
  if (typeof subject !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(subject)) return undefined;
  const email = verifiedEmail(claims, rules);
  if (!isLetIn(email, rules.allowedDomains)) return undefined;
  const groups = new Set(listClaim(claims, rules.claims.groups));
  const held = rules.groups.filter(({ group }) => groups.has(group));
  return {
    issuer,
    subject,
    name: textClaim(claims, rules.claims.name) ?? email ?? subject,
    ...(email !== undefined && { email }),
    ...(rules.groups.some(({ role }) => role !== undefined) && { role: highestRole(held) }),
    memberships: membershipsOf(held),
    decided: [...new Set(rules.groups.flatMap(({ team, org }) => [team, org].filter((id) => id !== undefined)))],
    creatable: rules.createsUsers,
  };
}

/** An address that the issuer did not verify may be anybody's; `email_verified` speaks of `email`, and of no other claim that people may choose themselves. */
function verifiedEmail(claims: Claims, rules: PeopleRules): string | undefined {
  const email = textClaim(claims, rules.claims.email);
  const isAddress = email !== undefined && /^[^\s@]+@[^\s@]+$/.test(email);
  if (!isAddress || claims['email_verified'] !== true) return undefined;
  const verified = textClaim(claims, 'email') ?? email;
  return verified.toLowerCase() === email.toLowerCase() ? email.toLowerCase() : undefined;
}

function isLetIn(email: string | undefined, domains: readonly string[]): boolean {
  return domains.length === 0 || (email !== undefined && domains.includes(email.slice(email.lastIndexOf('@') + 1)));
}

function highestRole(held: readonly GroupRule[]): 'admin' | 'viewer' | 'none' {
  if (held.some(({ role }) => role === 'admin')) return 'admin';
  return held.some(({ role }) => role === 'viewer') ? 'viewer' : 'none';
}

/** In the order of the rules; who leads by one of them leads. */
function membershipsOf(held: readonly GroupRule[]): GrantedMembership[] {
  const roles = new Map<string, GrantedMembership['role']>();
  for (const { team, org, leads } of held) {
    if (team !== undefined && (leads || !roles.has(team))) roles.set(team, leads ? 'team_admin' : 'member');
    if (org !== undefined && (leads || !roles.has(org))) roles.set(org, leads ? 'org_admin' : 'member');
  }
  return [...roles].map(([group, role]) => ({ group, role }));
}

const MAX_TEXT = 256;
const MAX_VALUES = 1_000;

/** The value of that whole name; where there is none, `a.b` leads into the object `a`. Own members only. */
function claimOf(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Claims)[step];
  }
  return value;
}

/** Without control characters; undefined where it is empty or no text. */
function textClaim(claims: Claims, name: string): string | undefined {
  const value = claimOf(claims, name);
  if (typeof value !== 'string') return undefined;
  const text = value
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT)
    .toWellFormed();
  return text === '' ? undefined : text;
}

/** The texts of a list, or the one text. */
function listClaim(claims: Claims, name: string): string[] {
  const value = claimOf(claims, name);
  const values = Array.isArray(value) ? value.slice(0, MAX_VALUES) : [value];
  return values.filter((each): each is string => typeof each === 'string');
}
