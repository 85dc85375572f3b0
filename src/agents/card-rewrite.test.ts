import {
  type Arbitrary,
  array,
  assert,
  boolean,
  constantFrom,
  dictionary,
  jsonValue,
  oneof,
  property,
  record,
  string,
} from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type ServedAs, rewriteCard } from './card-rewrite.ts';
import { readCard } from './card.ts';

const BASE = 'https://gw.example.com/a2a/weather';
const VERSIONS = ['1.0', 'hybrid', '0.3'] as const;
const OURS_MODERN = [
  { url: BASE, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  { url: BASE, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
  { url: BASE, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
  { url: BASE, protocolBinding: 'HTTP+JSON', protocolVersion: '0.3' },
];

const LEGACY = {
  protocolVersion: '0.3.0',
  name: 'Weather',
  description: 'Tells the weather',
  version: '1',
  url: 'http://10.0.0.7:9000/a2a',
  preferredTransport: 'HTTP+JSON',
  additionalInterfaces: [{ url: 'http://10.0.0.7:9000/grpc', transport: 'GRPC' }],
  capabilities: { streaming: true, pushNotifications: true, stateTransitionHistory: true },
  supportsAuthenticatedExtendedCard: true,
  securitySchemes: { inner: { type: 'apiKey', in: 'header', name: 'X-Inner' } },
  security: [{ inner: [] }],
  defaultInputModes: [],
  defaultOutputModes: ['application/json'],
  skills: [{ id: 'a', name: 'A', description: 'a', tags: [], security: [{ inner: [] }], 'x-level': 3 }],
  iconUrl: 'https://weather.example.com/icon.png',
  signatures: [{ protected: 'e30', signature: 'AA' }],
  'x-unknown': { kept: true },
};

const MODERN = {
  name: 'Weather',
  description: 'Tells the weather',
  version: '1',
  supportedInterfaces: [{ url: 'http://10.0.0.7:9000/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: 'north' }],
  capabilities: {
    streaming: true,
    pushNotifications: true,
    extendedAgentCard: true,
    extensions: [{ uri: 'https://ext.example.com' }],
  },
  securitySchemes: { inner: { httpAuthSecurityScheme: { scheme: 'Basic' } } },
  securityRequirements: [{ schemes: { inner: { list: [] } } }],
  skills: [{ id: 'a', name: 'A', description: 'a', tags: ['t'], securityRequirements: [{ schemes: { inner: { list: [] } } }] }],
  provider: { url: 'https://weather.example.com', organization: 'Weather' },
};

function served(
  card: Record<string, unknown>,
  version: ServedAs['version'],
  capabilities = { pushNotifications: false, streaming: true },
) {
  return rewriteCard(card, { baseUrl: BASE, version, capabilities });
}

describe('the card that we serve', () => {
  test('as 1.0, of an agent of 0.3', () => {
    expect(served(LEGACY, '1.0')).toEqual({
      name: 'Weather',
      description: 'Tells the weather',
      version: '1',
      supportedInterfaces: OURS_MODERN,
      capabilities: { streaming: true, pushNotifications: false, stateTransitionHistory: true, extendedAgentCard: true },
      securitySchemes: { signalbox: { httpAuthSecurityScheme: { scheme: 'Bearer' } } },
      securityRequirements: [{ schemes: { signalbox: { list: [] } } }],
      defaultInputModes: [],
      defaultOutputModes: ['application/json'],
      skills: [{ id: 'a', name: 'A', description: 'a', tags: [], 'x-level': 3 }],
      iconUrl: 'https://weather.example.com/icon.png',
      'x-unknown': { kept: true },
    });
  });

  test('as 0.3, of an agent of 1.0', () => {
    expect(served(MODERN, '0.3')).toEqual({
      protocolVersion: '0.3.0',
      name: 'Weather',
      description: 'Tells the weather',
      version: '1',
      url: BASE,
      preferredTransport: 'JSONRPC',
      additionalInterfaces: [
        { url: BASE, transport: 'JSONRPC' },
        { url: BASE, transport: 'HTTP+JSON' },
      ],
      capabilities: { streaming: true, pushNotifications: false, extensions: [{ uri: 'https://ext.example.com' }] },
      supportsAuthenticatedExtendedCard: true,
      securitySchemes: { signalbox: { type: 'http', scheme: 'bearer' } },
      security: [{ signalbox: [] }],
      defaultInputModes: ['text/plain'],
      defaultOutputModes: ['text/plain'],
      skills: [{ id: 'a', name: 'A', description: 'a', tags: ['t'] }],
      provider: { url: 'https://weather.example.com', organization: 'Weather' },
    });
  });

  test.each([LEGACY, MODERN])('as both has the members of both', (card) => {
    expect(served(card, 'hybrid')).toMatchObject({
      supportedInterfaces: OURS_MODERN,
      protocolVersion: '0.3.0',
      url: BASE,
      preferredTransport: 'JSONRPC',
      capabilities: { extendedAgentCard: true },
      supportsAuthenticatedExtendedCard: true,
      securitySchemes: { signalbox: { type: 'http', scheme: 'bearer' } },
      security: [{ signalbox: [] }],
      securityRequirements: [{ schemes: { signalbox: { list: [] } } }],
    });
  });

  test.each(VERSIONS)('has what is required as %s, of however bare a card', (version) => {
    const card = served({ name: 'a', url: 'http://10.0.0.7/', skills: null, capabilities: null, description: null }, version);
    expect(card).toMatchObject({ name: 'a', description: '', version: '0', skills: [] });
    expect(card).toMatchObject({ defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'] });
  });

  test.each(VERSIONS)('promises as %s what the gateway does, not what the agent does', (version) => {
    const { capabilities } = served(
      { ...MODERN, capabilities: { push_notifications: true, extended_agent_card: true } },
      version,
    );
    expect(capabilities).toMatchObject({ pushNotifications: false, streaming: true });
    expect(Object.keys(capabilities as object)).not.toContain('push_notifications');
    expect(Object.keys(capabilities as object)).not.toContain('extended_agent_card');
  });

  test.each(VERSIONS)('has no skills as %s that are none', (version) => {
    expect(served({ ...MODERN, skills: [null, 'a', { id: 'b', security_requirements: [] }] }, version).skills).toEqual([
      { id: 'b', tags: [] },
    ]);
  });

  test('leaves the card it is made from alone', () => {
    const card = structuredClone(LEGACY);
    served(card, 'hybrid');
    expect(card).toEqual(LEGACY);
  });

  test('can be read by ourselves, as a gateway behind a gateway does', () => {
    const read = readCard(JSON.stringify(served(LEGACY, 'hybrid')));
    expect(read).toMatchObject({ ok: true, card: { protocol: '1.0', extendedCard: true, signed: false } });
    expect(read.ok && read.card.interfaces).toEqual(
      OURS_MODERN.map(({ url, protocolBinding, protocolVersion }) => ({
        url,
        binding: protocolBinding,
        version: protocolVersion,
      })),
    );
  });
});

/** Stands wherever an upstream card leads or says how it is secured; if it comes out, something leaked. */
const LEAK = 'leak-7f3a';
const LEAKY = `http://${LEAK}.internal:9000/x`;
const PLACES = ['url', 'supportedInterfaces', 'supported_interfaces', 'additionalInterfaces', 'additional_interfaces'];
const SECURITY = ['securitySchemes', 'security_schemes', 'security', 'securityRequirements', 'security_requirements'];

function leaky(): Arbitrary<unknown> {
  const place = record({
    url: constantFrom(LEAKY),
    transport: string(),
    protocolBinding: string(),
    protocolVersion: constantFrom('1.0', '0.3'),
  });
  const scheme = dictionary(
    string(),
    oneof(constantFrom({ type: LEAK }, { httpAuthSecurityScheme: { scheme: LEAK } }), jsonValue()),
  );
  return oneof(constantFrom(LEAKY), array(place), scheme, array(scheme), array(dictionary(constantFrom(LEAK), array(string()))));
}

describe('whatever the card', () => {
  const unknown = dictionary(
    string({ minLength: 1 }).map((name) => `x-${name}`),
    jsonValue(),
  );
  const bad = dictionary(constantFrom(...PLACES, ...SECURITY, 'preferredTransport', 'protocolVersion', 'signatures'), leaky());
  const ofSkill = constantFrom('security', 'securityRequirements', 'security_requirements');
  const skills = oneof(jsonValue(), array(dictionary(ofSkill, leaky())));
  const card = record({ base: constantFrom({}, LEGACY, MODERN, { ...LEGACY, ...MODERN }), unknown, bad, skills });

  test('nothing of where the agent is and how it is secured comes out, and what is unknown stays', () => {
    assert(
      property(card, constantFrom(...VERSIONS), boolean(), (parts, version, streaming) => {
        const { 'x-unknown': _, ...base } = parts.base as Record<string, unknown>;
        const whole = { ...base, skills: parts.skills, ...parts.bad, ...parts.unknown };
        const out = served(whole, version, { pushNotifications: false, streaming });
        expect(out).toMatchObject(parts.unknown);
        const { ...known } = out;
        for (const name of Object.keys(parts.unknown)) delete known[name];
        const text = JSON.stringify(known);
        expect(text).not.toContain(LEAK);
        expect(text).not.toContain('10.0.0.7');
        expect(text).not.toContain('inner');
        expect(Object.keys(out.securitySchemes as object)).toEqual(['signalbox']);
        expect(known).not.toHaveProperty('signatures');
        expect(out.capabilities).toMatchObject({ pushNotifications: false, streaming });
      }),
    );
  });

  test('twice is once', () => {
    assert(
      property(card, constantFrom(...VERSIONS), (parts, version) => {
        const once = served({ ...parts.base, ...parts.bad, ...parts.unknown, skills: parts.skills }, version);
        expect(served(once, version)).toEqual(once);
      }),
    );
  });
});
