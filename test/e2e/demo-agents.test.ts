/** In first-run mode there are two agents, healthy a moment after the start, which any client can call with the key that was printed. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type PlainEvent, type PlainTask, clientOf } from '../support/a2a-clients.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

let box: Signalbox;
beforeAll(async () => {
  box = await startSignalbox();
});
afterAll(() => box.stop());

const client = (agent: string, sdk: '1.3.0' | '0.3.14' = '1.3.0') =>
  clientOf({ sdk, binding: 'JSONRPC', baseUrl: `${box.url}/a2a/${agent}/`, headers: { authorization: `Bearer ${box.key}` } });

test('both are there, and get healthy by themselves', async () => {
  const list = async (): Promise<Record<string, unknown>[]> => {
    const response = await fetch(`${box.url}/v1/agents`, { headers: { authorization: `Bearer ${box.adminKey}` } });
    return ((await response.json()) as { data: Record<string, unknown>[] }).data;
  };
  await expect
    .poll(async () => (await list()).map(({ name, state, origin }) => [name, state, origin]), { timeout: 10_000 })
    .toEqual([
      ['demo-echo', 'healthy', 'demo'],
      ['demo-travel', 'healthy', 'demo'],
    ]);
});

test('one repeats word by word, to clients of both versions', async () => {
  for (const sdk of ['1.3.0', '0.3.14'] as const) {
    const events: PlainEvent[] = [];
    for await (const event of (await client('demo-echo', sdk)).stream('Say hello to the team')) events.push(event);
    const text = events.flatMap((event) => (event.kind === 'artifact' ? [event.text] : [])).join('');
    expect(text).toBe('Say hello to the team');
    expect(events.at(-1)).toMatchObject({ kind: 'status', state: 'completed' });
  }
});

test('following a task that has ended is refused as the protocol has it, and says nothing against the agent', async () => {
  const travel = await client('demo-echo');
  const done = (await travel.send('Done')) as PlainTask;
  for (let index = 0; index < 4; index++) {
    const response = await fetch(`${box.url}/a2a/demo-echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${box.key}`, 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SubscribeToTask', params: { id: done.id } }),
    });
    expect(await response.json()).toMatchObject({ error: { code: -32004 } });
  }
  expect(((await travel.send('Still well')) as PlainTask).state).toBe('completed');
});

test('the other one asks back', async () => {
  const travel = await client('demo-travel');
  const asked = (await travel.send('A weekend for two')) as PlainTask;
  expect(asked.state).toBe('input-required');
  const planned = (await travel.send('Lisbon', { taskId: asked.id, contextId: asked.contextId })) as PlainTask;
  expect(planned.state).toBe('completed');
  expect(planned.text).toContain('A journey to Lisbon');
});
