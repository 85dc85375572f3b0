import { describe, expect, test } from 'vitest';

import type { Lookup } from './connect.ts';
import { addressProblem, resolvedProblem } from './vet.ts';

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

describe('by the URL alone', () => {
  test.each([
    ['https://api.example.com/v1', []],
    ['https://8.8.8.8/v1', []],
    ['https://[2606:4700::1111]/v1', []],
    ['http://127.0.0.1:9100/v1', LOOPBACK],
    ['https://127.0.0.1/v1', LOOPBACK],
    ['http://[::1]:9100', LOOPBACK],
    // Whether it leads there is for the resolver to say.
    ['http://localhost:9100/v1', LOOPBACK],
  ])('%s is taken', (url, allowed) => {
    expect(addressProblem(url, allowed)).toBeUndefined();
  });

  test.each([
    ['http://127.0.0.1:9100/v1', []],
    ['https://127.0.0.1/v1', []],
    ['https://2130706433/', []],
    ['https://0x7f.1/', []],
    ['https://[::ffff:127.0.0.1]/', []],
    ['https://10.1.2.3/', LOOPBACK],
    ['https://169.254.169.254/latest', []],
    ['https://168.63.129.16/', []],
    ['https://[fd00::1]/', []],
    ['https://[64:ff9b::7f00:1]/', []],
    ['http://localhost/', []],
    ['https://localhost./', []],
    ['https://metadata.google.internal/', []],
    ['https://redis/', []],
    ['http://8.8.8.8/', LOOPBACK],
    ['http://api.example.com/', []],
    ['file:///etc/passwd', []],
  ])('%s is refused', (url, allowed) => {
    expect(addressProblem(url, allowed)).toContain('must be an https URL');
  });
});

describe('by what the name resolves to', () => {
  const lookup: Lookup = (host, _, callback) => {
    const known: Record<string, string[]> = {
      'public.example': ['93.184.216.34'],
      'inner.example': ['10.0.0.5'],
      'mixed.example': ['93.184.216.34', '10.0.0.5'],
      localhost: ['127.0.0.1', '::1'],
    };
    const found = known[host];
    if (found === undefined) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
    else
      callback(
        null,
        found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
  };

  test.each([
    ['https://public.example/v1', []],
    ['https://inner.example/v1', ['10.0.0.0/8']],
    ['http://inner.example/v1', ['10.0.0.0/8']],
    ['https://mixed.example/v1', ['10.0.0.0/8']],
    ['http://localhost:1234/v1', LOOPBACK],
    ['https://unknown.example/v1', []],
  ])('%s is taken', async (url, allowed) => {
    expect(await resolvedProblem(url, allowed, lookup)).toBeUndefined();
  });

  test.each([
    ['https://inner.example/v1', []],
    ['https://mixed.example/v1', []],
    ['http://public.example/v1', ['10.0.0.0/8']],
    ['http://mixed.example/v1', ['10.0.0.0/8']],
    ['http://unknown.example/v1', ['10.0.0.0/8']],
    ['https://vault.internal/v1', ['10.0.0.0/8']],
  ])('%s is refused', async (url, allowed) => {
    expect(await resolvedProblem(url, allowed, lookup)).toContain('must be an https URL');
  });
});
