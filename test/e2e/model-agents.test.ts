/** Chat models that are called as agents: with both versions of the SDK, over two workers, and within everything that holds for the model. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { BINDINGS, CLIENT_SDKS, type PlainClient, type PlainEvent, type PlainTask, clientOf } from '../support/a2a-clients.ts';
import { AGENT_KEYS, type AgentBox, type RpcAnswer, startAgentBox } from '../support/agent-box.ts';
import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';
import { type ChatUpstream, USED, startChatUpstream } from '../support/chat-upstream.ts';

const PRICE = { input_usd_per_mtok: 10, output_usd_per_mtok: 20 };
/** USD of one answer. */
const ANSWER_USD = (USED.input * PRICE.input_usd_per_mtok + USED.output * PRICE.output_usd_per_mtok) / 1e6;
const DAY = { window: 'day' };

let upstream: ChatUpstream;
let guard: WebhookReceiver;
let box: AgentBox;

const AGENTS = [
  { name: 'writer', model: 'small', instructions: 'You write.', description: 'Writes', tags: ['open'], task_scope: 'principal' },
  { name: 'plain', model: 'alias-of-small' },
  { name: 'billed', model: 'small', cost_per_request: 0.5 },
  { name: 'capped', model: 'small', budget: { limit_usd: ANSWER_USD, ...DAY } },
  { name: 'one-at-once', model: 'small', limits: { concurrent: 1 } },
  { name: 'of-capped-model', model: 'capped-model' },
  { name: 'of-limited-model', model: 'limited-model' },
  { name: 'guarded', model: 'guarded-model' },
  { name: 'loop', model: 'ring' },
  { name: 'gone', model: 'dead', health: { interval_s: 0.5 } },
  {
    name: 'skilled',
    model: 'wild/anything',
    capabilities: { file_attachments: false },
    skills: [{ id: 's1', name: 'Sum up', description: 'Sums up', tags: ['text'] }],
  },
];

const target = (provider: string, more: object = {}): object => ({
  retries: 0,
  targets: [{ provider, model: 'm', price: PRICE }],
  ...more,
});

const more = (self: string): object => ({
  providers: {
    lab: { type: 'openai-compatible', base_url: upstream.url, api_key: 'none' },
    self: { type: 'openai-compatible', base_url: `${self}/v1`, api_key: '${env:OTHER_KEY}' },
    dead: { type: 'openai-compatible', base_url: 'http://127.0.0.1:9/v1', api_key: 'none' },
  },
  models: [
    { name: 'small', aliases: ['alias-of-small'], ...target('lab', { breaker: { failures: 100 } }) },
    { name: 'capped-model', ...target('lab', { budget: { limit_usd: ANSWER_USD, ...DAY } }) },
    { name: 'limited-model', ...target('lab', { limits: { rpm: 1 } }) },
    { name: 'guarded-model', ...target('lab') },
    { name: 'ring', retries: 0, targets: [{ provider: 'self', model: 'a2a/loop', price: 'free' }] },
    { name: 'dead', ...target('dead', { breaker: { failures: 1, window_s: 60, open_s: 60 } }) },
    { name: 'wild/*', targets: [{ provider: 'lab', model: '*', price: PRICE }] },
  ],
  guards: [{ name: 'judge', url: guard.url, secret: '${env:OTHER_KEY}', models: ['guarded-model'] }],
  end_users: { header: 'x-end-user', budget: { limit_usd: ANSWER_USD, ...DAY } },
  keys: [
    { name: 'caller', key: '${env:KEY}', agents: ['*'], models: [] },
    { name: 'other', key: '${env:OTHER_KEY}', agents: ['*'], limits: { concurrent: 1 } },
    { name: 'narrow', key: '${env:NARROW_KEY}', agents: ['tag:open'], budget: { limit_usd: ANSWER_USD, ...DAY } },
  ],
});

beforeAll(async () => {
  upstream = await startChatUpstream();
  guard = await startWebhookReceiver(AGENT_KEYS.OTHER_KEY, ({ text }) => ({
    action: text.includes('forbidden') ? 'block' : 'allow',
  }));
  box = await startAgentBox(AGENTS, { workers: 2, more: more('http://127.0.0.1:9') });
  // Now its own address is known.
  await box.box.reload(box.config(AGENTS, { workers: 2, ...more(box.box.url) }));
});
afterEach(() => upstream.release());
afterAll(async () => {
  await box?.close();
  await upstream.close();
  await guard.close();
});

const client = (agent: string, sdk: (typeof CLIENT_SDKS)[number] = '1.3.0', binding: (typeof BINDINGS)[number] = 'JSONRPC') =>
  clientOf({ sdk, binding, baseUrl: box.urlOf(agent), headers: { authorization: `Bearer ${AGENT_KEYS.KEY}` } });

const message = (text: string, rest: object = {}): object => ({
  message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text }], ...rest },
});
const send = (agent: string, text: string, options: Parameters<AgentBox['rpc']>[3] & { rest?: object } = {}) =>
  box.rpc(agent, 'SendMessage', message(text, options.rest), options);

interface Task {
  id: string;
  contextId: string;
  status: { state: string; message?: { parts: { text: string }[] } };
  artifacts?: { parts: { text: string }[] }[];
}
const taskIn = ({ body }: RpcAnswer): Task => (body.result!['task'] ?? body.result) as Task;
const textIn = (answer: RpcAnswer): string | undefined => taskIn(answer).artifacts?.[0]?.parts[0]?.text;
const reasonIn = ({ body }: RpcAnswer): unknown => (body.error?.data as { reason: string }[] | undefined)?.[0]?.reason;

/** Asks until both workers have answered: connections go to either. */
async function onEachWorker(ask: () => Promise<RpcAnswer>): Promise<RpcAnswer[]> {
  const answers = new Map<string, RpcAnswer>();
  for (let tries = 0; answers.size < 2 && tries < 200; tries++) {
    const answer = await ask();
    answers.set(answer.headers.get('x-signalbox-worker')!, answer);
  }
  expect(answers.size).toBe(2);
  return [...answers.values()];
}

async function collected(events: AsyncIterable<PlainEvent>): Promise<PlainEvent[]> {
  const all: PlainEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
const textOf = (events: readonly PlainEvent[]): string =>
  events.flatMap((event) => (event.kind === 'artifact' ? [event.text] : [])).join('');

/** A task that is at work, which nobody follows. A stream, since 0.3 over REST has no word for not waiting: what is false is not written. */
async function begin(writer: PlainClient): Promise<PlainTask> {
  for await (const event of writer.stream('wait')) if (event.kind === 'task') return event;
  throw new Error('there was no task');
}

describe.each(CLIENT_SDKS)('a client of the SDK %s', (sdk) => {
  test.each(BINDINGS)('sends, streams, reads, follows, cancels over %s', async (binding) => {
    const writer: PlainClient = await client('writer', sdk, binding);
    const sent = (await writer.send('echo: one two')) as PlainTask;
    expect(sent).toMatchObject({ kind: 'task', state: 'completed', text: 'one two' });
    expect(await writer.get(sent.id)).toMatchObject({ state: 'completed', text: 'one two' });

    const events = await collected(writer.stream('echo: a b c'));
    expect(events[0]).toMatchObject({ kind: 'task', state: 'working' });
    expect(textOf(events)).toBe('a b c');
    expect(events.at(-1)).toEqual({ kind: 'status', state: 'completed' });

    const begun = await begin(writer);
    expect(begun.state).toBe('working');
    const following = collected(writer.subscribe(begun.id));
    await expect.poll(() => writer.get(begun.id)).toMatchObject({ state: 'working' });
    // Its follower is there before the model goes on.
    await new Promise((resolve) => setTimeout(resolve, 300));
    upstream.release();
    const followed = await following;
    expect(followed[0]).toMatchObject({ kind: 'task', id: begun.id });
    expect(followed.at(-1)).toEqual({ kind: 'status', state: 'completed' });
    expect((await writer.get(begun.id)).text).toBe('first last');

    const left = upstream.left();
    const cancelled = await begin(writer);
    expect(await writer.cancel(cancelled.id)).toMatchObject({ state: 'canceled' });
    // The model is asked no longer.
    await expect.poll(upstream.left).toBe(left + 1);
    expect(await writer.get(cancelled.id)).toMatchObject({ state: 'canceled' });
    await expect(writer.cancel(sent.id)).rejects.toMatchObject({ code: -32002 });
    await expect(writer.get('no-such-task')).rejects.toMatchObject({ code: -32001 });
    if (writer.list !== undefined) {
      expect((await writer.list({ contextId: sent.contextId })).map(({ id, state }) => [id, state])).toEqual([
        [sent.id, 'completed'],
      ]);
    }
  });
});

test('pieces of the artifact are appended, and the last one says so', async () => {
  const response = await fetch(box.urlOf('writer'), {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'SendStreamingMessage', params: message('wait') }),
  });
  setTimeout(upstream.release, 300);
  const events = (await response.text())
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => (JSON.parse(line.slice(6)) as { result: Record<string, Record<string, unknown>> }).result);
  const updates = events.flatMap(({ artifactUpdate }) => (artifactUpdate === undefined ? [] : [artifactUpdate]));
  expect(updates.map(({ append, lastChunk }) => [append, lastChunk])).toEqual([
    [false, false],
    [true, true],
  ]);
});

test('a conversation is carried by its context, and by nobody else', async () => {
  const first = await send('writer', 'echo: Lisbon');
  const { contextId } = taskIn(first);
  const second = await send('writer', 'echo: Porto', { rest: { contextId } });
  expect(taskIn(second)).toMatchObject({ contextId, status: { state: 'TASK_STATE_COMPLETED' } });
  expect(taskIn(second).id).not.toBe(taskIn(first).id);
  expect(upstream.asked.at(-1)!.messages).toEqual([
    { role: 'system', content: 'You write.' },
    { role: 'user', content: 'echo: Lisbon' },
    { role: 'assistant', content: 'Lisbon' },
    { role: 'user', content: 'echo: Porto' },
  ]);
  const asked = upstream.asked.length;
  expect((await send('writer', 'hello', { key: 'OTHER_KEY', rest: { contextId } })).body.error?.code).toBe(-32001);
  expect(upstream.asked).toHaveLength(asked);
  // The same context of another agent is another conversation.
  expect(textIn(await send('plain', 'hello', { rest: { contextId } }))).toBe('there were 1 messages');
});

test('a message to a task that has one is refused, whether it is at work or over', async () => {
  const over = taskIn(await send('writer', 'echo: x'));
  const again = await send('writer', 'more', { rest: { taskId: over.id } });
  expect(again.body.error).toMatchObject({ code: -32004, message: expect.stringContaining('has ended') as string });
  const begun = taskIn(
    await box.rpc('writer', 'SendMessage', { ...message('wait'), configuration: { returnImmediately: true } }),
  );
  const meanwhile = await send('writer', 'more', { rest: { taskId: begun.id } });
  expect(meanwhile.body.error).toMatchObject({ code: -32004, message: expect.stringContaining('is at work') as string });
});

test('every worker knows every task, while it is at work and after', async () => {
  const begun = taskIn(
    await box.rpc('writer', 'SendMessage', { ...message('wait'), configuration: { returnImmediately: true } }),
  );
  const read = (): Promise<RpcAnswer> => box.rpc('writer', 'GetTask', { id: begun.id }, { headers: { connection: 'close' } });
  const during = await onEachWorker(read);
  expect(during.map((answer) => taskIn(answer).status.state)).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_WORKING']);
  upstream.release();
  await expect.poll(async () => taskIn(await read()).status.state).toBe('TASK_STATE_COMPLETED');
  for (const answer of await onEachWorker(read)) expect(textIn(answer)).toBe('first last');
  // And nobody else does.
  expect((await box.rpc('writer', 'GetTask', { id: begun.id }, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32001);
});

describe('files', () => {
  const withPart = (part: object): object => ({ parts: [{ text: 'look' }, part] });
  const image = { raw: 'aGk=', mediaType: 'image/png', filename: 'a.png' };

  test('images go to the model, and are not kept with the task', async () => {
    const answer = await send('writer', '', { rest: withPart(image) });
    expect(taskIn(answer).status.state).toBe('TASK_STATE_COMPLETED');
    expect(upstream.asked.at(-1)!.messages.at(-1)!.content).toEqual([
      { type: 'text', text: 'look' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } },
    ]);
    expect(JSON.stringify(answer.body)).not.toContain('aGk=');
  });

  test('what no chat model takes, and what this one does not, is -32005', async () => {
    const asked = upstream.asked.length;
    for (const part of [{ raw: 'aGk=', mediaType: 'application/pdf' }, { url: 'http://x/y' }, { data: { a: 1 } }]) {
      expect((await send('writer', '', { rest: withPart(part) })).body.error?.code).toBe(-32005);
    }
    expect((await send('skilled', '', { rest: withPart(image) })).body.error?.code).toBe(-32005);
    const picture = { ...message('draw'), configuration: { acceptedOutputModes: ['image/png'] } };
    expect((await box.rpc('writer', 'SendMessage', picture)).body.error?.code).toBe(-32005);
    expect(upstream.asked).toHaveLength(asked);
  });
});

describe('money and limits', () => {
  const costOf = async (name: string): Promise<[number, number]> => {
    const { invocation_count, total_cost } = await box.agent(name);
    return [invocation_count as number, Number((total_cost as number).toFixed(6))];
  };

  test('an answer costs the agent what it costs the model, and the price of a call', async () => {
    await send('billed', 'echo: x');
    await expect.poll(() => costOf('billed')).toEqual([1, 0.5 + ANSWER_USD]);
  });

  test('the budget of the key, the agent, the model and the end user each refuse the second', async () => {
    const cases = [
      ['writer', { key: 'NARROW_KEY' }, 'key:narrow'],
      ['capped', {}, 'agent:capped'],
      ['of-capped-model', {}, 'model:capped-model'],
      ['writer', { headers: { 'x-end-user': 'ann' } }, 'end_user:ann'],
    ] as const;
    for (const [agent, options, scope] of cases) {
      expect(taskIn(await send(agent, 'echo: x', options)).status.state).toBe('TASK_STATE_COMPLETED');
      const asked = upstream.asked.length;
      const refused = await send(agent, 'echo: x', options);
      expect([refused.status, reasonIn(refused)]).toEqual([429, 'BUDGET_EXCEEDED']);
      expect(JSON.stringify(refused.body)).toContain(`"scope":"${scope}"`);
      expect(upstream.asked).toHaveLength(asked);
    }
    // What was refused is no task, costs nothing, and says nothing of the agent's health.
    await expect.poll(() => costOf('capped')).toEqual([1, ANSWER_USD]);
    expect((await box.agent('capped'))['state']).toBe('healthy');
  });

  test('a stream that a budget refuses is refused by its status', async () => {
    await send('capped', 'echo: x');
    const refused = await box.rpc('capped', 'SendStreamingMessage', message('echo: x'));
    expect([refused.status, reasonIn(refused)]).toEqual([429, 'BUDGET_EXCEEDED']);
  });

  test('the limits of the model hold', async () => {
    expect((await send('of-limited-model', 'echo: x')).status).toBe(200);
    const refused = await send('of-limited-model', 'echo: x');
    expect([refused.status, reasonIn(refused)]).toEqual([429, 'RATE_LIMITED']);
  });

  test('a guard of the model judges what the agent is told', async () => {
    expect(textIn(await send('guarded', 'echo: fine'))).toBe('fine');
    const asked = upstream.asked.length;
    const refused = await send('guarded', 'echo: forbidden');
    expect([refused.status, reasonIn(refused)]).toEqual([400, 'GUARD_BLOCKED']);
    expect(upstream.asked).toHaveLength(asked);
  });

  test('who may have one call at once may send, and has one task at work', async () => {
    const options = { key: 'OTHER_KEY' } as const;
    expect(textIn(await send('writer', 'echo: x', options))).toBe('x');
    const background = { ...message('wait'), configuration: { returnImmediately: true } };
    const begun = await box.rpc('writer', 'SendMessage', background, options);
    expect(taskIn(begun).status.state).toBe('TASK_STATE_WORKING');
    await expect.poll(() => upstream.asked.at(-1)!.messages.at(-1)!.content).toBe('wait');
    const second = await send('writer', 'echo: y', options);
    expect([second.status, reasonIn(second)]).toEqual([429, 'RATE_LIMITED']);
    upstream.release();
    await expect.poll(async () => (await send('writer', 'echo: y', options)).status).toBe(200);
  });

  test("an agent's own limit of calls at once counts tasks at work", async () => {
    const background = { ...message('wait'), configuration: { returnImmediately: true } };
    expect((await box.rpc('one-at-once', 'SendMessage', background)).status).toBe(200);
    await expect.poll(() => upstream.asked.at(-1)!.messages.at(-1)!.content).toBe('wait');
    const refused = await send('one-at-once', 'echo: x', { key: 'OTHER_KEY' });
    expect([refused.status, reasonIn(refused)]).toEqual([429, 'RATE_LIMITED']);
  });

  test('the ledger has the chat as one of the caller’s key with the model, at its provider', async () => {
    const used = async (): Promise<unknown> =>
      ((await box.admin('GET', '/admin/v1/usage?by=model,provider&key=narrow')).body['data'] as Record<string, unknown>[])
        .filter(({ provider }) => provider === 'lab')
        .map(({ model, spent_usd }) => [model, spent_usd]);
    await expect.poll(used).toEqual([['small', ANSWER_USD]]);
  });
});

describe('models that fail', () => {
  test.each([
    ['break', /broke off|before it was complete|upstream/i],
    ['error', /on fire/],
  ])('midway (%s): the task failed, and says why; what there was of the answer is there', async (how, why) => {
    const answer = await send('writer', how);
    expect(taskIn(answer).status.state).toBe('TASK_STATE_FAILED');
    expect(taskIn(answer).status.message!.parts[0]!.text).toMatch(why);
    expect(textIn(answer)).toBe('half ');
    const events = await collected((await client('writer', '0.3.14')).stream(how));
    expect(events.at(-1)).toMatchObject({ kind: 'status', state: 'failed', text: expect.stringMatching(why) as string });
    expect(textOf(events)).toBe('half ');
  });

  test('before they begin: an error, and no task', async () => {
    const refused = await send('writer', 'refuse');
    expect([refused.status, reasonIn(refused)]).toEqual([400, 'INVALID_REQUEST']);
    expect(refused.body.error!.message).toContain('not in the mood');
    const down = await send('writer', 'down');
    expect([down.status, reasonIn(down)]).toEqual([502, 'UPSTREAM_ERROR']);
  });

  test('in a conversation: what failed is no part of it', async () => {
    const { contextId } = taskIn(await send('plain', 'break'));
    expect(textIn(await send('plain', 'count', { rest: { contextId } }))).toBe('there were 1 messages');
  });

  test('for good: the agent is unhealthy as long as no target may be tried', async () => {
    expect((await send('gone', 'hello')).status).toBe(502);
    const agent = await box.until('gone', ({ state }) => state === 'unhealthy');
    expect(agent['available']).toBe(false);
  });
});

test('a worker that dies takes its tasks with it: they failed, and the others go on', async () => {
  const two = await startAgentBox([{ name: 'writer', model: 'small' }], {
    workers: 2,
    more: { ...more('http://127.0.0.1:9'), guards: [] },
    env: INSPECTED,
  });
  try {
    const background = (): object => ({ ...message('wait'), configuration: { returnImmediately: true } });
    const begin = (): Promise<RpcAnswer> => two.rpc('writer', 'SendMessage', background(), { headers: { connection: 'close' } });
    const ids = (await onEachWorker(begin)).map((answer) => taskIn(answer).id);
    const states = (): Promise<string[]> =>
      Promise.all(
        ids.map(async (id) => {
          const answer = await two.rpc('writer', 'GetTask', { id }, { headers: { connection: 'close' } });
          const { state, message: said } = taskIn(answer).status;
          return state + (said === undefined ? '' : `: ${said.parts[0]!.text}`);
        }),
      );
    await killWorker(two.box);
    const failed = expect.stringMatching(/^TASK_STATE_FAILED: .+ \(upstream_/) as string;
    await expect.poll(async () => (await states()).toSorted(), { timeout: 10_000 }).toEqual([failed, 'TASK_STATE_WORKING']);
    upstream.release();
    await expect.poll(async () => (await states()).toSorted(), { timeout: 10_000 }).toEqual(['TASK_STATE_COMPLETED', failed]);
  } finally {
    await two.close();
  }
});

test('after a restart its tasks are gone, the index tells of them, and what it cost is kept', async () => {
  const options = { workers: 2, more: { ...more('http://127.0.0.1:9'), guards: [] } };
  const first = await startAgentBox([{ name: 'writer', model: 'small' }], options);
  const { id, contextId } = taskIn(await first.rpc('writer', 'SendMessage', message('echo: x')));
  await first.until('writer', ({ total_cost }) => total_cost === ANSWER_USD);
  // The sockets of its workers are left lying about.
  await first.box.kill();
  const second = await startAgentBox([{ name: 'writer', model: 'small' }], { ...options, dataDir: first.box.dataDir });
  try {
    expect((await second.rpc('writer', 'GetTask', { id })).body.error?.code).toBe(-32001);
    expect((await second.rpc('writer', 'GetTask', { id }, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32001);
    const { data } = (await second.admin('GET', '/v1/agents/writer/tasks')).body as { data: object[] };
    expect(data).toMatchObject([{ id, context_id: contextId, state: 'completed' }]);
    expect(await second.agent('writer')).toMatchObject({ invocation_count: 1, total_cost: ANSWER_USD });
    const onward = await second.rpc('writer', 'SendMessage', message('count', { contextId }));
    expect(textIn(onward)).toBe('there were 1 messages');
  } finally {
    await second.close();
  }
});

test('a shutdown waits for tasks at work, whose clients do not wait', async () => {
  const ending = await startAgentBox([{ name: 'writer', model: 'small' }], {
    more: { ...more('http://127.0.0.1:9'), guards: [] },
  });
  const [asked, left] = [upstream.asked.length, upstream.left()];
  await ending.rpc('writer', 'SendMessage', { ...message('wait'), configuration: { returnImmediately: true } });
  await expect.poll(() => upstream.asked.length).toBe(asked + 1);
  const exited = ending.box.stop();
  const isOver = await Promise.race([exited.then(() => true), new Promise((resolve) => setTimeout(resolve, 1_000, false))]);
  expect(isOver).toBe(false);
  upstream.release();
  expect(await exited).toBe(0);
  expect(upstream.left()).toBe(left);
});

test('a client that leaves does not end the task', async () => {
  const controller = new AbortController();
  const response = await fetch(box.urlOf('writer'), {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'SendStreamingMessage', params: message('wait') }),
    signal: controller.signal,
  });
  const { value } = await response.body!.getReader().read();
  const [, id = ''] = /"task":\{"id":"([^"]+)"/.exec(Buffer.from(value ?? []).toString()) ?? [];
  controller.abort();
  await new Promise((resolve) => setTimeout(resolve, 200));
  upstream.release();
  const read = async (): Promise<string | undefined> => textIn(await box.rpc('writer', 'GetTask', { id }));
  await expect.poll(read).toBe('first last');
});

test('a ring of an agent that is a model and its own bridge is refused', async () => {
  const asked = await send('loop', 'round and round');
  expect(asked.status).toBe(400);
  expect(asked.body.error!.message).toContain('already at work on it (loop → loop)');
});

test('it is a model again, under its own name', async () => {
  const response = await fetch(`${box.box.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'a2a/writer', messages: [{ role: 'user', content: 'echo: hello again' }] }),
  });
  const body = (await response.json()) as { choices: { message: { content: string } }[] };
  expect(body.choices[0]!.message.content).toBe('hello again');
});

test('what proves who the caller is reaches no provider', () => {
  const headers = upstream.asked.map(({ headers }) => JSON.stringify(headers)).join('\n');
  for (const key of Object.values(AGENT_KEYS)) expect(headers).not.toContain(key);
  expect(headers).not.toContain('x-signalbox');
});

describe('registering', () => {
  test('its card is ours, with its skills', async () => {
    const card = async (name: string): Promise<Record<string, unknown>> => {
      const headers = { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'a2a-version': '1.0' };
      return (await fetch(`${box.urlOf(name)}/.well-known/agent-card.json`, { headers })).json() as Promise<
        Record<string, unknown>
      >;
    };
    await send('skilled', 'echo: x');
    expect(await card('skilled')).toMatchObject({
      name: 'skilled',
      capabilities: { streaming: true, pushNotifications: false },
      defaultInputModes: ['text/plain'],
      skills: [{ id: 's1', name: 'Sum up' }],
    });
    await send('writer', 'echo: x');
    expect(await card('writer')).toMatchObject({ description: 'Writes', skills: [{ id: 'writer', tags: ['open'] }] });
    expect(JSON.stringify(await card('writer'))).not.toContain('models.invalid');
  });

  test('over the API, for models that exist', async () => {
    const write = (body: object) => box.admin('POST', '/v1/agents', body);
    const made = await write({ name: 'poet', model: 'wild/verse', instructions: 'Rhyme.' });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      name: 'poet',
      origin: 'api',
      model: 'wild/verse',
      instructions: 'Rhyme.',
      streaming: true,
    });
    expect(textIn(await send('poet', 'echo: roses'))).toBe('roses');
    expect(upstream.asked.at(-1)!.messages[0]).toEqual({ role: 'system', content: 'Rhyme.' });
    expect((await box.admin('PATCH', '/v1/agents/poet', { instructions: 'Be terse.' })).status).toBe(200);
    await send('poet', 'echo: roses');
    expect(upstream.asked.at(-1)!.messages[0]).toEqual({ role: 'system', content: 'Be terse.' });
    const wrong: [object, string][] = [
      [{ name: 'w', model: 'no-such-model' }, 'model'],
      [{ name: 'w', model: 'a2a/writer' }, 'model'],
      [{ name: 'w', model: 'small', url: 'https://example.com' }, 'url'],
      [{ name: 'w', model: 'small', api_key: 'secret' }, 'api_key'],
      [{ name: 'w', url: 'https://example.com', instructions: 'x' }, 'instructions'],
    ];
    for (const [body, param] of wrong) {
      const { status, body: told } = await write(body);
      expect([status, JSON.stringify(told)]).toEqual([400, expect.stringContaining(param)]);
    }
    expect((await box.admin('DELETE', '/v1/agents/poet')).status).toBeLessThan(300);
  });
});
