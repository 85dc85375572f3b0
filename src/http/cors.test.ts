import { expect, it } from 'vitest';

import { corsHeaders, preflightHeaders } from './cors.ts';

const listed = { origins: ['https://app.example'], maxAgeS: 600 };
const any = { origins: ['*'], maxAgeS: 60 };

it('answers listed origins by name, others not at all', () => {
  expect(corsHeaders(listed, 'https://app.example')).toMatchObject({
    'access-control-allow-origin': 'https://app.example',
    vary: 'Origin',
  });
  expect(corsHeaders(listed, 'https://app.example.evil.com')).toBeUndefined();
  expect(corsHeaders(listed, 'http://app.example')).toBeUndefined();
  expect(corsHeaders(listed, 'null')).toBeUndefined();
  expect(corsHeaders(any, 'https://x')).toMatchObject({ 'access-control-allow-origin': '*' });
});

it('never allows credentials, and exposes what clients read', () => {
  const headers = corsHeaders(any, 'https://x') ?? {};
  expect(headers).not.toHaveProperty('access-control-allow-credentials');
  expect(headers['access-control-expose-headers']).toContain('x-request-id');
  expect(headers['access-control-expose-headers']).toContain('x-signalbox-cost-usd');
});

it('allows of the headers asked for those that SDKs send', () => {
  const asked =
    'Authorization,x-api-key, X-Stainless-Runtime-Version,x-stainless-os ,cookie,x-forwarded-for,x-signalbox-client-ip';
  const headers = preflightHeaders(listed, { 'access-control-request-headers': asked }, 'POST');
  expect(headers['access-control-allow-headers']).toBe('authorization, x-api-key, x-stainless-runtime-version, x-stainless-os');
  expect(headers).toMatchObject({ 'access-control-allow-methods': 'POST', 'access-control-max-age': '600' });
});
