/** Real A2A agents and clients without a gateway between them: that our test tools behave, and how little of the matrix works by itself. */
import { setTimeout as delay } from 'node:timers/promises';
import { A2AClient } from 'a2a-sdk-02/client';
import { afterEach, describe, expect, it } from 'vitest';

import { AGENT_SDKS, type AgentOptions, type RunningAgent, startAgent } from '../support/a2a-agents.ts';
import {
  A2aFailure,
  BINDINGS,
  type Binding,
  CLIENT_SDKS,
  type ClientSdk,
  type MatrixCell,
  type PlainClient,
  type PlainEvent,
  type PlainResult,
  type PlainTask,
  clientOf,
  matrixCells,
} from '../support/a2a-clients.ts';

const running: RunningAgent[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((agent) => agent.close()));
});

async function start(options: AgentOptions): Promise<RunningAgent> {
  const agent = await startAgent(options);
  running.push(agent);
  return agent;
}

/** A client of the agent's own version, and the agent. */
async function pair(sdk: ClientSdk, binding: Binding): Promise<{ agent: RunningAgent; client: PlainClient }> {
  const agent = await start({ sdk });
  return { agent, client: await clientOf({ sdk, binding, baseUrl: agent.base }) };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

function taskOf(result: PlainResult): PlainTask {
  if (result.kind !== 'task') throw new Error(`A ${result.kind} came, a task was awaited`);
  return result;
}

/** Events as words: `task submitted`, `artifact echo: hi`. */
const words = (events: readonly PlainEvent[]): string[] =>
  events.map((event) =>
    event.kind === 'task' || event.kind === 'status' ? `${event.kind} ${event.state}` : `${event.kind} ${event.text}`,
  );

async function untilWorking(client: PlainClient, taskId: string): Promise<void> {
  while ((await client.get(taskId)).state !== 'working') await delay(5);
}

const own = CLIENT_SDKS.flatMap((sdk) => BINDINGS.map((binding) => ({ sdk, binding })));

describe.each(own)('$sdk agent and client over $binding', ({ sdk, binding }) => {
  it('sends, and gets what was sent', async () => {
    const { agent, client } = await pair(sdk, binding);
    const task = taskOf(await client.send('hi'));
    expect(task).toEqual({
      kind: 'task',
      id: expect.stringMatching(/./),
      contextId: expect.stringMatching(/./),
      state: 'completed',
      text: 'echo: hi',
    });
    expect(await client.get(task.id)).toEqual(task);
    expect(await client.send('again', { contextId: task.contextId })).toMatchObject({ contextId: task.contextId });
    const [card, first] = agent.calls;
    expect([card?.method, card?.path]).toEqual(['GET', '/.well-known/agent-card.json']);
    expect(first?.path).toMatch(binding === 'JSONRPC' ? '/a2a/jsonrpc' : /^\/a2a\/rest(\/v1)?\/message:send$/);
    expect(JSON.stringify(first?.body)).toContain('"hi"');
  });

  it('streams every step', async () => {
    const { client } = await pair(sdk, binding);
    const events = await all(client.stream('hi', { messageId: 'chunks-3-1' }));
    expect(words(events)).toEqual([
      'task submitted',
      'status working',
      'artifact echo: hi',
      'artifact  2',
      'artifact  3',
      'status completed',
    ]);
    expect(await client.get(taskOf(events[0] as PlainTask).id)).toMatchObject({ text: 'echo: hi 2 3' });
  });

  it('answers with a message', async () => {
    const { client } = await pair(sdk, binding);
    const messageId = 'tck-message-response-1';
    expect(await client.send('hi', { messageId })).toEqual({ kind: 'message', text: 'echo: hi' });
    expect(await all(client.stream('hi', { messageId }))).toEqual([{ kind: 'message', text: 'echo: hi' }]);
  });

  it.each([
    ['tck-reject-task', 'rejected', 'Not a task for me.'],
    ['tck-fail-task', 'failed', 'The points are stuck.'],
    ['tck-input-required', 'input-required', 'Which line?'],
  ])('%s', async (messageId, state, text) => {
    const { client } = await pair(sdk, binding);
    expect(await client.send('hi', { messageId })).toMatchObject({ kind: 'task', state, text: '' });
    expect((await all(client.stream('hi', { messageId }))).at(-1)).toEqual({ kind: 'status', state, text });
  });

  it('goes on with a task that asked for input, or cancels it', async () => {
    const { client } = await pair(sdk, binding);
    const asking = async (): Promise<PlainTask> => taskOf(await client.send('hi', { messageId: 'tck-input-required-1' }));
    const { id, contextId } = await asking();
    const done = { kind: 'task', id, contextId, state: 'completed', text: 'echo: line 2' };
    expect(await client.send('line 2', { messageId: 'tck-input-required-2', taskId: id })).toEqual(done);
    const second = await asking();
    const events = await all(client.stream('line 3', { taskId: second.id, contextId: second.contextId }));
    expect(words(events)).toEqual(['task working', 'status working', 'artifact echo: line 3', 'status completed']);
    expect(await client.cancel((await asking()).id)).toMatchObject({ state: 'canceled' });
  });

  it('carries files and data', async () => {
    const { client } = await pair(sdk, binding);
    const partsOf = async (messageId: string) => taskOf(await client.send('hi', { messageId })).parts;
    // REST of 0.3.14 has no place for a file's name.
    const name = sdk === '0.3.14' && binding === 'HTTP+JSON' ? '' : 'output.txt';
    const file = { name, mediaType: 'text/plain' };
    expect(await partsOf('tck-artifact-file-1')).toEqual([{ file: { ...file, bytes: btoa('echo: hi') } }]);
    expect(await partsOf('tck-artifact-file-url-1')).toEqual([{ file: { ...file, url: 'https://example.com/output.txt' } }]);
    expect(await partsOf('tck-artifact-data-1')).toEqual([{ data: { echo: 'hi', count: 1 } }]);
  });

  it('takes its time, and can be cancelled and watched meanwhile', async () => {
    const { client } = await pair(sdk, binding);
    const startedMs = performance.now();
    expect(await client.send('hi', { messageId: 'slow-120-1' })).toMatchObject({ state: 'completed' });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(115);

    for (const messageId of ['never-1', 'slow-60000-1']) {
      const { id } = taskOf(await client.send('hi', { messageId, blocking: false }));
      await untilWorking(client, id);
      const seen: PlainEvent[] = [];
      const watching = (async () => {
        for await (const event of client.subscribe(id)) seen.push(event);
      })();
      while (seen.length === 0) await delay(5);
      expect(await client.cancel(id)).toMatchObject({ id, state: 'canceled' });
      await watching;
      expect(words(seen)).toEqual(['task working', 'status canceled']);
      expect(await client.get(id)).toMatchObject({ state: 'canceled', text: '' });
    }
  });

  it('knows no task that is none', async () => {
    const { client } = await pair(sdk, binding);
    await expect(client.get('absent')).rejects.toMatchObject({ code: -32_001, message: expect.stringMatching(/not found/i) });
    await expect(client.cancel('absent')).rejects.toMatchObject({ code: -32_001 });
    await expect(client.send('hi', { taskId: 'absent' })).rejects.toMatchObject({ code: -32_001 });
    const { id } = taskOf(await client.send('hi'));
    await expect(client.cancel(id)).rejects.toMatchObject({ code: -32_002 });
  });

  it('keeps where to push', async () => {
    const { agent, client } = await pair(sdk, binding);
    const { id: taskId } = taskOf(await client.send('hi'));
    const one = { id: 'one', url: 'http://127.0.0.1:9/one', token: 'token-1' };
    const two = { id: 'two', url: 'http://127.0.0.1:9/two' };
    let setter = client;
    if (sdk === '0.3.14' && binding === 'HTTP+JSON') {
      // What its REST client sends, its REST handler refuses: that one wants the configuration inside `config`.
      await expect(client.pushSet(taskId, one)).rejects.toMatchObject({ code: -32_602 });
      setter = await clientOf({ sdk, binding: 'JSONRPC', baseUrl: agent.base });
    }
    expect(await setter.pushSet(taskId, one)).toEqual({ taskId, ...one });
    await setter.pushSet(taskId, two);
    expect(await client.pushGet(taskId, 'one')).toEqual({ taskId, ...one });
    expect(await client.pushList(taskId)).toEqual([
      { taskId, ...one },
      { taskId, ...two },
    ]);
    await client.pushDelete(taskId, 'one');
    expect(await client.pushList(taskId)).toEqual([{ taskId, ...two }]);
  });

  it('shows its extended card to anybody', async () => {
    const { client } = await pair(sdk, binding);
    expect(await client.extendedCard()).toEqual({ name: `echo-${sdk} (extended)`, skills: ['echo', 'whisper'] });
  });

  it('lists tasks where the version can', async () => {
    const { client } = await pair(sdk, binding);
    const task = taskOf(await client.send('hi'));
    await client.send('elsewhere');
    expect(await client.list?.({ contextId: task.contextId })).toEqual(sdk === '1.3.0' ? [task] : undefined);
  });

  it('sends its headers with every request', async () => {
    const agent = await start({ sdk, name: 'named' });
    const headers = { authorization: 'Bearer some-key', 'x-more': '1' };
    const client = await clientOf({ sdk, binding, baseUrl: `${agent.base}/`, headers });
    await client.send('hi');
    await all(client.stream('hi'));
    expect(agent.calls.map(({ headers }) => [headers.authorization, headers['x-more']])).toEqual(
      agent.calls.map(() => ['Bearer some-key', '1']),
    );
    expect(agent.calls).toHaveLength(3);
    expect((await client.extendedCard()).name).toBe('named (extended)');
  });
});

/** The result of a 0.2.5 answer, or its error thrown. */
async function result<T>(answer: Promise<{ result: T } | { error: { code: number } }>): Promise<T> {
  const said = await answer;
  if ('error' in said) throw said.error as unknown as Error;
  return said.result;
}

describe('0.2.5 agent and client', () => {
  const message = (messageId: string) => ({
    kind: 'message' as const,
    messageId,
    role: 'user' as const,
    parts: [{ kind: 'text' as const, text: 'hi' }],
  });

  it('every method it has', async () => {
    const agent = await start({ sdk: '0.2.5' });
    const client = new A2AClient(agent.base);
    const sent = await result(client.sendMessage({ message: message('chunks-2-1') }));
    if (sent.kind !== 'task') throw new Error('A task was awaited');
    expect(sent.status.state).toBe('completed');
    expect(sent.artifacts?.[0]?.parts).toEqual([
      { kind: 'text', text: 'echo: hi' },
      { kind: 'text', text: ' 2' },
    ]);
    expect(await result(client.getTask({ id: sent.id }))).toMatchObject({ id: sent.id, status: { state: 'completed' } });
    await expect(result(client.getTask({ id: 'absent' }))).rejects.toMatchObject({ code: -32_001 });
    expect(await result(client.sendMessage({ message: message('tck-message-response-1') }))).toMatchObject({ kind: 'message' });
    const events = await all(client.sendMessageStream({ message: message('any') }));
    expect(events.map(({ kind }) => kind)).toEqual(['task', 'status-update', 'artifact-update', 'status-update']);

    const push = { taskId: sent.id, pushNotificationConfig: { url: 'http://127.0.0.1:9/' } };
    expect(await result(client.setTaskPushNotificationConfig(push))).toEqual(push);
    expect(await result(client.getTaskPushNotificationConfig({ id: sent.id }))).toEqual(push);
    expect(agent.calls.map(({ path }) => path).slice(0, 2)).toEqual(['/.well-known/agent.json', '/']);
  });

  it('cancels and resubscribes, input awaited or not', async () => {
    const agent = await start({ sdk: '0.2.5' });
    const client = new A2AClient(agent.base);
    const configuration = { blocking: false, acceptedOutputModes: [] };
    const begun = await result(client.sendMessage({ message: message('never-1'), configuration }));
    if (begun.kind !== 'task') throw new Error('A task was awaited');
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of client.resubscribeTask({ id: begun.id })) seen.push(event.kind);
    })();
    while (seen.length === 0) await delay(5);
    expect(await result(client.cancelTask({ id: begun.id }))).toMatchObject({ status: { state: 'canceled' } });
    await watching;
    expect(seen).toEqual(['task', 'status-update']);

    const asking = await result(client.sendMessage({ message: message('tck-input-required-1') }));
    if (asking.kind !== 'task') throw new Error('A task was awaited');
    expect(asking.status.state).toBe('input-required');
    const answered = { message: { ...message('any'), taskId: asking.id } };
    expect(await result(client.sendMessage(answered))).toMatchObject({ id: asking.id, status: { state: 'completed' } });
  });

  it('serves a client of 0.3 that is told where its card is', async () => {
    const agent = await start({ sdk: '0.2.5' });
    const where = { sdk: '0.3.14', binding: 'JSONRPC', baseUrl: agent.base } as const;
    await expect(clientOf(where)).rejects.toMatchObject({ code: 404 });
    const client = await clientOf({ ...where, cardPath: '/.well-known/agent.json' });
    expect(await client.send('hi')).toMatchObject({ state: 'completed', text: 'echo: hi' });
    expect(words(await all(client.stream('hi'))).at(-1)).toBe('status completed');
    await expect(client.get('absent')).rejects.toMatchObject({ code: -32_001 });
  });
});

describe('agents', () => {
  it.each(AGENT_SDKS)('%s serves its card where it says, and starts anew on its port', async (sdk) => {
    const first = await startAgent({ sdk });
    expect((await fetch(first.cardUrl)).status).toBe(200);
    await first.close();
    await expect(fetch(first.cardUrl)).rejects.toThrow();
    const again = await start({ sdk, port: Number(new URL(first.base).port) });
    expect(again.url).toBe(first.url);
    expect(await (await fetch(again.cardUrl)).json()).toMatchObject({ name: `echo-${sdk}` });
  });

  it('1.3.0 answers clients of 0.3 as well, if asked to', async () => {
    const agent = await start({ sdk: '1.3.0', legacyCompat: true });
    for (const sdk of CLIENT_SDKS) {
      for (const binding of BINDINGS) {
        const client = await clientOf({ sdk, binding, baseUrl: agent.base });
        expect(await client.send('hi')).toMatchObject({ kind: 'task', state: 'completed', text: 'echo: hi' });
        await expect(client.get('absent')).rejects.toMatchObject({ code: -32_001 });
      }
    }
  });
});

/** One part of the matrix: a method in a cell, as a client would call it. */
const METHODS: Readonly<Record<string, (client: PlainClient) => Promise<boolean>>> = {
  send: async (client) => taskOf(await client.send('hi')).text === 'echo: hi',
  stream: async (client) =>
    words(await all(client.stream('hi'))).join() === 'task submitted,status working,artifact echo: hi,status completed',
  get: async (client) => (await client.get(taskOf(await client.send('hi')).id)).state === 'completed',
  'get-missing': async (client) => {
    const error: unknown = await client.get('absent').catch((reason: unknown) => reason);
    return error instanceof A2aFailure && error.code === -32_001;
  },
};

it('without a gateway 16 of the 48 parts of the matrix work', async () => {
  const cells = matrixCells();
  const worksIn = async ({ agent: sdk, client, binding }: MatrixCell): Promise<string[]> => {
    const agent = await start({ sdk });
    const working: string[] = [];
    for (const [method, works] of Object.entries(METHODS)) {
      const isRight = await clientOf({ sdk: client, binding, baseUrl: agent.base }).then(works, () => false);
      if (isRight) working.push(`${sdk} < ${client} ${binding}: ${method}`);
    }
    return working;
  };
  const working = (await Promise.all(cells.map(worksIn))).flat();
  const ownCells = cells.filter(({ agent, client }) => agent === client);
  expect(working).toEqual(
    ownCells.flatMap(({ agent, client, binding }) =>
      Object.keys(METHODS).map((method) => `${agent} < ${client} ${binding}: ${method}`),
    ),
  );
  expect([working.length, cells.length * Object.keys(METHODS).length]).toEqual([16, 48]);
});
