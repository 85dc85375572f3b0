/** Guards and recorded bodies where agents are asked. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import {
  type Script,
  type ScriptedAgent,
  cardAt,
  json,
  result,
  startScriptedAgent,
  stream,
  taskOf,
} from '../support/scripted-agent.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

let agent: ScriptedAgent;
let guard: WebhookReceiver;
let box: AgentBox;
let log: ExchangeLog;
let tasks = 0;

const artifact = { artifactId: 'a', parts: [{ text: 'The line is clear.' }] };
const usual: Script = (call, response) => {
  if (call.rpc === undefined)
    return json(response, 200, cardAt(agent.url, { capabilities: { streaming: true, pushNotifications: true } }));
  if (call.rpc.method === 'GetTask')
    return result(call, response, taskOf(String(call.rpc.params['id']), undefined, { artifacts: [artifact] }));
  const id = `task-${++tasks}`;
  if (call.rpc.method === 'SendMessage')
    return result(call, response, { task: taskOf(id, undefined, { artifacts: [artifact] }) });
  const event = stream(call, response);
  event({ task: taskOf(id, 'TASK_STATE_WORKING') });
  event({ artifactUpdate: { taskId: id, contextId: `context-of-${id}`, artifact } });
  event({ statusUpdate: { taskId: id, contextId: `context-of-${id}`, status: { state: 'TASK_STATE_COMPLETED' } } });
  response.end();
  return undefined;
};

beforeAll(async () => {
  agent = await startScriptedAgent(usual);
  guard = await startWebhookReceiver(SECRET);
  const one = (name: string, more: object): object => ({ name, url: `${guard.url}/${name}`, secret: '${env:SECRET}', ...more });
  const agentNamed = (name: string): object => ({
    name,
    url: agent.url,
    health: { interval_s: 60 },
    cost_per_request: 0.25,
    ...(name === 'quick' && { timeout_ms: 600 }),
  });
  box = await startAgentBox(['before', 'after', 'hold', 'free', 'open', 'quick', 'users'].map(agentNamed), {
    env: { SECRET, KEPT_KEY: 'key-of-the-caller-0004' },
    more: {
      server: { public_url: 'https://gateway.example.com' },
      egress: { allow_private: ['127.0.0.0/8'] },
      end_users: { limits: { rpm: 1 } },
      keys: [
        { name: 'caller', key: '${env:KEY}', agents: ['*'] },
        { name: 'other', key: '${env:OTHER_KEY}', agents: ['*'] },
        { name: 'kept', key: '${env:KEPT_KEY}', agents: ['*'], record_bodies: true },
      ],
      guards: [
        one('before', { models: ['a2a/before'] }),
        one('after', { on: ['response'], models: ['a2a/after'] }),
        one('hold', { on: ['response'], models: ['a2a/ho*'], hold_streams: true }),
        one('of-a-key', { keys: ['other'], models: ['a2a/free'] }),
        one('quick', { on: ['request', 'response'], models: ['a2a/quick'] }),
        one('users', { models: ['a2a/users'] }),
        one('open', { models: ['a2a/open'], timeout_ms: 200 }),
      ],
    },
  });
  log = exchangeLog(box.box);
});
afterEach(() => {
  agent.play(usual);
  agent.calls.splice(0);
  guard.calls.splice(0);
});
afterAll(async () => {
  await box?.close();
  await guard?.close();
  await agent?.close();
});

const FRONTS = [
  { path: '/v1/chat/completions', clear: '"content":"The line is clear."', replaced: { object: 'chat.completion' } },
  { path: '/v1/messages', clear: '"text":"The line is clear."', replaced: { type: 'message' } },
];

function call(path: string, name: string, { key = AGENT_KEYS.KEY, ...more }: Record<string, unknown> = {}): Promise<Reply> {
  const body = { model: `a2a/${name}`, max_tokens: 100, messages: [{ role: 'user', content: 'Is the line clear?' }], ...more };
  return ask(box.box.url + path, { headers: { authorization: `Bearer ${String(key)}` }, body });
}

const lineOf = (reply: Reply): ReturnType<ExchangeLog['of']> => log.of(reply.headers['x-request-id']!);

describe.each(FRONTS)('an agent as a model on $path', ({ path, clear, replaced }) => {
  test('is asked what the guard lets through, or made of it', async () => {
    guard.play(() => ({ action: 'block', message: 'Not this.' }));
    const blocked = await call(path, 'before');
    expect([blocked.status, blocked.text]).toEqual([400, expect.stringContaining('Not this.')]);
    expect(agent.asked()).toHaveLength(0);
    expect(guard.calls[0]!.genuine).toBe(true);
    expect(guard.calls[0]!.body).toMatchObject({
      stage: 'request',
      exchange: { model: 'a2a/before', key_name: 'caller', stream: false },
      body: { model: 'a2a/before', messages: [{ content: 'Is the line clear?' }] },
    });
    guard.play(({ text }) => {
      const { body } = JSON.parse(text.replace('Is the line', 'Is [redacted]')) as { body: object };
      return { action: 'replace', body };
    });
    const reply = await call(path, 'before');
    expect(reply.status).toBe(200);
    expect(JSON.stringify(agent.asked().at(-1)!.rpc!.params)).toContain('Is [redacted] clear?');
    expect((await lineOf(reply))['guards']).toEqual(['before request replace']);
  });

  test('has its answer kept back, and charged', async () => {
    guard.play(() => ({ action: 'block', message: 'Not that.' }));
    const reply = await call(path, 'after');
    expect([reply.status, reply.text]).toEqual([400, expect.stringContaining('Not that.')]);
    expect(reply.text).not.toContain('clear');
    expect(reply.headers['x-signalbox-cost-usd']).toBe('0.25');
    expect(await lineOf(reply)).toMatchObject({ outcome: 'refused', cost_usd: '0.25', guards: ['after response block'] });
    guard.play(() => ({ action: 'replace', body: replaced }));
    expect(jsonOf(await call(path, 'after'))).toEqual(replaced);
    const { state } = await box.agent('after');
    expect(state).toBe('healthy');
  });

  test('streams, and is judged afterwards; or before, where that is wished', async () => {
    guard.play(() => ({ action: 'block' }));
    const sent = await call(path, 'after', { stream: true });
    expect([sent.status, sent.text]).toEqual([200, expect.stringContaining(clear)]);
    expect((await guard.until(1))[0]!.body['body']).toBe(sent.text);
    await expect.poll(() => log.lines().some((line) => line['event'] === 'guard.flagged')).toBe(true);
    const kept = await call(path, 'hold', { stream: true });
    expect(kept.status).toBe(400);
    expect(await lineOf(kept)).toMatchObject({ outcome: 'refused', cost_usd: '0.25' });
    guard.play(() => ({ action: 'allow' }));
    const passed = await call(path, 'hold', { stream: true });
    expect(passed.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'x-a2a-task-id': `task-${tasks}`,
      'x-a2a-task-state': 'completed',
    });
    expect(passed.text).toContain(clear);
  });

  test.each([false, true])('has no word told past the guard where its task failed (streamed: %s)', async (isStreamed) => {
    agent.play((asked, response) => {
      if (asked.rpc?.method !== 'SendStreamingMessage') return usual(asked, response);
      const said = { messageId: 'q', role: 'ROLE_AGENT', parts: [{ text: 'The signal is red' }] };
      stream(asked, response)({ task: taskOf(`task-${++tasks}`, '', { status: { state: 'TASK_STATE_FAILED', message: said } }) });
      return void response.end();
    });
    guard.play(() => ({ action: 'allow' }));
    const told = await call(path, 'hold', { stream: isStreamed });
    expect([told.status, told.text]).toEqual([502, expect.stringContaining('has failed the task')]);
    expect(told.text).not.toContain('The signal is red');
    expect((await call(path, 'free', { stream: isStreamed })).text).toContain('The signal is red');
  });

  test('is asked by the end user whom the client names, whatever a guard leaves of it', async () => {
    guard.play(({ body }) => {
      const { user: _, metadata: __, ...rest } = body['body'] as Record<string, unknown>;
      return { action: 'replace', body: rest };
    });
    const named = { user: `of ${path}`, metadata: { user_id: `of ${path}` } };
    const statuses = [(await call(path, 'users', named)).status, (await call(path, 'users', named)).status];
    expect(statuses).toEqual([200, 429]);
  });

  test('is guarded for the keys that are named, and not asked where its guard does not answer', async () => {
    guard.play(() => ({ action: 'block' }));
    expect((await call(path, 'free')).status).toBe(200);
    expect((await call(path, 'free', { key: AGENT_KEYS.OTHER_KEY })).status).toBe(400);
    guard.play(() => new Promise(() => undefined));
    agent.calls.splice(0);
    const unanswered = await call(path, 'open');
    expect([unanswered.status, agent.asked().length]).toEqual([503, 0]);
  });

  test('has the bodies of its calls recorded, where its key wants it', async () => {
    const reply = await call(path, 'free', { key: 'key-of-the-caller-0004' });
    await expect.poll(() => bodiesOf(reply), { timeout: 10_000 }).toContain('The line is clear.');
    expect(await bodiesOf(reply)).toContain('Is the line clear?');
  });
});

describe('a call to an agent', () => {
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'Is the line clear?' }] };

  /** JSON-RPC of 1.0, with a message of its own each time. */
  const send = (name: string, method: string, params?: object, key = AGENT_KEYS.KEY): Promise<Reply> =>
    ask(box.urlOf(name), {
      headers: { authorization: `Bearer ${key}`, 'a2a-version': '1.0' },
      body: { jsonrpc: '2.0', id: 7, method, params: params ?? { message: { ...message, messageId: crypto.randomUUID() } } },
    });
  const rest = (name: string, path: string): Promise<Reply> =>
    ask(box.urlOf(name) + path, {
      headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'a2a-version': '1.0' },
      body: { message: { ...message, messageId: crypto.randomUUID() } },
    });

  test.each(['SendMessage', 'SendStreamingMessage'])(
    'by %s carries what the guard lets through, or made of it',
    async (method) => {
      guard.play(() => ({ action: 'block', message: 'Not this.' }));
      const blocked = await send('before', method);
      expect([blocked.status, jsonOf(blocked)]).toMatchObject([400, { id: 7, error: { message: 'Not this.' } }]);
      expect(guard.calls[0]!.body).toMatchObject({
        stage: 'request',
        exchange: { surface: 'a2a', model: 'a2a/before' },
        body: { method, params: { message: { parts: [{ text: 'Is the line clear?' }] } } },
      });
      guard.play(({ text }) => {
        const { body } = JSON.parse(text.replace('Is the line', 'Is [redacted]')) as { body: object };
        return { action: 'replace', body };
      });
      expect((await send('before', method)).status).toBe(200);
      expect(JSON.stringify(agent.asked().map(({ rpc }) => rpc!.params))).toMatch(/^[^|]*Is \[redacted\] clear\?[^|]*$/);
      expect(agent.asked()).toHaveLength(1);
    },
  );

  test('over REST is guarded as well', async () => {
    guard.play(() => ({ action: 'block', message: 'Not this.' }));
    const blocked = await rest('before', '/message:send');
    expect([blocked.status, blocked.text]).toEqual([400, expect.stringContaining('Not this.')]);
    const kept = await rest('after', '/message:send');
    expect([kept.status, kept.text]).toEqual([400, expect.stringContaining('Not this.')]);
    expect(agent.asked()).toHaveLength(1);
  });

  test('stays the call that it is, whatever a guard says', async () => {
    guard.play(({ body }) => ({
      action: 'replace',
      body: { ...(body['body'] as object), method: 'CancelTask', params: { id: 'x' } },
    }));
    expect((await send('before', 'SendMessage')).status).toBe(503);
    guard.play(({ body }) => ({ action: 'replace', body: { ...(body['body'] as object), id: 8 } }));
    const refused = await send('before', 'SendMessage');
    expect([refused.status, jsonOf(refused)['id']]).toEqual([503, 7]);
    expect(agent.asked()).toHaveLength(0);
  });

  test('has its answer kept back, charged, and the same when it is asked for again', async () => {
    guard.play(() => ({ action: 'block', message: 'Not that.' }));
    const reply = await send('after', 'SendMessage');
    expect([reply.status, reply.text]).toEqual([400, expect.stringContaining('Not that.')]);
    expect(await lineOf(reply)).toMatchObject({ outcome: 'refused', cost_usd: '0.25', guards: ['after response block'] });
    const read = await send('after', 'GetTask', { id: `task-${tasks}` });
    expect([read.status, read.text]).toEqual([400, expect.stringContaining('Not that.')]);
    guard.play(() => ({ action: 'replace', body: { jsonrpc: '2.0', id: 7, result: { clean: true } } }));
    expect(jsonOf(await send('after', 'SendMessage'))).toMatchObject({ result: { clean: true } });
    expect((await box.agent('after'))['state']).toBe('healthy');
  });

  test('streams, and is judged afterwards; or before, where that is wished', async () => {
    guard.play(() => ({ action: 'block', message: 'Not that.' }));
    const sent = await send('after', 'SendStreamingMessage');
    expect(sent.text).toContain('The line is clear.');
    expect((await guard.until(1))[0]!.body['body']).toBe(sent.text);
    expect((await lineOf(sent))['guards']).toEqual(['after response observed']);
    const kept = await send('hold', 'SendStreamingMessage');
    expect([kept.status, kept.text]).toEqual([400, expect.stringContaining('Not that.')]);
    expect(await lineOf(kept)).toMatchObject({ outcome: 'refused', cost_usd: '0.25' });
    guard.play(() => ({ action: 'allow' }));
    const passed = await send('hold', 'SendStreamingMessage');
    expect([passed.status, passed.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(passed.text).toContain('The line is clear.');
    expect((await box.agent('hold'))['state']).toBe('healthy');
  });

  test.each(['SendMessage', 'SendStreamingMessage', 'as a model'])(
    'reaches no agent that is disabled while a guard is asked (%s)',
    async (how) => {
      guard.play(async () => {
        await sleep(300);
        return { action: 'allow' };
      });
      const pending = how === 'as a model' ? call('/v1/chat/completions', 'before') : send('before', how);
      await guard.until(1);
      await box.admin('POST', '/v1/agents/before/disable');
      agent.calls.splice(0);
      expect([(await pending).status, agent.asked().length]).toEqual([403, 0]);
      await box.admin('POST', '/v1/agents/before/enable');
    },
  );

  test('again is the same message, whatever a guard makes of it each time', async () => {
    let count = 0;
    guard.play(({ text }) => {
      const { body } = JSON.parse(text.replace('Is the line', `Is [redacted-${++count}]`)) as { body: object };
      return { action: 'replace', body };
    });
    const params = { message: { ...message, messageId: crypto.randomUUID() } };
    const [first, again] = [await send('before', 'SendMessage', params), await send('before', 'SendMessage', params)];
    expect(jsonOf(again)['error']).toBeUndefined();
    expect([jsonOf(first)['result'], agent.asked('SendMessage').length]).toEqual([jsonOf(again)['result'], 1]);
  });

  test('is given its own time: what guards take of it is theirs', async () => {
    guard.play(async () => {
      await sleep(700);
      return { action: 'allow' };
    });
    for (let index = 0; index < 3; index++) expect((await send('quick', 'SendMessage')).status).toBe(200);
    expect(agent.asked('SendStreamingMessage')).toHaveLength(0);
  });

  test('is charged where its answer broke off and was kept back', async () => {
    agent.play((asked, response) => {
      if (asked.rpc?.method !== 'SendStreamingMessage') return usual(asked, response);
      stream(asked, response)({ artifactUpdate: { taskId: `task-${++tasks}`, contextId: 'c', artifact } });
      return void setTimeout(() => response.destroy(), 50);
    });
    guard.play(() => ({ action: 'block' }));
    const kept = await send('hold', 'SendStreamingMessage');
    expect([kept.status, (await lineOf(kept))['cost_usd']]).toEqual([400, '0.25']);
  });

  test('shows neither guards nor records where its client wants to be notified', async () => {
    const key = 'key-of-the-caller-0004';
    const authentication = { scheme: 'Bearer', credentials: 'secret-of-the-client' };
    const taskPushNotificationConfig = { url: 'http://127.0.0.1:9/x', token: 'secret-token', authentication };
    guard.play(({ text }) => {
      const { body } = JSON.parse(text.replace('Is the line', 'Is [redacted]')) as { body: object };
      return { action: 'replace', body };
    });
    const along = { message: { ...message, messageId: crypto.randomUUID() }, configuration: { taskPushNotificationConfig } };
    const sent = await send('before', 'SendMessage', along, key);
    expect(sent.status).toBe(200);
    const { id } = (jsonOf(sent)['result'] as { task: { id: string } }).task;
    // Both came through: the guard's words, and the wish.
    const asked = JSON.stringify(agent.asked('SendMessage').at(-1)!.rpc!.params);
    expect([asked.includes('[redacted]'), asked.includes('gateway.example.com')]).toEqual([true, true]);
    const made = await send('free', 'CreateTaskPushNotificationConfig', { taskId: id, ...taskPushNotificationConfig }, key);
    const later = await send('free', 'SendMessage', undefined, key);
    await expect.poll(() => bodiesOf(later), { timeout: 10_000 }).toContain('The line is clear.');
    const seen = [...guard.calls.map(({ text }) => text), await bodiesOf(sent), await bodiesOf(made)].join('');
    expect(seen).toContain('Is the line clear?');
    expect(seen).not.toMatch(/secret-of-the-client|secret-token/);
  });

  test('has its bodies recorded, where its key wants it', async () => {
    const reply = await send('free', 'SendStreamingMessage', undefined, 'key-of-the-caller-0004');
    await expect.poll(() => bodiesOf(reply), { timeout: 10_000 }).toContain('The line is clear.');
    expect(await bodiesOf(reply)).toContain('Is the line clear?');
  });
});

/** What is kept of a call, as text. */
async function bodiesOf(reply: Reply): Promise<string> {
  const { body } = await box.admin('GET', `/admin/v1/requests?request_id=${reply.headers['x-request-id']!}`);
  const [found] = (body['data'] ?? []) as { id: string }[];
  return found === undefined ? '' : JSON.stringify((await box.admin('GET', `/admin/v1/requests/${found.id}/bodies`)).body);
}
