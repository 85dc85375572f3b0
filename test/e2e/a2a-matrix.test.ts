/**
 * The matrix: real agents of three versions of the SDK, called by its clients of two versions over both bindings, through the gateway. What works directly works the same
 * way; what does not work directly (most of it) works through the gateway.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_SDKS, type RunningAgent, startAgent } from '../support/a2a-agents.ts';
import { type MatrixCell, type PlainEvent, type PlainTask, clientOf, matrixCells } from '../support/a2a-clients.ts';
import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';

const agents = new Map<string, RunningAgent>();
let box: AgentBox;

const nameOf = (sdk: string): string => `sdk-${sdk.replaceAll('.', '-')}`;

beforeAll(async () => {
  for (const sdk of AGENT_SDKS) agents.set(sdk, await startAgent({ sdk }));
  box = await startAgentBox(AGENT_SDKS.map((sdk) => ({ name: nameOf(sdk), url: agents.get(sdk)!.base })));
});
afterAll(async () => {
  await box?.close();
  for (const agent of agents.values()) await agent.close();
});

const through = ({ agent, client, binding }: MatrixCell) =>
  clientOf({ sdk: client, binding, baseUrl: box.urlOf(nameOf(agent)), headers: { authorization: `Bearer ${AGENT_KEYS.KEY}` } });

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe.each(matrixCells())('agent $agent, client $client, $binding', (cell) => {
  test('send', async () => {
    const client = await through(cell);
    expect(await client.send('hello')).toMatchObject({ kind: 'task', state: 'completed', text: 'echo: hello' });
  });

  test('a message as the answer', async () => {
    const client = await through(cell);
    const result = await client.send('hello', { messageId: `tck-message-response-${crypto.randomUUID()}` });
    expect(result).toMatchObject({ kind: 'message' });
  });

  test('stream', async () => {
    const client = await through(cell);
    const events = await all<PlainEvent>(client.stream('hello', { messageId: `chunks-5-${crypto.randomUUID()}` }));
    expect(events[0]).toMatchObject({ kind: 'task' });
    expect(events.filter(({ kind }) => kind === 'artifact')).toHaveLength(5);
    expect(events.at(-1)).toMatchObject({ kind: 'status', state: 'completed' });
  });

  test('get, and get of what is not there', async () => {
    const client = await through(cell);
    const task = (await client.send('hello')) as PlainTask;
    expect(await client.get(task.id)).toMatchObject({ id: task.id, state: 'completed', text: 'echo: hello' });
    await expect(client.get('no-such-task')).rejects.toMatchObject({ code: -32001 });
  });

  test('a follow-up to a task that waits for it', async () => {
    const client = await through(cell);
    const asked = (await client.send('hello', { messageId: `tck-input-required-${crypto.randomUUID()}` })) as PlainTask;
    expect(asked.state).toBe('input-required');
    const done = await client.send('more', { taskId: asked.id, contextId: asked.contextId });
    expect(done).toMatchObject({ id: asked.id, state: 'completed' });
  });

  test('cancel and subscribe', async () => {
    const client = await through(cell);
    const events = client.stream('hello', { messageId: `never-${crypto.randomUUID()}` });
    const first = (await events.next()).value as PlainTask;
    const followed = all(client.subscribe(first.id));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await client.cancel(first.id)).toMatchObject({ id: first.id, state: 'canceled' });
    expect((await followed).at(0)).toMatchObject({ kind: 'task' });
    await events.return(undefined);
  });

  test('push notifications are refused in the terms of the protocol', async () => {
    const client = await through(cell);
    const task = (await client.send('hello')) as PlainTask;
    await expect(client.pushSet(task.id, { id: 'p', url: 'https://example.com/hook' })).rejects.toMatchObject({ code: -32003 });
  });

  test('list', async () => {
    const client = await through(cell);
    if (client.list === undefined) return;
    const task = (await client.send('hello')) as PlainTask;
    expect((await client.list()).map(({ id }) => id)).toContain(task.id);
    expect((await client.list({ contextId: task.contextId })).map(({ id }) => id)).toEqual([task.id]);
  });
});
