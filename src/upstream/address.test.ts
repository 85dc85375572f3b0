import { describe, expect, test } from 'vitest';

import { createAddressRule, createNetworkMatch } from './address.ts';

const REFUSED = [
  '127.0.0.1',
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '192.88.99.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '192.175.48.1',
  '192.52.193.1',

  '::',
  '::1',
  '::127.0.0.1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:a9fe:a9fe',
  '::ffff:0:127.0.0.1',
  '64:ff9b::a9fe:a9fe',

  '64:ff9b:1::a9fe:a9fe',
  '2002:a9fe:a9fe::',
  '2001::1',
  '2001:db8::1',
  '3fff::1',
  '5f00::1',
  'fec0::1',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  'fc00::1',
  'ff02::1',
  '100::1',
  '2001:20::1',
  '2001:10::1',
  '4000::1',
  '1::1',
  '',
  'localhost',
  'example.com',
  '1.2.3.4.5',
  'g::1',
];

describe('addresses from outside', () => {
  const allows = createAddressRule([]);

  test.each(REFUSED)('%s is refused', (address) => {
    expect(allows(address)).toBe(false);
  });

  test.each(['8.8.8.8', '1.1.1.1', '104.18.7.192', '2606:4700::6810:7c0', '2a00:1450:4001::1', '::ffff:8.8.8.8'])(
    '%s is allowed',
    (address) => {
      expect(allows(address)).toBe(true);
    },
  );

  test('a private range is allowed where the operator says so, and only that range', () => {
    const rule = createAddressRule(['127.0.0.0/8', 'fd00::/8']);
    expect([rule('127.0.0.1'), rule('::ffff:127.0.0.1'), rule('fd00::1')]).toEqual([true, true, true]);
    expect([rule('10.0.0.1'), rule('::1'), rule('fe80::1')]).toEqual([false, false, false]);
  });
});

test('networks match by family', () => {
  const match = createNetworkMatch(['10.0.0.0/8', '::1/128']);
  expect([match('10.9.9.9'), match('::1'), match('11.0.0.1'), match('name')]).toEqual([true, true, false, false]);
});
