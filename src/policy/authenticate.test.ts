import { expect, test } from 'vitest';

import type { KeyRecord } from '../config/snapshot.ts';
import { keyDigest } from '../core/key-digest.ts';
import { createAuthenticate } from './authenticate.ts';

const PEPPER = 'ab'.repeat(32);
const ADMIN = 'the-admin-key-0123456789';
const NOW = 1_000_000;

function key(name: string, secret: string, more: Partial<KeyRecord> = {}): KeyRecord {
  return { name, digest: keyDigest(PEPPER, secret), models: ['*'], agents: [], blocked: false, ...more };
}

const authenticate = createAuthenticate({
  keys: [
    key('a', 'key-of-a-0123456789'),
    key('b', 'key-of-b-0123456789'),
    key('blocked', 'key-blocked-0123456', { blocked: true }),
    key('expired', 'key-expired-0123456', { expiresAtMs: NOW }),
  ],
  pepper: PEPPER,
  adminKeyDigest: keyDigest(PEPPER, ADMIN),
});

test.each(['x-signalbox-key', 'x-api-key', 'x-goog-api-key', 'api-key'])('%s carries a key', (header) => {
  expect(authenticate({ [header]: 'key-of-a-0123456789' }, NOW).name).toBe('a');
});

test.each(['Bearer key-of-b-0123456789', 'bearer  key-of-b-0123456789'])('Authorization: %s', (authorization) => {
  expect(authenticate({ authorization }, NOW).name).toBe('b');
  // The second time it is remembered.
  expect(authenticate({ authorization }, NOW).name).toBe('b');
});

test('the same key in two headers is one key; a foreign word beside a valid key is none of ours', () => {
  const bearer = 'Bearer key-of-a-0123456789';
  expect(authenticate({ 'x-api-key': 'key-of-a-0123456789', authorization: bearer }, NOW).name).toBe('a');
  expect(authenticate({ 'x-api-key': 'sk-ant-somebody-elses', authorization: bearer }, NOW).name).toBe('a');
});

test.each([
  [{}, 'missing_key'],
  [{ authorization: 'Basic a2V5LW9mLWE=' }, 'missing_key'],
  [{ 'x-api-key': '' }, 'missing_key'],
  [{ authorization: 'Bearer nobody-knows-this' }, 'invalid_key'],
  [{ 'x-api-key': 'key-blocked-0123456' }, 'invalid_key'],
  [{ 'x-api-key': 'key-expired-0123456' }, 'invalid_key'],
  [{ 'x-api-key': keyDigest(PEPPER, 'key-of-a-0123456789') }, 'invalid_key'],
  [{ authorization: `Bearer ${ADMIN}` }, 'admin_key_on_inference'],
  [{ 'x-api-key': 'key-of-a-0123456789', authorization: 'Bearer key-of-b-0123456789' }, 'conflicting_keys'],
])('%j is refused as %s', (headers, code) => {
  expect(() => authenticate(headers, NOW)).toThrow(expect.objectContaining({ code }));
});

test('a remembered key still expires', () => {
  const brief = createAuthenticate({
    keys: [key('brief', 'key-brief-012345678', { expiresAtMs: NOW + 1 })],
    pepper: PEPPER,
    adminKeyDigest: '',
  });
  const headers = { 'x-api-key': 'key-brief-012345678' };
  expect(brief(headers, NOW).name).toBe('brief');
  expect(() => brief(headers, NOW + 1)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
});
