/** What a sign-on does before a provider has its say; the flow itself is in test/e2e/people.test.ts. */
import { randomBytes } from 'node:crypto';

import { expect, test } from 'vitest';

import { createKeyring } from '../../lib/seal.ts';
import { createSignOn } from './sign-on.ts';

const ISSUER = 'https://id.example.com';

function setUp(answer: (url: string) => object | undefined, clientSecret?: string) {
  const asked: string[] = [];
  const clock = { nowMs: 1_800_000_000_000 };
  const people = {
    claims: { name: 'name', email: 'email', groups: 'groups' },
    groups: [],
    allowedDomains: [],
    createsUsers: true,
  };
  const signOn = createSignOn({
    settings: {
      issuer: ISSUER,
      clientId: 'signalbox',
      ...(clientSecret !== undefined && { clientSecret }),
      scopes: ['openid'],
      people,
    },
    publicUrl: 'https://ai.example.com',
    fetchOut: (url) => {
      asked.push(url);
      const found = answer(url);
      return found === undefined ? Promise.reject(new Error('no connection')) : Promise.resolve(Response.json(found));
    },
    ring: createKeyring([randomBytes(32)], randomBytes),
    nowMs: () => clock.nowMs,
  });
  return { asked, clock, signOn };
}

const DOCUMENT = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/auth`,
  token_endpoint: `${ISSUER}/token`,
  jwks_uri: `${ISSUER}/jwks`,
};

test('a provider that cannot be asked is not asked for every stranger', async () => {
  let isUp = false;
  const { asked, clock, signOn } = setUp(() => (isUp ? DOCUMENT : undefined));
  for (let index = 0; index < 5; index++)
    await expect(signOn.begin('/console/')).rejects.toMatchObject({ code: 'identity_unavailable' });
  expect(asked).toEqual([`${ISSUER}/.well-known/openid-configuration`]);
  isUp = true;
  clock.nowMs += 5_001;
  expect((await signOn.begin('/console/')).url).toMatch(/^https:\/\/id\.example\.com\/auth\?/);
  await signOn.begin('/console/');
  expect(asked).toHaveLength(2);
});

test.each([{ issuer: 'https://evil.example.com' }, { issuer: `${ISSUER}/` }, { issuer: undefined }])(
  'a document of %j is not that of the issuer',
  async (more) => {
    const { signOn } = setUp(() => ({ ...DOCUMENT, ...more }));
    await expect(signOn.begin('/console/')).rejects.toMatchObject({ code: 'identity_unavailable' });
  },
);

test('what is begun has ten minutes; the cookie shows nothing of it and opens under no other key', async () => {
  const { clock, signOn } = setUp(() => DOCUMENT);
  const { url, cookie } = await signOn.begin('/console/');
  const state = new URL(url).searchParams.get('state')!;
  expect(cookie).not.toContain(state);
  const query = new URLSearchParams({ code: 'c', state });
  await expect(setUp(() => DOCUMENT).signOn.finish(query, cookie)).rejects.toMatchObject({ code: 'sign_on_failed' });
  clock.nowMs += 600_001;
  await expect(signOn.finish(query, cookie)).rejects.toMatchObject({
    code: 'sign_on_failed',
    cause: { message: expect.stringContaining('too long') },
  });
});
