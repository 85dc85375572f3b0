import { describe, expect, it } from 'vitest';

import { createHostCheck, isLoopbackHost, parseHost } from './host.ts';

describe('parseHost', () => {
  it.each([
    ['localhost', 'localhost'],
    ['LocalHost:4000', 'localhost'],
    ['ai.example.com.', 'ai.example.com'],
    ['my_gateway:4000', 'my_gateway'],
    ['127.0.0.1:65535', '127.0.0.1'],
    ['[::1]:4000', '[::1]'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
  ])('%s', (value, host) => {
    expect(parseHost(value)).toBe(host);
  });

  it.each([
    '',
    ' ',
    'x/?',
    'x/#',
    'a b',
    'user@host',
    'host:',
    'host:x',
    'host:65536',
    'host:123456',
    '[::1',
    '::1',
    '[zz]',
    '[1.2.3.4]',
    'a,b',
    '-a',
    'a%2f',
  ])('refuses %j', (value) => {
    expect(parseHost(value)).toBeUndefined();
  });
});

it.each(['localhost', 'api.localhost', '127.0.0.1', '127.8.9.1', '::1', '[::1]', '[::ffff:127.0.0.1]'])(
  '%s is loopback',
  (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  },
);

it.each(['localhost.evil.com', 'notlocalhost', '127.1', '2130706433', '0.0.0.0', '10.0.0.1', '[::]', 'evil.com'])(
  '%s is not loopback',
  (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  },
);

describe('the check', () => {
  const loopback = createHostCheck({ loopbackOnly: true, publicUrl: 'https://AI.example.com:8443/base' });
  const open = createHostCheck({ loopbackOnly: false, publicUrl: undefined });

  it('on loopback: loopback names and the public one, again and again', () => {
    for (const host of [
      'localhost:4000',
      '127.0.0.1:4000',
      '[::1]:4000',
      'ai.example.com',
      'ai.example.com:9',
      'localhost:4000',
    ]) {
      expect(loopback(host, '1.1')).toBeUndefined();
      expect(loopback(host, '1.1')).toBeUndefined();
    }
    expect(loopback('127.0.0.1.nip.io:4000', '1.1')?.code).toBe('bad_host');
    expect(loopback('evil.com', '1.1')?.message).toContain("server.public_url, not to 'evil.com'");
  });

  it('on the network: any well-formed name', () => {
    expect(open('anything.example', '1.1')).toBeUndefined();
    expect(open('x/?', '1.1')?.code).toBe('bad_host');
  });

  it('absent only in HTTP/1.0', () => {
    for (const check of [loopback, open]) {
      expect(check(undefined, '1.1')?.code).toBe('bad_host');
      expect(check('', '1.0')?.code).toBe('bad_host');
      expect(check(undefined, '1.0')).toBeUndefined();
    }
  });
});
