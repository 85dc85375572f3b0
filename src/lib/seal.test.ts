import { randomBytes } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createKeyring, sealedBy } from './seal.ts';

const [one, two] = [randomBytes(32), randomBytes(32)];
const ring = createKeyring([one], randomBytes);
const row = ['credentials', 'lab', 'sealed'];

describe('sealing', () => {
  test('what was sealed opens, and is never sealed alike twice', () => {
    const sealed = ring.seal('cred/v1', row, 'sk-ä-secret');
    expect(ring.open('cred/v1', row, sealed)).toBe('sk-ä-secret');
    expect(sealed).not.toContain('secret');
    expect(ring.seal('cred/v1', row, 'sk-ä-secret')).not.toBe(sealed);
    expect(ring.open('cred/v1', row, ring.seal('cred/v1', row, ''))).toBe('');
  });

  test('it opens in its own place and for its own purpose only', () => {
    const sealed = ring.seal('cred/v1', row, 'secret');
    expect(ring.open('body/v1', row, sealed)).toBeUndefined();
    expect(ring.open('cred/v1', ['credentials', 'other', 'sealed'], sealed)).toBeUndefined();
    // Neither may names be chosen so that two places look the same.
    expect(ring.open('cred/v1', ['credentials', 'lab","sealed'], sealed)).toBeUndefined();
  });

  test('no byte of it can be changed', () => {
    const sealed = ring.seal('cred/v1', row, 'secret');
    const [version, id, body = ''] = sealed.split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(ring.open('cred/v1', row, `${version}.${id}.${changed.toString('base64url')}`)).toBeUndefined();
    }
    for (const broken of ['', '1', `1.${id}`, `2.${id}.${body}`, `1.${id}.AAAA`]) {
      expect(ring.open('cred/v1', row, broken)).toBeUndefined();
    }
  });

  test('after a rotation the old key opens and the new one seals; another key opens nothing', () => {
    const sealed = ring.seal('cred/v1', row, 'secret');
    const rotated = createKeyring([two, one], randomBytes);
    expect(rotated.open('cred/v1', row, sealed)).toBe('secret');
    expect(sealedBy(rotated.seal('cred/v1', row, 'secret'))).toBe(rotated.currentId);
    expect(rotated.ids).toContain(sealedBy(sealed));
    expect(createKeyring([two], randomBytes).open('cred/v1', row, sealed)).toBeUndefined();
  });
});
