import { describe, expect, test } from 'vitest';

import { parseProxy } from './proxy.ts';

const bypasses = (noProxy: string[]) => parseProxy({ url: 'http://proxy.test:3128', noProxy }).bypasses;

describe('no_proxy', () => {
  test('names cover themselves and their subdomains', () => {
    const bypass = bypasses(['internal.test', '.corp.test']);
    expect(['internal.test', 'a.internal.test', 'INTERNAL.test.', 'x.corp.test', 'corp.test'].map(bypass)).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(['notinternal.test', 'internal.test.evil', 'test'].map(bypass)).toEqual([false, false, false]);
  });

  test('addresses and ranges cover literals only', () => {
    const bypass = bypasses(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);
    expect(['10.1.2.3', '192.0.2.7', 'fd00::1'].map(bypass)).toEqual([true, true, true]);
    expect(['11.0.0.1', '192.0.2.8', '10.example.test'].map(bypass)).toEqual([false, false, false]);
  });

  test('`*` covers everything', () => {
    expect(bypasses(['*'])('anything.test')).toBe(true);
  });

  test('loopback never goes through a proxy', () => {
    expect(['127.0.0.1', '::1', 'localhost', 'a.localhost'].map(bypasses([]))).toEqual([true, true, true, true]);
  });
});

describe('a proxy url', () => {
  test('credentials become a basic authorization, percent-decoded', () => {
    const proxy = parseProxy({ url: 'https://us%40er:p%3Ass@proxy.test', noProxy: [] });
    expect(proxy).toMatchObject({ hostname: 'proxy.test', port: 443, secure: true });
    expect(Buffer.from(proxy.authorization!.slice('Basic '.length), 'base64').toString()).toBe('us@er:p:ss');
  });

  test('other schemes are refused', () => {
    expect(() => parseProxy({ url: 'socks5://proxy.test', noProxy: [] })).toThrow(TypeError);
  });
});
