/** Callers, agents and cards that mean harm: what they must not get, must not spend and must not bring down. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, type RpcAnswer, startAgentBox } from '../support/agent-box.ts';
import { startSignalbox } from '../support/signalbox.ts';
import {
  type Script,
  type ScriptedAgent,
  cardAt,
  failure,
  json,
  result,
  startScriptedAgent,
  stream,
  taskOf,
} from '../support/scripted-agent.ts';

let agent: ScriptedAgent;
let elsewhere: ScriptedAgent;
let box: AgentBox;
let tasks = 0;

const soundly =
  (answer: Script = () => undefined): Script =>
  async (call, response) => {
    if (call.path.endsWith('/.well-known/agent-card.json')) {
      const version = call.path.startsWith('/old') ? '0.3' : '1.0';
      const binding = call.path.startsWith('/rest') ? 'HTTP+JSON' : 'JSONRPC';
      const url = `${agent.url}/${call.path.split('/')[1]}/at`;
      return json(
        response,
        200,
        cardAt(agent.url, { supportedInterfaces: [{ url, protocolBinding: binding, protocolVersion: version }] }),
      );
    }
    await answer(call, response);
    if (response.writableEnded || response.headersSent || response.destroyed) return undefined;
    if (call.rpc === undefined) return json(response, 404, {});
    const { method, params } = call.rpc;
    if (method === 'SendMessage') return result(call, response, { task: taskOf(`attack-${++tasks}`) });
    if (method === 'GetTask' || method === 'CancelTask') return result(call, response, taskOf(String(params['id'])));
    return failure(call, response, -32601);
  };

const MORE = { egress: { allow_private: ['127.0.0.0/8'] }, end_users: { header: 'x-end-user' } };
const agents = (): object[] => [
  { name: 'one', url: `${agent.url}/one`, tags: ['open'] },
  { name: 'old', url: `${agent.url}/old` },
  { name: 'rest', url: `${agent.url}/rest`, headers: { 'x-place': 'rest' } },
  { name: 'shared', url: `${agent.url}/rest`, task_scope: 'agent' },
  { name: 'paid', url: `${agent.url}/paid`, cost_per_request: 0.5 },
  { name: 'capped', url: `${agent.url}/capped`, cost_per_request: 0.5, budget: { limit_usd: 1, window: 'day' } },
  { name: 'hung', url: `${agent.url}/hung`, timeout_ms: 300 },
  { name: 'narrow', url: `${agent.url}/narrow`, limits: { concurrent: 1 } },
];

beforeAll(async () => {
  agent = await startScriptedAgent((_, response) => json(response, 500, {}));
  elsewhere = await startScriptedAgent((_, response) => json(response, 200, {}));
  box = await startAgentBox(agents(), { workers: 2, more: MORE });
  agent.play(soundly());
});
afterEach(() => agent.play(soundly()));
afterAll(async () => {
  await box?.close();
  await agent?.close();
  await elsewhere?.close();
});

const message = (more: object = {}): object => ({
  messageId: crypto.randomUUID(),
  role: 'ROLE_USER',
  parts: [{ text: 'hello' }],
  ...more,
});
const send = (more: object = {}, options: Parameters<AgentBox['rpc']>[3] = {}, name = 'one'): Promise<RpcAnswer> =>
  box.rpc(name, 'SendMessage', { message: message(more) }, options);
const taskIn = ({ body }: RpcAnswer): string => (body.result!['task'] as { id: string }).id;
interface CallInit extends Omit<RequestInit, 'headers'> {
  key?: keyof typeof AGENT_KEYS;
  headers?: Record<string, string>;
}

const call = (path: string, { key = 'KEY', headers = {}, ...rest }: CallInit = {}): Promise<Response> =>
  fetch(box.box.url + path, {
    ...rest,
    headers: {
      authorization: `Bearer ${AGENT_KEYS[key]}`,
      ...(rest.body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
  });

describe('tasks of others', () => {
  test.each([
    ['as a list', (task: string) => ({ taskId: [task] })],
    ['by the name of protobuf', (task: string) => ({ task_id: task })],
    ['by both names', (task: string) => ({ taskId: '', task_id: task })],
    ['too long to be known', () => ({ taskId: 'x'.repeat(600) })],
    ['as a number', () => ({ taskId: 7 })],
    ['as a context in a list', (task: string) => ({ contextId: [`context-of-${task}`] })],
    ['as a context of protobuf', (task: string) => ({ context_id: `context-of-${task}` })],
    ['among the references', (task: string) => ({ referenceTaskIds: [task] })],
    ['among the references of protobuf', (task: string) => ({ reference_task_ids: [task] })],
  ])('cannot be named %s', async (_, more) => {
    const victims = taskIn(await send());
    const asked = agent.asked('SendMessage').length;
    const answer = await send(more(victims), { key: 'OTHER_KEY' });
    expect(answer.body.error?.code).toBeOneOf([-32001, -32602]);
    expect(agent.asked('SendMessage')).toHaveLength(asked);
  });

  test('cannot be reached by their context beside a task of one’s own', async () => {
    const victims = taskIn(await send());
    const own = taskIn(await send({}, { key: 'OTHER_KEY' }));
    const asked = agent.asked('SendMessage').length;
    const answer = await send({ taskId: own, contextId: `context-of-${victims}` }, { key: 'OTHER_KEY' });
    expect(answer.body.error?.code).toBe(-32001);
    expect(agent.asked('SendMessage')).toHaveLength(asked);
    expect((await send({ taskId: own, contextId: `context-of-${own}` }, { key: 'OTHER_KEY' })).body.result).toBeDefined();
    expect((await send({ referenceTaskIds: [own] }, { key: 'OTHER_KEY' })).body.result).toBeDefined();
  });

  test('are not told apart from none as references', async () => {
    const victims = taskIn(await send());
    const foreign = await send({ referenceTaskIds: [victims] }, { key: 'OTHER_KEY' });
    const absent = await send({ referenceTaskIds: ['no-such-task'] }, { key: 'OTHER_KEY' });
    expect(foreign.body).toEqual(absent.body);
  });

  test('cannot be named in one message while another one is shown', async () => {
    const victims = taskIn(await send());
    const asked = agent.calls.length;
    const rest = (path: string, body: object): Promise<Response> =>
      call(path, { method: 'POST', body: JSON.stringify(body), key: 'OTHER_KEY' });
    const hidden = message({ taskId: victims });
    const answers = [
      await rest('/a2a/one/v1/message:send', {
        message: message(),
        request: { messageId: 'x', role: 'ROLE_USER', content: [{ text: 'x' }], taskId: victims },
      }),
      await rest('/a2a/rest/message:send?message=x', { message: hidden, request: message() }),
      await rest('/a2a/rest/message:send', { message: hidden, request: message() }),
      await rest('/a2a/rest/message:send', { message: message(), request: hidden }),
    ];
    for (const { status } of answers) expect(status).toBeOneOf([400, 404]);
    expect(agent.calls).toHaveLength(asked);
  });

  test('are not where another tenant is', async () => {
    await send({}, {}, 'one');
    const own = taskIn(await send());
    await box.rpc('one', 'GetTask', { id: own, tenant: 'victim' });
    await box.rpc('one', 'SendMessage', { message: message(), tenant: 'victim' });
    for (const { rpc } of agent.calls) expect(JSON.stringify(rpc ?? {})).not.toContain('victim');
    await call('/a2a/shared/tasks/x?tenant=victim');
    for (const { path } of agent.calls) expect(path).not.toContain('victim');
  });

  test('are those of one end user only, where he is named; pages tell nothing of others', async () => {
    const [ann, bob] = [{ headers: { 'x-end-user': 'ann' } }, { headers: { 'x-end-user': 'bob' } }];
    const anns = taskIn(await send({}, ann));
    const foreign = [
      await box.rpc('one', 'GetTask', { id: anns }, bob),
      await box.rpc('one', 'CancelTask', { id: anns }, bob),
      await send({ taskId: anns }, bob),
    ];
    expect(foreign.map(({ body }) => body.error?.code)).toEqual([-32001, -32001, -32001]);
    await sleep(20);
    const listed = await box.rpc('one', 'ListTasks', { pageSize: 1 }, bob);
    expect(JSON.stringify(listed.body)).not.toContain(anns);
    const token = listed.body.result!['nextPageToken'];
    expect(token).not.toBe('');
    const further = await box.rpc('one', 'ListTasks', { pageSize: 1, pageToken: token }, bob);
    expect(further.body.result).toBeDefined();
    const forged = await box.rpc('one', 'ListTasks', { pageToken: `${Date.now()}:x` }, bob);
    expect(forged.body.error?.code).toBe(-32602);
  });

  test('a page after another shows every task once', async () => {
    const own = new Set<string>();
    for (let index = 0; index < 5; index++) own.add(taskIn(await send({}, { key: 'NARROW_KEY' })));
    const seen: string[] = [];
    for (let token = ''; ;) {
      const { body } = await box.rpc('one', 'ListTasks', { pageSize: 2, pageToken: token }, { key: 'NARROW_KEY' });
      seen.push(...(body.result!['tasks'] as { id: string }[]).map(({ id }) => id));
      token = String(body.result!['nextPageToken']);
      if (token === '') break;
    }
    expect(seen.toSorted()).toEqual([...own].toSorted());
    const listed = (params: object) => box.rpc('one', 'ListTasks', params, { key: 'NARROW_KEY' });
    const since = async (ms: number): Promise<unknown[]> =>
      (await listed({ statusTimestampAfter: new Date(ms).toISOString() })).body.result!['tasks'] as unknown[];
    expect((await since(Date.now() - 60_000)).length).toBe(5);
    expect(await since(Date.now() + 60_000)).toEqual([]);
    expect((await listed({ statusTimestampAfter: 'yesterday' })).body.error?.code).toBe(-32602);
  });

  test('a conversation that a client named is whose it is, also where the agent does not repeat its name', async () => {
    agent.play(
      soundly((asked, response) => {
        if (asked.rpc?.method !== 'SendMessage') return;
        result(asked, response, { message: { messageId: 'a', role: 'ROLE_AGENT', parts: [{ text: 'hi' }] } });
      }),
    );
    const contextId = crypto.randomUUID();
    expect((await send({ contextId })).body.result).toBeDefined();
    expect((await send({ contextId }, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32001);
    expect((await send({ contextId })).body.result).toBeDefined();
  });

  test('stay whose they are when several callers are told of the same one at once, and after a restart', async () => {
    agent.play(
      soundly((asked, response) => {
        if (asked.rpc?.method === 'SendMessage') result(asked, response, { task: taskOf('contested') });
      }),
    );
    const answers = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const key = index % 2 === 0 ? 'KEY' : 'OTHER_KEY';
        return { key, isGiven: (await send({}, { key })).body.result !== undefined } as const;
      }),
    );
    const owners = [...new Set(answers.filter(({ isGiven }) => isGiven).map(({ key }) => key))];
    expect(owners).toHaveLength(1);
    const [owner] = owners;
    const other = owner === 'KEY' ? 'OTHER_KEY' : 'KEY';
    expect((await box.rpc('one', 'GetTask', { id: 'contested' }, { key: other })).body.error?.code).toBe(-32001);
    const kept = mkdtempSync('/tmp/attacks-');
    await box.box.kill();
    cpSync(box.box.dataDir, kept, { recursive: true });
    const again = await startSignalbox({ config: readFileSync(box.box.configPath, 'utf8'), dataDir: kept, env: AGENT_KEYS });
    const get = async (key: 'KEY' | 'OTHER_KEY'): Promise<RpcAnswer['body']> => {
      const response = await fetch(`${again.url}/a2a/one`, {
        method: 'POST',
        headers: { authorization: `Bearer ${AGENT_KEYS[key]}`, 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 'contested' } }),
      });
      return (await response.json()) as RpcAnswer['body'];
    };
    try {
      expect((await get(other)).error?.code).toBe(-32001);
      expect((await get(owner!)).result).toBeDefined();
    } finally {
      await again.stop();
      rmSync(kept, { recursive: true, force: true });
      box = await startAgentBox(agents(), { workers: 2, more: MORE });
    }
  });

  test('no webhook slips past, however it is written', async () => {
    const url = 'http://webhook.example.com';
    for (const configuration of [
      { task_push_notification_config: { url } },
      { taskPushNotificationConfig: { url } },
      { push_notification_config: { url } },
      { pushNotification: { url } },
    ]) {
      const answer = await box.rpc('one', 'SendMessage', { message: message(), configuration });
      expect(answer.body.error?.code).toBe(-32003);
    }
  });

  test('an id that climbs out of its path reaches nothing', async () => {
    await box.admin('POST', '/v1/agents/shared/probe');
    const before = agent.calls.length;
    for (const id of ['..', '.', '../..', '%2e%2e']) await box.rpc('shared', 'GetTask', { id });
    for (const { path } of agent.calls.slice(before)) {
      expect(path).toMatch(/^\/rest\/at\/tasks\/[^/]|well-known/);
    }
    for (const path of ['/a2a/shared/tasks/%2e%2e', '/a2a/shared/tasks/%zz', '/a2a/o%6ee/tasks/x', '/a2a/one/../../admin']) {
      expect((await call(path)).status).toBeOneOf([400, 401, 404]);
    }
  });
});

describe('money', () => {
  const costOf = async (): Promise<unknown> => (await box.agent('paid')).total_cost;

  test('whoever leaves before the first word has had the work', async () => {
    expect((await send({}, {}, 'paid')).status).toBe(200);
    await box.until('paid', ({ total_cost }) => total_cost === 0.5);
    let arrived: () => void;
    const atAgent = new Promise<void>((resolve) => (arrived = resolve));
    agent.play(
      soundly((asked) => {
        if (asked.rpc?.method !== 'SendStreamingMessage') return undefined;
        arrived();
        return sleep(2_000);
      }),
    );
    const leaving = new AbortController();
    const asked = call('/a2a/paid', {
      method: 'POST',
      signal: leaving.signal,
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message: message() } }),
    }).catch(() => undefined);
    await atAgent;
    leaving.abort();
    await asked;
    await box.until('paid', ({ total_cost }) => total_cost === 1).catch(() => undefined);
    expect(await costOf()).toBe(1);
  });

  test('many at once do not pass a budget together, and what was set aside for nothing comes back', async () => {
    const failing: Script[] = [
      (_, response) => json(response, 503, {}),
      (_, response) => void response.destroy(),
      (asked, response) => failure(asked, response, -32602),
      (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":'),
      (_, response) => json(response, 401, {}),
    ];
    for (const fail of failing) {
      agent.play(soundly((asked, response) => (asked.rpc === undefined ? undefined : fail(asked, response))));
      await Promise.all(Array.from({ length: 2 }, () => send({}, {}, 'capped')));
    }
    agent.play(soundly());
    await box.admin('PUT', '/v1/agents/capped/state', { state: 'healthy' });
    const answers = await Promise.all(Array.from({ length: 12 }, () => send({}, {}, 'capped')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(10);
    await box.until('capped', ({ total_cost }) => total_cost === 1);
  });

  test('a place is given back however a call ends', async () => {
    const ends: Script[] = [
      (_, response) => json(response, 503, {}),
      (_, response) => void response.destroy(),
      (asked, response) => failure(asked, response, -32603),
      (asked, response) => result(asked, response, null),
      (asked, response) => stream(asked, response)({ task: taskOf(`end-${++tasks}`, 'TASK_STATE_WORKING') }),
      (asked, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: x\n\n'),
    ];
    for (const end of ends) {
      for (const method of ['SendMessage', 'SendStreamingMessage']) {
        await box.admin('PUT', '/v1/agents/narrow/state', { state: 'healthy' });
        agent.play(
          soundly(async (asked, response) => {
            if (asked.rpc === undefined || !asked.rpc.method.startsWith('Send')) return;
            await end(asked, response);
            setTimeout(() => response.destroy(), 20);
          }),
        );
        const response = await call('/a2a/narrow', {
          method: 'POST',
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { message: message() } }),
        });
        expect(response.status, method).not.toBe(429);
        await response.text();
      }
    }
  });

  test('a place that is free again is free', async () => {
    agent.play(
      soundly(async (asked, response) => {
        if (asked.rpc?.method !== 'SendStreamingMessage') return;
        stream(asked, response)({ task: taskOf(`held-${++tasks}`, 'TASK_STATE_WORKING') });
        await sleep(3_000);
      }),
    );
    for (let index = 0; index < 3; index++) {
      const leaving = new AbortController();
      const response = await call('/a2a/narrow', {
        method: 'POST',
        signal: leaving.signal,
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message: message() } }),
      });
      expect(response.status).toBe(200);
      leaving.abort();
      await sleep(150);
    }
  });
});

describe('answers that are none', () => {
  const streaming = (name: string, method = 'SendStreamingMessage', params: object = { message: message() }) =>
    call(`/a2a/${name}`, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 's', method, params }) });
  const old = {
    get message() {
      return { kind: 'message', messageId: crypto.randomUUID(), role: 'user', parts: [{ kind: 'text', text: 'x' }] };
    },
  };

  test.each([
    ['breaks', (_: unknown, response: Parameters<Script>[1]) => void setTimeout(() => response.destroy(), 20)],
    ['is not JSON', (_: unknown, response: Parameters<Script>[1]) => void response.end('data: {"x\n\n')],
    [
      'is an error',
      (asked: Parameters<Script>[0], response: Parameters<Script>[1]) =>
        void response.end(
          `data: {"jsonrpc":"2.0","id":${JSON.stringify(asked.rpc?.id)},"error":{"code":-32602,"message":"no"}}\n\n`,
        ),
    ],
  ])('a stream that %s before its first event is told as what it is', async (_, what) => {
    for (const method of ['SendStreamingMessage', 'message/stream']) {
      agent.play(
        soundly((asked, response) => {
          if (asked.rpc === undefined) return;
          if (!/stream/i.test(asked.rpc.method)) return;
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.flushHeaders();
          what(asked, response);
        }),
      );
      const response = await streaming('one', method, method === 'message/stream' ? old : undefined);
      const text = await response.text();
      expect(text).toContain('"error"');
    }
  });

  test.each([
    ['null', null],
    ['a list', []],
    ['a number', 7],
    ['a text', 'x'],
    ['a task without anything', { task: {} }],
    ['a task of numbers', { task: { id: 7, contextId: 8, status: { state: 9 } } }],
    ['what cannot become a text', { task: { id: { toString: 1, valueOf: 1 }, status: { state: { toString: 1, valueOf: 1 } } } }],
    ['a task whose members are lists', { task: { id: ['a'], status: [], artifacts: {}, history: 'x' } }],
  ])('a result that is %s brings nothing down', async (_, value) => {
    agent.play(soundly((asked, response) => (asked.rpc === undefined ? undefined : result(asked, response, value))));
    for (const name of ['one', 'old']) {
      for (const [method, params] of [
        ['SendMessage', { message: message() }],
        ['message/send', old],
        ['GetExtendedAgentCard', {}],
        ['SendStreamingMessage', { message: message() }],
        ['message/stream', old],
      ] as const) {
        const response = await streaming(name, method, params);
        expect(response.status, `${name} ${method}`).not.toBe(500);
        expect((await response.text()).length).toBeGreaterThan(0);
      }
    }
    agent.play(soundly());
    expect((await box.rpc('one', 'ListTasks', {})).status).toBe(200);
  });

  test('errors of REST with names of our own are errors', async () => {
    await box.admin('POST', '/v1/agents/rest/probe');
    for (const reason of ['constructor', '__proto__', 'toString']) {
      agent.play(
        soundly((asked, response) =>
          asked.path.includes('/message:send')
            ? json(response, 400, { error: { code: 400, message: 'no', details: [{ reason }] } }, { 'retry-after': '1e999' })
            : undefined,
        ),
      );
      const response = await call('/a2a/rest/message:send', { method: 'POST', body: JSON.stringify({ message: message() }) });
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('"no"')]);
    }
    agent.play(
      soundly((asked, response) =>
        asked.path.includes('/message:send') ? json(response, 503, {}, { 'retry-after': '1e999' }) : undefined,
      ),
    );
    const response = await call('/a2a/rest/message:send', { method: 'POST', body: JSON.stringify({ message: message() }) });
    expect(Number(response.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
  });

  test('depth breaks nobody', async () => {
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
    const body = `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}],"metadata":${deep}}}}`;
    const asked = await call('/a2a/one', { method: 'POST', body });
    expect(asked.status).toBe(200);
    expect(((await asked.json()) as RpcAnswer['body']).error?.code).toBe(-32600);
    agent.play(
      soundly((one, response) => {
        if (one.rpc === undefined) return;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(
          `{"jsonrpc":"2.0","id":${JSON.stringify(one.rpc.id)},"result":{"task":{"id":"deep","status":{"state":"TASK_STATE_COMPLETED"},"metadata":${deep}}}}`,
        );
      }),
    );
    for (const [method, params] of [
      ['SendMessage', { message: message() }],
      ['message/send', old],
    ] as const) {
      expect((await box.rpc('one', method, params)).status).not.toBe(500);
    }
  });

  test('an event without end is cut, also where it is translated', async () => {
    let sent = 0;
    agent.play(
      soundly((asked, response) => {
        if (asked.rpc === undefined || !/stream/i.test(asked.rpc.method)) return undefined;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: ');
        return new Promise<void>((resolve) => {
          const more = (): void => {
            if (response.destroyed || sent > 200 * 1024 * 1024) return resolve();
            sent += 256 * 1024;
            if (response.write('x'.repeat(256 * 1024))) setImmediate(more);
            else response.once('drain', more);
            return undefined;
          };
          response.once('close', () => resolve());
          more();
        });
      }),
    );
    for (const [method, params] of [
      ['SendStreamingMessage', { message: message() }],
      ['message/stream', old],
    ] as const) {
      sent = 0;
      const text = await (await streaming('one', method, params)).text();
      expect(text).toContain('"error"');
      expect(sent).toBeLessThan(64 * 1024 * 1024);
    }
  });

  test('an id that every event would repeat is not taken', async () => {
    const answer = await box.rpc('one', 'SendMessage', { message: message() }, { id: 'x'.repeat(5_000) });
    expect(answer.body.error?.code).toBe(-32600);
  });
});

describe('requests', () => {
  test.each([
    ['GET', '/a2a/one'],
    ['HEAD', '/a2a/one'],
    ['HEAD', '/a2a/one/.well-known/agent-card.json'],
    ['DELETE', '/a2a/one/.well-known/agent-card.json'],
    ['OPTIONS', '/a2a/one'],
    ['PUT', '/a2a/one/tasks/x'],
    ['PATCH', '/a2a/one/message:send'],
    ['DELETE', '/a2a/one/tasks/x/pushNotificationConfigs/y'],
    ['GET', '/a2a/one/tasks/x:cancel'],
    ['GET', '/a2a/one/tasks/x:subscribe:y'],
    ['GET', `/a2a/${'x'.repeat(4_000)}`],
    ['GET', `/a2a/one/tasks/${'x'.repeat(4_000)}`],
    ['GET', '/a2a/one/tasks?pageSize=-1'],
    ['GET', '/a2a/one/tasks?pageSize=1e9&historyLength=x&status=__proto__'],
    ['GET', '/a2a/one/tasks/__proto__'],
    ['GET', '/a2a/__proto__'],
    ['POST', '/a2a/constructor'],
  ])('%s %s is answered, and not by 500', async (method, path) => {
    const response = await call(path, {
      method,
      ...(method === 'POST' || method === 'PUT' || method === 'PATCH' ? { body: '{}' } : {}),
    });
    expect(response.status).toBeLessThan(500);
    await response.text();
  });

  test('a body of REST may be application/a2a+json', async () => {
    for (const type of ['application/a2a+json', 'application/json; charset=utf-8']) {
      agent.play(
        soundly((asked, response) =>
          asked.path.endsWith('/message:send') ? json(response, 200, { task: taskOf(`typed-${++tasks}`) }) : undefined,
        ),
      );
      const response = await call('/a2a/rest/message:send', {
        method: 'POST',
        headers: { 'content-type': type, 'a2a-version': '1.0' },
        body: JSON.stringify({ message: message() }),
      });
      expect(response.status).toBe(200);
    }
  });

  test('a GET with a body leaves the connection as it should be', async () => {
    const { port } = new URL(box.box.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1');
      let all = '';
      socket.on('data', (chunk) => (all += chunk.toString()));
      socket.on('error', reject).on('close', () => resolve(all));
      const head = `host: 127.0.0.1:${port}\r\nauthorization: Bearer ${AGENT_KEYS.KEY}\r\n`;
      const smuggled = `GET /a2a/smuggled HTTP/1.1\r\n${head}\r\n`;
      socket.write(`GET /a2a/one/tasks HTTP/1.1\r\n${head}content-length: ${smuggled.length}\r\n\r\n${smuggled}`);
      setTimeout(() => socket.end(), 500);
    });
    expect(text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
  });

  test('other tasks than that of the path are not asked for', async () => {
    const asked = agent.calls.length;
    const response = await call('/a2a/shared/tasks/mine:cancel', { method: 'POST', body: '{"id":"victim"}' });
    expect(response.status).toBe(400);
    expect((await call('/a2a/shared/tasks/mine?id=victim')).status).toBe(400);
    expect(agent.calls).toHaveLength(asked);
  });
});

describe('health', () => {
  test('a disabled agent takes no new work in an old conversation either', async () => {
    const id = taskIn(await send({}, {}, 'paid'));
    await box.admin('POST', '/v1/agents/paid/disable');
    const asked = agent.asked('SendMessage').length;
    const answer = await send({ contextId: `context-of-${id}` }, {}, 'paid');
    expect([answer.status, agent.asked('SendMessage').length]).toEqual([403, asked]);
    expect((await box.rpc('paid', 'GetTask', { id })).body.result).toMatchObject({ id });
    await box.admin('POST', '/v1/agents/paid/enable');
    expect((await send({ contextId: `context-of-${id}` }, {}, 'paid')).status).toBe(200);
  });

  test('whoever gives up early hides no agent that hangs', async () => {
    await box.admin('POST', '/v1/agents/hung/probe');
    agent.play(soundly((asked) => (asked.rpc === undefined ? undefined : sleep(700))));
    for (let index = 0; index < 3; index++) {
      await call('/a2a/hung', {
        method: 'POST',
        signal: AbortSignal.timeout(60),
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message: message() } }),
      }).catch(() => undefined);
    }
    await box.until('hung', ({ state, reason }) => state === 'degraded' && reason === 'slow');
  });

  test('one caller’s failures alone are nobody else’s where others get through', async () => {
    await box.admin('POST', '/v1/agents/one/probe');
    expect((await send({}, { key: 'OTHER_KEY' })).status).toBe(200);
    // Main is told at once of what fails, and of what works a moment later.
    await sleep(200);
    agent.play(
      soundly((asked, response) => (JSON.stringify(asked.rpc ?? {}).includes('poison') ? json(response, 503, {}) : undefined)),
    );
    for (let index = 0; index < 6; index++) await send({ parts: [{ text: 'poison' }] });
    await sleep(100);
    expect((await box.agent('one')).state).not.toBe('unhealthy');
    expect((await send({}, { key: 'OTHER_KEY' })).status).toBe(200);
  });
});

describe('cards and places', () => {
  const register = (body: object) => box.admin('POST', '/v1/agents', body);

  test('a card that cannot be read kills nobody', async () => {
    const poison = { toString: 1, valueOf: 1 };
    for (const card of [
      { name: 'x', url: agent.url, protocolVersion: poison },
      { name: 'x', supportedInterfaces: [{ url: agent.url, protocolBinding: 'JSONRPC', protocolVersion: poison }] },
      { name: 'x', url: agent.url, preferredTransport: poison, skills: [{ id: poison, tags: [poison] }], capabilities: [] },
      { name: 'x', url: agent.url, signatures: [{ protected: poison, signature: poison, header: poison }, poison, null] },
    ]) {
      agent.play((asked, response) =>
        asked.path.endsWith('agent-card.json') ? json(response, 200, card) : json(response, 404, {}),
      );
      await register({ name: 'poison', url: `${agent.url}/poison`, card_keys: [`${elsewhere.url}/keys`] });
      expect((await box.admin('POST', '/v1/agents/poison/probe')).status).toBe(200);
      expect((await call('/a2a/poison/.well-known/agent-card.json')).status).toBe(200);
      await box.admin('DELETE', '/v1/agents/poison');
    }
    agent.play(soundly());
    expect((await send()).status).toBe(200);
  });

  test('credentials go to the agent’s own places only', async () => {
    agent.play(soundly());
    await register({
      name: 'watched',
      url: `${agent.url}/watched`,
      api_key: 'secret-of-watched-1',
      headers: { 'x-agent-token': 'secret-of-watched-2' },
      health: { url: `${elsewhere.url}/health` },
    });
    await box.admin('POST', '/v1/agents/watched/probe');
    expect(elsewhere.calls.some(({ path }) => path === '/health')).toBe(true);
    expect(JSON.stringify(elsewhere.calls.map(({ headers }) => headers))).not.toContain('secret-of-watched');
  });

  test('a new key takes no old header to a new place', async () => {
    await register({ name: 'moved', url: `${agent.url}/moved`, headers: { 'x-agent-token': 'secret-of-moved' } });
    await box.admin('PATCH', '/v1/agents/moved', { url: elsewhere.url, api_key: 'another-one' });
    await box.admin('POST', '/v1/agents/moved/probe');
    expect(elsewhere.calls.some(({ headers }) => headers.authorization === 'Bearer another-one')).toBe(true);
    expect(JSON.stringify(elsewhere.calls.map(({ headers }) => headers))).not.toContain('secret-of-moved');
  });

  test('a place of keys is none that had the credential before', async () => {
    await register({
      name: 'keyed',
      url: `${agent.url}/keyed`,
      api_key: 'secret-of-keyed',
      card_keys: [`${elsewhere.url}/keys`],
    });
    const { body } = await box.admin('PATCH', '/v1/agents/keyed', { url: elsewhere.url });
    expect(body).toMatchObject({ has_credential: false });
  });

  test('words that change take no credential away', async () => {
    await register({
      name: 'kept',
      url: `${agent.url}/kept`,
      api_key: 'secret-of-kept',
      headers: { 'x-agent-token': 'secret-2' },
    });
    const { body } = await box.admin('PATCH', '/v1/agents/kept', { description: 'Other words' });
    expect(body).toMatchObject({ has_credential: true, headers: { 'x-agent-token': '***' } });
    await box.admin('POST', '/v1/agents/kept/probe');
    expect(agent.calls.at(-1)!.headers).toMatchObject({ authorization: 'Bearer secret-of-kept', 'x-agent-token': 'secret-2' });
  });

  test('two that register one name at once get one agent and one conflict', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => register({ name: 'twin', url: `${agent.url}/twin` })));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
    const patches = await Promise.all([1, 2, 3].map((each) => box.admin('PATCH', '/v1/agents/twin', { description: `${each}` })));
    for (const { status } of patches) expect(status).toBeOneOf([200, 409, 412]);
  });

  test('the socket of the demo is nobody’s over the API', async () => {
    for (const url of ['http://demo.invalid/demo/agents/x', 'http://demo.invalid/demo', 'http://demo.invalid/admin/v1/keys']) {
      const { status } = await register({ name: 'demo', url, health: { mode: 'url' } });
      if (status === 201) {
        const { body } = await box.admin('POST', '/v1/agents/demo/probe');
        expect(body).toMatchObject({ state: 'unhealthy', reason: 'unreachable' });
        await box.admin('DELETE', '/v1/agents/demo');
      }
    }
  });
});
