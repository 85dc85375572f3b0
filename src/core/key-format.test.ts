import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { isManagementToken, isMintedKey, mintKey } from './key-format.ts';

test('a minted key has its prefix, 43 characters of secret and a checksum that holds', () => {
  expect(mintKey('key', randomBytes)).toMatch(/^sk-sb-[0-9A-Za-z]{49}$/);
  expect(mintKey('admin', randomBytes)).toMatch(/^sk-sb-admin-[0-9A-Za-z]{49}$/);
  for (let round = 0; round < 200; round++) expect(isMintedKey(mintKey('key', randomBytes))).toBe(true);
});

test('one changed character breaks the checksum', () => {
  const key = mintKey('key', randomBytes);
  fc.assert(
    fc.property(fc.integer({ min: 6, max: key.length - 1 }), fc.constantFrom('0', 'A', 'z'), (at, char) => {
      const changed = key.slice(0, at) + char + key.slice(at + 1);
      return changed === key || !isMintedKey(changed);
    }),
  );
});

test('biased bytes are thrown away, not folded', () => {
  const feeds = [Uint8Array.from({ length: 43 }, () => 255), Uint8Array.from({ length: 43 }, () => 1)];
  expect(mintKey('key', () => feeds.shift() ?? new Uint8Array(43))).toMatch(/^sk-sb-1{43}/);
});

test('keys of other shapes are not minted ones', () => {
  for (const key of ['', 'sk-sb-', 'sk-1234567890123456', `${mintKey('key', randomBytes)}x`])
    expect(isMintedKey(key)).toBe(false);
});

test('management tokens are told from keys by their prefix, with a checksum that holds', () => {
  const token = mintKey('admin', randomBytes);
  expect(isManagementToken(token)).toBe(true);
  expect(isManagementToken(mintKey('key', randomBytes))).toBe(false);
  expect(isManagementToken(`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`)).toBe(false);
});
