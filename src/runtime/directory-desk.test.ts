import { expect, test } from 'vitest';

import type { DirectoryChange } from '../core/directory.ts';
import { createDirectoryDesk } from './directory-desk.ts';

const nothing = { keys: [], parties: [], removedKeys: [], removedParties: [] };
const versions = (changes: readonly DirectoryChange[]) => changes.map(({ version }) => version);

test('changes are numbered and kept for workers that begin', () => {
  const desk = createDirectoryDesk();
  expect(desk.add({ ...nothing, removedKeys: ['a'] })).toMatchObject({
    version: 1,
    changes: [{ version: 1, removedKeys: ['a'] }],
  });
  desk.add(nothing);
  expect(versions(desk.whole().changes)).toEqual([1, 2]);
  expect(desk.whole()).toMatchObject({ version: 2 });
});

test('a new table takes the place of what was in it when its making began, and of nothing later', () => {
  const desk = createDirectoryDesk();
  desk.add({ ...nothing, removedKeys: ['a'] });
  const began = desk.version();
  desk.add({ ...nothing, removedKeys: ['b', 'c'] });
  const table = new SharedArrayBuffer(8);
  const news = desk.replace(table, began);
  expect(news).toMatchObject({ version: 2, table });
  expect(versions(news.changes)).toEqual([2]);
  expect(desk.changed()).toBe(2);
  expect(desk.whole()).toEqual(news);
});
