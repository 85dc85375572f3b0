import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';

import type { KeyEntry } from '../core/directory.ts';
import { keyDigest } from '../core/key-digest.ts';
import { mintKey } from '../core/key-format.ts';
import { createAuthenticate } from './authenticate.ts';
import { createDirectoryIndex } from './directory-index.ts';

const PEPPER = 'ab'.repeat(32);
const ADMIN = 'the-admin-key-0123456789';
const NOW = 1_000_000;

const HERE = '192.0.2.7';

function key(id: string, secret: string, more: Partial<KeyEntry> = {}): KeyEntry {
  const digests = [{ digest: keyDigest(PEPPER, secret) }];
  return { id, name: id, digests, models: ['*'], agents: [], tags: [], blocked: false, ...more };
}

function directoryOf(keys: KeyEntry[]) {
  const directory = createDirectoryIndex();
  directory.useFile({ keys, tags: {} });
  return directory;
}

const secrets = { pepper: PEPPER, adminKeyDigest: keyDigest(PEPPER, ADMIN) };
const authenticate = createAuthenticate(
  secrets,
  directoryOf([
    key('a', 'key-of-a-0123456789'),
    key('b', 'key-of-b-0123456789'),
    key('blocked', 'key-blocked-0123456', { blocked: true }),
    key('expired', 'key-expired-0123456', { expiresAtMs: NOW }),
    key('far', 'key-of-far-01234567', { ips: ['10.0.0.0/8', '2001:db8::/32'] }),
  ]),
);

test.each(['x-signalbox-key', 'x-api-key', 'x-goog-api-key', 'api-key'])('%s carries a key', (header) => {
  expect(authenticate({ [header]: 'key-of-a-0123456789' }, NOW, HERE).key.id).toBe('a');
});

test.each(['Bearer key-of-b-0123456789', 'bearer  key-of-b-0123456789'])('Authorization: %s', (authorization) => {
  expect(authenticate({ authorization }, NOW, HERE).key.id).toBe('b');
  // The second time it is remembered.
  expect(authenticate({ authorization }, NOW, HERE).key.id).toBe('b');
});

test('the same key in two headers is one key; a foreign word beside a valid key is none of ours', () => {
  const bearer = 'Bearer key-of-a-0123456789';
  expect(authenticate({ 'x-api-key': 'key-of-a-0123456789', authorization: bearer }, NOW, HERE).key.id).toBe('a');
  expect(authenticate({ 'x-api-key': 'sk-ant-somebody-elses', authorization: bearer }, NOW, HERE).key.id).toBe('a');
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
  [{ 'x-api-key': mintKey('admin', randomBytes) }, 'admin_key_on_inference'],
  [{ 'x-api-key': 'key-of-a-0123456789', authorization: 'Bearer key-of-b-0123456789' }, 'conflicting_keys'],
])('%j is refused as %s', (headers, code) => {
  expect(() => authenticate(headers, NOW, HERE)).toThrow(expect.objectContaining({ code }));
});

test('a remembered key still expires', () => {
  const brief = createAuthenticate(secrets, directoryOf([key('brief', 'key-brief-012345678', { expiresAtMs: NOW + 1 })]));
  const headers = { 'x-api-key': 'key-brief-012345678' };
  expect(brief(headers, NOW, HERE).key.id).toBe('brief');
  expect(() => brief(headers, NOW + 1, HERE)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
});

test('what is remembered holds until the directory changes', () => {
  const directory = directoryOf([key('a', 'key-of-a-0123456789')]);
  const ask = createAuthenticate(secrets, directory);
  const headers = { 'x-api-key': 'key-of-a-0123456789' };
  expect(ask(headers, NOW, HERE).key.id).toBe('a');
  directory.useFile({ keys: [], tags: {} });
  expect(() => ask(headers, NOW, HERE)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
});

test.each([
  ['10.1.2.3', true],
  ['2001:db8::1', true],
  ['::ffff:10.1.2.3', true],
  [HERE, false],
  ['nonsense', false],
])('from %s, accepted: %s', (address, accepted) => {
  const ask = () => authenticate({ 'x-api-key': 'key-of-far-01234567' }, NOW, address).key.id;
  if (accepted) expect(ask()).toBe('far');
  else expect(ask).toThrow(expect.objectContaining({ code: 'invalid_key' }));
});

test('after a rotation the old secret holds until its grace ends', () => {
  const digests = [
    { digest: keyDigest(PEPPER, 'the-new-secret-0123') },
    { digest: keyDigest(PEPPER, 'the-old-secret-0123'), untilMs: NOW + 5 },
  ];
  const ask = createAuthenticate(secrets, directoryOf([key('k', '', { digests })]));
  expect(ask({ 'x-api-key': 'the-old-secret-0123' }, NOW, HERE).key.id).toBe('k');
  expect(() => ask({ 'x-api-key': 'the-old-secret-0123' }, NOW + 5, HERE)).toThrow();
  expect(ask({ 'x-api-key': 'the-new-secret-0123' }, NOW + 5, HERE).key.id).toBe('k');
});
