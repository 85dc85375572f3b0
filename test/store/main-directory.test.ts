/** The directory as main keeps it: told to workers, renewed when much has changed, rid of what has ended. */
import { afterEach, expect, test, vi } from 'vitest';

import type { Snapshot } from '../../src/config/snapshot.ts';
import type { KeyEntry } from '../../src/core/directory.ts';
import { keyDigest } from '../../src/core/key-digest.ts';
import type { Scope } from '../../src/core/rules.ts';
import { createDirectoryIndex } from '../../src/policy/directory-index.ts';
import { type MainDirectory, createDirectory } from '../../src/runtime/directory.ts';
import type { DirectoryNews } from '../../src/runtime/directory-desk.ts';
import { createSharedOverview } from '../../src/runtime/shared-state.ts';
import { SLOT_SPACE, createSlotBook } from '../../src/runtime/slots.ts';
import type { Store } from '../../src/store/store.ts';
import { exchangeFact } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

const PEPPER = 'ab'.repeat(32);
const BUDGET = { limitNanoUsd: 5e9, window: 'total', timeZone: 'UTC', hard: true, mode: 'strict', unpriced: 'ceiling' } as const;

const NO_RULES = { models: {}, targets: {}, providers: {}, tags: {} };

let running: MainDirectory | undefined;
afterEach(() => running?.stop());

/** A worker of its own: it is told what every worker is told. */
async function setUp(store: Store, pace: { sweepMs?: number; manyChanges?: number } = {}) {
  const index = createDirectoryIndex();
  const told: { tables: number; events: string[]; warned: unknown[] } = { tables: 0, events: [], warned: [] };
  const know = ({ table, changes }: DirectoryNews): void => {
    if (table !== undefined) {
      told.tables++;
      index.load(table);
    }
    for (const change of changes) index.change(change);
  };
  const { accounts } = createSharedOverview(1, Date.now());
  const snapshot = { keys: [] as KeyEntry[], rules: NO_RULES, agents: [] } as unknown as Snapshot;
  const slots = createSlotBook(SLOT_SPACE, Date.now);
  const directory = createDirectory({
    store,
    slots,
    accounts,
    pepper: PEPPER,
    snapshot: () => snapshot,
    tell: (news) => {
      know(news);
      return Promise.resolve(true);
    },
    raise: (type, scope) => told.events.push(`${type} ${scope}`),
    log: (_level, fields) => told.warned.push(fields),
    pace,
  });
  running = directory;
  await directory.load();
  const use = (secret: string) => index.find(keyDigest(PEPPER, secret), Date.now())?.caller;
  return { directory, use, told, accounts, slots, know };
}

forEachStore((_kind, open) => {
  test('a worker that begins is told all that one knows that runs', async () => {
    const { store } = await open();
    const { directory, use } = await setUp(store);
    const [kept, gone] = [
      await directory.service.keys.create({ name: 'a' }, 'root'),
      await directory.service.keys.create({ name: 'b' }, 'root'),
    ];
    await directory.service.keys.remove(gone.after.id);
    const other = await setUp(store);
    const late = createDirectoryIndex();
    const { table, changes } = directory.whole();
    late.load(table!);
    for (const change of changes) late.change(change);
    for (const find of [use, other.use, (secret: string) => late.find(keyDigest(PEPPER, secret), Date.now())?.caller]) {
      expect([find(kept.secret)?.key.id, find(gone.secret)]).toEqual([kept.after.id, undefined]);
    }
  });

  test('after many changes the table is made anew, and nothing that changed meanwhile is lost', async () => {
    const { store } = await open();
    const { directory, use, told } = await setUp(store, { manyChanges: 10 });
    const minted = await Promise.all(
      Array.from({ length: 40 }, (_, at) => directory.service.keys.create({ name: `k${at}` }, 'root')),
    );
    const blocked = minted.filter((_, at) => at % 3 === 0);
    await Promise.all(blocked.map(({ after }) => directory.service.keys.update(after.id, { blocked: true })));
    await vi.waitFor(() => expect(directory.whole().changes.length).toBeLessThan(20));
    expect(told.tables).toBeGreaterThan(1);
    expect(minted.map(({ secret }) => use(secret) !== undefined)).toEqual(minted.map((each) => !blocked.includes(each)));
  });

  test('what was spent before counts before the first reservation, after a restart and for a budget that is given later', async () => {
    const { store } = await open();
    const first = await setUp(store);
    const [old, fresh] = await Promise.all(
      [[BUDGET], []].map((budgets, at) => first.directory.service.keys.create({ name: `k${at}`, budgets }, 'root')),
    );
    const scopes: Scope[] = [`key:${old!.after.id}`, `key:${fresh!.after.id}`];
    const batch = { node: 'n', file: 'a.jnl', thread: 'w0-a', fromByte: 0, toByte: 9, facts: [exchangeFact('ex_1', { scopes })] };
    await store.facts.import(batch);
    await first.directory.service.keys.update(fresh!.after.id, { budgets: [BUDGET] });
    const second = await setUp(store);
    const spent = ({ use, accounts }: typeof first, secret: string) =>
      accounts.read(use(secret)!.rules[0]!.budgets[0]!.slot).spentNanoUsd;
    expect(spent(first, fresh!.secret)).toBe(1_000);
    expect([spent(second, old!.secret), spent(second, fresh!.secret)]).toEqual([1_000, 1_000]);
  });

  test('the end of a key is told, its places are given back, and a later end brings it back', async () => {
    const { store } = await open();
    const { directory, use, told, slots } = await setUp(store, { sweepMs: 20 });
    const soon = Date.now() + 300;
    const { after, secret } = await directory.service.keys.create({ name: 'k', expiresAtMs: soon, limits: { rpm: 5 } }, 'root');
    const { slot } = use(secret)!.rules[0]!.requests!;
    await vi.waitFor(() => expect(told.events).toContain(`key.expired key:${after.id}`));
    await vi.waitFor(() => expect(slots.slotOf(`key:${after.id}`, 'requests')).not.toBe(slot));
    expect(use(secret)).toBeUndefined();
    await directory.service.keys.update(after.id, { expiresAtMs: null });
    expect(use(secret)?.key.id).toBe(after.id);
  });

  test('keys of the file that belong to nobody are complained of', async () => {
    const { store } = await open();
    const { directory, told } = await setUp(store);
    const user = (await directory.service.users.create({ name: 'u' }, 'root')).after;
    const key = (name: string, more: Partial<KeyEntry>): KeyEntry => ({
      id: name,
      name,
      digests: [{ digest: name }],
      models: [],
      agents: [],
      tags: [],
      blocked: false,
      ...more,
    });
    const keys = [key('fine', { principal: user.id }), key('lost', { principal: 'usr_none', team: 'team_none' })];
    await directory.prepare({ keys, rules: NO_RULES, agents: [] } as unknown as Snapshot);
    expect(told.warned).toEqual([
      { key: 'lost', missing: 'usr_none' },
      { key: 'lost', missing: 'team_none' },
    ]);
  });
});
