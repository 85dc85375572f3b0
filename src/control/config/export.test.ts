import { expect, test } from 'vitest';
import { parse } from 'yaml';

import { apiTree } from '../../config/api-document.ts';
import type { LayerEntry } from '../../config/layers.ts';
import type { Key } from '../../store/ports/entities.ts';
import type { InForce } from './desk.ts';
import { exportYaml } from './export.ts';

type Store = Parameters<typeof exportYaml>[1];

function key(number: number, change: Partial<Key> = {}): Key {
  const id = `key_${String(number).padStart(6, '0')}`;
  const none = { digests: [], tags: [], metadata: {}, agents: [], budgets: [], blocked: false, recordBodies: false };
  const times = { createdAtMs: 0, updatedAtMs: 0, createdBy: 'root' };
  return { kind: 'key', id, name: `k${number}`, models: ['*'], priority: 'normal', ...none, ...times, ...change };
}

function storeOf(keys: readonly Key[]): Store {
  const list = (kind: string, { afterId = '', limit }: { afterId?: string; limit: number }) =>
    Promise.resolve(kind === 'key' ? keys.filter(({ id }) => id > afterId).slice(0, limit) : []);
  return { entities: { list } } as unknown as Store;
}

function stateOf(entries: LayerEntry[], file: object = {}): InForce {
  return { layered: { entries }, file: { root: apiTree(file) } } as unknown as InForce;
}

interface Exported {
  providers: Record<string, { api_key: string }>;
  keys: { name: string; key: string }[];
}

async function exported(state: InForce, keys: readonly Key[]): Promise<Exported> {
  return parse(await exportYaml(state, storeOf(keys), 0)) as Exported;
}

test('no two secrets are read from one variable, whatever the names', async () => {
  const provider = (name: string): LayerEntry => ({ section: 'providers', name, origin: 'api', written: {}, credential: 'set' });
  const state = stateOf([provider('lab-1'), provider('lab_1'), provider('lab.1')], { admin: { key: '${env:CI_KEY}' } });
  const { providers, keys } = await exported(state, [
    key(1, { name: 'ci' }),
    key(2, { name: '鍵' }),
    key(3, { name: '匙' }),
    key(4, { name: 'a b' }),
    key(5, { name: 'a-b' }),
  ]);
  const variables = [...Object.values(providers).map((each) => each.api_key), ...keys.map((each) => each.key)];
  expect(new Set(variables).size).toBe(8);
  expect(variables).not.toContain('${env:CI_KEY}');
  expect(providers['lab-1']?.api_key).toBe('${env:LAB_1_API_KEY}');
});

test('a key of the store that one of the file stands before does not come alive in the file', async () => {
  const state = stateOf([], {
    keys: [
      { name: 'ci', key: '${env:CI}' },
      { name: 'dev', key: '${env:DEV}', team: 'team_a' },
    ],
  });
  const keys = [key(1, { name: 'ci' }), key(2, { name: 'dev', team: 'team_a' }), key(3, { name: 'dev' })];
  const text = await exportYaml(state, storeOf(keys), 0);
  expect((parse(text) as Exported).keys.map(({ name }) => name)).toEqual(['ci', 'dev', 'dev key_000003']);
  expect(text).toContain('# Left out: key ci (key_000001): a key of the file of its name is in its place.');
});

test('a great many keys hold nobody up, and are all there', async () => {
  const watch = { turns: 0 };
  const timer = setInterval(() => void watch.turns++, 0);
  const many = Array.from({ length: 5_000 }, (_, number) => key(number, number % 2 === 0 ? {} : { principal: 'svc_a' }));
  const text = await exportYaml(stateOf([]), storeOf(many), 0);
  clearInterval(timer);
  // In one go it takes a second, in which nothing else is done.
  expect(watch.turns).toBeGreaterThan(20);
  const { keys } = parse(text) as Exported;
  expect(keys).toHaveLength(2_500);
  expect(keys[1]).toEqual({ name: 'k2', key: '${env:K2_KEY}', models: ['*'] });
  expect(text.match(/^# Left out: key /gm)).toHaveLength(2_500);
});
