/** Which replica gets what: new work by weight and load, conversations where they are held, as far as health lets them; and whose words a stream may carry. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, type RpcAnswer, startAgentBox } from '../support/agent-box.ts';
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

const agents: ScriptedAgent[] = [];
let box: AgentBox;
let tasks = 0;

const well =
  (index: number, answer: Script = () => undefined): Script =>
  async (call, response) => {
    if (call.path === '/.well-known/agent-card.json') return json(response, 200, cardAt(agents[index]!.url));
    if (call.rpc === undefined) return json(response, 404, {});
    await answer(call, response);
    if (response.writableEnded || response.headersSent || response.destroyed) return undefined;
    if (call.rpc.method === 'SendMessage') return result(call, response, { task: taskOf(`task-${++tasks}`) });
    return failure(call, response, -32001);
  };
const play = (answer?: Script): void => agents.forEach((agent, index) => agent.play(well(index, answer)));
const healthy = async (...names: string[]): Promise<void> => {
  for (const name of names) await box.admin('PUT', `/v1/agents/${name}/state`, { state: 'healthy' });
};

beforeAll(async () => {
  for (let index = 0; index < 3; index++) agents.push(await startScriptedAgent((_, response) => json(response, 500, {})));
  play();
  const health = { interval_s: 3_600, unhealthy_threshold: 1 };
  const replicas = (...weights: number[]): object[] =>
    weights.map((weight, index) => ({ id: `r${index}`, url: agents[index]!.url, weight }));
  box = await startAgentBox(
    [
      { name: 'alone', url: agents[0]!.url, health },
      { name: 'everybodys', url: agents[0]!.url, health, task_scope: 'agent' },
      { name: 'equal', replicas: replicas(1, 1), health },
      { name: 'weighed', replicas: replicas(3, 1), health },
      { name: 'resting', replicas: replicas(1, 0), health },
      { name: 'pair', replicas: replicas(1, 1), health, task_scope: 'agent' },
    ],
    // What is under way each worker knows by itself.
    { workers: 1, more: { egress: { allow_private: ['127.0.0.0/8'] } } },
  );
  for (const name of ['alone', 'everybodys', 'equal', 'weighed', 'resting', 'pair']) {
    expect((await box.admin('POST', `/v1/agents/${name}/probe`)).status).toBe(200);
  }
});
beforeEach(async () => {
  play();
  await healthy('alone', 'everybodys', 'equal', 'weighed', 'resting', 'pair');
  for (const agent of agents) agent.calls.splice(0);
});
afterAll(async () => {
  await box?.close();
  for (const agent of agents) await agent.close();
});

const send = (agent: string, more: object = {}): Promise<RpcAnswer> =>
  box.rpc(agent, 'SendMessage', {
    message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hello' }], ...more },
  });
const contextOf = ({ body }: RpcAnswer): string => (body.result!['task'] as { contextId: string }).contextId;
const reasonOf = ({ body }: RpcAnswer): unknown => (body.error?.data as { reason: string }[] | undefined)?.[0]?.reason;
const sendsOf = (): number[] => agents.map((agent) => agent.asked('SendMessage').length);

async function inTurn(agent: string, count: number): Promise<number[]> {
  for (let index = 0; index < count; index++) await send(agent);
  return sendsOf();
}

describe('new work', () => {
  test('is shared by equal replicas, one call after another', async () => {
    const [first] = await inTurn('equal', 100);
    // 20 is six standard deviations off.
    expect(first).toBeGreaterThan(20);
    expect(first).toBeLessThan(80);
  });

  test('is shared as the weights say; a weight of 0 gets none', async () => {
    const [first] = await inTurn('weighed', 120);
    expect(first).toBeGreaterThan(64);
    expect(first).toBeLessThan(116);
    for (const agent of agents) agent.calls.splice(0);
    expect(await inTurn('resting', 20)).toEqual([20, 0, 0]);
  });

  test('comes back to a replica that was slow once', async () => {
    let isSlow = true;
    agents[1]!.play(
      well(1, async (call) => {
        if (call.rpc?.method !== 'SendMessage' || !isSlow) return;
        isSlow = false;
        await new Promise((resolve) => setTimeout(resolve, 400));
      }),
    );
    const [, second] = await inTurn('equal', 80);
    expect(isSlow).toBe(false);
    expect(second).toBeGreaterThan(13);
  });

  test('goes where fewer streams are open', async () => {
    const open: (() => void)[] = [];
    play((call, response) => {
      if (call.rpc?.method !== 'SendStreamingMessage') return;
      const event = stream(call, response);
      event({ task: taskOf(`task-${++tasks}`, 'TASK_STATE_WORKING') });
      open.push(() => response.end());
    });
    const streams: Promise<Response>[] = [];
    for (let index = 0; index < 24; index++) {
      streams.push(streamOf('equal'));
      await expect.poll(() => open.length).toBe(index + 1);
    }
    const at = agents.map((agent) => agent.asked('SendStreamingMessage').length);
    // By chance alone they would be so near to each other in a third of all runs; here the difference is drawn back to nothing.
    expect(Math.abs(at[0]! - at[1]!)).toBeLessThanOrEqual(8);
    for (const end of open) end();
    for (const response of await Promise.all(streams)) await response.text();
  });
});

const streamOf = (agent: string): Promise<Response> =>
  fetch(box.urlOf(agent), {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 's',
      method: 'SendStreamingMessage',
      params: { message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hello' }] } },
    }),
  });

describe('replicas of which none is well', () => {
  const SHORT = { interval_s: 3_600, timeout_ms: 200 };
  const pair = async (name: string): Promise<void> => {
    const replicas = agents.slice(0, 2).map(({ url }, index) => ({ id: `r${index}`, url }));
    expect((await box.admin('POST', '/v1/agents', { name, replicas, health: SHORT })).status).toBe(201);
  };
  const found = async (name: string): Promise<unknown> => (await box.admin('POST', `/v1/agents/${name}/probe`)).body;

  test('go on together where they only do not answer probes in time', async () => {
    await pair('hung');
    const all = Promise.withResolvers<void>();
    let arrived = 0;
    agents.slice(0, 2).forEach((agent, at) =>
      agent.play(async (call, response) => {
        if (call.rpc === undefined) return;
        if (++arrived === 4) all.resolve();
        await all.promise;
        await well(at)(call, response);
      }),
    );
    expect(await found('hung')).toMatchObject({ state: 'unhealthy', reason: 'slow' });
    // As trials only one at each would come through.
    const answers = await Promise.all(Array.from({ length: 4 }, () => send('hung')));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('are out where nothing can be connected to', async () => {
    await pair('gone');
    for (const agent of agents.slice(0, 2)) await agent.shut();
    try {
      expect(await found('gone')).toMatchObject({ state: 'unhealthy', reason: 'unreachable' });
      const answers: RpcAnswer[] = [];
      for (let index = 0; index < 4; index++) answers.push(await send('gone'));
      expect(answers.slice(1).map(reasonOf)).toEqual(Array.from({ length: 3 }, () => 'AGENT_UNAVAILABLE'));
    } finally {
      for (const agent of agents.slice(0, 2)) await agent.open();
    }
  });
});

describe('new work in a conversation', () => {
  test('stays at its replica, also while that drains; other work does not go there', async () => {
    const replicas = agents.slice(0, 2).map(({ url }, index) => ({ id: `r${index}`, url }));
    expect(await box.admin('POST', '/v1/agents', { name: 'draining', replicas })).toMatchObject({ status: 201 });
    const contextId = contextOf(await send('draining'));
    const at = sendsOf().indexOf(1);
    expect((await box.admin('POST', `/v1/agents/draining/replicas/r${at}/drain`)).status).toBe(200);
    for (let index = 0; index < 10; index++) expect((await send('draining', { contextId })).status).toBe(200);
    expect(sendsOf()[at]).toBe(11);
    await inTurn('draining', 10);
    expect(sendsOf()[at]).toBe(11);
  });

  test('asks an agent that is down no more than any other work does', async () => {
    const contextId = contextOf(await send('alone'));
    play((_, response) => void response.writeHead(503).end());
    agents[0]!.calls.splice(0);
    await box.admin('PUT', '/v1/agents/alone/state', { state: 'unhealthy' });
    const answers: RpcAnswer[] = [];
    for (let index = 0; index < 8; index++) answers.push(await send('alone', { contextId }));
    // One of them may find out.
    expect(agents[0]!.asked('SendMessage').length).toBeLessThanOrEqual(1);
    expect(answers.slice(1).map(reasonOf)).toEqual(Array.from({ length: 7 }, () => 'AGENT_UNAVAILABLE'));
    for (const { headers } of answers.slice(1)) expect(Number(headers.get('retry-after'))).toBeGreaterThan(1);
  });

  test('costs at most three calls where its agent is gone', async () => {
    // A call that is cut on a kept connection may have arrived, and is none of the three.
    play((_, response) => void response.setHeader('connection', 'close'));
    const contextId = contextOf(await send('alone'));
    await agents[0]!.shut();
    try {
      const reasons: unknown[] = [];
      for (let index = 0; index < 10; index++) reasons.push(reasonOf(await send('alone', { contextId })));
      expect(reasons.slice(3)).toEqual(Array.from({ length: 7 }, () => 'AGENT_UNAVAILABLE'));
    } finally {
      await agents[0]!.open();
    }
  });

  test('says whose fault it is where only its replica is down', async () => {
    const contextId = contextOf(await send('equal'));
    const at = sendsOf().indexOf(1);
    await agents[at]!.shut();
    try {
      const answers: RpcAnswer[] = [];
      for (let index = 0; index < 6; index++) answers.push(await send('equal', { contextId }));
      expect(answers.map(reasonOf)).toEqual(Array.from({ length: 6 }, () => 'TASK_OWNER_UNAVAILABLE'));
      expect(answers.at(-1)!.body.error!.message).toContain(`replica \`r${at}\``);
      expect((await send('equal')).status).toBe(200);
    } finally {
      await agents[at]!.open();
    }
  });
});

describe('a task that nobody knows', () => {
  test('is asked for once in a while where there is one replica', async () => {
    for (let index = 0; index < 4; index++) {
      expect((await box.rpc('everybodys', 'GetTask', { id: 'nowhere' })).body.error?.code).toBe(-32001);
    }
    expect(agents[0]!.asked('GetTask')).toHaveLength(1);
  });

  test('may be there where a replica has a fault of its own', async () => {
    play((call, response) => (call.rpc?.method === 'GetTask' ? failure(call, response, -32603) : undefined));
    expect(reasonOf(await box.rpc('pair', 'GetTask', { id: 'somewhere' }))).toBe('TASK_OWNER_UNAVAILABLE');
    play((call, response) => (call.rpc?.method === 'GetTask' ? result(call, response, taskOf('somewhere')) : undefined));
    expect((await box.rpc('pair', 'GetTask', { id: 'somewhere' })).body.result).toMatchObject({ id: 'somewhere' });
  });
});

describe('a stream', () => {
  const piece = (taskId: string, text: string): object => ({
    artifactUpdate: { taskId, contextId: 'c', artifact: { artifactId: 'a', parts: [{ text }] }, append: true },
  });

  test.each([
    ['names another one’s task', (id: string) => ({ taskId: id, rpcId: 's' })],
    ['answers another request', (_: string, own: string) => ({ taskId: own, rpcId: 'other' })],
  ])('of which a piece %s ends there', async (_, strange) => {
    const others = await box.rpc(
      'alone',
      'SendMessage',
      { message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hello' }] } },
      { key: 'OTHER_KEY' },
    );
    const own = `task-${++tasks}`;
    const { taskId, rpcId } = strange((others.body.result!['task'] as { id: string }).id, own);
    play((call, response) => {
      if (call.rpc?.method !== 'SendStreamingMessage') return;
      const event = stream(call, response);
      event({ task: taskOf(own, 'TASK_STATE_WORKING') });
      event(piece(own, 'mine'));
      response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: rpcId, result: piece(taskId, 'SECRET') })}\n\n`);
      event(piece(own, 'later'));
      response.end();
    });
    const text = await (await streamOf('alone')).text();
    expect(text).toContain('mine');
    expect(text).not.toContain('SECRET');
    expect(text).toContain('-32006');
  });
});
