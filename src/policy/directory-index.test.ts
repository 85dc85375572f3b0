import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type DirectoryChange, type KeyEntry, type Party, directoryNames } from '../core/directory.ts';
import { recordTableBuilder } from '../lib/record-table.ts';
import { createDirectoryIndex } from './directory-index.ts';

const NOW = 1_000_000;

function key(id: string, more: Partial<KeyEntry> = {}): KeyEntry {
  const digests = [{ digest: `digest-of-${id}` }];
  return { id, name: id, digests, models: ['*'], agents: [], tags: [], blocked: false, ...more };
}

function tableOf(keys: readonly KeyEntry[], parties: readonly Party[] = []): SharedArrayBuffer {
  const builder = recordTableBuilder();
  for (const each of keys) {
    builder.add([directoryNames.key(each.id), ...each.digests.map(({ digest }) => directoryNames.digest(digest))], each);
  }
  for (const each of parties) builder.add([directoryNames.party(each.id)], each);
  return builder.build();
}

function change(version: number, what: Partial<DirectoryChange>): DirectoryChange {
  return { version, keys: [], parties: [], removedKeys: [], removedParties: [], ...what };
}

test('keys and parties of the table, and what changed since', () => {
  const index = createDirectoryIndex();
  const team: Party = { id: 'team_a', kind: 'team', name: 'a', blocked: false };
  index.load(tableOf([key('k', { team: 'team_a' })], [team]));
  expect(index.find('digest-of-k', NOW)?.caller).toMatchObject({ key: { id: 'k' }, team });
  index.change(change(1, { parties: [{ ...team, blocked: true }] }));
  expect(index.find('digest-of-k', NOW)).toBeUndefined();
  index.change(change(2, { parties: [team] }));
  expect(index.find('digest-of-k', NOW)).toBeDefined();
  index.change(change(3, { removedParties: ['team_a'] }));
  expect(index.find('digest-of-k', NOW)).toBeUndefined();
  index.load(tableOf([key('k')]));
  expect(index.find('digest-of-k', NOW)).toBeDefined();
});

test('every change is another generation', () => {
  const index = createDirectoryIndex();
  const seen = [index.generation()];
  for (const act of [
    () => index.useFile({ keys: [], tags: {} }),
    () => index.load(tableOf([])),
    () => index.change(change(1, {})),
  ]) {
    act();
    expect(seen).not.toContain(index.generation());
    seen.push(index.generation());
  }
});

test('a key of the file goes before one of the store that has its identity, and gives way when it leaves', () => {
  const index = createDirectoryIndex();
  index.load(tableOf([key('key_1', { name: 'ci' }), key('key_2', { name: 'ci', principal: 'usr_1' })], [user('usr_1')]));
  index.useFile({ keys: [key('ci')], tags: {} });
  expect(index.find('digest-of-ci', NOW)?.caller.key.id).toBe('ci');
  expect(index.find('digest-of-key_1', NOW)).toBeUndefined();
  // Somebody's own key of that name is another one.
  expect(index.find('digest-of-key_2', NOW)).toBeDefined();
  index.useFile({ keys: [], tags: {} });
  expect(index.find('digest-of-key_1', NOW)).toBeDefined();
});

function user(id: string): Party {
  return { id, kind: 'user', name: id, blocked: false };
}

test('rules of tags come with the file', () => {
  const index = createDirectoryIndex();
  const rules = { scope: 'tag:batch', budgets: [] } as const;
  index.useFile({ keys: [key('k', { tags: ['batch', 'constructor'] })], tags: { batch: rules } });
  expect(index.find('digest-of-k', NOW)?.caller.rules).toEqual([rules]);
});

/** Any row of changes leaves what a plain list of keys would hold. */
test('table and changes together are the last state of every key', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'd');
  const digests = fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 2 });
  const entry = fc
    .record({ id, digests })
    .map(({ id, digests }) => key(id, { digests: digests.map((n) => ({ digest: `${id}${n}` })) }));
  const step = fc.oneof(
    entry.map((each) => ({ put: each })),
    id.map((each) => ({ remove: each })),
  );
  const start = fc.uniqueArray(entry, { selector: (each) => each.id });
  fc.assert(
    fc.property(start, fc.array(step), (initial, steps) => {
      const index = createDirectoryIndex();
      index.load(tableOf(initial));
      const model = new Map(initial.map((each) => [each.id, each]));
      steps.forEach((each, at) => {
        if ('put' in each) model.set(each.put.id, each.put);
        else model.delete(each.remove);
        index.change(change(at + 1, 'put' in each ? { keys: [each.put] } : { removedKeys: [each.remove] }));
      });
      const all = ['a', 'b', 'c', 'd'].flatMap((name) => [0, 1, 2, 3].map((n) => `${name}${n}`));
      for (const digest of all) {
        const expected = [...model.values()].find((each) => each.digests.some((own) => own.digest === digest));
        expect(index.find(digest, NOW)?.caller.key).toEqual(expected);
      }
    }),
  );
});

test('a parent that a key of the file stands in for gives its children nothing', () => {
  const index = createDirectoryIndex();
  index.load(tableOf([key('parent'), key('child', { parent: 'parent' })]));
  expect(index.find('digest-of-child', NOW)).toBeDefined();
  index.useFile({ keys: [key('filed', { name: 'parent', blocked: true })], tags: {} });
  expect(index.find('digest-of-child', NOW)).toBeUndefined();
  index.useFile({ keys: [], tags: {} });
  expect(index.find('digest-of-child', NOW)).toBeDefined();
});
