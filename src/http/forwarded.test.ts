import { expect, it } from 'vitest';

import { createClientAddress } from './forwarded.ts';

const direct = createClientAddress([]);
const behind = createClientAddress(['10.0.0.0/8', '2001:db8::/32', '192.0.2.7']);

it('believes nobody by default', () => {
  expect(direct('198.51.100.1', '203.0.113.9')).toBe('198.51.100.1');
  expect(direct('::ffff:198.51.100.1', undefined)).toBe('198.51.100.1');
  expect(direct('::1', undefined)).toBe('::1');
});

it.each([
  // remote, header, client
  ['10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['10.0.0.1', '1.1.1.1, 203.0.113.9, 10.2.3.4', '203.0.113.9'],
  ['10.0.0.1', '10.9.9.9, 10.2.3.4', '10.9.9.9'],
  ['10.0.0.1', '203.0.113.9:51234', '203.0.113.9'],
  ['10.0.0.1', '[2001:0DB9::1]:443', '2001:db9::1'],
  ['2001:db8::5', '203.0.113.9', '203.0.113.9'],
  ['192.0.2.7', '203.0.113.9', '203.0.113.9'],
  ['192.0.2.8', '203.0.113.9', '192.0.2.8'],
  ['10.0.0.1', undefined, '10.0.0.1'],
  ['10.0.0.1', '', '10.0.0.1'],
  ['10.0.0.1', '203.0.113.9, unknown', '10.0.0.1'],
  ['10.0.0.1', '203.0.113.9, 10.2.3.4, <script>', '10.0.0.1'],
  ['10.0.0.1', '127.1', '10.0.0.1'],
  ['', '203.0.113.9', ''],
])('%s with %j is %s', (remote, header, client) => {
  expect(behind(remote, header)).toBe(client);
});

it('refuses what is no range', () => {
  expect(() => createClientAddress(['everywhere'])).toThrow();
});
