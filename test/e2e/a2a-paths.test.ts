/** Where agents are called: the paths of LiteLLM's clients lead to the same place, and no card says another one than the operator's. */
import { request } from 'node:http';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import {
  type ScriptedAgent,
  cardAt,
  failure,
  json,
  result,
  startScriptedAgent,
  stream,
  taskOf,
} from '../support/scripted-agent.ts';

const PUBLIC_URL = 'https://agents.example.com/gateway';
const HEADERS = { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' };
let agent: ScriptedAgent;
let box: AgentBox;
let published: AgentBox;
let tasks = 0;

beforeAll(async () => {
  agent = await startScriptedAgent((call, response) => {
    const { rpc, path } = call;
    if (path === '/.well-known/agent-card.json') return json(response, 200, cardAt(agent.url));
    if (rpc?.method === 'SendMessage') return result(call, response, { task: taskOf(`task-${++tasks}`) });
    if (rpc?.method !== 'SendStreamingMessage') return failure(call, response, -32601);
    stream(call, response)({ task: taskOf(`task-${++tasks}`) });
    return void response.end();
  });
  const agents = [{ name: 'one', url: agent.url }];
  const more = { egress: { allow_private: ['127.0.0.0/8'] } };
  box = await startAgentBox(agents, { more });
  published = await startAgentBox(agents, { more: { ...more, server: { public_url: PUBLIC_URL } } });
});
afterAll(async () => {
  await box?.close();
  await published?.close();
  await agent?.close();
});

const call = (path: string, method: string, body: object): Promise<Response> =>
  fetch(box.box.url + path, {
    method: 'POST',
    headers: HEADERS,
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method, ...body }),
  });
const message = (): object => ({
  params: {
    message: { kind: 'message', messageId: crypto.randomUUID(), role: 'user', parts: [{ kind: 'text', text: 'hello' }] },
  },
});

describe("LiteLLM's clients", () => {
  test.each(['/a2a/one', '/a2a/one/message/send', '/v1/a2a/one', '/v1/a2a/one/message/send'])('send to %s', async (path) => {
    const response = await call(path, 'message/send', message());
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id: 7, result: { kind: 'task', id: `task-${tasks}` } });
  });

  test.each(['/a2a/one', '/a2a/one/message/stream', '/v1/a2a/one', '/v1/a2a/one/message/stream'])(
    'stream from %s',
    async (path) => {
      const response = await call(path, 'message/stream', message());
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      expect(await response.text()).toContain(`"id":"task-${tasks}"`);
    },
  );

  test.each(['/a2a/one', '/v1/a2a/one'])('find the card under %s', async (path) => {
    const cards = await Promise.all(
      ['agent-card.json', 'agent.json'].map(async (name) =>
        (await fetch(`${box.box.url}${path}/.well-known/${name}`, { headers: HEADERS })).json(),
      ),
    );
    expect(cards[0]).toMatchObject({ name: 'scripted', url: box.urlOf('one') });
    expect(cards[1]).toEqual(cards[0]);
  });

  test.each(['/v1/a2a/one', '/v1/a2a/one/message/send', '/v1/a2a/one/.well-known/agent-card.json'])(
    'need a key at %s',
    async (path) => {
      const method = path.endsWith('.json') ? 'GET' : 'POST';
      expect((await fetch(box.box.url + path, { method, ...(method === 'POST' && { body: '{}' }) })).status).toBe(401);
    },
  );

  test.each(['/v1/a2a/none', '/v1/a2a/none/message/send'])('learn at %s that there is no such agent', async (path) => {
    const response = await call(path, 'message/send', message());
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('AGENT_NOT_FOUND');
  });
});

describe('the places in a card', () => {
  const cardBy = (from: AgentBox, headers: Record<string, string>): Promise<string> =>
    new Promise((resolve, reject) => {
      request(`${from.box.url}/a2a/one/.well-known/agent-card.json`, { headers: { ...HEADERS, ...headers } }, (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (part: string) => (text += part)).on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
  const ELSEWHERE = [
    ['x-forwarded-host', { 'x-forwarded-host': 'evil.example.net', 'x-forwarded-proto': 'https' }],
    ['forwarded', { forwarded: 'host=evil.example.net;proto=https' }],
    ['x-original-host', { 'x-original-host': 'evil.example.net' }],
    // Of another origin than that of the address.
    ['host', { host: 'localhost:1' }],
  ] as const;

  test.each(ELSEWHERE)('are those of `server.public_url`, whatever %s says', async (_, headers) => {
    const card = JSON.parse(await cardBy(published, headers));
    expect(card.url).toBe(`${PUBLIC_URL}/a2a/one`);
    expect(card.additionalInterfaces).toContainEqual({ transport: 'JSONRPC', url: `${PUBLIC_URL}/a2a/one` });
    expect(JSON.stringify(card)).not.toMatch(/evil|localhost/);
  });

  test.each(ELSEWHERE)('are those it listens at without one, whatever %s says', async (_, headers) => {
    const card = JSON.parse(await cardBy(box, headers));
    expect(card.url).toBe(box.urlOf('one'));
    expect(JSON.stringify(card)).not.toMatch(/evil|localhost/);
  });

  test('are told to nobody who calls us by a name that is not ours', async () => {
    expect(JSON.parse(await cardBy(box, { host: 'evil.example.net' }))).toMatchObject({
      error: { data: [{ reason: 'BAD_HOST' }] },
    });
  });
});
