/** Cards of real agents, rewritten, before the clients that will read them: none may fall over what another version has in it. */
import type { AgentCard as Card03 } from 'a2a-sdk-03';
import { ClientFactory as Factory03, DefaultAgentCardResolver as Resolver03 } from 'a2a-sdk-03/client';
import type { AgentCard as Card02 } from 'a2a-sdk-02';
import { A2AClient as Client02 } from 'a2a-sdk-02/client';
import { AgentCard } from '@a2a-js/sdk';
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { type ServedAs, rewriteCard } from './card-rewrite.ts';
import { readCard } from './card.ts';

const BASE = 'https://gw.example.com/a2a/weather';
const SKILL = { id: 'forecast', name: 'Forecast', description: 'Of a week', tags: ['weather'] };

/** Without a version: the SDK of 0.2.5 has no place for it. */
const OF_02: Card02 = {
  name: 'Old',
  description: 'An agent of 0.2',
  url: 'http://10.0.0.7:9000/',
  version: '1',
  capabilities: { streaming: true, pushNotifications: false },
  securitySchemes: { inner: { type: 'apiKey', in: 'header', name: 'X-Inner' } },
  security: [{ inner: [] }],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [SKILL],
  supportsAuthenticatedExtendedCard: false,
};

const OF_03: Card03 = {
  ...OF_02,
  protocolVersion: '0.3.0',
  preferredTransport: 'HTTP+JSON',
  additionalInterfaces: [{ url: 'http://10.0.0.7:9000/rpc', transport: 'JSONRPC' }],
  skills: [{ ...SKILL, security: [{ inner: [] }] }],
  supportsAuthenticatedExtendedCard: true,
};

/** As `AgentCard.fromJSON` makes it, which is also how the agent of the SDK writes it out. */
const OF_1 = AgentCard.fromJSON({
  name: 'New',
  description: 'An agent of 1.0',
  version: '1',
  supportedInterfaces: [{ url: 'http://10.0.0.7:9000/', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  capabilities: { streaming: true, extendedAgentCard: true },
  securitySchemes: { inner: { apiKeySecurityScheme: { location: 'header', name: 'X-Inner' } } },
  securityRequirements: [{ schemes: { inner: { list: [] } } }],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
});

const AGENTS: [string, object][] = [
  ['0.2.5', OF_02],
  ['0.3.14', OF_03],
  ['1.3.0, as it writes it', OF_1],
  ['1.3.0, as protobuf writes it', AgentCard.toJSON(OF_1) as object],
];

function served(card: object, version: ServedAs['version']): Record<string, unknown> {
  const read = readCard(JSON.stringify(card));
  if (!read.ok) throw new Error(read.problem);
  return rewriteCard(read.card.raw, { baseUrl: BASE, version, capabilities: { pushNotifications: false, streaming: true } });
}

/** Every request that a client makes, by what it says of itself; all of them fail. */
function recorder(): { fetchImpl: typeof fetch; asked: string[] } {
  const asked: string[] = [];
  const fetchImpl: typeof fetch = (input, init) => {
    const { method, url, headers } = new Request(input, init);
    asked.push(`${method} ${url} ${headers.get('a2a-version') ?? 'none'}`);
    return Promise.resolve(new Response('{}', { status: 500 }));
  };
  return { fetchImpl, asked };
}

const MESSAGE = { messageId: 'm1', role: 'user', kind: 'message', parts: [{ kind: 'text', text: 'hi' }] } as const;

describe.each(AGENTS)('the card of an agent of %s', (_, card) => {
  describe.each([
    ['1.0', false],
    ['1.0', true],
    ['hybrid', false],
    ['hybrid', true],
  ] as const)('as %s for a client of 1.3.0 (legacyCompat: %s)', (version, enabled) => {
    test.each([
      ['JSONRPC', `POST ${BASE} 1.0`],
      ['HTTP+JSON', `POST ${BASE}/message:send 1.0`],
    ])('leads it to us by %s and 1.0', async (binding, expected) => {
      const { fetchImpl, asked } = recorder();
      const options = { fetchImpl, legacyCompat: { enabled } };
      const factory = new ClientFactory(
        ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
          transports: [new JsonRpcTransportFactory(options), new RestTransportFactory(options)],
          cardResolver: new DefaultAgentCardResolver({ legacyCompat: { enabled } }),
          preferredTransports: [binding],
        }),
      );
      const client = await factory.createFromAgentCard(served(card, version) as unknown as AgentCard);
      await expect(
        client.sendMessage({ message: { messageId: 'm1', role: 1, parts: [] } } as unknown as Parameters<
          typeof client.sendMessage
        >[0]),
      ).rejects.toThrow();
      expect(asked).toEqual([expected]);
    });
  });

  test('as 1.0 tells a client of 1.3.0 how to prove itself', () => {
    const read = new DefaultAgentCardResolver().normalizeAgentCard(served(card, '1.0'));
    expect(read.securitySchemes).toMatchObject({
      signalbox: { scheme: { $case: 'httpAuthSecurityScheme', value: { scheme: 'Bearer' } } },
    });
    expect(read.securityRequirements).toEqual([{ schemes: { signalbox: { list: [] } } }]);
    expect(read.capabilities?.extendedAgentCard).toBe(served(card, '1.0').capabilities!['extendedAgentCard' as never]);
  });

  test('as 0.3 tells the same to a client of 1.3.0 with legacyCompat', () => {
    const read = new DefaultAgentCardResolver({ legacyCompat: { enabled: true } }).normalizeAgentCard(served(card, '0.3'));
    expect(read.securitySchemes).toMatchObject({ signalbox: { scheme: { $case: 'httpAuthSecurityScheme' } } });
    expect(read.supportedInterfaces.map(({ url }) => url)).toEqual([BASE, BASE, BASE]);
  });

  describe.each(['hybrid', '0.3'] as const)('as %s', (version) => {
    test.each([
      ['JSONRPC', `POST ${BASE} none`],
      ['HTTP+JSON', `POST ${BASE}/v1/message:send none`],
    ])('leads a client of 0.3.14 to us by %s', async (binding, expected) => {
      const { fetchImpl, asked } = recorder();
      const { JsonRpcTransportFactory: Rpc03, RestTransportFactory: Rest03 } = await import('a2a-sdk-03/client');
      const factory = new Factory03({
        transports: [new Rpc03({ fetchImpl }), new Rest03({ fetchImpl })],
        preferredTransports: [binding],
      });
      const read = (new Resolver03() as unknown as { normalizeAgentCard: (raw: unknown) => Card03 }).normalizeAgentCard(
        served(card, version),
      );
      expect(read.securitySchemes).toEqual({ signalbox: { type: 'http', scheme: 'bearer' } });
      const client = await factory.createFromAgentCard(read);
      await expect(client.sendMessage({ message: { ...MESSAGE, parts: [...MESSAGE.parts] } })).rejects.toThrow();
      expect(asked).toEqual([expected]);
    });

    describe('a client of 0.2.5', () => {
      afterEach(() => {
        vi.unstubAllGlobals();
      });

      test('is led to us', async () => {
        const { fetchImpl, asked } = recorder();
        vi.stubGlobal('fetch', (input: string, init?: RequestInit) =>
          input.endsWith('/agent.json') ? Promise.resolve(Response.json(served(card, version))) : fetchImpl(input, init),
        );
        const client = new Client02(BASE);
        await expect(client.sendMessage({ message: { ...MESSAGE, parts: [...MESSAGE.parts] } })).rejects.toThrow();
        expect(asked).toEqual([`POST ${BASE} none`]);
      });
    });
  });
});
