import { array, assert, constantFrom, dictionary, jsonValue, option, property, record, string, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { AgentInterface } from '../core/agent.ts';
import { type AgentCardFacts, cleanedWhole, placeInterfaces, readCard } from './card.ts';

const MODERN = {
  name: 'Weather',
  description: 'Tells the weather',
  version: '2.1.0',
  supportedInterfaces: [
    { url: 'https://agent.example.com/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    { url: 'https://agent.example.com/rest', protocolBinding: 'HTTP+JSON', protocolVersion: '1.0', tenant: 'north' },
    { url: 'agent.example.com:443', protocolBinding: 'GRPC', protocolVersion: '1.0' },
    { url: 'https://agent.example.com/old', protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
  ],
  capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [{ id: 'forecast', name: 'Forecast', description: 'Of a week', tags: ['weather'], examples: ['Will it rain?'] }],
};

const LEGACY = {
  protocolVersion: '0.3.0',
  name: 'Weather',
  description: 'Tells the weather',
  version: '1',
  url: 'https://agent.example.com/a2a',
  additionalInterfaces: [
    { url: 'https://agent.example.com/a2a', transport: 'JSONRPC' },
    { url: 'https://agent.example.com/a2a', transport: 'HTTP+JSON' },
    { url: 'https://agent.example.com/grpc', transport: 'GRPC' },
  ],
  capabilities: { streaming: true },
  supportsAuthenticatedExtendedCard: true,
  securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } },
  security: [{ key: [] }],
  skills: [],
};

function factsOf(card: unknown): AgentCardFacts {
  const read = readCard(JSON.stringify(card));
  if (!read.ok) throw new Error(read.problem);
  return read.card;
}

function problemOf(source: unknown): string {
  const read = readCard(typeof source === 'string' || Buffer.isBuffer(source) ? source : JSON.stringify(source));
  return read.ok ? 'none' : read.problem;
}

describe('a card of 1.0', () => {
  test('tells what we act on', () => {
    expect(factsOf(MODERN)).toMatchObject({
      raw: MODERN,
      protocol: '1.0',
      name: 'Weather',
      description: 'Tells the weather',
      version: '2.1.0',
      interfaces: [
        { url: 'https://agent.example.com/rpc', binding: 'JSONRPC', version: '1.0' },
        { url: 'https://agent.example.com/rest', binding: 'HTTP+JSON', version: '1.0', tenant: 'north' },
        { url: 'https://agent.example.com/old', binding: 'JSONRPC', version: '0.3' },
      ],
      skills: [{ id: 'forecast', name: 'Forecast', description: 'Of a week', tags: ['weather'], examples: ['Will it rain?'] }],
      streaming: true,
      pushNotifications: true,
      extendedCard: true,
      signed: false,
    });
  });

  test('may be of a later 1.x, never of a version that nobody here knows', () => {
    const versions = ['1.0.1', '1.7', '0.3.0', '0.2.6', '0.1', '2.0', 'next', ''];
    const supportedInterfaces = versions.map((protocolVersion, index) => ({
      url: `https://agent.example.com/${index}`,
      protocolBinding: 'JSONRPC',
      protocolVersion,
    }));
    expect(factsOf({ ...MODERN, supportedInterfaces }).interfaces.map(({ version }) => version)).toEqual([
      '1.0',
      '1.0',
      '0.3',
      '0.3',
    ]);
  });

  test('gives no place that is relative, of another kind, or that carries a credential', () => {
    const urls = [
      '/rpc',
      'rpc',
      '',
      'ftp://agent.example.com/',
      'file:///etc/passwd',
      'https://me:secret@agent.example.com/',
      5,
      null,
    ];
    const supportedInterfaces = urls.map((url) => ({ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }));
    expect(factsOf({ ...MODERN, supportedInterfaces }).interfaces).toEqual([]);
  });

  test('loses the fragments of its places and keeps their queries', () => {
    const supportedInterfaces = [
      { url: 'https://agent.example.com/a?b=c#d', protocolBinding: 'jsonrpc', protocolVersion: '1.0' },
    ];
    expect(factsOf({ ...MODERN, supportedInterfaces }).interfaces).toEqual([
      { url: 'https://agent.example.com/a?b=c', binding: 'JSONRPC', version: '1.0' },
    ]);
  });
});

describe('a card of 0.3', () => {
  test('tells the same in its own members', () => {
    expect(factsOf(LEGACY)).toMatchObject({
      protocol: '0.3',
      interfaces: [
        { url: 'https://agent.example.com/a2a', binding: 'JSONRPC', version: '0.3' },
        { url: 'https://agent.example.com/a2a', binding: 'HTTP+JSON', version: '0.3' },
      ],
      skills: [],
      streaming: true,
      pushNotifications: false,
      extendedCard: true,
    });
  });

  test('of 0.2 counts as one of 0.3', () => {
    const { additionalInterfaces: _, ...card } = LEGACY;
    expect(factsOf({ ...card, protocolVersion: '0.2.5' })).toMatchObject({ protocol: '0.3', interfaces: [{ version: '0.3' }] });
  });

  test('may write null for what it has not', () => {
    const nothing = {
      preferredTransport: null,
      additionalInterfaces: null,
      supportedInterfaces: null,
      protocolVersion: null,
      skills: null,
    };
    expect(factsOf({ ...LEGACY, ...nothing })).toMatchObject({
      protocol: '0.3',
      interfaces: [{ url: 'https://agent.example.com/a2a', binding: 'JSONRPC', version: '0.3' }],
      skills: [],
    });
  });

  test('stays one of 0.3 with an empty list of interfaces of 1.0', () => {
    expect(factsOf({ ...LEGACY, supportedInterfaces: [] })).toMatchObject({
      protocol: '0.3',
      interfaces: [{ version: '0.3' }, {}],
    });
  });

  test('together with 1.0 counts as 1.0, and each place is told once', () => {
    const { protocol, interfaces } = factsOf({ ...LEGACY, ...MODERN, protocolVersion: '1.0' });
    expect(protocol).toBe('1.0');
    expect(interfaces.map(({ url, version }) => `${version} ${new URL(url).pathname}`)).toEqual([
      '1.0 /rpc',
      '1.0 /rest',
      '0.3 /old',
      '0.3 /a2a',
      '0.3 /a2a',
    ]);
  });
});

describe('a card is refused', () => {
  test.each([
    ['nothing', '', 'not JSON'],
    ['a page', '<html></html>', 'not JSON'],
    ['a list', '[]', 'not a JSON object'],
    ['null', 'null', 'not a JSON object'],
    ['no name', { ...MODERN, name: undefined }, 'no name'],
    ['an empty name', { ...MODERN, name: ' ' }, 'no name'],
    ['a name of nothing visible', { ...MODERN, name: '\u0000\u200b\u{e0041}' }, 'no name'],
    ['a name that is none', { ...MODERN, name: { first: 'a' } }, 'no name'],
    ['a long name', { ...MODERN, name: 'a'.repeat(257) }, 'more than 256 characters'],
    ['skills that are none', { ...MODERN, skills: { a: 1 } }, 'no list'],
    ['too many skills', { ...MODERN, skills: Array.from({ length: 1_001 }, (_, id) => ({ id: `${id}` })) }, '1000 skills'],
    ['interfaces that are none', { ...MODERN, supportedInterfaces: 'here' }, 'supportedInterfaces'],
    ['too many interfaces', { ...LEGACY, additionalInterfaces: Array.from({ length: 65 }, () => ({})) }, 'additionalInterfaces'],
    ['no place at all', { name: 'a', skills: [] }, 'no place to call'],
    ['too many bytes', Buffer.alloc(256 * 1024 + 1, ' '), 'larger than'],
    ['too many bytes of few characters', JSON.stringify({ ...MODERN, note: '€'.repeat(100 * 1024) }), 'larger than'],
    [
      'a depth of arrays',
      `{"name":"a","url":"https://a.example.com","x":${'['.repeat(60_000)}${']'.repeat(60_000)}}`,
      'deeper than',
    ],
    [
      'a depth of objects',
      `{"name":"a","url":"https://a.example.com","x":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`,
      'deeper than',
    ],
  ])('with %s', (_, source, problem) => {
    expect(problemOf(source)).toContain(problem);
    expect(problemOf(source)).toMatch(/^The card cannot be used: /);
  });

  test('never by throwing, whatever JSON it is', () => {
    const hostile = dictionary(constantFrom(...Object.keys({ ...LEGACY, ...MODERN }), '__proto__'), jsonValue());
    assert(
      property(hostile, (card) => {
        expect(() => readCard(JSON.stringify({ name: 'a', url: 'https://a.example.com', ...card }))).not.toThrow();
      }),
    );
  });
});

describe('what we show of a hostile card', () => {
  test('has no escape sequences, no turned text, no second text in it, and is cut', () => {
    const evil = '\u001b[31mA\u202eB\u2066C\u061cD\u{e0041}\u{e0042}E\ud800\u2028F\u0085G';
    const skill = { id: evil, name: evil, description: `${evil}\n\tH`, tags: [`a\nb`, 5, ''], examples: ['x'.repeat(10_000)] };
    const card = factsOf({
      ...MODERN,
      name: `${evil}\r\nSet: x`,
      description: evil,
      version: `1\n2`,
      skills: [skill, 'none', { name: 'x' }],
    });
    expect(card).toMatchObject({
      name: '[31mABCDEFG Set: x',
      description: '[31mABCDEFG',
      version: '1 2',
      skills: [{ id: '[31mABCDEFG', name: '[31mABCDEFG', description: '[31mABCDEFG\n\tH', tags: ['a b'] }],
    });
    expect(card.skills[0]!.examples[0]).toHaveLength(4_096);
  });

  test('whatever it says', () => {
    const text = string({ unit: 'binary', maxLength: 400 });
    const skill = record({ id: text, name: text, description: text, tags: array(text), examples: array(text) });
    assert(
      property(record({ name: text, description: text, version: text, skills: array(skill) }), (words) => {
        const read = readCard(JSON.stringify({ ...LEGACY, ...words }));
        if (!read.ok) return;
        const { name, description = '', version = '', skills } = read.card;
        const ofSkills = skills.flatMap((each) => [each.id, each.name, each.tags, each.examples].flat());
        const shown = [name, description, version, ...ofSkills].join('|');
        expect(shown.isWellFormed()).toBe(true);
        expect(shown).not.toMatch(/(?![\n\t])[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u);
        expect([name, version].join('')).not.toMatch(/[\n\t]/);
      }),
    );
  });
});

test('texts that are shown are cleaned, whole, and emoji stay', () => {
  const hostile = '\u001b[31mred\u202E\u0000\u2028\u{E0041} \tand\n👩\u200D💻✔\uFE0F';
  const kept = '[31mred \tand\n👩\u200D💻✔\uFE0F';
  expect(cleanedWhole({ a: [hostile, 1, null, { b: hostile }], c: true })).toEqual({ a: [kept, 1, null, { b: kept }], c: true });
});

describe('hashes', () => {
  const turned = Object.fromEntries(Object.entries(LEGACY).toReversed());

  test('do not depend on the order of members', () => {
    expect(factsOf(turned)).toMatchObject({ hash: factsOf(LEGACY).hash, trustHash: factsOf(LEGACY).trustHash });
    expect(factsOf(LEGACY).hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    ['its words', { description: 'other' }, true],
    ['its skills', { skills: [{ id: 'b', name: 'b', description: '', tags: [] }] }, true],
    ['what it can do', { capabilities: { streaming: false } }, true],
    ['what nobody knows', { 'x-note': 1 }, true],
    ['a version that is spoken alike', { protocolVersion: '0.3.1' }, true],
    ['the version that is spoken', { protocolVersion: '1.0' }, false],
    ['its URL', { url: 'https://other.example.com/' }, false],
    ['its transport', { preferredTransport: 'HTTP+JSON' }, false],
    ['another place', { additionalInterfaces: [] }, false],
    ['places of 1.0', { supportedInterfaces: MODERN.supportedInterfaces }, false],
    ['its schemes', { securitySchemes: { key: { type: 'http', scheme: 'basic' } } }, false],
    ['what it requires', { security: [] }, false],
    ['what it requires in 1.0', { securityRequirements: [{ schemes: {} }] }, false],
  ])('differ by %s', (_, change, keepsTrust) => {
    const [before, after] = [factsOf(LEGACY), factsOf({ ...LEGACY, ...change })];
    expect(after.hash).not.toBe(before.hash);
    expect(after.trustHash === before.trustHash).toBe(keepsTrust);
  });
});

describe('places', () => {
  const at = (url: string): AgentInterface => ({ url, binding: 'JSONRPC', version: '1.0', tenant: 'north' });

  test.each([
    ['its own origin stays', 'https://agent.example.com/rpc?x=1', 'https://agent.example.com/rpc?x=1'],
    ['another origin gives its path only', 'https://evil.example.net/rpc?x=1', 'https://agent.example.com/rpc?x=1'],
    ['another port is another origin', 'https://agent.example.com:8443/rpc', 'https://agent.example.com/rpc'],
    ['so is another scheme', 'http://agent.example.com/rpc', 'https://agent.example.com/rpc'],
    ['an address of the inside', 'http://169.254.169.254/latest', 'https://agent.example.com/latest'],
    ['an allowed origin stays', 'https://other.example.com/rpc', 'https://other.example.com/rpc'],
    ['one that only begins like an allowed one does not', 'https://other.example.com.evil.net/', 'https://agent.example.com/'],
    ['a path that looks like a host', 'https://evil.net//other.net/a', 'https://agent.example.com//other.net/a'],
  ])('%s', (_, url, placed) => {
    expect(placeInterfaces([at(url)], 'https://agent.example.com/prefix', ['https://other.example.com'])).toEqual([at(placed)]);
  });

  test('never lead elsewhere than allowed, whatever the card says', () => {
    const host = stringMatching(/^[a-z]{1,8}(\.[a-z]{2,5})?(:[1-9][0-9]{1,3})?$/);
    const link = record({
      scheme: constantFrom('http', 'https', 'HTTPS', 'ws', 'javascript'),
      user: option(constantFrom('a@', 'a:b@')),
      host,
      rest: string({ maxLength: 20 }),
    });
    assert(
      property(array(link), (links) => {
        const supportedInterfaces = links.map(({ scheme, user, host: name, rest }) => ({
          url: `${scheme}://${user ?? ''}${name}/${rest}`,
          protocolBinding: 'JSONRPC',
          protocolVersion: '1.0',
        }));
        const { interfaces } = factsOf({ ...MODERN, supportedInterfaces: supportedInterfaces.slice(0, 64) });
        for (const { url } of placeInterfaces(interfaces, 'http://127.0.0.1:9999/x', ['https://a.bc'])) {
          expect(['http://127.0.0.1:9999', 'https://a.bc']).toContain(new URL(url).origin);
          expect(new URL(url)).toMatchObject({ username: '', password: '', hash: '' });
        }
      }),
    );
  });
});
