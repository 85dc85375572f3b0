/** Agents called as models, by the clients of models. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_SDKS, type AgentSdk, type RunningAgent, startAgent } from '../support/a2a-agents.ts';
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

let agent: ScriptedAgent;
let box: AgentBox;
let sdks: { sdk: AgentSdk; agent: RunningAgent }[];
let openai: OpenAI;
let anthropic: Anthropic;
let tasks = 0;

type Said = Parameters<Script>[0];

const artifact = (text: string, more: object = {}): object => ({ artifactId: 'a', parts: [{ text }], ...more });
const partsIn = ({ rpc }: Said): { text?: string }[] =>
  (rpc!.params['message'] as unknown as { parts: { text?: string }[] }).parts;

/** Answers with a task that repeats what it is told, whole or in three pieces. */
const echo: Script = (call, response) => {
  const id = `task-${++tasks}`;
  const text = partsIn(call)
    .map((part) => part.text)
    .join('');
  if (call.rpc!.method === 'SendMessage') {
    return result(call, response, { task: taskOf(id, undefined, { artifacts: [artifact(`echo: ${text}`)] }) });
  }
  const event = stream(call, response);
  const ids = { taskId: id, contextId: `context-of-${id}` };
  event({ task: taskOf(id, 'TASK_STATE_WORKING') });
  event({ statusUpdate: { ...ids, status: { state: 'TASK_STATE_WORKING', message: { parts: [{ text: 'thinking' }] } } } });
  for (const [index, piece] of ['echo', ': ', text].entries())
    event({ artifactUpdate: { ...ids, artifact: artifact(piece), append: index > 0 } });
  event({ statusUpdate: { ...ids, status: { state: 'TASK_STATE_COMPLETED' } } });
  response.end();
  return undefined;
};

const soundly =
  (answer: Script = echo, capabilities: object = { streaming: true }): Script =>
  async (call, response) => {
    if (call.path.startsWith('/plain')) {
      if (call.rpc === undefined) return json(response, 200, cardAt(`${agent.url}/plain`, { capabilities: {} }));
    } else if (call.rpc === undefined) return json(response, 200, cardAt(agent.url, { capabilities }));
    return answer(call, response);
  };

beforeAll(async () => {
  agent = await startScriptedAgent((_, response) => json(response, 500, {}));
  agent.play(soundly());
  const health = { interval_s: 60 };
  sdks = await Promise.all(AGENT_SDKS.map(async (sdk) => ({ sdk, agent: await startAgent({ sdk }) })));
  box = await startAgentBox(
    [
      { name: 'one', url: agent.url, health, tags: ['open'] },
      { name: 'hidden', url: agent.url, health },
      { name: 'plain', url: `${agent.url}/plain`, health },
      { name: 'dear', url: agent.url, health, cost_per_request: 0.6, budget: { limit_usd: 1, window: 'day' } },
      { name: 'off', url: agent.url, health, enabled: false },
      { name: 'dead', url: 'http://127.0.0.1:9', health },
      ...sdks.map(({ sdk, agent: { base } }) => ({ name: nameOf(sdk), url: base, health })),
      { name: 'brief', url: `${agent.url}/plain`, health, timeout_ms: 1_000 },
    ],
    { workers: 2 },
  );
  openai = new OpenAI({ baseURL: `${box.box.url}/v1`, apiKey: AGENT_KEYS.KEY, maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: box.box.url, apiKey: AGENT_KEYS.KEY, maxRetries: 0 });
});
afterEach(() => {
  agent.play(soundly());
  agent.calls.splice(0);
});
afterAll(async () => {
  await box?.close();
  await agent?.close();
  for (const { agent: each } of sdks ?? []) await each.close();
});
const nameOf = (sdk: string): string => `sdk-${sdk.replaceAll('.', '-')}`;

const hello = [{ role: 'user' as const, content: 'hello' }];
const asked = (): Said => agent.asked().at(-1)!;

interface Raw {
  status: number;
  headers: Headers;
  body: { error?: { code?: string; message: string; type: string } } & Record<string, unknown>;
}

interface RawOptions {
  path?: string;
  key?: keyof typeof AGENT_KEYS;
  headers?: Record<string, string>;
}

async function raw(body: object, { path = '/v1/chat/completions', key = 'KEY', headers = {} }: RawOptions = {}): Promise<Raw> {
  const response = await fetch(box.box.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS[key]}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ messages: hello, max_tokens: 100, ...body }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Raw['body'] };
}

describe('answers', () => {
  test('of a chat, whole', async () => {
    const { data, response } = await openai.chat.completions.create({ model: 'a2a/one', messages: hello }).withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'a2a/one',
      choices: [{ index: 0, message: { role: 'assistant', content: 'echo: hello' }, finish_reason: 'stop' }],
    });
    expect(response.headers.get('x-a2a-task-id')).toBe(`task-${tasks}`);
    expect(response.headers.get('x-a2a-context-id')).toBe(`context-of-task-${tasks}`);
    expect(response.headers.get('x-a2a-task-state')).toBe('completed');
    // Agents report no usage, and none is made up.
    expect(data.usage).toBeUndefined();
  });

  test('of a chat, streamed, without what the agent says of its work', async () => {
    const chunks = await openai.chat.completions.create({ model: 'a2a/one', messages: hello, stream: true });
    const pieces: string[] = [];
    let finish: string | null = null;
    for await (const { choices } of chunks) {
      pieces.push(choices[0]?.delta.content ?? '');
      finish = choices[0]?.finish_reason ?? finish;
    }
    expect([pieces.filter((piece) => piece !== ''), finish]).toEqual([['echo', ': ', 'hello'], 'stop']);
  });

  test('of messages, whole and streamed', async () => {
    const options = { model: 'a2a/one', max_tokens: 100, messages: hello };
    const whole = await anthropic.messages.create(options);
    expect(whole).toMatchObject({
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'echo: hello' }],
      stop_reason: 'end_turn',
    });
    const streamed = anthropic.messages.stream(options);
    const told: string[] = [];
    streamed.on('text', (text) => told.push(text));
    expect((await streamed.finalMessage()).content).toMatchObject([{ type: 'text', text: 'echo: hello' }]);
    expect(told).toEqual(['echo', ': ', 'hello']);
  });

  test('that are a message; of agents that do not stream, whether streamed or not', async () => {
    agent.play(
      soundly((call, response) =>
        result(call, response, { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'hi' }, { data: { a: 1 } }] } }),
      ),
    );
    const { choices: whole } = await openai.chat.completions.create({ model: 'a2a/plain', messages: hello });
    expect(whole[0]!.message.content).toBe('hi{"a":1}');
    let text = '';
    for await (const { choices } of await openai.chat.completions.create({ model: 'a2a/plain', messages: hello, stream: true }))
      text += choices[0]?.delta.content ?? '';
    expect(text).toBe('hi{"a":1}');
    expect(asked().rpc!.method).toBe('SendMessage');
  });

  test.each(AGENT_SDKS)('of agents made with the SDK %s, whole and streamed', async (sdk) => {
    const model = `a2a/${nameOf(sdk)}`;
    const { choices } = await openai.chat.completions.create({ model, messages: hello });
    expect(choices[0]!.message.content).toBe('echo: hello');
    const { content } = await anthropic.messages.stream({ model, max_tokens: 10, messages: hello }).finalMessage();
    expect(content).toMatchObject([{ type: 'text', text: 'echo: hello' }]);
  });

  test('whose pieces end within a character are whole again', async () => {
    agent.play(
      soundly((call, response) => {
        const ids = { taskId: `task-${++tasks}`, contextId: 'c' };
        const event = stream(call, response);
        event({ artifactUpdate: { ...ids, artifact: artifact('a \ud83d') } });
        event({ artifactUpdate: { ...ids, artifact: artifact('\ude82 runs'), append: true } });
        event({ statusUpdate: { ...ids, status: { state: 'TASK_STATE_COMPLETED' } } });
        response.end();
      }),
    );
    const { choices } = await openai.chat.completions.create({ model: 'a2a/one', messages: hello });
    expect(choices[0]!.message.content).toBe('a 🚂 runs');
    const { content } = await anthropic.messages.stream({ model: 'a2a/one', max_tokens: 10, messages: hello }).finalMessage();
    expect(content).toMatchObject([{ type: 'text', text: 'a 🚂 runs' }]);
  });

  test('that are nonsense are an error that says so', async () => {
    agent.play(
      soundly((call, response) =>
        result(call, response, {
          task: taskOf('odd', undefined, {
            artifacts: [null, 'text', { artifactId: { a: 1 }, parts: [{ text: 'one' }] }, { artifactId: 'b', parts: 'none' }],
          }),
        }),
      ),
    );
    const { status, body } = await raw({ model: 'a2a/plain' });
    expect([status, body.error!.message]).toEqual([502, expect.stringContaining('cannot be used')]);
  });

  test('without an artifact are the last words of the status', async () => {
    agent.play(
      soundly((call, response) =>
        result(call, response, {
          task: { id: 'told', contextId: 'c', status: { state: 'TASK_STATE_COMPLETED', message: { parts: [{ text: 'done' }] } } },
        }),
      ),
    );
    const { choices } = await openai.chat.completions.create({ model: 'a2a/plain', messages: hello });
    expect(choices[0]!.message.content).toBe('done');
  });
});

describe('what is asked', () => {
  test('of a conversation that nobody knows is all of it, with its speakers', async () => {
    await openai.chat.completions.create({
      model: 'a2a/one',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'two' },
        { role: 'user', content: 'three' },
      ],
    });
    const [part] = partsIn(asked());
    expect(part!.text).toBe('system: Be brief.\n\nuser: one\n\nassistant: two\n\nuser: three');
  });

  test('of one that is named is its last word, at the same replica and in the same context', async () => {
    const first = await raw({ model: 'a2a/one' });
    const context = first.headers.get('x-a2a-context-id')!;
    const messages = [...hello, { role: 'assistant', content: 'hi' }, { role: 'user', content: 'and now?' }];
    for (const told of [
      { body: { metadata: { a2a_context_id: context } }, headers: {} },
      { body: {}, headers: { 'x-a2a-context-id': context } },
    ]) {
      const next = await raw({ model: 'a2a/one', messages, ...told.body }, { headers: told.headers });
      expect(next.status).toBe(200);
      expect(asked().rpc!.params).toMatchObject({ message: { contextId: context, parts: [{ text: 'and now?' }] } });
    }
    const path = '/v1/messages';
    expect((await raw({ model: 'a2a/one', messages, metadata: { a2a_context_id: context } }, { path })).status).toBe(200);
    expect(asked().rpc!.params).toMatchObject({ message: { contextId: context, parts: [{ text: 'and now?' }] } });
    expect((await raw({ model: 'a2a/one', messages, metadata: { a2a_task_id: 'task-of-nobody' } }, { path })).status).toBe(400);
    expect((await raw({ model: 'a2a/one', messages, metadata: { a2a_task_id: { a: 1 } } }, { path })).status).toBe(400);
    const foreign = await raw({ model: 'a2a/one', messages, metadata: { a2a_context_id: context } }, { key: 'OTHER_KEY' });
    const absent = await raw({ model: 'a2a/one', messages, metadata: { a2a_task_id: 'task-of-nobody' } });
    expect([foreign.status, absent.status]).toEqual([400, 400]);
    expect(foreign.body.error!.message).toBe(absent.body.error!.message);
    // It was not the agent who said so.
    expect(absent.body.error!.message).not.toContain('answered');
  });

  test('of a conversation whose name is empty is all of it', async () => {
    const messages = [...hello, { role: 'assistant', content: 'hi' }, { role: 'user', content: 'and now?' }];
    await raw({ model: 'a2a/one', messages, metadata: { a2a_context_id: '' } });
    expect(partsIn(asked())[0]!.text).toBe('user: hello\n\nassistant: hi\n\nuser: and now?');
  });

  test('without a word of the user are the instructions; with no word at all nothing is asked', async () => {
    await raw({ model: 'a2a/one', messages: [{ role: 'system', content: 'Report.' }] });
    expect(partsIn(asked())).toEqual([{ text: 'Report.' }]);
    agent.calls.splice(0);
    const { status } = await raw({ model: 'a2a/one', messages: [] });
    expect([status, agent.asked().length]).toEqual([400, 0]);
  });

  test('a task that waits for an answer gets it', async () => {
    agent.play(
      soundly((call, response) => {
        const { taskId } = call.rpc!.params['message'] as unknown as { taskId?: string };
        if (taskId !== undefined)
          return result(call, response, { task: taskOf(taskId, undefined, { artifacts: [artifact('to Bern')] }) });
        const status = { state: 'TASK_STATE_INPUT_REQUIRED', message: { parts: [{ text: 'Where to?' }] } };
        return result(call, response, { task: { id: `task-${++tasks}`, contextId: 'c-in', status } });
      }),
    );
    const first = await raw({ model: 'a2a/plain' });
    expect(first.body).toMatchObject({ choices: [{ message: { content: 'Where to?' }, finish_reason: 'stop' }] });
    expect(first.headers.get('x-a2a-task-state')).toBe('input-required');
    const task = first.headers.get('x-a2a-task-id')!;
    const second = await raw({ model: 'a2a/plain', metadata: { a2a_task_id: task } });
    expect(second.body).toMatchObject({ choices: [{ message: { content: 'to Bern' } }] });
    const third = await raw({ model: 'a2a/plain' }, { headers: { 'x-a2a-task-id': task }, path: '/v1/messages' });
    expect(third.body).toMatchObject({ content: [{ type: 'text', text: 'to Bern' }] });
  });

  test.each([
    ['one', false],
    ['one', true],
  ])('a task that tells how it stood before gets on with its answer (%s, streamed: %s)', async (name, isStreamed) => {
    const asks = { state: 'TASK_STATE_INPUT_REQUIRED', message: { parts: [{ text: 'Where to?' }] } };
    agent.play(
      soundly((call, response) => {
        const { taskId } = call.rpc!.params['message'] as unknown as { taskId?: string };
        const id = taskId ?? `task-${++tasks}`;
        const event = stream(call, response);
        event({ task: { id, contextId: 'c-in', status: asks, artifacts: [artifact('A plan. ')] } });
        if (taskId === undefined) return void response.end();
        event({ statusUpdate: { taskId, contextId: 'c-in', status: { state: 'TASK_STATE_WORKING' } } });
        event({ artifactUpdate: { taskId, contextId: 'c-in', artifact: { ...artifact('To Bern'), artifactId: 'second' } } });
        event({ statusUpdate: { taskId, contextId: 'c-in', status: { state: 'TASK_STATE_COMPLETED' } } });
        return void response.end();
      }),
    );
    const first = await raw({ model: `a2a/${name}` });
    expect(first.body).toMatchObject({ choices: [{ message: { content: 'A plan. \nWhere to?' } }] });
    const metadata = { a2a_task_id: first.headers.get('x-a2a-task-id')! };
    if (!isStreamed) {
      const { body, headers } = await raw({ model: `a2a/${name}`, metadata });
      expect(body).toMatchObject({ choices: [{ message: { content: 'To Bern' } }] });
      return expect(headers.get('x-a2a-task-state')).toBe('completed');
    }
    const response = await fetch(`${box.box.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: `a2a/${name}`, messages: hello, metadata, stream: true }),
    });
    const said = [...(await response.text()).matchAll(/"content":"([^"]*)"/g)].map(([, text]) => text).join('');
    return expect(said).toBe('To Bern');
  });

  test('a task that breaks off behind how it stood before is waited for', async () => {
    const asks = { state: 'TASK_STATE_INPUT_REQUIRED', message: { parts: [{ text: 'Where to?' }] } };
    agent.play(
      soundly((call, response) => {
        const { taskId } = (call.rpc!.params['message'] ?? {}) as { taskId?: string };
        const id = taskId ?? (call.rpc!.method === 'SubscribeToTask' ? String(call.rpc!.params['id']) : `task-${++tasks}`);
        const event = stream(call, response);
        event({ task: { id, contextId: 'c-in', status: asks } });
        if (taskId !== undefined) return void setTimeout(() => response.destroy(), 30);
        if (call.rpc!.method !== 'SubscribeToTask') return void response.end();
        event({ artifactUpdate: { taskId: id, contextId: 'c-in', artifact: artifact('To Bern') } });
        event({ statusUpdate: { taskId: id, contextId: 'c-in', status: { state: 'TASK_STATE_COMPLETED' } } });
        return void response.end();
      }),
    );
    const first = await raw({ model: 'a2a/one' });
    const metadata = { a2a_task_id: first.headers.get('x-a2a-task-id')! };
    expect((await raw({ model: 'a2a/one', metadata })).body).toMatchObject({ choices: [{ message: { content: 'To Bern' } }] });
  });

  test('of a conversation that goes on is what was said since its last answer; there must be something', async () => {
    const context = (await raw({ model: 'a2a/one' })).headers.get('x-a2a-context-id')!;
    const said = [...hello, { role: 'assistant', content: 'hi' }];
    const more = [
      { role: 'user', content: 'and now?' },
      { role: 'user', content: 'or then?' },
    ];
    const metadata = { a2a_context_id: context };
    expect((await raw({ model: 'a2a/one', messages: [...said, ...more], metadata })).status).toBe(200);
    expect(partsIn(asked())).toEqual([{ text: 'and now?' }, { text: 'or then?' }]);
    expect((await raw({ model: 'a2a/one', messages: said, metadata })).status).toBe(400);
  });

  test('what an agent does not get is told, or refused where that would be another answer', async () => {
    const told = await raw({ model: 'a2a/one', temperature: 0.1, n: 1, stop: ['x'], user: 'ann', logprobs: false, tools: [] });
    expect(told.status).toBe(200);
    const names = told.headers.get('x-signalbox-warnings')!.split('; ');
    expect(names.map((each) => each.split(':')[0])).toEqual(['max_tokens', 'temperature', 'stop']);
    expect((await raw({ model: 'a2a/one' }, { path: '/v1/messages' })).headers.get('x-signalbox-warnings')).toBeNull();
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    for (const more of [
      { n: 2 },
      { logprobs: true },
      { tools, tool_choice: 'required' },
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } },
    ]) {
      const { status, body } = await raw({ model: 'a2a/one', ...more });
      expect([status, body.error!.code]).toEqual([400, 'unsupported_parameter']);
    }
  });

  test('images and files go along, those of earlier turns too; tools do not', async () => {
    const url = 'https://example.com/a.png';
    const content = [
      { type: 'text', text: 'what is it?' },
      { type: 'image_url', image_url: { url } },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    ];
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    const { status, headers } = await raw({ model: 'a2a/plain', messages: [{ role: 'user', content }], tools });
    expect(status).toBe(200);
    expect(headers.get('x-signalbox-warnings')).toContain('tools');
    const images = [expect.objectContaining({ url }), expect.objectContaining({ raw: 'AAAA', mediaType: 'image/png' })];
    expect(partsIn(asked())).toEqual([{ text: 'what is it?' }, ...images]);
    const messages = [
      { role: 'user', content },
      { role: 'assistant', content: 'a hat' },
      { role: 'user', content: 'whose?' },
    ];
    await raw({ model: 'a2a/plain', messages });
    const text = 'user: what is it?\n\nassistant: a hat\n\nuser: whose?';
    expect(partsIn(asked())).toEqual([expect.objectContaining({ text }), ...images]);
  });
});

describe('work that takes longer', () => {
  const whole = 'one two three';
  const artifacts = [artifact(whole)];

  /** Says `one `, and breaks off; the task goes on. */
  const breaking =
    (id: string, end: (response: Parameters<Script>[1]) => unknown): Script =>
    (call, response) => {
      const ids = { taskId: id, contextId: 'c-long' };
      const event = stream(call, response);
      if (call.rpc!.method === 'SendStreamingMessage') {
        event({ task: { ...taskOf(id, 'TASK_STATE_WORKING'), contextId: 'c-long' } });
        event({ artifactUpdate: { ...ids, artifact: artifact('one ') } });
        setTimeout(() => void end(response), 50);
        return;
      }
      event({ task: { ...taskOf(id, 'TASK_STATE_WORKING', { artifacts: [artifact('one two ')] }), contextId: 'c-long' } });
      event({ artifactUpdate: { ...ids, artifact: artifact('three'), append: true } });
      event({ statusUpdate: { ...ids, status: { state: 'TASK_STATE_COMPLETED' } } });
      response.end();
    };

  test.each([
    ['breaks off', 'long-a', (response: Parameters<Script>[1]) => response.destroy()],
    ['ends before its task', 'long-b', (response: Parameters<Script>[1]) => response.end()],
  ])('a stream that %s is taken up where it stands', async (_, id, end) => {
    agent.play(soundly(breaking(`${id}-1`, end)));
    const { choices } = await openai.chat.completions.create({ model: 'a2a/one', messages: hello });
    expect(choices[0]!.message.content).toBe(whole);
    agent.play(soundly(breaking(`${id}-2`, end)));
    const pieces: string[] = [];
    for await (const chunk of await openai.chat.completions.create({ model: 'a2a/one', messages: hello, stream: true }))
      pieces.push(chunk.choices[0]?.delta.content ?? '');
    expect(pieces.filter((piece) => piece !== '')).toEqual(['one ', 'two ', 'three']);
  });

  test('a task that is answered while it works is waited for', async () => {
    let asks = 0;
    agent.play(
      soundly((call, response) => {
        if (call.rpc!.method === 'SendMessage')
          return result(call, response, { task: taskOf('slow', 'TASK_STATE_WORKING', { artifacts: [artifact('one ')] }) });
        if (call.rpc!.method !== 'GetTask') return failure(call, response, -32004);
        if (++asks < 3)
          return result(call, response, taskOf('slow', 'TASK_STATE_WORKING', { artifacts: [artifact('one two ')] }));
        return result(call, response, taskOf('slow', undefined, { artifacts }));
      }),
    );
    const { choices } = await openai.chat.completions.create({ model: 'a2a/plain', messages: hello });
    expect([choices[0]!.message.content, asks]).toEqual([whole, 3]);
  });

  test.each([false, true])('a task without an end is told of once the time is over (says so again: %s)', async (isTold) => {
    agent.play(
      soundly((call, response) => {
        if (isTold && call.rpc!.method === 'SubscribeToTask') {
          const event = stream(call, response);
          event({ task: taskOf('endless-2', 'TASK_STATE_WORKING') });
          event({ statusUpdate: { taskId: 'endless-2', contextId: 'c', status: { state: 'TASK_STATE_WORKING' } } });
          response.end();
          return;
        }
        if (call.rpc!.method === 'SendMessage')
          return result(call, response, { task: taskOf('endless-2', 'TASK_STATE_WORKING') });
        if (call.rpc!.method !== 'GetTask') return failure(call, response, -32004);
        return result(call, response, taskOf('endless-2', 'TASK_STATE_WORKING'));
      }),
    );
    const { status, headers, body } = await raw({ model: 'a2a/brief' });
    expect([status, headers.get('x-should-retry')]).toEqual([504, 'false']);
    expect(body.error!.message).toContain('endless-2');
    expect(agent.asked('SendMessage')).toHaveLength(1);
    // It did nothing wrong.
    expect(await box.agent('brief')).toMatchObject({ state: 'healthy' });
  });

  test('what waits for its caller is an answer, though its stream stays open', async () => {
    agent.play(
      soundly((call, response) => {
        const status = { state: 'TASK_STATE_INPUT_REQUIRED', message: { parts: [{ text: 'Where to?' }] } };
        const event = stream(call, response);
        event({ task: taskOf(`task-${++tasks}`, 'TASK_STATE_WORKING') });
        event({ statusUpdate: { taskId: `task-${tasks}`, contextId: `context-of-task-${tasks}`, status } });
      }),
    );
    const { data, response } = await openai.chat.completions.create({ model: 'a2a/one', messages: hello }).withResponse();
    expect(data.choices[0]!.message.content).toBe('Where to?');
    expect(response.headers.get('x-a2a-task-state')).toBe('input-required');
  });
});

describe('what goes wrong', () => {
  test.each(['FAILED', 'REJECTED', 'CANCELED'])('a task that is %s is an error, whole and streamed', async (state) => {
    agent.play(
      soundly((call, response) => {
        const status = { state: `TASK_STATE_${state}`, message: { parts: [{ text: 'no way' }] } };
        const task = { id: `task-${++tasks}`, contextId: 'c', status };
        if (call.rpc!.method === 'SendMessage') return result(call, response, { task });
        const event = stream(call, response);
        event({ task: { ...task, status: { state: 'TASK_STATE_WORKING' } } });
        event({ artifactUpdate: { taskId: task.id, contextId: 'c', artifact: artifact('half') } });
        event({ statusUpdate: { taskId: task.id, contextId: 'c', status } });
        response.end();
        return undefined;
      }),
    );
    const whole = await raw({ model: 'a2a/plain' });
    expect([whole.status, whole.body.error!.message]).toEqual([502, expect.stringContaining('no way')]);
    const message = await raw({ model: 'a2a/plain' }, { path: '/v1/messages' });
    expect([message.status, message.body]).toMatchObject([502, { type: 'error', error: { type: 'api_error' } }]);
    const said: string[] = [];
    const streamed = async (): Promise<void> => {
      for await (const { choices } of await openai.chat.completions.create({ model: 'a2a/one', messages: hello, stream: true }))
        said.push(choices[0]?.delta.content ?? '');
    };
    await expect(streamed()).rejects.toThrow('no way');
    expect(said.join('')).toBe('half');
    await expect(anthropic.messages.stream({ model: 'a2a/one', max_tokens: 10, messages: hello }).finalMessage()).rejects.toThrow(
      'no way',
    );
  });

  test('a stream that breaks for good is not cut in silence, and nobody has its work done again', async () => {
    agent.play(
      soundly((call, response) => {
        if (call.rpc!.method !== 'SendStreamingMessage') return failure(call, response, -32001);
        stream(call, response)({ artifactUpdate: { taskId: 'gone', contextId: 'c', artifact: artifact('half') } });
        setTimeout(() => response.destroy(), 50);
        return undefined;
      }),
    );
    const streamed = async (): Promise<void> => {
      for await (const _ of await openai.chat.completions.create({ model: 'a2a/one', messages: hello, stream: true }));
    };
    await expect(streamed()).rejects.toThrow();
    agent.calls.splice(0);
    const retrying = new OpenAI({ baseURL: `${box.box.url}/v1`, apiKey: AGENT_KEYS.KEY, maxRetries: 2 });
    await expect(retrying.chat.completions.create({ model: 'a2a/one', messages: hello })).rejects.toMatchObject({ status: 502 });
    expect(agent.asked('SendStreamingMessage')).toHaveLength(1);
  });

  test('disabled by force, an agent ends its streams with the reason', async () => {
    agent.play(
      soundly((call, response) => {
        stream(call, response)({ artifactUpdate: { taskId: 'endless', contextId: 'c', artifact: artifact('half') } });
        return undefined;
      }),
    );
    const streamed = async (): Promise<void> => {
      for await (const _ of await openai.chat.completions.create({ model: 'a2a/hidden', messages: hello, stream: true }))
        void box.admin('POST', '/v1/agents/hidden/disable?force=true');
    };
    await expect(streamed()).rejects.toThrow('disabled');
    await box.admin('POST', '/v1/agents/hidden/enable');
  });

  test('what a key may not call looks like what is not there, and like any model that is not', async () => {
    const hidden = await raw({ model: 'a2a/hidden' }, { key: 'NARROW_KEY' });
    const absent = await raw({ model: 'a2a/nobody' }, { key: 'NARROW_KEY' });
    expect([hidden.status, hidden.body.error!.code]).toEqual([404, 'model_not_found']);
    expect(hidden.body.error!.message.replace('hidden', 'nobody')).toBe(absent.body.error!.message);
    expect((await raw({ model: 'a2a/one' }, { key: 'NARROW_KEY' })).status).toBe(200);
  });

  test('disabled, dead, used up', async () => {
    expect((await raw({ model: 'a2a/off' })).status).toBe(403);
    const dead = await raw({ model: 'a2a/dead' });
    expect([502, 503]).toContain(dead.status);
    await box.until('dead', ({ state }) => state === 'unhealthy');
    await raw({ model: 'a2a/dead' });
    const refused = await raw({ model: 'a2a/dead' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^\d+$/)]);
    const paid = await raw({ model: 'a2a/dear' });
    expect([paid.status, paid.headers.get('x-signalbox-cost-usd')]).toEqual([200, '0.6']);
    const spent = await raw({ model: 'a2a/dear' });
    expect([spent.status, spent.body.error!.code]).toEqual([429, 'budget_exceeded']);
    await box.until('dear', (now) => now['invocation_count'] === 1 && now['total_cost'] === 0.6);
  });

  test.each([
    ['/v1/embeddings', { model: 'a2a/one', input: 'x' }],
    ['/v1/responses', { model: 'a2a/one', input: 'x' }],
    ['/v1/messages/count_tokens', { model: 'a2a/one' }],
  ])('on %s an agent is no model, and that is said', async (path, body) => {
    const { status, body: told } = await raw(body, { path });
    expect([status, told.error!.message]).toEqual([400, expect.stringContaining('one')]);
    expect(agent.asked()).toHaveLength(0);
  });
});

test('a key sees the agents that it may call among its models', async () => {
  const shown = async (key: keyof typeof AGENT_KEYS): Promise<string[]> => {
    const models = await new OpenAI({ baseURL: `${box.box.url}/v1`, apiKey: AGENT_KEYS[key] }).models.list();
    return models.data.map(({ id }) => id).filter((id) => id.startsWith('a2a/'));
  };
  expect(await shown('NARROW_KEY')).toEqual(['a2a/one']);
  expect((await shown('KEY')).toSorted()).toEqual([
    'a2a/brief',
    'a2a/dead',
    'a2a/dear',
    'a2a/hidden',
    'a2a/off',
    'a2a/one',
    'a2a/plain',
    ...AGENT_SDKS.map((sdk) => `a2a/${nameOf(sdk)}`).toSorted(),
  ]);
  expect(await openai.models.retrieve('a2a/one')).toMatchObject({ id: 'a2a/one', object: 'model' });
});
