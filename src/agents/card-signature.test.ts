/** Signatures by the SDK and by hand, with keys of a real kind. What is forged, foreign or signed less than it says proves nothing. */
import { createHmac, generateKeyPairSync } from 'node:crypto';

import { AgentCard, generateAgentCardSignature } from '@a2a-js/sdk';
import { FlattenedSign, type JSONWebKeySet, exportJWK } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { verifyCard } from './card-signature.ts';
import { canonical } from './card.ts';

const OURS = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRANGER = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const HEAD = { alg: 'ES256', kid: 'key-1', typ: 'JOSE' };
const URL_OF_KEYS = 'https://keys.example.com/jwks.json';

const PLAIN = {
  name: 'Weather',
  description: 'Tells the weather — überall',
  version: '1',
  supportedInterfaces: [{ url: 'https://agent.example.com/', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  capabilities: { streaming: true, pushNotifications: false },
  securitySchemes: { key: { httpAuthSecurityScheme: { scheme: 'Bearer' } } },
  defaultInputModes: ['text/plain'],
  defaultOutputModes: [],
  skills: [{ id: 'a', name: 'A', description: '', tags: ['t'] }],
};

const LEGACY = {
  protocolVersion: '0.3.0',
  name: 'Weather',
  description: '',
  version: '1',
  url: 'https://agent.example.com/',
  capabilities: {},
  skills: [],
};

let keys: JSONWebKeySet;
beforeAll(async () => {
  keys = { keys: [{ ...(await exportJWK(OURS.publicKey)), kid: 'key-1', alg: 'ES256' }] };
});

const trusted = () => ({ urls: [URL_OF_KEYS], jwksOf: () => Promise.resolve(keys) });

/** From the JSON of protobuf: given the SDK's own form it leaves the schemes out of what it signs. */
async function signedBySdk(card: object, key = OURS.privateKey): Promise<Record<string, unknown>> {
  const { signatures } = await generateAgentCardSignature(key, HEAD)(card as AgentCard);
  return { ...card, signatures };
}

async function signedAs(card: object, payload: string, header = HEAD): Promise<Record<string, unknown>> {
  const jws = await new FlattenedSign(Buffer.from(payload)).setProtectedHeader(header).sign(OURS.privateKey);
  return { ...card, signatures: [{ protected: jws.protected, signature: jws.signature }] };
}

describe('a signature', () => {
  test.each([
    ['absent', PLAIN],
    ['of an empty list', { ...PLAIN, signatures: [] }],
    ['that is no list', { ...PLAIN, signatures: 'mine' }],
  ])('%s is none', async (_, card) => {
    expect(await verifyCard(card, trusted())).toBe('none');
  });

  test('of the SDK holds', async () => {
    expect(await verifyCard(await signedBySdk(PLAIN), trusted())).toBe('valid');
  });

  test('of the SDK holds without what protobuf leaves out, and with what it does not know', async () => {
    const { signatures } = await signedBySdk(PLAIN);
    const { defaultOutputModes: _, ...bare } = PLAIN;
    expect(await verifyCard({ ...bare, signatures }, trusted())).toBe('valid');
    expect(await verifyCard({ ...PLAIN, documentationUrl: '', 'x-note': 'hello', signatures }, trusted())).toBe('valid');
  });

  test('holds as an agent of the SDK serves it, which writes its own form out', async () => {
    const signed = await generateAgentCardSignature(OURS.privateKey, HEAD)(AgentCard.fromJSON(PLAIN));
    const served = JSON.parse(JSON.stringify(signed)) as Record<string, unknown>;
    expect(served.securitySchemes).toMatchObject({ key: { scheme: { $case: 'httpAuthSecurityScheme' } } });
    expect(await verifyCard(served, trusted())).toBe('valid');
    expect(await verifyCard({ ...served, url: 'https://evil.example.net/' }, trusted())).toBe('invalid');
  });

  test.each([
    ['all of it', LEGACY, canonical(LEGACY)],
    [
      'what is not empty',
      LEGACY,
      canonical({ protocolVersion: '0.3.0', name: 'Weather', version: '1', url: 'https://agent.example.com/' }),
    ],
  ])('of 0.3 over %s holds', async (_, card, payload) => {
    expect(await verifyCard(await signedAs(card, payload), trusted())).toBe('valid');
  });

  test.each([
    ['its name', { name: 'Other' }],
    ['its place', { supportedInterfaces: [{ ...PLAIN.supportedInterfaces[0], url: 'https://evil.example.net/' }] }],
    ['its skills', { skills: [] }],
    ['how it is secured', { securitySchemes: {} }],
    ['a place that 1.0 does not know', { url: 'https://evil.example.net/', preferredTransport: 'JSONRPC' }],
    [
      'an interface that 1.0 does not know',
      { additionalInterfaces: [{ url: 'https://evil.example.net/', transport: 'JSONRPC' }] },
    ],
    ['a flag that 1.0 does not know', { supportsAuthenticatedExtendedCard: true }],
  ])('does not hold when somebody changes %s', async (_, change) => {
    expect(await verifyCard({ ...(await signedBySdk(PLAIN)), ...change }, trusted())).toBe('invalid');
  });

  test('beside one that does not hold is enough', async () => {
    const [good, bad] = await Promise.all([signedBySdk(PLAIN), signedBySdk({ ...PLAIN, name: 'Other' })]);
    const signatures = [...(bad.signatures as unknown[]), null, ...(good.signatures as unknown[])];
    expect(await verifyCard({ ...PLAIN, signatures }, trusted())).toBe('valid');
  });
});

describe('keys', () => {
  test.each([
    ['there are no places of them', { urls: [], jwksOf: () => Promise.resolve(keys) }],
    ['they cannot be had', { urls: [URL_OF_KEYS], jwksOf: () => Promise.reject(new Error('no route')) }],
    ['they are none', { urls: [URL_OF_KEYS], jwksOf: () => Promise.resolve({ keys: 'none' } as unknown as JSONWebKeySet) }],
    ['the one is not among them', { urls: [URL_OF_KEYS], jwksOf: () => Promise.resolve({ keys: [] }) }],
  ])('prove nothing where %s', async (_, from) => {
    expect(await verifyCard(await signedBySdk(PLAIN), from)).toBe('unverified');
  });

  test('of one place suffice where another cannot be reached', async () => {
    const jwksOf = (url: string) => (url === URL_OF_KEYS ? Promise.resolve(keys) : Promise.reject(new Error('no route')));
    expect(await verifyCard(await signedBySdk(PLAIN), { urls: ['https://down.example.com/', URL_OF_KEYS], jwksOf })).toBe(
      'valid',
    );
  });

  test('are never asked for where the card says they are', async () => {
    const asked: string[] = [];
    const jwksOf = (url: string) => {
      asked.push(url);
      return Promise.resolve(keys);
    };
    const head = { ...HEAD, jku: 'http://169.254.169.254/keys' };
    expect(await verifyCard(await signedAs(LEGACY, canonical(LEGACY), head), { urls: [URL_OF_KEYS], jwksOf })).toBe('valid');
    expect(asked).toEqual([URL_OF_KEYS]);
  });

  test('of a stranger under the name of ours prove nothing', async () => {
    expect(await verifyCard(await signedBySdk(PLAIN, STRANGER.privateKey), trusted())).toBe('invalid');
  });

  test('that the card carries with it prove nothing', async () => {
    const jwk = await exportJWK(STRANGER.publicKey);
    const jws = await new FlattenedSign(Buffer.from(canonical(LEGACY)))
      .setProtectedHeader({ alg: 'ES256', kid: 'mine', typ: 'JOSE', jwk })
      .sign(STRANGER.privateKey);
    expect(await verifyCard({ ...LEGACY, signatures: [{ ...jws, payload: undefined }] }, trusted())).toBe('unverified');
  });

  test('that are public are no secrets', async () => {
    const encoded = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'key-1', typ: 'JOSE' })).toString('base64url');
    const payload = Buffer.from(canonical(LEGACY)).toString('base64url');
    const secret = JSON.stringify(keys.keys[0]);
    const signature = createHmac('sha256', secret).update(`${encoded}.${payload}`).digest('base64url');
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: 'key-1' })).toString('base64url');
    const signatures = [
      { protected: encoded, signature },
      { protected: none, signature: '' },
    ];
    expect(await verifyCard({ ...LEGACY, signatures }, trusted())).toBe('invalid');
  });

  test.each([[null], [5], [{}], [{ protected: 5, signature: 5 }], [{ protected: '%%', signature: '%%', header: 'x' }]])(
    'are of no use to what is no signature: %j',
    async (signature) => {
      expect(await verifyCard({ ...PLAIN, signatures: [signature] }, trusted())).toBe('invalid');
    },
  );
});
