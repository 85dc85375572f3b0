import { expect, test } from 'vitest';

import type { DocumentVersion, SealedCredential } from '../../src/store/ports/documents.ts';
import { forEachStore } from '../support/stores.ts';

function version(number: number, content: object = {}): DocumentVersion {
  return { number, atMs: 1_000 * number, by: 'root', note: `%_' ${number}`, content: JSON.stringify(content) };
}

function credential(provider: string, sealed: string): SealedCredential {
  return { provider, boundTo: '["openai","https://a.example"]', sealed, atMs: 5, by: 'usr_1' };
}

forEachStore((_, open) => {
  test('versions are numbered once, listed newest first, and found', async () => {
    const { documents } = (await open()).store;
    expect(await documents.head()).toBeUndefined();
    await documents.append(version(1, { models: [] }), []);
    await documents.append(version(2), []);
    await expect(documents.append(version(2, { other: 1 }), [])).rejects.toMatchObject({ code: 'conflict' });
    expect(await documents.head()).toEqual(version(2));
    expect(await documents.get(1)).toEqual(version(1, { models: [] }));
    expect(await documents.get(7)).toBeUndefined();
    const { content: _, ...head } = version(1);
    expect(await documents.list({ before: 2, limit: 10 })).toEqual([head]);
    expect((await documents.list({ limit: 1 })).map(({ number }) => number)).toEqual([2]);
  });

  test('a thousand versions are kept', async () => {
    const { documents } = (await open()).store;
    await documents.append(version(1), []);
    await documents.append(version(1_001), []);
    expect(await documents.get(1)).toBeUndefined();
    expect((await documents.list({ limit: 10 })).map(({ number }) => number)).toEqual([1_001]);
  });

  test('credentials are replaced, taken back, and go with the version that drops them, or not at all', async () => {
    const { documents } = (await open()).store;
    await documents.putCredential(credential('a', 'one'));
    await documents.putCredential(credential('a', 'two'));
    await documents.putCredential(credential('b', 'three'));
    expect(await documents.credentials()).toEqual([credential('a', 'two'), credential('b', 'three')]);
    await documents.append(version(1), []);
    await expect(documents.append(version(1), ['a'])).rejects.toMatchObject({ code: 'conflict' });
    expect(await documents.credentials()).toHaveLength(2);
    await documents.append(version(2), ['a', 'unknown']);
    expect(await documents.credentials()).toEqual([credential('b', 'three')]);
    expect(await documents.removeCredential('b')).toBe(true);
    expect(await documents.removeCredential('b')).toBe(false);
  });

  test('they are sealed anew all together, or none', async () => {
    const { documents } = (await open()).store;
    await documents.putCredential(credential('a', 'old-a'));
    await documents.putCredential(credential('b', 'old-b'));
    const stale = [
      { provider: 'a', before: 'old-a', sealed: 'new-a' },
      { provider: 'b', before: 'other', sealed: 'new-b' },
    ];
    await expect(documents.reseal(stale)).rejects.toMatchObject({ code: 'conflict' });
    expect((await documents.credentials()).map(({ sealed }) => sealed)).toEqual(['old-a', 'old-b']);
    await documents.reseal([{ provider: 'a', before: 'old-a', sealed: 'new-a' }]);
    expect((await documents.credentials()).map(({ sealed }) => sealed)).toEqual(['new-a', 'old-b']);
  });
});
