import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { createKeyring } from '../../lib/seal.ts';
import { patched, withoutMovedSecrets } from './input.ts';
import { openSecrets, sealSecrets, splitSecrets } from './secrets.ts';

describe('a merge patch', () => {
  test.each([
    ['a member is changed', { a: 1, b: 2 }, { a: 3 }, { a: 3, b: 2 }],
    ['null takes away', { a: 1, b: 2 }, { a: null }, { b: 2 }],
    ['objects are merged', { a: { x: 1, y: 2 } }, { a: { x: null, z: 3 } }, { a: { y: 2, z: 3 } }],
    ['lists are replaced', { a: [1, 2] }, { a: [3] }, { a: [3] }],
    ['null within what was not there is nothing', {}, { a: { x: null, y: { z: null } } }, { a: { y: {} } }],
    ['an object takes the place of a value', { a: 1 }, { a: { x: 1 } }, { a: { x: 1 } }],
    [
      'headers are merged, in any case',
      { headers: { 'x-one': '1', 'x-two': '2' } },
      { headers: { 'X-Two': '3', 'X-One': null } },
      { headers: { 'x-two': '3' } },
    ],
  ])('%s', (_, before, patch, after) => {
    expect(patched(before, patch)).toEqual(after);
  });
});

describe('secrets of an agent that moves', () => {
  const before = {
    name: 'one',
    url: 'https://here.example/a',
    api_key: 'key',
    headers: { 'x-team': 'blue', 'x-token': 'secret' },
    card_keys: ['https://keys.example/jwks'],
  };
  const moved = (patch: Record<string, unknown>): Record<string, unknown> =>
    withoutMovedSecrets(before, patched(before, patch), patch);

  test.each([
    ['another path', { url: 'https://here.example/b' }],
    ['another description', { description: 'x' }],
    // They are asked without it.
    ['another key set', { card_keys: ['https://others.example/jwks'] }],
  ])('%s keeps them', (_, patch) => {
    expect(moved(patch)).toMatchObject({ api_key: 'key', headers: before.headers });
  });

  test.each([
    ['another host', { url: 'https://there.example/a' }],
    ['another port', { url: 'https://here.example:444/a' }],
    ['no TLS', { url: 'http://here.example/a' }],
    ['a replica elsewhere', { replicas: [{ id: 'b', url: 'https://there.example' }] }],
    ['a card elsewhere', { card_url: 'https://there.example/card.json' }],
    ['a probe elsewhere', { health: { url: 'https://there.example/up' } }],
    ['another origin that its card may name', { allow_origins: ['https://there.example'] }],
    ['where its key set is', { url: 'https://keys.example' }],
  ])('%s loses them', (_, patch) => {
    expect(moved(patch)).not.toHaveProperty('api_key');
    expect(moved(patch).headers).toEqual({ 'x-team': 'blue' });
  });

  test('what is said anew goes along, and nothing else', () => {
    const url = 'https://there.example';
    expect(moved({ url, api_key: 'new' })).toMatchObject({ api_key: 'new', headers: { 'x-team': 'blue' } });
    const { api_key, headers } = moved({ url, headers: { 'X-Token': 'new' } });
    expect([api_key, headers]).toEqual([undefined, { 'x-team': 'blue', 'x-token': 'new' }]);
  });
});

test('what is sealed opens only for the places it was sealed for', () => {
  const ring = createKeyring([randomBytes(32)], randomBytes);
  const written = { name: 'one', url: 'https://here.example', api_key: 'key', health: { url: 'https://here.example/up' } };
  const { open, secrets } = splitSecrets(written);
  const sealed = sealSecrets(ring, written, secrets)!;
  const row = { name: 'one', version: 1, atMs: 0, by: 'root', sealed } as const;
  const opened = (content: object) => openSecrets(ring, { ...row, content: JSON.stringify(content) }).api_key;
  expect(JSON.stringify(open)).not.toContain('api_key');
  expect(opened(open)).toBe('key');
  expect(opened({ ...open, url: 'https://there.example' })).toBeUndefined();
  expect(opened({ ...open, health: { url: 'https://there.example/up' } })).toBeUndefined();
  expect(opened({ ...open, name: 'two' })).toBeUndefined();
});
