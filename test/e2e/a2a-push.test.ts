/**
 * Push notifications through the gateway: real agents of the SDK post to it, real receivers of clients get them, and neither side learns of the other's secrets.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type RunningAgent, startAgent } from '../support/a2a-agents.ts';
import { BINDINGS, CLIENT_SDKS, type PlainTask, clientOf } from '../support/a2a-clients.ts';
import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import { type ReceivedCall, type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const PRIVATE = { egress: { allow_private: ['127.0.0.0/8'] } };
const agents = new Map<string, RunningAgent>();
let box: AgentBox;
let receiver: WebhookReceiver;

const nameOf = (sdk: string): string => `sdk-${sdk.replaceAll('.', '-')}`;
const AGENTS = ['1.3.0', '0.3.14'] as const;

beforeAll(async () => {
  for (const sdk of AGENTS) agents.set(sdk, await startAgent({ sdk }));
  receiver = await startWebhookReceiver('unused-by-these-tests');
  const list = AGENTS.map((sdk) => ({ name: nameOf(sdk), url: agents.get(sdk)!.base }));
  box = await startAgentBox(list, { workers: 2, more: PRIVATE });
  await box.box.reload(box.config(list, { workers: 2, ...PRIVATE, server: { workers: 2, public_url: box.box.url } }));
});
afterAll(async () => {
  await box?.close();
  await receiver?.close();
  for (const agent of agents.values()) await agent.close();
});

const callsAt = (path: string): ReceivedCall[] => receiver.calls.filter((call) => call.path === path);
const stateIn = ({ body }: ReceivedCall): unknown => {
  const told = (body.statusUpdate ?? body.task ?? body) as { status?: { state?: string } };
  return told.status?.state?.replace('TASK_STATE_', '').toLowerCase();
};
const isOf = (version: string, { body }: ReceivedCall): boolean => (version === '1.0') === (body.kind === undefined);

const CELLS = AGENTS.flatMap((agent) =>
  CLIENT_SDKS.flatMap((client) =>
    BINDINGS.map((binding) => ({ agent, client, binding, version: client === '1.3.0' ? '1.0' : '0.3' })),
  ),
);

describe.each(CELLS)('agent $agent, client $client, $binding', ({ agent, client, binding, version }) => {
  const through = () =>
    clientOf({
      sdk: client,
      binding,
      baseUrl: box.urlOf(nameOf(agent)),
      headers: { authorization: `Bearer ${AGENT_KEYS.KEY}` },
    });

  test('create, get, list, delete; what the agent says comes to the client and no secret to the agent', async () => {
    const caller = await through();
    const path = `/created/${crypto.randomUUID()}`;
    const token = `token-${crypto.randomUUID()}`;
    const events = caller.stream('hello', { messageId: `slow-1000-${crypto.randomUUID()}` });
    const { id: task } = (await events.next()).value as PlainTask;
    // Whoever leaves a stream leaves the task alone.
    await events.return(undefined);
    const config = { id: 'mine', url: receiver.url + path, token };
    const shown = { taskId: task, id: 'mine', url: config.url };
    expect(await caller.pushSet(task, config)).toEqual(shown);
    expect(await caller.pushGet(task, 'mine')).toEqual(shown);
    expect(await caller.pushList(task)).toEqual([shown]);
    await expect.poll(() => callsAt(path).map(stateIn).at(-1), { timeout: 10_000 }).toBe('completed');
    for (const call of callsAt(path)) {
      expect(isOf(version, call)).toBe(true);
      expect(call.headers['x-a2a-notification-token']).toBe(token);
      expect(call.headers['a2a-notification-token']).toBe(token);
    }
    expect(JSON.stringify(agents.get(agent)!.calls.map(({ body }) => body))).not.toContain(token);
    expect(JSON.stringify(agents.get(agent)!.calls.map(({ body }) => body))).not.toContain(path);
    await caller.pushDelete(task, 'mine');
    await expect(caller.pushGet(task, 'mine')).rejects.toMatchObject({ code: -32001 });
    expect(await caller.pushList(task)).toEqual([]);
  });

  test('along with a message', async () => {
    const caller = await through();
    const path = `/along/${crypto.randomUUID()}`;
    const push = { id: 'along', url: receiver.url + path, token: `token-${crypto.randomUUID()}` };
    const done = (await caller.send('hello', { messageId: `slow-300-${crypto.randomUUID()}`, push })) as PlainTask;
    expect(done.state).toBe('completed');
    expect(await caller.pushList(done.id)).toEqual([{ taskId: done.id, id: 'along', url: push.url }]);
    await expect.poll(() => callsAt(path).map(stateIn).at(-1), { timeout: 10_000 }).toBe('completed');
    expect(callsAt(path).every((call) => isOf(version, call))).toBe(true);
    expect(JSON.stringify(agents.get(agent)!.calls.map(({ body }) => body))).not.toContain(push.token);
  });
});
