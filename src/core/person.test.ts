import { describe, expect, test } from 'vitest';

import { type PeopleRules, readPerson } from './person.ts';

const RULES: PeopleRules = {
  claims: { name: 'name', email: 'email', groups: 'realm.roles' },
  groups: [
    { group: 'watchers', role: 'viewer', leads: false },
    { group: 'platform', role: 'admin', leads: false },
    { group: 'search', team: 'team_search', leads: false },
    { group: 'search-leads', team: 'team_search', org: 'org_acme', leads: true },
    { group: 'rag', team: 'team_rag', leads: false },
  ],
  allowedDomains: [],
  createsUsers: true,
};
const ISSUER = 'https://id.example.com';
const read = (claims: object, rules: Partial<PeopleRules> = {}) =>
  readPerson(ISSUER, { sub: 's-1', ...claims }, { ...RULES, ...rules });

describe('what groups give', () => {
  test('the highest role; leading wins over belonging; places in the order of the rules', () => {
    const groups = ['rag', 'search', 'platform', 'search-leads', 'watchers', 'unknown'];
    expect(read({ realm: { roles: groups } })).toEqual({
      issuer: ISSUER,
      subject: 's-1',
      name: 's-1',
      role: 'admin',
      memberships: [
        { group: 'team_search', role: 'team_admin' },
        { group: 'org_acme', role: 'org_admin' },
        { group: 'team_rag', role: 'member' },
      ],
      decided: ['team_search', 'org_acme', 'team_rag'],
      creatable: true,
    });
  });

  test('a role that a group can give is taken away with the group; without such a rule nothing is said of roles', () => {
    expect(read({})?.role).toBe('none');
    expect(read({}, { groups: RULES.groups.slice(2) })).not.toHaveProperty('role');
  });

  test.each([
    [{ realm: { roles: 'platform' } }, 'admin'],
    [{ 'realm.roles': ['platform'] }, 'admin'],
    [{ realm: { roles: [['platform'], { platform: 1 }, 7, null] } }, 'none'],
    [{ realm: 'platform' }, 'none'],
    [{ realm: null }, 'none'],
    [{ realm: JSON.parse('{"__proto__":{"roles":["platform"]}}') as object }, 'none'],
  ])('%j gives the role %s', (claims, role) => {
    expect(read(claims)?.role).toBe(role);
  });
});

describe('who is let in', () => {
  test.each(['', ' ', 'a b', 'x'.repeat(256), 'ü', 7, undefined, null, ['s']])('not the subject %j', (sub) => {
    expect(read({ sub })).toBeUndefined();
  });

  test.each([
    [{ email: 'Ann@Example.com', email_verified: true }, true],
    [{ email: 'ann@example.com', email_verified: 'true' }, false],
    [{ email: 'ann@example.com' }, false],
    [{ email: 'ann@example.com.evil.net', email_verified: true }, false],
    [{ email: 'ann@evil.net@example.com', email_verified: true }, false],
    [{ email: 'example.com', email_verified: true }, false],
    [{}, false],
  ])('of a domain, by a verified address: %j is %s', (claims, isIn) => {
    expect(read(claims, { allowedDomains: ['example.com'] }) !== undefined).toBe(isIn);
  });
});

test('an address of another claim is verified only where it is the one that was', () => {
  const claims = { ...RULES.claims, email: 'upn' };
  const victim = { upn: 'root@example.com', email_verified: true };
  expect(read({ ...victim, email: 'eve@example.com' }, { claims })).not.toHaveProperty('email');
  expect(read({ ...victim, email: 'eve@example.com' }, { claims, allowedDomains: ['example.com'] })).toBeUndefined();
  expect(read({ ...victim, email: 'Root@example.com' }, { claims })).toMatchObject({ email: 'root@example.com' });
  expect(read(victim, { claims })).toMatchObject({ email: 'root@example.com' });
});

test('an address that nobody verified is no address; a name is one line', () => {
  expect(read({ email: 'ann@example.com', name: 'Ann\u0000\nLee  ' })).toMatchObject({ name: 'Ann Lee' });
  expect(read({ email: 'ann@example.com' })).not.toHaveProperty('email');
  expect(read({ email: 'Ann@Example.com', email_verified: true })).toMatchObject({
    email: 'ann@example.com',
    name: 'ann@example.com',
  });
});
