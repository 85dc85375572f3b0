/** Guards and recorded bodies where agents are asked. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import { type ScriptedAgent, cardAt, json, result, startScriptedAgent, stream, taskOf } from '../support/scripted-agent.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

let agent: ScriptedAgent;
let guard: WebhookReceiver;
let box: AgentBox;
let log: ExchangeLog;
let tasks = 0;

beforeAll(async () => {
  agent = await startScriptedAgent((call, response) => {
    if (call.rpc === undefined) return json(response, 200, cardAt(agent.url));
    const artifact = { artifactId: 'a', parts: [{ text: 'The line is clear.' }] };
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
  });
  guard = await startWebhookReceiver(SECRET);
  const one = (name: string, more: object): object => ({ name, url: `${guard.url}/${name}`, secret: '${env:SECRET}', ...more });
  const agentNamed = (name: string): object => ({ name, url: agent.url, health: { interval_s: 60 }, cost_per_request: 0.25 });
  box = await startAgentBox(['before', 'after', 'hold', 'free', 'open'].map(agentNamed), {
    env: { SECRET, KEPT_KEY: 'key-of-the-caller-0004' },
    more: {
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
        one('open', { models: ['a2a/open'], timeout_ms: 200 }),
      ],
    },
  });
  log = exchangeLog(box.box);
});
afterEach(() => {
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
