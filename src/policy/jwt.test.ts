/** Tokens against keys of a real kind: what is forged, foreign, old or confused proves nothing. */
import { createHmac, generateKeyPairSync } from 'node:crypto';

import { type JSONWebKeySet, SignJWT, exportJWK } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';

import type { JwtSettings } from '../config/snapshot.ts';
import type { Caller, Party } from '../core/directory.ts';
import { createAuthenticate } from './authenticate.ts';
import { withTokens } from './authenticate-call.ts';
import { createDirectoryIndex } from './directory-index.ts';
import { type AdmitPerson, createCallerOfToken } from './jwt.ts';
import { createVerify } from './jwt-verify.ts';
import { keyDigest } from '../core/key-digest.ts';

const ISSUER = 'https://id.example.com/realms/main';
const PEPPER = 'ab'.repeat(32);
const FILE_KEY = 'key-of-the-client-0001';
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRANGER = generateKeyPairSync('rsa', { modulusLength: 2048 });
const SETTINGS: JwtSettings = {
  issuer: ISSUER,
  audience: ['signalbox', 'other-gateway'],
  algorithms: ['RS256', 'ES256'],
  models: ['gpt-*'],
  people: { claims: { name: 'name', email: 'email', groups: 'groups' }, groups: [], allowedDomains: [], createsUsers: true },
};

let nowMs = 0;
let served: JSONWebKeySet;
let asked: string[];
let admitted: string[];
let isReachable: boolean;
beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  asked = [];
  admitted = [];
  isReachable = true;
  served = {
    keys: [
      { ...(await exportJWK(RSA.publicKey)), kid: 'rsa-1', alg: 'RS256', use: 'sig' },
      { ...(await exportJWK(EC.publicKey)), kid: 'ec-1', alg: 'ES256', use: 'sig' },
    ],
  };
});

function person(id: string, more: Partial<Party> = {}): Party {
  return { id, kind: 'user', name: id, blocked: false, teams: {}, orgs: {}, ...more };
}

interface World {
  call: (token: string, headers?: Record<string, string>) => Caller | Promise<Caller>;
  directory: ReturnType<typeof createDirectoryIndex>;
}

function setUp(more: Partial<JwtSettings> = {}, admit?: AdmitPerson): World {
  const directory = createDirectoryIndex();
  directory.change({
    version: 1,
    keys: [],
    parties: [
      person('usr_ann', { teams: { team_a: 'member' } }),
      person('usr_ben'),
      { id: 'team_a', kind: 'team', name: 'a', blocked: false },
    ],
    removedKeys: [],
    removedParties: [],
  });
  directory.useFile({
    keys: [
      {
        id: 'file',
        name: 'file',
        digests: [{ digest: keyDigest(PEPPER, FILE_KEY) }],
        models: ['*'],
        agents: [],
        blocked: false,
        tags: [],
      },
    ],
    tags: {},
  });
  const settings = { ...SETTINGS, ...more };
  const fetchJson = (url: string): Promise<unknown> => {
    asked.push(url);
    if (!isReachable) return Promise.reject(new Error('no connection'));
    if (url.endsWith('openid-configuration')) return Promise.resolve({ issuer: ISSUER, jwks_uri: 'https://id.example.com/keys' });
    return Promise.resolve(served);
  };
  const callerOfToken = createCallerOfToken({
    settings,
    verify: createVerify(settings, { fetchJson, nowMs: () => nowMs }),
    admit:
      admit ??
      ((one) => {
        admitted.push(one.subject);
        const known = { ann: { user: 'usr_ann', team: 'team_a' }, ben: { user: 'usr_ben' } }[one.subject];
        return Promise.resolve(known);
      }),
    directory,
    nowMs: () => nowMs,
  });
  const authenticate = withTokens(createAuthenticate({ pepper: PEPPER, adminKeyDigest: '' }, directory), callerOfToken);
  return {
    directory,
    call: (token, headers = {}) => authenticate({ authorization: `Bearer ${token}`, ...headers }, nowMs, '127.0.0.1'),
  };
}

interface Made {
  sub?: string;
  iss?: string;
  aud?: string | string[];
  expiresS?: number;
  kid?: string;
  alg?: string;
  key?: Parameters<SignJWT['sign']>[0];
  claims?: object;
}

function token({
  sub = 'ann',
  iss = ISSUER,
  aud = 'signalbox',
  expiresS = 300,
  kid = 'rsa-1',
  alg = 'RS256',
  key,
  claims,
}: Made = {}): Promise<string> {
  const nowS = nowMs / 1000;
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg, kid })
    .setSubject(sub)
    .setIssuer(iss)
    .setAudience(aud)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + expiresS)
    .sign(key ?? RSA.privateKey);
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = (): object => ({ sub: 'ann', iss: ISSUER, aud: 'signalbox', exp: nowMs / 1000 + 300 });

describe('a genuine token', () => {
  test('is its person, with team and grants, under a key of its own', async () => {
    const { call } = setUp();
    expect(await call(await token())).toMatchObject({
      key: { id: 'jwt:ann', models: ['gpt-*'], principal: 'usr_ann' },
      principal: { id: 'usr_ann' },
      team: { id: 'team_a' },
      scopes: ['key:jwt:ann', 'user:usr_ann', 'team:team_a'],
    });
    expect(asked).toEqual([`${ISSUER}/.well-known/openid-configuration`, 'https://id.example.com/keys']);
  });

  test.each([
    { alg: 'ES256', kid: 'ec-1', key: EC.privateKey },
    { aud: ['somebody', 'other-gateway'] },
    // Clocks differ.
    { expiresS: -20 },
  ] as Made[])('by any way that is allowed: %#', async (made) => {
    const { call } = setUp();
    expect(await call(await token(made))).toMatchObject({ key: { id: 'jwt:ann' } });
  });

  test('is verified once a minute, and remembered without a promise', async () => {
    const { call } = setUp();
    const mine = await token();
    await call(mine);
    expect(call(mine)).toMatchObject({ key: { id: 'jwt:ann' } });
    expect(admitted).toEqual(['ann']);
    nowMs += 60_000;
    const again = call(mine);
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toMatchObject({ key: { id: 'jwt:ann' } });
  });

  test('ends with its own time, also where it is remembered', async () => {
    const { call } = setUp();
    const brief = await token({ expiresS: 10 });
    await call(brief);
    nowMs += 10_000;
    // Remembered no longer, and alive only for clocks that are slow.
    const again = call(brief);
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toMatchObject({ key: { id: 'jwt:ann' } });
    nowMs += 31_000;
    await expect(call(brief)).rejects.toMatchObject({ code: 'invalid_key', message: 'The token has expired' });
  });

  test('stops at once when its person is blocked, leaves the team, or is gone', async () => {
    const { call, directory } = setUp();
    const mine = await token();
    await call(mine);
    const change = (parties: Party[], removedParties: string[] = []): void =>
      directory.change({ version: 2, keys: [], parties, removedKeys: [], removedParties });
    for (const bad of [person('usr_ann', { blocked: true }), person('usr_ann')]) {
      change([bad]);
      expect(() => call(mine)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
    }
    change([person('usr_ann', { teams: { team_a: 'member' } })]);
    expect(call(mine)).toMatchObject({ key: { id: 'jwt:ann' } });
    change([], ['usr_ann']);
    expect(() => call(mine)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
  });
});

describe('what proves nothing', () => {
  const forged: [string, () => Promise<string> | string][] = [
    ['alg none', () => `${encode({ alg: 'none' })}.${encode(claims())}.`],
    ['alg none with a signature', () => `${encode({ alg: 'none', kid: 'rsa-1' })}.${encode(claims())}.AAAA`],
    ['alg None', () => `${encode({ alg: 'None', kid: 'rsa-1' })}.${encode(claims())}.AAAA`],
    ['HS256 with the public key as its secret', () => hs256(RSA.publicKey.export({ type: 'spki', format: 'pem' }))],
    ['HS256 with an empty secret', () => hs256('')],
    ['an algorithm that is not allowed', () => token({ alg: 'RS512' })],
    ['a key that the issuer does not have', () => token({ key: STRANGER.privateKey })],
    ['a key id that nobody has', () => token({ kid: 'unknown', key: STRANGER.privateKey })],
    ['its own key in its header', async () => embedded(await exportJWK(STRANGER.publicKey))],
    ['a key from a URL of its own', () => header({ alg: 'RS256', kid: 'rsa-1', jku: 'https://evil.example.com/keys' })],
    ['an unknown critical header', () => header({ alg: 'RS256', kid: 'rsa-1', crit: ['x'], x: 1 })],
    ['another issuer', () => token({ iss: 'https://evil.example.com' })],
    ['nearly the issuer', () => token({ iss: `${ISSUER}/` })],
    ['another audience', () => token({ aud: 'console' })],
    ['nearly the audience', () => token({ aud: 'signalbox2' })],
    ['a time to come', () => token({ claims: { nbf: nowMs / 1000 + 120 } })],
    ['no subject', () => token({ sub: '' })],
    ['no end', () => header({ alg: 'RS256', kid: 'rsa-1' }, { exp: undefined })],
    ['changed claims', async () => withClaims(await token(), { ...claims(), sub: 'ben' })],
    ['the signature of another token', async () => swapped(await token(), await token({ sub: 'ben' }))],
  ];

  test.each(forged)('%s', async (_what, make) => {
    const { call } = setUp();
    const presented = await make();
    await expect(Promise.resolve().then(() => call(presented))).rejects.toMatchObject({
      code: expect.stringMatching(/^(invalid_key|forbidden)$/),
    });
    expect(admitted).toEqual([]);
  });

  function hs256(secret: string | Buffer): string {
    const signed = `${encode({ alg: 'HS256', kid: 'rsa-1' })}.${encode(claims())}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }
  async function embedded(jwk: object): Promise<string> {
    return new SignJWT(claims() as never).setProtectedHeader({ alg: 'RS256', jwk }).sign(STRANGER.privateKey);
  }
  async function header(protectedHeader: object, more: object = {}): Promise<string> {
    const signer = new SignJWT({ ...claims(), ...more }).setProtectedHeader(protectedHeader as never);
    return 'jku' in protectedHeader ? signer.sign(STRANGER.privateKey) : signer.sign(RSA.privateKey, { crit: { x: true } });
  }
  function withClaims(of: string, other: object): string {
    const [head, , signature] = of.split('.');
    return `${head}.${encode(other)}.${signature}`;
  }
  function swapped(of: string, other: string): string {
    return `${of.slice(0, of.lastIndexOf('.'))}${other.slice(other.lastIndexOf('.'))}`;
  }
});

describe('memory is of whole tokens', () => {
  test('one that begins, or ends, like a remembered one is not that one', async () => {
    const { call } = setUp();
    const mine = await token();
    await call(mine);
    const other = await token({ sub: 'ben' });
    expect(other.slice(0, 20)).toBe(mine.slice(0, 20));
    expect(await call(other)).toMatchObject({ key: { id: 'jwt:ben' }, scopes: ['key:jwt:ben', 'user:usr_ben'] });
    expect(call(mine)).toMatchObject({ key: { id: 'jwt:ann' } });
    const flipped = mine.slice(0, -8) + (mine.at(-8) === 'A' ? 'B' : 'A') + mine.slice(-7);
    await expect(call(flipped)).rejects.toMatchObject({ code: 'invalid_key' });
  });
});

describe('a token beside a key', () => {
  test('two that are valid conflict; one that is not is none of ours', async () => {
    const { call } = setUp();
    const mine = await token();
    await expect(call(mine, { 'x-api-key': FILE_KEY })).rejects.toMatchObject({ code: 'conflicting_keys' });
    expect(() => call(mine, { 'x-api-key': FILE_KEY })).toThrow(expect.objectContaining({ code: 'conflicting_keys' }));
    expect(await call(await token({ aud: 'elsewhere' }), { 'x-api-key': FILE_KEY })).toMatchObject({ key: { id: 'file' } });
    expect(await call(await token({ expiresS: -600 }), { 'x-api-key': FILE_KEY })).toMatchObject({ key: { id: 'file' } });
    expect(await call(mine, { 'x-api-key': 'somebody-elses-key' })).toMatchObject({ key: { id: 'jwt:ann' } });
  });
});

describe('the issuer', () => {
  test('is asked once for many tokens, and a new key of its is found', async () => {
    const { call } = setUp({ jwksUrl: 'https://id.example.com/keys' });
    await Promise.all(Array.from({ length: 20 }, async (_, index) => call(await token({ claims: { jti: String(index) } }))));
    expect(asked).toEqual(['https://id.example.com/keys']);
    served.keys.push({ ...(await exportJWK(STRANGER.publicKey)), kid: 'rsa-2', alg: 'RS256' });
    const signedByNew = await token({ kid: 'rsa-2', key: STRANGER.privateKey });
    // Made-up key ids must not become requests.
    await expect(call(signedByNew)).rejects.toMatchObject({ code: 'invalid_key' });
    expect(asked).toHaveLength(1);
    nowMs += 31_000;
    expect(await call(signedByNew)).toMatchObject({ key: { id: 'jwt:ann' } });
    expect(asked).toHaveLength(2);
  });

  test('that cannot be reached keeps its tokens good for an hour, and refuses none as forged', async () => {
    const { call } = setUp({ jwksUrl: 'https://id.example.com/keys' });
    isReachable = false;
    await expect(call(await token())).rejects.toMatchObject({ code: 'identity_unavailable' });
    isReachable = true;
    nowMs += 31_000;
    await call(await token());
    isReachable = false;
    nowMs += 3_500_000;
    expect(await call(await token())).toMatchObject({ key: { id: 'jwt:ann' } });
    nowMs += 200_000;
    await expect(call(await token())).rejects.toMatchObject({ code: 'identity_unavailable' });
  });

  test('whose document names another issuer is not asked further', async () => {
    const { call } = setUp({ issuer: 'https://id.example.com/realms/other' });
    await expect(call(await token())).rejects.toMatchObject({ code: 'identity_unavailable' });
    expect(asked).toEqual(['https://id.example.com/realms/other/.well-known/openid-configuration']);
  });
});

describe('who is not let in', () => {
  test('is told so, since the token is genuine', async () => {
    const { call } = setUp();
    await expect(call(await token({ sub: 'nobody-here' }))).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('a person that main cannot ask about is the one it last was, with the same groups', async () => {
    let isUp = true;
    const people = { ...SETTINGS.people, groups: [{ group: 'a', team: 'team_a', leads: false }] };
    const { call } = setUp({ people }, () =>
      isUp ? Promise.resolve({ user: 'usr_ann', team: 'team_a' }) : Promise.reject(new Error('store_down')),
    );
    const [first, second] = [await token({ claims: { groups: ['a'] } }), await token({ claims: { groups: ['a', 'b'] } })];
    await call(first);
    isUp = false;
    expect(await call(second)).toMatchObject({ team: { id: 'team_a' } });
    await expect(call(await token({ claims: { groups: [] } }))).rejects.toMatchObject({ code: 'identity_unavailable' });
    await expect(call(await token({ sub: 'ben', claims: { groups: ['a'] } }))).rejects.toMatchObject({
      code: 'identity_unavailable',
    });
  });
});
