/** The directory's rules against a real store, as the data plane comes to see them. */
import { hash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';

import { loadDirectory } from '../../src/control/directory/load.ts';
import { type DirectoryService, createDirectoryService } from '../../src/control/directory/directory.ts';
import type { KeyEntry } from '../../src/core/directory.ts';
import { keyDigest } from '../../src/core/key-digest.ts';
import { isManagementToken, isMintedKey } from '../../src/core/key-format.ts';
import type { Budget } from '../../src/core/rules.ts';
import { createIdSource } from '../../src/lib/ids.ts';
import { mayUseModel } from '../../src/policy/authorize.ts';
import { createDirectoryIndex } from '../../src/policy/directory-index.ts';
import { createSlotBook } from '../../src/runtime/slots.ts';
import type { Store } from '../../src/store/store.ts';
import { forEachStore } from '../support/stores.ts';

const PEPPER = 'ab'.repeat(32);
const START_MS = 1_700_000_000_000;
const budget = (usd: number, window: Budget['window'] = 'day'): Budget => ({
  limitNanoUsd: usd * 1e9,
  window,
  timeZone: 'UTC',
  hard: true,
  mode: 'strict',
  unpriced: 'ceiling',
});

function setUp(store: Store, fileKeys: KeyEntry[] = [], places = 100) {
  const state = { nowMs: START_MS, events: [] as string[], filled: 0, version: 0 };
  const index = createDirectoryIndex();
  index.useFile({ keys: fileKeys, tags: {} });
  const slots = createSlotBook({ windows: places, leases: places, accounts: places }, () => state.nowMs);
  const { timedId } = createIdSource(randomBytes);
  const directory: DirectoryService = createDirectoryService({
    store,
    slots,
    publish: (change) => {
      index.change({ ...change, version: ++state.version });
      return Promise.resolve(true);
    },
    fill: () => slots.fillNew((accounts) => Promise.resolve(void (state.filled += accounts.length))),
    snapshot: () => ({ keys: fileKeys }),
    pepper: PEPPER,
    nowMs: () => state.nowMs,
    random: randomBytes,
    newId: (prefix) => timedId(prefix, state.nowMs),
    raise: (type, scope) => state.events.push(`${type} ${scope.replace(/_[0-9a-z]{24}/, '_…')}`),
  });
  const use = (secret: string) => index.find(keyDigest(PEPPER, secret), state.nowMs)?.caller;
  /** What a worker would see that starts now. */
  const freshUse = async (secret: string) => {
    const fresh = createDirectoryIndex();
    fresh.useFile({ keys: fileKeys, tags: {} });
    const parts = { entities: store.entities, slotOf: slots.slotOf, nowMs: () => state.nowMs, onKey: () => {} };
    fresh.load(await loadDirectory({ ...parts, onLeftOut: (id) => state.events.push(`left out ${id.slice(0, 4)}`) }));
    return fresh.find(keyDigest(PEPPER, secret), state.nowMs)?.caller;
  };
  return { state, directory, use, freshUse, slots };
}

const refusal = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) }) });

forEachStore((_kind, open) => {
  const ready = async (fileKeys?: KeyEntry[], places?: number) => {
    const { store } = await open();
    return { store, ...setUp(store, fileKeys, places) };
  };

  test('a minted key is usable with the answer; only a digest of it is kept', async () => {
    const { store, directory, use, freshUse, state } = await ready();
    const { after, secret, inForce } = await directory.keys.create({ name: 'ci', models: ['gpt-*'] }, 'root');
    expect(isMintedKey(secret) && !isManagementToken(secret)).toBe(true);
    expect(inForce).toBe(true);
    expect(use(secret)?.key).toMatchObject({ id: after.id, models: ['gpt-*'] });
    expect((await freshUse(secret))?.key).toEqual(use(secret)?.key);
    expect(JSON.stringify(await store.entities.list('key', { limit: 9 }))).not.toContain(secret);
    expect(after.shown).toBe(`sk-sb-${secret.slice(6, 9)}…${secret.slice(-4)}`);
    expect(state.events).toEqual(['key.created key:key_…']);
  });

  test('block, unblock, expiry, change, removal: in force with the answer, and after a restart', async () => {
    const { directory, use, freshUse, state } = await ready();
    const { after, secret } = await directory.keys.create({ name: 'ci', expiresAtMs: START_MS + 10 }, 'root');
    const both = async () => [use(secret) !== undefined, (await freshUse(secret)) !== undefined];
    await directory.keys.update(after.id, { blocked: true });
    expect(await both()).toEqual([false, false]);
    await directory.keys.update(after.id, { blocked: false });
    expect(await both()).toEqual([true, true]);
    state.nowMs += 10;
    expect(await both()).toEqual([false, false]);
    await directory.keys.update(after.id, { expiresAtMs: null });
    expect(await both()).toEqual([true, true]);
    await directory.keys.remove(after.id);
    expect(await both()).toEqual([false, false]);
    expect(state.events).toEqual(['key.created key:key_…', 'key.blocked key:key_…']);
    await expect(directory.keys.update(after.id, {})).rejects.toEqual(refusal('not_found'));
  });

  test('rotation: the new secret at once, the old one until its grace ends', async () => {
    const { directory, use, freshUse, state } = await ready();
    const { after, secret: first } = await directory.keys.create({ name: 'ci' }, 'root');
    const { secret: second } = await directory.keys.rotate(after.id, 60);
    expect([use(first)?.key.id, use(second)?.key.id]).toEqual([after.id, after.id]);
    const { secret: third } = await directory.keys.rotate(after.id, 0);
    expect([use(first), use(second)]).toEqual([undefined, undefined]);
    expect((await freshUse(third))?.key.id).toBe(after.id);
    const { secret: fourth } = await directory.keys.rotate(after.id, 60);
    state.nowMs += 60_000;
    expect([use(third), use(fourth)?.key.id]).toEqual([undefined, after.id]);
    expect(await freshUse(third)).toBeUndefined();
  });

  test('a key from elsewhere is imported by its hash, once', async () => {
    const { directory, use } = await ready();

    const sha256 = hash('sha256', 'sk-from-elsewhere-0123456789');
    await directory.keys.import({ name: 'old', sha256 }, 'root');
    expect(use('sk-from-elsewhere-0123456789')?.key.name).toBe('old');
    await expect(directory.keys.import({ name: 'again', sha256 }, 'root')).rejects.toEqual(refusal('conflict'));
  });

  test('rights end with the role: membership, team, organisation, service account', async () => {
    const { directory, use, freshUse } = await ready();
    const org = (await directory.orgs.create({ name: 'o', models: ['gpt-*', 'claude'] }, 'root')).after;
    const team = (await directory.teams.create({ name: 't', org: org.id, models: ['gpt-4o', 'claude'] }, 'root')).after;
    const user = (await directory.users.create({ name: 'u', email: 'u@example.com' }, 'root')).after;
    const mint = () => directory.keys.create({ name: 'k', principal: user.id, team: team.id }, user.id);
    await expect(mint()).rejects.toEqual(refusal('invalid_request', /no member/));
    await directory.members.set({ user: user.id, group: team.id, role: 'member' });
    const { secret } = await mint();
    const granted = () => ['gpt-4o', 'gpt-4', 'claude'].filter((model) => mayUseModel(use(secret)!, model));
    expect(use(secret)?.scopes).toEqual([expect.stringMatching(/^key:/), `user:${user.id}`, `team:${team.id}`, `org:${org.id}`]);
    expect(granted()).toEqual(['gpt-4o', 'claude']);
    await directory.teams.update(team.id, { models: null });
    await directory.orgs.update(org.id, { models: ['gpt-*'] });
    expect(granted()).toEqual(['gpt-4o', 'gpt-4']);
    for (const [end, begin] of [
      [
        () => directory.members.remove(user.id, team.id),
        () => directory.members.set({ user: user.id, group: team.id, role: 'team_admin' }),
      ],
      [() => directory.users.update(user.id, { blocked: true }), () => directory.users.update(user.id, { blocked: false })],
      [() => directory.teams.update(team.id, { blocked: true }), () => directory.teams.update(team.id, { blocked: false })],
      [() => directory.orgs.update(org.id, { blocked: true }), () => directory.orgs.update(org.id, { blocked: false })],
    ] as const) {
      await end();
      expect([use(secret), await freshUse(secret)]).toEqual([undefined, undefined]);
      await begin();
      expect(use(secret)).toEqual(await freshUse(secret));
      expect(use(secret)).toBeDefined();
    }
    await directory.users.remove(user.id);
    expect([use(secret), await freshUse(secret)]).toEqual([undefined, undefined]);
  });

  test('a key of a service account has its team and organisation', async () => {
    const { directory, use } = await ready();
    const org = (await directory.orgs.create({ name: 'o' }, 'root')).after;
    const team = (await directory.teams.create({ name: 't', org: org.id }, 'root')).after;
    const other = (await directory.teams.create({ name: 't2', org: org.id }, 'root')).after;
    const service = (await directory.serviceAccounts.create({ name: 'rag', team: team.id }, 'root')).after;
    const { after, secret } = await directory.keys.create({ name: 'k', principal: service.id }, 'root');
    expect(after).toMatchObject({ principal: service.id, team: team.id, org: org.id });
    const elsewhere = { name: 'k2', principal: service.id, team: other.id };
    await expect(directory.keys.create(elsewhere, 'root')).rejects.toEqual(refusal('invalid_request', /team/));
    await expect(directory.teams.remove(team.id)).rejects.toEqual(refusal('conflict', /service accounts/));
    await expect(directory.orgs.remove(org.id)).rejects.toEqual(refusal('conflict', /teams/));
    await directory.serviceAccounts.remove(service.id);
    expect(use(secret)).toBeUndefined();
    await directory.teams.remove(team.id);
    await expect(directory.orgs.remove(org.id)).rejects.toEqual(refusal('conflict'));
  });

  test.each([
    [{ principal: 'usr_nobody' }, 'principal'],
    [{ principal: 'nobody' }, 'principal'],
    [{ principal: 'svc_nobody' }, 'principal'],
    [{ team: 'team_none' }, 'team'],
    [{ org: 'org_none' }, 'org'],
    [{ parent: 'key_none' }, 'parent'],
    [{ expiresAtMs: START_MS }, 'expires_at'],
    [{ task: 'x' }, 'task'],
  ])('a key with %j is refused by name', async (input, param) => {
    const { directory, state } = await ready();
    const made = directory.keys.create({ name: 'k', ...input }, 'root');
    await expect(made).rejects.toMatchObject({ code: 'invalid_request', details: { param } });
    expect(state.events).toEqual([]);
  });

  test('a child has no more than its parent, and ends with it', async () => {
    const { directory, use, freshUse } = await ready();
    const team = (await directory.teams.create({ name: 't' }, 'root')).after;
    const rules = { limits: { rpm: 10 }, budgets: [budget(5)], priority: 'normal' } as const;
    const bounds = { models: ['gpt-*', 'claude'], agents: ['tag:x'], expiresAtMs: START_MS + 100 };
    const parent = (await directory.keys.create({ name: 'p', team: team.id, ...bounds, ...rules }, 'root')).after;
    const child = (more: object) => directory.keys.create({ name: 'c', parent: parent.id, task: 'review', ...more }, 'root');
    for (const [more, param] of [
      [{ models: ['*'] }, 'models'],
      [{ models: ['gpt'] }, 'models'],
      [{ agents: ['*'] }, 'agents'],
      [{ expiresAtMs: START_MS + 101 }, 'expires_at'],
      [{ limits: { rpm: 11 } }, 'limits.rpm'],
      [{ budgets: [budget(6)] }, 'budget'],
      [{ budgets: [budget(6, 'hour')] }, 'budget'],
      [{ priority: 'high' }, 'priority'],
      [{ team: team.id }, 'parent'],
    ] as const) {
      await expect(child(more), param).rejects.toMatchObject({ code: 'invalid_request', details: { param } });
    }
    const made = await child({ models: ['gpt-4*'], limits: { rpm: 10, concurrent: 3 }, budgets: [budget(6, 'month')] });
    expect(made.after).toMatchObject({ parent: parent.id, task: 'review', team: team.id, expiresAtMs: START_MS + 100 });
    expect(use(made.secret)?.scopes).toEqual([`key:${made.after.id}`, `key:${parent.id}`, `team:${team.id}`]);
    const inherits = await directory.keys.create({ name: 'c2', parent: parent.id }, 'root');
    expect(inherits.after.models).toEqual(['gpt-*', 'claude']);
    await expect(directory.keys.update(made.after.id, { models: ['*'] })).rejects.toEqual(refusal('invalid_request'));
    // A parent that is given less takes it from its children at once.
    await directory.keys.update(parent.id, { models: ['claude'] });
    expect(mayUseModel(use(made.secret)!, 'gpt-4o')).toBe(false);
    await directory.keys.update(parent.id, { blocked: true });
    expect([use(made.secret), await freshUse(made.secret)]).toEqual([undefined, undefined]);
    await directory.keys.update(parent.id, { blocked: false });
    expect(use(made.secret)).toBeDefined();
    await directory.keys.remove(parent.id);
    expect([use(made.secret), await freshUse(made.secret)]).toEqual([undefined, undefined]);
    expect(await directory.keys.list({ limit: 9 })).toEqual([]);
  });

  test('keys descend eight deep and no deeper; a key of the file may be the first', async () => {
    const digests = [{ digest: keyDigest(PEPPER, 'the-key-of-the-file') }];
    const file: KeyEntry = { id: 'ci', name: 'ci', digests, models: ['gpt-*'], agents: [], tags: ['x'], blocked: false };
    const { directory, use } = await ready([file]);
    await expect(directory.keys.create({ name: 'c', parent: 'ci', models: ['*'] }, 'root')).rejects.toEqual(
      refusal('invalid_request'),
    );
    let made = await directory.keys.create({ name: 'c1', parent: 'ci' }, 'root');
    for (let depth = 2; depth <= 8; depth++)
      made = await directory.keys.create({ name: `c${depth}`, parent: made.after.id }, 'root');
    expect(use(made.secret)).toMatchObject({ ancestors: { length: 8 } });
    expect(use(made.secret)?.scopes.at(-1)).toBe('tag:x');
    await expect(directory.keys.create({ name: 'c9', parent: made.after.id }, 'root')).rejects.toEqual(
      refusal('invalid_request', /deep/),
    );
  });

  test('names are taken within an owner; an e-mail address belongs to one', async () => {
    const { directory } = await ready();
    await directory.keys.create({ name: 'k' }, 'root');
    await expect(directory.keys.create({ name: 'k' }, 'root')).rejects.toEqual(refusal('conflict', /name/));
    await directory.users.create({ name: 'u', email: 'u@example.com' }, 'root');
    await expect(directory.users.create({ name: 'v', email: 'U@example.com' }, 'root')).rejects.toEqual(refusal('conflict'));
  });

  test('limits and budgets have places, and accounts are filled before anything is written', async () => {
    const { directory, use, state } = await ready();
    const { secret } = await directory.keys.create(
      { name: 'k', limits: { rpm: 3 }, budgets: [budget(1), budget(9, 'month')] },
      'root',
    );
    expect(use(secret)?.rules).toMatchObject([{ requests: { slot: 0, perMinute: 3 }, budgets: [{ slot: 0 }, { slot: 1 }] }]);
    expect(state.filled).toBe(2);
  });

  test('a budget that was taken away and comes back is filled anew', async () => {
    const { directory, use, state } = await ready();
    const { after, secret } = await directory.keys.create({ name: 'k', budgets: [budget(1), budget(9, 'month')] }, 'root');
    await directory.keys.update(after.id, { budgets: [budget(9, 'month')] });
    await directory.keys.update(after.id, { budgets: [budget(1), budget(9, 'month')] });
    expect(use(secret)?.rules).toMatchObject([{ budgets: [{ slot: 2 }, { slot: 1 }] }]);
    expect(state.filled).toBe(3);
  });

  test('what cannot be counted is not promised', async () => {
    const { directory, store, freshUse, state } = await ready([], 1);
    const first = await directory.keys.create({ name: 'a', limits: { rpm: 3 } }, 'root');
    await expect(directory.keys.create({ name: 'b', limits: { rpm: 3 } }, 'root')).rejects.toEqual(
      refusal('conflict', /too many/),
    );
    expect(await directory.keys.list({ limit: 9 })).toHaveLength(1);
    // Written by another process, it is denied here rather than let go unlimited.
    await store.entities.write({
      put: [{ ...first.after, id: 'key_z', name: 'z', digests: [{ digest: keyDigest(PEPPER, 'z') }] }],
    });
    expect(await freshUse('z')).toBeUndefined();
    expect(state.events.at(-1)).toBe('left out key_');
  });

  test('what is refused keeps no places', async () => {
    const { directory } = await ready([], 2);
    const rules = { limits: { rpm: 3 }, budgets: [budget(1)] };
    await directory.keys.create({ name: 'a', ...rules }, 'root');
    for (let each = 0; each < 3; each++)
      await expect(directory.keys.create({ name: 'a', ...rules }, 'root')).rejects.toEqual(
        refusal('conflict', /one of this name/),
      );
    // One that takes some of its places and finds no more.
    const greedy = { budgets: [budget(1), budget(1, 'week'), budget(1, 'month')] };
    await expect(directory.keys.create({ name: 'b', ...greedy }, 'root')).rejects.toEqual(refusal('conflict', /too many/));
    await expect(directory.teams.create({ name: 't', ...greedy }, 'root')).rejects.toEqual(refusal('conflict', /too many/));
    expect((await directory.keys.create({ name: 'b', ...rules }, 'root')).inForce).toBe(true);
  });

  test('changes at once are made one after the other', async () => {
    const { directory } = await ready();
    const { after } = await directory.keys.create({ name: 'k', models: [] }, 'root');
    await Promise.all([
      directory.keys.update(after.id, { models: ['a'] }),
      directory.keys.update(after.id, { tags: ['b'] }),
      directory.keys.update(after.id, { metadata: { c: 'd' } }),
    ]);
    expect(await directory.keys.get(after.id)).toMatchObject({ models: ['a'], tags: ['b'], metadata: { c: 'd' } });
  });

  test('a management token belongs to a person, calls no model, and goes with him', async () => {
    const { directory, store, use } = await ready();
    const user = (await directory.users.create({ name: 'u' }, 'root')).after;
    const { after, secret } = await directory.tokens.create({ user: user.id, name: 'cli' }, user.id);
    expect(isManagementToken(secret)).toBe(true);
    expect(use(secret)).toBeUndefined();
    expect(await store.entities.byDigest(keyDigest(PEPPER, secret))).toMatchObject({ kind: 'token', principal: user.id });
    expect(await directory.tokens.list({ user: user.id, limit: 9 })).toEqual([after]);
    const nobody = directory.tokens.create({ user: 'usr_nobody', name: 'x' }, 'root');
    await expect(nobody).rejects.toEqual(refusal('invalid_request'));
    await directory.users.remove(user.id);
    expect(await store.entities.byDigest(keyDigest(PEPPER, secret))).toBeUndefined();
  });

  test('roles fit their groups', async () => {
    const { directory } = await ready();
    const team = (await directory.teams.create({ name: 't' }, 'root')).after;
    const user = (await directory.users.create({ name: 'u' }, 'root')).after;
    const set = (group: string, role: 'org_admin' | 'team_admin' | 'member', who = user.id) =>
      directory.members.set({ user: who, group, role });
    await expect(set(team.id, 'org_admin')).rejects.toEqual(refusal('invalid_request', /team_admin/));
    await expect(set('team_none', 'member')).rejects.toEqual(refusal('not_found'));
    await expect(set(team.id, 'member', 'usr_none')).rejects.toEqual(refusal('invalid_request'));
    expect(await set(team.id, 'member')).not.toHaveProperty('before');
    expect(await set(team.id, 'team_admin')).toMatchObject({ before: { role: 'member' }, after: { role: 'team_admin' } });
    await directory.members.remove(user.id, team.id);
    await expect(directory.members.remove(user.id, team.id)).rejects.toEqual(refusal('not_found'));
    expect(await directory.members.of(team.id)).toEqual([]);
  });
});
