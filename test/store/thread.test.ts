import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { markRead } from '../../src/runtime/journal-files.ts';
import { createJournal } from '../../src/runtime/journal.ts';
import { type StoreThread, createStoreThread } from '../../src/runtime/store-client.ts';
import { exchangeFact, reserveFact } from '../support/facts.ts';
import { describePostgres } from '../support/stores.ts';

const PATIENTLY = { timeout: 10_000, interval: 20 };
const RETENTION = { requestsDays: 36_500, bodiesDays: 36_500, hoursDays: 36_500, daysDays: 36_500, ledgerDays: 36_500 };

let home = '';
let thread: StoreThread | undefined;
const health: string[] = [];
const lags: number[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'signalbox-thread-'));
  mkdirSync(join(home, 'journal'));
  health.length = lags.length = 0;
});
afterEach(async () => {
  await thread?.close();
  rmSync(home, { recursive: true, force: true });
});

async function begin(alive: string[], url = join(home, 'store.db')): Promise<StoreThread> {
  thread = createStoreThread({
    url: new URL('../fixtures/dying-store.ts', import.meta.url),
    log: () => undefined,
    alive: () => alive,
    onHealth: (up, reason) => health.push(`${up ? 'up' : 'down'} ${reason}`),
    onLag: (bytes) => lags.push(bytes),
  });
  await thread.open({ url, node: 'n', journalDir: join(home, 'journal'), retention: RETENTION });
  return thread;
}

function journalOf(store: StoreThread): ReturnType<typeof createJournal> {
  return createJournal({
    dir: join(home, 'journal'),
    worker: 0,
    boot: 'b',
    announce: (position) => store.announce(position),
    onTrouble: () => undefined,
    onRecovered: () => undefined,
    onLost: () => undefined,
  });
}

async function spent({ store }: StoreThread): Promise<number | undefined> {
  return (await store.ledger.spentSince([{ scope: 'key:ci', sinceMs: 0 }]).catch(() => []))[0];
}

test('the thread dies: calls are refused, another takes over, workers that live keep what they hold, and nothing counts twice', async () => {
  const store = await begin(['w0-b']);
  const journal = journalOf(store);
  journal.append(exchangeFact('ex_1'));
  journal.append(reserveFact('ex_2'));
  await expect.poll(() => spent(store), PATIENTLY).toBe(1_000);
  writeFileSync(join(home, 'journal', 'die'), '');
  await expect.poll(() => health, PATIENTLY).toEqual(['down Error: ordered to die']);
  expect(store.isUp()).toBe(false);
  await expect(store.store.ledger.verify()).rejects.toMatchObject({ code: 'store_down' });
  journal.append(exchangeFact('ex_3'));
  await expect.poll(() => health, PATIENTLY).toEqual(['down Error: ordered to die', 'up ']);
  journal.append(exchangeFact('ex_2'));
  await expect.poll(() => spent(store), PATIENTLY).toBe(3_000);
  expect(await store.store.ledger.verify()).toMatchObject({ entries: 3, differences: [] });
  journal.close();
  const file = 'w0-b-000000.jnl';
  markRead(join(home, 'journal'), file);
  store.left(file);
  await expect.poll(() => readdirSync(join(home, 'journal')), PATIENTLY).toEqual([]);
});

test('a store that cannot be opened is said so, once', async () => {
  writeFileSync(join(home, 'store.db'), 'this is no database, and long enough to be looked at as one. '.repeat(20));
  await expect(begin([])).rejects.toThrow(/the store cannot be opened: .*SQLite 26/);
});

test('what waits for the store is known also while its thread is gone and cannot come back, and when it has caught up', async () => {
  const store = await begin(['w0-b']);
  const journal = journalOf(store);
  const lock = new DatabaseSync(join(home, 'store.db'));
  lock.exec('begin immediate');
  journal.append(exchangeFact('ex_1'));
  await expect.poll(() => lags.at(-1), PATIENTLY).toBeGreaterThan(0);
  const before = lags.at(-1)!;
  writeFileSync(join(home, 'journal', 'die'), '');
  await expect.poll(() => existsSync(join(home, 'journal', 'die')), PATIENTLY).toBe(false);
  for (let id = 2; id < 30; id++) journal.append(exchangeFact(`ex_${id}`));
  await expect.poll(() => lags.at(-1), PATIENTLY).toBeGreaterThan(20 * before);
  lock.exec('commit');
  lock.close();
  await expect.poll(() => lags.at(-1), PATIENTLY).toBe(0);
  expect(await spent(store)).toBe(29_000);
  journal.close();
});

test('a lock that nothing but retention ran into: the store is there again when the lock is gone, though nobody asks', async () => {
  const store = await begin([]);
  const lock = new DatabaseSync(join(home, 'store.db'));
  lock.exec('begin immediate');
  await expect.poll(() => health, PATIENTLY).toEqual([expect.stringMatching(/^down .*SQLite 5/)]);
  lock.exec('commit');
  lock.close();
  await expect.poll(() => store.isUp(), PATIENTLY).toBe(true);
});

describePostgres((postgres) => {
  test('a question that takes too long is refused, and nobody else is', async () => {
    const url = await postgres().newDatabase();
    const { store } = await begin([], url);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('begin; lock table linked_identities in access exclusive mode');
    const asked = store.people.identitiesOf('usr_a');
    await expect(asked).rejects.toMatchObject({ code: 'store_down', message: expect.stringContaining('57014') });
    expect(await store.usage.requests({ limit: 1 })).toEqual({ requests: [] });
    expect(health).toEqual([]);
    await client.query('rollback');
    await client.end();
  });
});

test('calls reach the groups, and their refusals come back as what they are', async () => {
  const { store } = await begin([]);
  expect(await store.usage.requests({ limit: 5 })).toEqual({ requests: [] });
  await expect(store.usage.requests({ limit: 5, after: 'x' })).rejects.toMatchObject({ name: 'StoreError', code: 'not_found' });
});
