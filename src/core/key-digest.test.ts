import { expect, it } from 'vitest';

import { keyDigest } from './key-digest.ts';

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
