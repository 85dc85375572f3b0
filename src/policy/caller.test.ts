import { expect, test } from 'vitest';

import type { KeyEntry, Party } from '../core/directory.ts';
import type { Rules, Scope } from '../core/rules.ts';
import { mayUseModel } from './authorize.ts';
import { MAX_KEY_DEPTH, priorityOf, usableKey } from './caller.ts';

const NOW = 1_000_000;

function key(id: string, more: Partial<KeyEntry> = {}): KeyEntry {
  return { id, name: id, digests: [], models: ['*'], agents: [], tags: [], blocked: false, ...more };
}

function party(kind: Party['kind'], id: string, more: Partial<Party> = {}): Party {
  return { id, kind, name: id, blocked: false, ...more };
}

function rules(scope: Scope): Rules {
  return { scope, budgets: [] };
}

function use(entry: KeyEntry, others: { keys?: KeyEntry[]; parties?: Party[]; tags?: Record<string, Rules> } = {}) {
  const look = {
    key: (id: string) => others.keys?.find((each) => each.id === id),
    party: (id: string) => others.parties?.find((each) => each.id === id),
    tagRules: (tag: string) => others.tags?.[tag],
  };
  return usableKey(entry, look, NOW);
}

const ORG = party('org', 'o');
const TEAM = party('team', 't', { parent: 'o' });
const USER = party('user', 'u', { teams: { t: 'member' } });
const SERVICE = party('service', 's', { parent: 't' });

test('a caller is the key with all that stands above it, nearest first', () => {
  const parent = key('parent', { principal: 's', team: 't', org: 'o', tags: ['batch'], rules: rules('key:parent') });
  const child = key('child', { principal: 's', parent: 'parent', tags: ['nightly', 'batch'] });
  const team = { ...TEAM, rules: rules('team:t') };
  const found = use(child, { keys: [parent], parties: [ORG, team, SERVICE], tags: { batch: rules('tag:batch') } });
  expect(found?.caller).toMatchObject({ key: child, ancestors: [parent], principal: SERVICE, team, org: ORG });
  expect(found?.caller.scopes).toEqual(['key:child', 'key:parent', 'service:s', 'team:t', 'org:o', 'tag:nightly', 'tag:batch']);
  expect(found?.caller.rules.map(({ scope }) => scope)).toEqual(['key:parent', 'team:t', 'tag:batch']);
});

test.each<[string, Partial<KeyEntry>, Party[]]>([
  ['a blocked principal', { principal: 's' }, [{ ...SERVICE, blocked: true }, TEAM, ORG]],
  ['a blocked team', { principal: 's' }, [SERVICE, { ...TEAM, blocked: true }, ORG]],
  ['a blocked organisation', { principal: 's' }, [SERVICE, TEAM, { ...ORG, blocked: true }]],
  ['a principal that is gone', { principal: 's' }, [TEAM, ORG]],
  ['a team that is gone', { team: 't' }, [ORG]],
  ['an organisation that is gone', { team: 't' }, [TEAM]],
  ['a user who left the team', { principal: 'u', team: 't' }, [{ ...USER, teams: {} }, TEAM, ORG]],
  ['a user who left the organisation', { principal: 'u', org: 'o' }, [USER, ORG]],
  ['a team that is none', { team: 'u' }, [USER]],
  ['a service account of another team', { principal: 's', team: 't2' }, [SERVICE, TEAM, party('team', 't2'), ORG]],
  ['another organisation than the team’s', { team: 't', org: 'o2' }, [TEAM, ORG, party('org', 'o2')]],
  ['being blocked itself', { blocked: true }, []],
  ['being expired', { expiresAtMs: NOW }, []],
])('%s makes a key unusable', (_why, more, parties) => {
  expect(use(key('k', more), { parties })).toBeUndefined();
});

test('a user’s key needs his present membership', () => {
  expect(use(key('k', { principal: 'u', team: 't' }), { parties: [USER, TEAM, ORG] })?.caller).toMatchObject({ team: TEAM });
});

test.each<[string, Partial<KeyEntry>]>([
  ['blocked', { blocked: true }],
  ['expired', { expiresAtMs: NOW }],
  ['without its principal', { principal: 'gone' }],
])('a child ends with its parent, %s', (_why, more) => {
  const child = key('child', { parent: 'parent' });
  expect(use(child, { keys: [key('parent')] })).toBeDefined();
  expect(use(child, { keys: [key('parent', more)] })).toBeUndefined();
  expect(use(child, { keys: [] })).toBeUndefined();
});

test('a child holds no longer than its parent, and from no further', () => {
  const parent = key('parent', { expiresAtMs: NOW + 5, ips: ['10.0.0.0/8'] });
  const found = use(key('child', { parent: 'parent', expiresAtMs: NOW + 9, ips: ['10.1.0.0/16'] }), { keys: [parent] });
  expect(found?.untilMs).toBe(NOW + 5);
  expect(['10.1.0.1', '10.2.0.1', '192.0.2.1'].map((ip) => found?.acceptsIp?.(ip))).toEqual([true, false, false]);
});

test('keys descend so far and no further, and a ring ends', () => {
  const chain = (depth: number) =>
    Array.from({ length: depth }, (_, at) => key(`k${at}`, at === 0 ? {} : { parent: `k${at - 1}` }));
  const deepest = chain(MAX_KEY_DEPTH + 1);
  expect(use(deepest.at(-1)!, { keys: deepest })?.caller.ancestors).toHaveLength(MAX_KEY_DEPTH);
  const tooDeep = chain(MAX_KEY_DEPTH + 2);
  expect(use(tooDeep.at(-1)!, { keys: tooDeep })).toBeUndefined();
  const ring = key('ring', { parent: 'ring' });
  expect(use(ring, { keys: [ring] })).toBeUndefined();
});

test.each<[string, boolean, Partial<KeyEntry>, Partial<Party>?, Partial<Party>?]>([
  ['all grant it', true, { models: ['gpt-*'] }, {}, { models: ['gpt-4o'] }],
  ['the key does not', false, { models: ['claude'] }],
  ['the key grants nothing', false, { models: [] }],
  ['the team grants nothing', false, {}, { models: [] }],
  ['the organisation does not', false, {}, { models: ['*'] }, { models: ['gpt-4'] }],
  ['the grants only overlap elsewhere', false, { models: ['gpt-*'] }, { models: ['claude*'] }],
])('a model is granted by key, team and organisation together: %s', (...[, granted, more, team, org]) => {
  const parties = [
    { ...TEAM, ...team },
    { ...ORG, ...org },
  ];
  expect(mayUseModel(use(key('k', { team: 't', ...more }), { parties })!.caller, 'gpt-4o')).toBe(granted);
});

test('a child may use no more than its parent', () => {
  const found = use(key('child', { parent: 'p' }), { keys: [key('p', { models: ['a'] })] })!;
  expect([mayUseModel(found.caller, 'a'), mayUseModel(found.caller, 'b')]).toEqual([true, false]);
});

test('a child goes before nobody whom its parent does not go before now', () => {
  const of = (own: KeyEntry['priority'], above: KeyEntry['priority'][]) => {
    const [line, ...ancestors] = [own, ...above].map((priority, index) => key(`k${index}`, priority && { priority }));
    return priorityOf({ key: line!, ancestors });
  };
  expect(of(undefined, [])).toBe('normal');
  expect(of('high', [])).toBe('high');
  expect(of('high', ['high', undefined])).toBe('normal');
  expect(of('high', ['low', 'high'])).toBe('low');
  expect(of('low', ['high'])).toBe('low');
});
