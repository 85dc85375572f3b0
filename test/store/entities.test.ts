import { expect, test } from 'vitest';

import type {
  AnyEntity,
  EntityKind,
  EntityQuery,
  Key,
  Org,
  ServiceAccount,
  Team,
  Token,
  User,
} from '../../src/store/ports/entities.ts';
import { forEachStore } from '../support/stores.ts';

const base = { createdAtMs: 1, updatedAtMs: 1, createdBy: 'root', metadata: {}, blocked: false, budgets: [] };

function org(id: string, more: Partial<Org> = {}): Org {
  return { ...base, kind: 'org', id, name: id, ...more };
}
function team(id: string, more: Partial<Team> = {}): Team {
  return { ...base, kind: 'team', id, name: id, ...more };
}
function user(id: string, more: Partial<User> = {}): User {
  return { ...base, kind: 'user', id, name: id, role: 'none', ...more };
}
function service(id: string, more: Partial<ServiceAccount> = {}): ServiceAccount {
  return { ...base, kind: 'service', id, name: id, ...more };
}
function key(id: string, more: Partial<Key> = {}): Key {
  const digests = [{ digest: `digest-of-${id}` }];
  return {
    ...base,
    kind: 'key',
    id,
    name: id,
    models: ['*'],
    agents: [],
    tags: [],
    digests,
    priority: 'normal',
    recordBodies: false,
    ...more,
  };
}
function token(id: string, principal: string): Token {
  return { ...base, kind: 'token', id, name: id, principal, digest: `digest-of-${id}`, shown: 'sk-sb-admin-…' };
}

forEachStore((_kind, open) => {
  const filled = async (...put: AnyEntity[]) => {
    const { store } = await open();
    await store.entities.write({ put });
    const ids = async (kind: EntityKind, query: Partial<EntityQuery> = {}) =>
      (await store.entities.list(kind, { limit: 100, ...query })).map(({ id }) => id);
    return { entities: store.entities, ids };
  };

  test('what was written is read as it was, and written again takes its place', async () => {
    const whole = key('k1', {
      digests: [{ digest: 'd1' }, { digest: 'd2', untilMs: 9 }],
      limits: { rpm: 3 },
      budgets: [
        { limitNanoUsd: 9_007_199_254_740_991, window: 'day', timeZone: 'UTC', hard: true, mode: 'strict', unpriced: 'block' },
      ],
      metadata: { note: "'; drop table entities; --" },
      ips: ['10.0.0.0/8'],
    });
    const { entities } = await filled(whole, org('o1'));
    expect(await entities.get('key', 'k1')).toEqual(whole);
    expect(await entities.get('org', 'k1')).toBeUndefined();
    await entities.write({ put: [{ ...whole, blocked: true, digests: [{ digest: 'd3' }] }] });
    expect(await entities.get('key', 'k1')).toMatchObject({ blocked: true });
    expect(await Promise.all(['d1', 'd2', 'd3'].map(async (digest) => (await entities.byDigest(digest))?.id))).toEqual([
      undefined,
      undefined,
      'k1',
    ]);
  });

  test('lists are ordered by id and paged by it', async () => {
    const { ids } = await filled(key('k3'), key('k1'), key('k2'), org('o1'));
    expect(await ids('key')).toEqual(['k1', 'k2', 'k3']);
    expect(await ids('key', { limit: 2 })).toEqual(['k1', 'k2']);
    expect(await ids('key', { limit: 2, afterId: 'k2' })).toEqual(['k3']);
  });

  test.each([
    ['50%', ['k1']],
    ['_', ['k2']],
    ['\\', ['k3']],
    ["'", ['k4']],
    ['ÄRZTE', ['k4']],
    ['K', ['k1', 'k2', 'k3', 'k4']],
  ])('a search for %s finds that text and no pattern', async (search, found) => {
    const { ids } = await filled(
      key('k1', { name: 'k 50%' }),
      key('k2', { name: 'k a_b' }),
      key('k3', { name: 'k a\\b' }),
      key('k4', { name: "k d'Ärzte" }),
    );
    expect(await ids('key', { search })).toEqual(found);
  });

  test('what lies where', async () => {
    const { entities, ids } = await filled(
      org('o1'),
      org('o2'),
      team('t1', { org: 'o1' }),
      team('t2', { org: 'o2' }),
      user('u1'),
      user('u2'),
      service('s1', { team: 't1', org: 'o1' }),
      key('k1', { principal: 'u1', team: 't1', org: 'o1' }),
      key('k2', { principal: 's1', team: 't1', org: 'o1' }),
      key('k3', { team: 't2', org: 'o2' }),
      key('k4', { parent: 'k1', principal: 'u1' }),
      key('k5'),
    );
    await entities.write({ members: [{ user: 'u1', group: 't1', role: 'member' }] });
    expect(await ids('key', { org: 'o1' })).toEqual(['k1', 'k2']);
    expect(await ids('key', { team: 't2' })).toEqual(['k3']);
    expect(await ids('key', { principal: 'u1', parent: 'k1' })).toEqual(['k4']);
    const within = { orgs: ['o2'], teams: [], principals: ['u1'] };
    expect(await ids('key', { within })).toEqual(['k1', 'k3', 'k4']);
    expect(await ids('org', { within })).toEqual(['o2']);
    expect(await ids('team', { within: { orgs: [], teams: ['t1'], principals: [] } })).toEqual(['t1']);
    expect(await ids('user', { within: { orgs: [], teams: ['t1'], principals: [] } })).toEqual(['u1']);
    expect(await ids('user', { within: { orgs: [], teams: [], principals: ['u2'] } })).toEqual(['u2']);
    expect(await ids('key', { within: { orgs: [], teams: [], principals: [] } })).toEqual([]);
  });

  test.each<[string, AnyEntity, AnyEntity, 'conflict' | 'fine']>([
    ['keys of one name and owner', key('k1', { name: 'a' }), key('k2', { name: 'a' }), 'conflict'],
    ['keys of one name and two owners', key('k1', { name: 'a' }), key('k2', { name: 'a', principal: 'u' }), 'fine'],
    [
      'teams of one name in two organisations',
      team('t1', { name: 'a', org: 'o1' }),
      team('t2', { name: 'a', org: 'o2' }),
      'fine',
    ],
    ['teams of one name in one', team('t1', { name: 'a', org: 'o1' }), team('t2', { name: 'a', org: 'o1' }), 'conflict'],
    ['people of one address', user('u1', { email: 'A@example.com' }), user('u2', { email: 'a@example.com' }), 'conflict'],
    ['people of one name', user('u1', { name: 'a' }), user('u2', { name: 'a' }), 'fine'],
    ['one digest', key('k1', { digests: [{ digest: 'd' }] }), key('k2', { digests: [{ digest: 'd' }] }), 'conflict'],
  ])('%s', async (_what, first, second, outcome) => {
    const { entities } = await filled(first);
    const written = entities.write({ put: [org('o9'), second] });
    if (outcome === 'fine') return expect(written).resolves.toBeUndefined();
    await expect(written).rejects.toMatchObject({ code: 'conflict' });
    // All or nothing.
    expect(await entities.get('org', 'o9')).toBeUndefined();
  });

  test('members come, change and go; who is removed leaves nothing behind', async () => {
    const { entities } = await filled(user('u1'), user('u2'), team('t1'), team('t2'), key('k1'), token('tok1', 'u1'));
    const member = (user: string, group: string, role: 'member' | 'team_admin' = 'member') => ({ user, group, role });
    await entities.write({ members: [member('u1', 't1'), member('u2', 't1'), member('u1', 't2')] });
    await entities.write({ members: [member('u1', 't1', 'team_admin')], leavers: [{ user: 'u2', group: 't1' }] });
    expect(await entities.membersOf('t1')).toEqual([member('u1', 't1', 'team_admin')]);
    expect(await entities.membershipsOf(['u1', 'u2'])).toHaveLength(2);
    expect(await entities.membershipsOf([])).toEqual([]);
    await entities.write({
      remove: [
        { kind: 'team', id: 't2' },
        { kind: 'key', id: 'k1' },
      ],
    });
    expect(await entities.membershipsOf(['u1'])).toEqual([member('u1', 't1', 'team_admin')]);
    expect(await entities.byDigest('digest-of-k1')).toBeUndefined();
    expect(await entities.byDigest('digest-of-tok1')).toMatchObject({ kind: 'token', principal: 'u1' });
    await entities.write({ remove: [{ kind: 'user', id: 'u1' }] });
    expect(await entities.membersOf('t1')).toEqual([]);
  });
});
