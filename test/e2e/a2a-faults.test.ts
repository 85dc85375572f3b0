/** What happens where agents, their answers or their callers are not as they should be. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
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

let one: ScriptedAgent;
const replicas: ScriptedAgent[] = [];
let box: AgentBox;
let tasks = 0;

/** Well: shows a card, answers sends with a new task, knows its tasks. */
const well =
  (agent: () => ScriptedAgent, answer: Script = () => undefined): Script =>
  async (call, response) => {
    if (call.path === '/.well-known/agent-card.json') return json(response, 200, cardAt(agent().url));
    if (call.rpc === undefined) return json(response, 404, {});
    await answer(call, response);
    if (response.writableEnded || response.headersSent || response.destroyed) return undefined;
    const { method, params } = call.rpc;
    if (method === 'SendMessage') return result(call, response, { task: taskOf(`task-${++tasks}`) });
    if (method === 'GetTask' || method === 'CancelTask') return result(call, response, taskOf(String(params['id'])));
    return failure(call, response, -32601);
  };

const sound = (): void => one.play(well(() => one));

beforeAll(async () => {
  one = await startScriptedAgent((_, response) => json(response, 500, {}));
  for (let index = 0; index < 3; index++) {
    const agent: ScriptedAgent = await startScriptedAgent(well(() => agent));
    replicas.push(agent);
  }
  const health = { interval_s: 1 };
  box = await startAgentBox(
    [
      { name: 'one', url: one.url, health, tags: ['open'] },
      { name: 'open', url: one.url, health, fail_open: true },
      { name: 'shared', url: one.url, health, task_scope: 'agent' },
      { name: 'limited', url: one.url, health, rate_limit_rpm: 2 },
      { name: 'short', url: one.url, timeout_ms: 300, health: { interval_s: 60 } },
      {
        name: 'plain',
        url: one.url,
        capabilities: { multi_turn: false, file_attachments: false, max_input_length: 10, task_cancellation: false },
      },
      { name: 'dear', url: one.url, cost_per_request: 0.6, budget: { limit_usd: 1, window: 'day' } },
      { name: 'three', replicas: replicas.map(({ url }, index) => ({ id: `r${index}`, url })), health },
    ],
    { workers: 2 },
  );
  sound();
  // Their cards are known from now on, whatever a test makes of the agent just when a probe is due.
  for (const name of ['one', 'open', 'shared', 'limited', 'short', 'plain', 'dear', 'three']) {
    expect((await box.admin('POST', `/v1/agents/${name}/probe`)).status).toBe(200);
  }
});
afterEach(sound);
afterAll(async () => {
  await box?.close();
  for (const agent of [one, ...replicas]) await agent.close();
});

const message = (text = 'hello', more: object = {}): object => ({
  message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text }], ...more },
});
const send = (agent = 'one', more: object = {}, options: Parameters<AgentBox['rpc']>[3] = {}) =>
  box.rpc(agent, 'SendMessage', message('hello', more), options);
const taskIdOf = (answer: Awaited<ReturnType<typeof send>>): string => (answer.body.result!['task'] as { id: string }).id;
const reasonOf = (answer: Awaited<ReturnType<typeof send>>): unknown =>
  (answer.body.error?.data as { reason: string }[] | undefined)?.[0]?.reason;

async function streamed(
  agent: string,
  params = message(),
  key: keyof typeof AGENT_KEYS = 'KEY',
): Promise<{ status: number; events: Record<string, object>[] }> {
  const response = await fetch(box.urlOf(agent), {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS[key]}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 's', method: 'SendStreamingMessage', params }),
  });
  const text = await response.text();
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as Record<string, object>);
  return { status: response.status, events };
}

describe('requests', () => {
  test.each([
    ['no JSON', '{"jsonrpc": "2.0",', -32700],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}]', -32600],
    ['no id', '{"jsonrpc":"2.0","method":"GetTask","params":{"id":"x"}}', -32600],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"GetTask","params":{"id":"x"}}', -32600],
    ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"GetTask","params":{"id":"x"}}', -32600],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"DoIt","params":{}}', -32601],
    ['params that are no object', '{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[1]}', -32602],
    ['no id of a task', '{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{}}', -32602],
    ['no id of a message', '{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{}}}', -32602],
    ['the same member twice', '{"jsonrpc":"2.0","id":1,"id":2,"method":"GetTask","params":{"id":"x"}}', -32600],
  ])('%s', async (_, body, code) => {
    const response = await fetch(box.urlOf('one'), {
      method: 'POST',
      headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
      body,
    });
    expect([response.status, ((await response.json()) as { error: { code: number } }).error.code]).toEqual([200, code]);
    expect(one.asked('DoIt')).toEqual([]);
  });

  test('a version that nobody speaks', async () => {
    const answer = await send('one', {}, { headers: { 'a2a-version': '99.0' } });
    expect(answer.body).toMatchObject({
      id: 1,
      error: { code: -32009, data: [{ reason: 'VERSION_NOT_SUPPORTED', domain: 'a2a-protocol.org' }] },
    });
    expect((await send('one', {}, { headers: { 'a2a-version': '1.0.1' } })).body.result).toBeDefined();
  });

  test('no key, another key, no grant, no agent', async () => {
    const bare = await fetch(box.urlOf('one'), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    expect(bare.status).toBe(401);
    expect(await bare.json()).toMatchObject({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32000, data: [{ reason: 'MISSING_KEY' }] },
    });
    const denied = await send('three', {}, { key: 'NARROW_KEY' });
    const absent = await send('nobody', {}, { key: 'NARROW_KEY' });
    expect([denied.status, reasonOf(denied)]).toEqual([404, 'AGENT_NOT_FOUND']);
    expect(absent.body.error!.message.replace('nobody', 'three')).toBe(denied.body.error!.message);
  });
});

describe('health', () => {
  test('a dead agent is known after a call, refused with the time to come back, and well again by itself', async () => {
    expect((await send()).status).toBe(200);
    await one.shut();
    const failed = await send();
    expect([failed.status, reasonOf(failed)]).toEqual([502, 'UPSTREAM_UNREACHABLE']);
    // A real success within a minute outranks the probe: only calls that fail in a row do not.
    await send();
    await send();
    await box.until('one', ({ state }) => state === 'unhealthy');
    const answers = [await send(), await send(), await send()];
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(reasonOf(refused[0]!)).toBe('AGENT_UNAVAILABLE');
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await box.agent('one')).reason).toBe('unreachable');
    await one.open();
    await box.until('one', ({ state }) => state === 'healthy');
    expect((await send()).status).toBe(200);
  });

  test('one that answers GET with 500 but works is not refused', async () => {
    one.play(async (call, response) => (call.rpc === undefined ? json(response, 500, {}) : well(() => one)(call, response)));
    await box.admin('PUT', '/v1/agents/one/state', { state: 'unknown' });
    for (let index = 0; index < 5; index++) expect((await send()).status).toBe(200);
    expect((await box.agent('one')).state).toBe('healthy');
  });

  test('fail_open sends all the same', async () => {
    await send('open');
    await box.admin('PUT', '/v1/agents/open/state', { state: 'unhealthy' });
    expect((await send('open')).status).toBe(200);
    expect((await send('open')).status).toBe(200);
  });

  test('the caller’s errors say nothing of the agent', async () => {
    one.play(
      well(
        () => one,
        (call, response) => failure(call, response, -32602),
      ),
    );
    for (let index = 0; index < 5; index++) expect((await send()).body.error?.code).toBe(-32602);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await box.agent('one')).toMatchObject({ state: 'healthy' });
  });

  test('errors of its own degrade it, and it is still called', async () => {
    one.play(
      well(
        () => one,
        (call, response) => failure(call, response, -32603),
      ),
    );
    for (let index = 0; index < 3; index++) await send();
    await box.until('one', ({ state, reason }) => state === 'degraded' && reason === 'errors');
    sound();
    expect((await send()).status).toBe(200);
    await box.until('one', ({ state }) => state === 'healthy');
  });

  test('its refusal of our credential is not the caller’s 401', async () => {
    one.play(
      well(
        () => one,
        (call, response) => json(response, 401, { error: 'no' }),
      ),
    );
    const answer = await send();
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'UPSTREAM_AUTH']);
  });
});

describe('answers', () => {
  test('to another request, or to none', async () => {
    one.play(
      well(
        () => one,
        (call, response) => json(response, 200, { jsonrpc: '2.0', id: 'another', result: {} }),
      ),
    );
    expect((await send()).body.error?.code).toBe(-32006);
    one.play(
      well(
        () => one,
        (call, response) => json(response, 200, { hello: true }),
      ),
    );
    expect((await send()).body.error?.code).toBe(-32006);
    one.play(
      well(
        () => one,
        (call, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      ),
    );
    expect((await send()).body.error?.code).toBe(-32006);
  });

  test('too late', async () => {
    one.play(
      well(
        () => one,
        () => new Promise<void>((resolve) => setTimeout(resolve, 1_500)),
      ),
    );
    const answer = await send('short');
    expect([answer.status, reasonOf(answer)]).toEqual([504, 'UPSTREAM_TIMEOUT']);
  });

  test('a stream that breaks is taken up where the task stands', async () => {
    const artifact = (text: string, more: object = {}) => ({ artifactId: 'a', parts: [{ text }], ...more });
    one.play(
      well(
        () => one,
        async (call, response) => {
          if (call.rpc!.method === 'SendStreamingMessage') {
            const emit = stream(call, response);
            emit({ task: taskOf('broken', 'TASK_STATE_WORKING') });
            emit({
              artifactUpdate: { taskId: 'broken', contextId: 'context-of-broken', artifact: artifact('half'), append: false },
            });
            await new Promise((resolve) => setTimeout(resolve, 50));
            response.destroy();
          } else if (call.rpc!.method === 'SubscribeToTask') {
            const emit = stream(call, response);
            emit({ task: taskOf('broken', 'TASK_STATE_WORKING', { artifacts: [artifact('half and more')] }) });
            emit({
              statusUpdate: { taskId: 'broken', contextId: 'context-of-broken', status: { state: 'TASK_STATE_COMPLETED' } },
            });
            response.end();
          }
        },
      ),
    );
    const { events } = await streamed('one');
    const kinds = events.map(({ result }) => Object.keys(result!)[0]);
    // The task comes once, first; what was missed follows as updates.
    expect(kinds).toEqual(['task', 'artifactUpdate', 'artifactUpdate', 'statusUpdate', 'statusUpdate']);
    expect(events[2]).toMatchObject({
      result: { artifactUpdate: { artifact: { parts: [{ text: 'half and more' }] }, append: false } },
    });
    expect(events.at(-1)).toMatchObject({ id: 's', result: { statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } } });
  });

  test('a stream that breaks for good ends with an error, never in silence', async () => {
    one.play(
      well(
        () => one,
        async (call, response) => {
          if (call.rpc!.method !== 'SendStreamingMessage') return failure(call, response, -32004);
          stream(call, response)({ task: taskOf('lost', 'TASK_STATE_WORKING') });
          await new Promise((resolve) => setTimeout(resolve, 30));
          response.destroy();
          return undefined;
        },
      ),
    );
    const { events } = await streamed('one');
    expect(events.at(-1)).toMatchObject({ id: 's', error: { code: -32603, data: [{ reason: 'UPSTREAM_INCOMPLETE' }] } });
  });

  test('an event that is too large ends the stream with the reason', async () => {
    one.play(
      well(
        () => one,
        (call, response) => {
          const emit = stream(call, response);
          emit({ task: taskOf('large', 'TASK_STATE_WORKING') });
          emit({
            artifactUpdate: { taskId: 'large', artifact: { artifactId: 'a', parts: [{ text: 'x'.repeat(11 * 1024 * 1024) }] } },
          });
          response.end();
        },
      ),
    );
    const { events } = await streamed('one');
    expect(events.at(-1)).toHaveProperty('error');
  });
});

describe('tasks', () => {
  test('are their maker’s, whichever worker is asked', async () => {
    const id = taskIdOf(await send());
    const gets = await Promise.all(Array.from({ length: 8 }, () => box.rpc('one', 'GetTask', { id })));
    expect(gets.map(({ body }) => body.result?.['id'])).toEqual(Array.from({ length: 8 }, () => id));
  });

  test('somebody else’s look like ones that are not there', async () => {
    const id = taskIdOf(await send());
    const asked = one.calls.length;
    for (const [method, params] of [
      ['GetTask', { id }],
      ['CancelTask', { id }],
      ['SendMessage', message('mine?', { taskId: id })],
      ['SendMessage', message('mine?', { contextId: `context-of-${id}` })],
    ] as const) {
      const foreign = await box.rpc('one', method, params, { key: 'OTHER_KEY' });
      expect(foreign.body.error).toMatchObject({ code: -32001 });
    }
    const absent = await box.rpc('one', 'GetTask', { id: 'no-such-task' }, { key: 'OTHER_KEY' });
    const foreign = await box.rpc('one', 'GetTask', { id }, { key: 'OTHER_KEY' });
    expect(foreign.body).toEqual(absent.body);
    expect(one.calls.length).toBe(asked);
    const listed = await box.rpc('one', 'ListTasks', {}, { key: 'OTHER_KEY' });
    expect(JSON.stringify(listed.body.result)).not.toContain(id);
  });

  test('of an agent with the scope `agent` are everybody’s', async () => {
    const id = taskIdOf(await send('shared'));
    expect((await box.rpc('shared', 'GetTask', { id }, { key: 'OTHER_KEY' })).body.result).toMatchObject({ id });
  });

  test('an agent that answers with another one’s task is not believed', async () => {
    const id = taskIdOf(await send());
    one.play(
      well(
        () => one,
        (call, response) => result(call, response, { task: taskOf(id) }),
      ),
    );
    expect((await send('one', {}, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32006);
  });

  test('disabled by force, an agent ends what is under way, on every worker, with the reason', async () => {
    one.play(
      well(
        () => one,
        (call, response) => {
          if (call.rpc?.method === 'SendMessage') return new Promise(() => undefined);
          stream(call, response)({ task: taskOf(`task-${++tasks}`, 'TASK_STATE_WORKING') });
          return new Promise(() => undefined);
        },
      ),
    );
    const streams = Array.from({ length: 6 }, () => streamed('open'));
    const sends = Array.from({ length: 4 }, () => send('open'));
    await expect.poll(() => one.calls.filter(({ rpc }) => rpc?.method.startsWith('Send')).length).toBeGreaterThanOrEqual(10);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await box.admin('POST', '/v1/agents/open/disable')).status).toBe(200);
    expect((await box.admin('POST', '/v1/agents/open/enable?force=true')).status).toBe(400);
    expect((await box.admin('POST', '/v1/agents/open/disable?force=true')).status).toBe(200);
    for (const { events } of await Promise.all(streams)) {
      expect(events.map((event) => Object.keys(event).at(-1))).toEqual(['result', 'error']);
      expect(JSON.stringify(events[1])).toContain('AGENT_DISABLED');
    }
    for (const answer of await Promise.all(sends)) expect([answer.status, reasonOf(answer)]).toEqual([403, 'AGENT_DISABLED']);
    sound();
    expect((await box.admin('POST', '/v1/agents/open/enable')).status).toBe(200);
  });

  test('a disabled agent takes nothing new, and what is there can be read and cancelled', async () => {
    const id = taskIdOf(await send());
    await box.admin('POST', '/v1/agents/one/disable');
    expect(reasonOf(await send())).toBe('AGENT_DISABLED');
    expect((await box.rpc('one', 'GetTask', { id })).body.result).toMatchObject({ id });
    expect((await box.rpc('one', 'CancelTask', { id })).body.result).toMatchObject({ id });
    await box.admin('POST', '/v1/agents/one/enable');
    expect((await send()).status).toBe(200);
  });
});

describe('replicas', () => {
  test('share the work, and keep what is theirs', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, async () => taskIdOf(await send('three'))));
    const made = replicas.map((agent) => agent.asked('SendMessage').length);
    expect(made.every((count) => count > 0)).toBe(true);
    await Promise.all(ids.map((id) => box.rpc('three', 'GetTask', { id })));
    // Each is asked for the tasks that it made, and for no other.
    expect(replicas.map((agent) => agent.asked('GetTask').length)).toEqual(made);
  });

  test('one that is gone loses nobody a call', async () => {
    await replicas[0]!.shut();
    const answers = await Promise.all(Array.from({ length: 12 }, () => send('three')));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
    const old = { message: { kind: 'message', messageId: '', role: 'user', parts: [{ kind: 'text', text: 'hello' }] } };
    const translated = await Promise.all(
      Array.from({ length: 12 }, () =>
        box.rpc('three', 'message/send', { message: { ...old.message, messageId: crypto.randomUUID() } }),
      ),
    );
    expect(translated.map(({ body }) => body.result?.['kind'])).toEqual(Array.from({ length: 12 }, () => 'task'));
    await replicas[0]!.open();
  });

  test('a task whose replica is gone says so, and not that there is none', async () => {
    const owned = await Promise.all(Array.from({ length: 12 }, async () => taskIdOf(await send('three'))));
    await replicas[1]!.shut();
    const answers = await Promise.all(owned.map((id) => box.rpc('three', 'GetTask', { id })));
    const failed = answers.filter(({ body }) => body.error !== undefined);
    expect(failed.length).toBeGreaterThan(0);
    expect([...new Set(failed.map(reasonOf))]).toEqual(['TASK_OWNER_UNAVAILABLE']);
    await replicas[1]!.open();
  });
});

describe('what operators set', () => {
  test('limits', async () => {
    const statuses = [];
    for (let index = 0; index < 3; index++) statuses.push((await send('limited')).status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test('budgets: what would go beyond is refused, errors cost nothing', async () => {
    one.play(
      well(
        () => one,
        (call, response) => failure(call, response, -32602),
      ),
    );
    await send('dear');
    sound();
    expect((await send('dear')).status).toBe(200);
    const refused = await send('dear');
    expect([refused.status, reasonOf(refused)]).toEqual([429, 'BUDGET_EXCEEDED']);
    await box.until('dear', ({ total_cost, invocation_count }) => total_cost === 0.6 && invocation_count === 2);
  });

  test('what the agent does not do', async () => {
    const task = await send('plain');
    expect(task.status).toBe(200);
    const refusals = [
      await box.rpc('plain', 'SendMessage', message('a text that is too long')),
      await box.rpc('plain', 'SendMessage', message('more', { taskId: taskIdOf(task) })),
      await box.rpc('plain', 'SendMessage', message('', { parts: [{ raw: 'eA==', filename: 'x' }] })),
      await box.rpc('plain', 'CancelTask', { id: taskIdOf(task) }),
      await box.rpc('plain', 'CreateTaskPushNotificationConfig', { taskId: taskIdOf(task), url: 'https://example.com' }),
    ];
    expect(refusals.map(({ body }) => body.error?.code)).toEqual([-32602, -32004, -32005, -32002, -32003]);
  });

  test('a ring of agents is broken', async () => {
    let depth = 0;
    one.play(
      well(
        () => one,
        async (call, response) => {
          depth += 1;
          // The agent calls itself through the gateway, and passes on what it was given, as instrumented agents do.
          const inner = await send('one', {}, { headers: { baggage: String(call.headers['baggage']) } });
          result(call, response, {
            task: taskOf(`ring-${depth}`, 'TASK_STATE_COMPLETED', { metadata: { inner: reasonOf(inner) as string } }),
          });
        },
      ),
    );
    const answer = await send();
    expect(depth).toBe(1);
    expect((answer.body.result!['task'] as { metadata: { inner: string } }).metadata.inner).toBe('HOP_LIMIT');
    expect((await send('one', {}, { headers: { baggage: 'signalbox-hops=b25l.forged' } })).status).toBe(200);
  });
});

describe('cards', () => {
  test('are ours in place and security, with an ETag', async () => {
    await send();
    const get = (path: string, headers: Record<string, string> = {}) =>
      fetch(`${box.urlOf('one')}${path}`, { headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, ...headers } });
    const response = await get('/.well-known/agent-card.json');
    const card = (await response.json()) as Record<string, unknown>;
    expect(JSON.stringify(card)).not.toContain(one.url);
    expect(card).toMatchObject({
      name: 'scripted',
      url: box.urlOf('one'),
      protocolVersion: '0.3.0',
      capabilities: { pushNotifications: false },
    });
    expect(response.headers.get('vary')).toContain('A2A-Version');
    const again = await get('/.well-known/agent-card.json', { 'if-none-match': response.headers.get('etag')! });
    expect(again.status).toBe(304);
    const modern = (await (await get('/.well-known/agent.json', { 'a2a-version': '1.0' })).json()) as Record<string, unknown>;
    expect(modern).not.toHaveProperty('url');
    expect(modern.supportedInterfaces).toHaveLength(4);
  });

  test('a hostile text in it loses its teeth', async () => {
    const hostile = 'evil\u001b[2J\u202Etxt';
    const card = { ...cardAt(one.url), description: hostile, 'x-note': { deep: [hostile] } };
    one.play((call, response) =>
      call.path.endsWith('agent-card.json') ? json(response, 200, card) : well(() => one)(call, response),
    );
    expect((await box.admin('POST', '/v1/agents/one/refresh-card')).status).toBe(200);
    const shown = await fetch(`${box.urlOf('one')}/.well-known/agent-card.json`, {
      headers: { authorization: `Bearer ${AGENT_KEYS.KEY}` },
    });
    const kept = 'evil[2Jtxt';
    expect(await shown.json()).toMatchObject({ description: kept, 'x-note': { deep: [kept] } });
    sound();
    await box.admin('POST', '/v1/agents/one/refresh-card');
  });

  test.each([
    ['is too large', JSON.stringify({ ...cardAt('http://x'), description: 'x'.repeat(300 * 1024) }), 'larger than'],
    ['is no JSON', '<html>', 'not JSON'],
    ['has no name', '{"url":"http://x"}', 'no name'],
  ])('one that %s is not used, and its operator learns why', async (_, body, why) => {
    one.play((call, response) =>
      call.path.includes('.well-known')
        ? void response.writeHead(200, { 'content-type': 'application/json' }).end(body)
        : well(() => one)(call, response),
    );
    const { body: refused } = await box.admin('POST', '/v1/agents/one/refresh-card');
    expect(refused['card_problem']).toContain(why);
    // The one that was known still says where calls go.
    expect(refused['card']).toMatchObject({ url: `${one.url}/.well-known/agent-card.json` });
    sound();
    expect((await box.admin('POST', '/v1/agents/one/refresh-card')).body).toMatchObject({ card_problem: null, state: 'healthy' });
  });

  test('another card with other places waits for the operator', async () => {
    await send();
    one.play(async (call, response) =>
      call.path === '/.well-known/agent-card.json'
        ? json(response, 200, cardAt('https://elsewhere.example.com'))
        : well(() => one)(call, response),
    );
    const waiting = await box.until('one', ({ card_changed }) => card_changed === true);
    expect(waiting.interfaces).toMatchObject([{ url: `${one.url}/rpc` }]);
    const adopted = await box.admin('POST', '/v1/agents/one/refresh-card');
    // Its path is taken, its origin is not.
    expect(adopted.body).toMatchObject({ card_changed: false, interfaces: [{ url: `${one.url}/rpc` }] });
    sound();
    await box.admin('POST', '/v1/agents/one/refresh-card');
  });
});
