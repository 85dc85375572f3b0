import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';

import { CATALOG, configFolder } from '../../../test/support/config-files.ts';
import { layer } from '../../config/layers.ts';
import type { Candidate, Reload } from '../../config/live.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { createKeyring } from '../../lib/seal.ts';
import { openStore } from '../../store/sql/open.ts';
import { type Store, StoreError } from '../../store/store.ts';
import { createVault } from '../vault.ts';
import { createConfigDesk } from './desk.ts';
import { applied } from './views.ts';

const FILE = 'providers: { demo: {} }\nmodels: [{ name: demo, targets: [{ provider: demo, model: demo }] }]\n';
const model = (name: string) => ({ models: [{ name, targets: [{ provider: 'demo', model: 'demo' }] }] });

const stores: Store[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

/** A desk on a real store and a real file; what it puts in force stands in `forced`. */
async function deskOn(open?: Store) {
  const store = open ?? (await openStore(':memory:'));
  if (open === undefined) stores.push(store);
  const folder = await configFolder({ 'gateway.yaml': FILE });
  const state = { late: [] as number[], down: false, forced: [] as string[][], resolved: [] as string[] };
  const documents = {
    ...store.documents,
    head: () => (state.down ? Promise.reject(new StoreError('store_down', 'gone')) : store.documents.head()),
  };
  const desk = createConfigDesk({
    documents,
    vault: createVault({
      store: store.documents,
      keyring: createKeyring([randomBytes(32)], randomBytes),
      source: 'the test',
      nowMs: () => 1,
      onDamaged: () => undefined,
    }),
    loadFile: () => folder.load(),
    layer: (file: LoadedConfig, document, credentials) =>
      layer(file, { catalog: CATALOG, document, credentials, addressProblem: () => undefined }),
    snapshotOf: ({ loaded }) => {
      if (loaded.settings.models.some(({ name }) => name === 'too-much')) throw new Error('no place is left');
      return { hash: JSON.stringify(loaded.settings), version: 1 } as Snapshot;
    },
    change: async (load: () => Promise<Candidate>): Promise<Reload> => {
      const candidate = await load();
      if (!candidate.ok) return { outcome: 'refused', issues: candidate.issues };
      candidate.settled?.();
      state.forced.push(desk.inForce().layered.loaded.settings.models.map(({ name }) => name));
      return { outcome: 'swapped', snapshot: candidate.snapshot, late: state.late };
    },
    addressProblem: (url) => {
      state.resolved.push(url);
      return Promise.resolve(url.includes('inner') ? 'leads inside' : undefined);
    },
    warn: () => undefined,
    nowMs: () => 1,
  });
  const first = await desk.load();
  if (first.ok) first.settled?.();
  return { desk, state, store, folder };
}

const by = { by: 'root', note: '' };

test('an edit is written, in force, and says which workers are late', async () => {
  const { desk, state, store } = await deskOn();
  const edited = await desk.edit(() => model('a'), by);
  expect(edited).toMatchObject({ number: 1, late: [] });
  expect(state.forced).toEqual([['demo', 'a']]);
  expect(await store.documents.head()).toMatchObject({ number: 1, by: 'root' });
  state.late = [2];
  const late = await desk.edit(() => model('b'), by);
  expect(applied(late, 'x')).toMatchObject({
    status: 202,
    body: { version: 2, in_force: false, late_workers: [2] },
    headers: { etag: '"v2"' },
  });
  expect(applied(edited, 'x')).not.toHaveProperty('status');
  // Nothing changes, nothing is written.
  expect(await desk.edit(() => model('b'), by)).toMatchObject({ number: 2, late: [] });
});

test('what could not come into force is not written', async () => {
  const { desk, store } = await deskOn();
  await desk.edit(() => model('a'), by);
  await expect(desk.edit(() => model('too-much'), by)).rejects.toThrow('no place is left');
  expect(await store.documents.head()).toMatchObject({ number: 1 });
  expect(await desk.edit(() => model('b'), by)).toMatchObject({ number: 2 });
});

test('what another node wrote in between is neither lost nor written over', async () => {
  const { desk: here, store } = await deskOn();
  const { desk: there } = await deskOn(store);
  await there.edit(() => model('theirs'), by);
  await expect(here.edit(() => model('ours'), { ...by, expected: 0 })).rejects.toMatchObject({ code: 'precondition_failed' });
  const both = await here.edit((document) => ({ models: [...(document.models ?? []), ...model('ours').models] }), by);
  expect(both.after.models).toMatchObject([{ name: 'theirs' }, { name: 'ours' }]);
});

test('while the store is down, reloads of the file keep what was read of it last; edits wait for it', async () => {
  const { desk, state, folder } = await deskOn();
  await desk.edit(() => model('a'), by);
  state.down = true;
  await folder.write('gateway.yaml', FILE.replaceAll('name: demo', 'name: other'));
  const reloaded = await desk.load();
  if (reloaded.ok) reloaded.settled?.();
  expect(desk.inForce().layered.loaded.settings.models.map(({ name }) => name)).toEqual(['other', 'a']);
  await expect(desk.edit(() => model('b'), by)).rejects.toMatchObject({ code: 'store_down' });
});

test('a start without the store does not pass over the document that may be in it', async () => {
  const restarted = deskOn({
    documents: { head: () => Promise.reject(new StoreError('store_down', 'gone')), credentials: () => Promise.resolve([]) },
  } as unknown as Store);
  await expect(restarted).rejects.toMatchObject({ code: 'store_down' });
});

test('names are resolved when they are new, and what they lead to is refused with its place', async () => {
  const { desk, state } = await deskOn();
  const lab = (url: string) => ({ providers: { lab: { type: 'openai-compatible', base_url: url } } });
  await desk.edit(() => lab('https://a.example/v1'), by);
  await desk.edit((document) => ({ ...document, ...model('a') }), by);
  expect(state.resolved).toEqual(['https://a.example/v1']);
  await expect(desk.edit(() => lab('https://inner.example/v1'), by)).rejects.toMatchObject({
    code: 'invalid_request',
    details: { issues: [{ param: 'providers.lab.base_url', place: 'api:/providers/lab/base_url', message: 'leads inside' }] },
  });
});

test('a credential opens for the address it was set for, and for no other, whatever the row says', async () => {
  const { desk, store } = await deskOn();
  const lab = (url: string) => ({ providers: { lab: { type: 'openai-compatible', base_url: url } } });
  const keyOf = () => desk.inForce().layered.loaded.settings.providers['lab']?.api_key;
  await desk.edit(() => lab('https://a.example/v1'), by);
  expect(keyOf()).toBe('none');
  await desk.setCredential('lab', 'sk-secret', 'root');
  expect(keyOf()).toBe('sk-secret');
  await expect(desk.setCredential('other', 'sk-secret', 'root')).rejects.toMatchObject({ code: 'not_found' });
  expect(await desk.check(lab('https://b.example/v1'))).toMatchObject({ issues: [], cleared: ['lab'] });
  expect((await desk.edit(() => lab('https://b.example/v1'), by)).cleared).toEqual(['lab']);
  expect([keyOf(), await store.documents.credentials()]).toEqual(['none', []]);
  // Somebody with the database moves a row to another address.
  await desk.setCredential('lab', 'sk-secret', 'root');
  const [row] = await store.documents.credentials();
  await desk.edit(() => lab('https://evil.example/v1'), by);
  await store.documents.putCredential({ ...row!, boundTo: '["openai-compatible","https://evil.example/v1"]' });
  await desk.edit((document) => ({ ...document, ...model('a') }), by);
  expect(keyOf()).toBe('none');
});
