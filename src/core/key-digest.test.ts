import { createHash, createHmac } from 'node:crypto';

import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { digestOfHash, keyDigest } from './key-digest.ts';

const PEPPER = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';

// Computed with: printf %s KEY | openssl dgst -sha256 -binary | openssl dgst -sha256 -mac HMAC -macopt hexkey:PEPPER
it('is the HMAC of the hash', () => {
  expect(keyDigest(PEPPER, 'sk-test-0123456789abcdef')).toBe('008608b353a8d59c46c515e66be4e2363332061252e0b0c4c9a80d8c2872cfe4');
});

it('changes with the pepper and with the key', () => {
  const digest = keyDigest(PEPPER, 'sk-test-0123456789abcdef');
  expect(keyDigest(PEPPER.replace('00', '01'), 'sk-test-0123456789abcdef')).not.toBe(digest);
  expect(keyDigest(PEPPER, 'sk-test-0123456789abcdee')).not.toBe(digest);
});

it('is what node’s own HMAC makes, whatever the key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.string(), (pepper, key) => {
      const hex = Buffer.from(pepper).toString('hex');
      const hashed = createHash('sha256').update(key).digest();
      expect(keyDigest(hex, key)).toBe(createHmac('sha256', pepper).update(hashed).digest('hex'));
      expect(digestOfHash(hex, hashed.toString('hex'))).toBe(keyDigest(hex, key));
    }),
  );
});
