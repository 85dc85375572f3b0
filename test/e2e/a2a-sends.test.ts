/** One message is one piece of work: repeated, outlasting, and looked for. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

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

let one: ScriptedAgent;
const replicas: ScriptedAgent[] = [];
let box: AgentBox;
let tasks = 0;

const oldCardAt = (url: string): object =>
  cardAt(url, { supportedInterfaces: [{ url: `${url}/old/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '0.3' }] });

const well =
  (agent: () => ScriptedAgent, answer: Script = () => undefined): Script =>
  async (call, response) => {
    if (call.path === '/.well-known/agent-card.json') return json(response, 200, cardAt(agent().url));
    if (call.path === '/old/.well-known/agent-card.json') return json(response, 200, oldCardAt(agent().url));
    if (call.rpc === undefined) return json(response, 404, {});
    await answer(call, response);
    if (response.writableEnded || response.headersSent || response.destroyed) return undefined;
    const { method, params } = call.rpc;
    if (method === 'SendMessage') return result(call, response, { task: taskOf(`task-${++tasks}`) });
    if (method === 'GetTask' && String(params['id']).startsWith('task-'))
      return result(call, response, taskOf(String(params['id'])));
    return failure(call, response, method === 'GetTask' ? -32001 : -32601);
  };

beforeAll(async () => {
  one = await startScriptedAgent((_, response) => json(response, 500, {}));
  for (let index = 0; index < 3; index++) {
    const agent: ScriptedAgent = await startScriptedAgent(well(() => agent));
    replicas.push(agent);
  }
  box = await startAgentBox(
    [
      { name: 'one', url: one.url, cost_per_request: 0.5, health: { interval_s: 60 } },
      { name: 'short', url: one.url, timeout_ms: 400, health: { interval_s: 60 } },
      { name: 'old', url: `${one.url}/old`, timeout_ms: 400, health: { interval_s: 60 } },
      { name: 'listing', url: one.url, timeout_ms: 400, health: { interval_s: 60 } },
      {
        name: 'shared',
        task_scope: 'agent',
        replicas: replicas.map(({ url }, index) => ({ id: `r${index}`, url })),
        health: { interval_s: 60 },
      },
      { name: 'theirs', replicas: replicas.map(({ url }, index) => ({ id: `r${index}`, url })), health: { interval_s: 60 } },
    ],
    { workers: 2 },
  );
  one.play(well(() => one));
});
afterEach(() => {
  one.play(well(() => one));
  for (const agent of [one, ...replicas]) agent.calls.splice(0);
});
afterAll(async () => {
  await box?.close();
  for (const agent of [one, ...replicas]) await agent.close();
});

const message = (more: object = {}): object => ({
  message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hello' }], ...more },
});
const old = (messageId: string): object => ({
  message: { kind: 'message', messageId, role: 'user', parts: [{ kind: 'text', text: 'hello' }] },
});
const idOf = ({ body }: RpcAnswer): unknown => (body.result?.['task'] as { id: string } | undefined)?.id;
const invocations = async (name: string): Promise<unknown> => (await box.agent(name))['invocation_count'];

async function streamed(agent: string, params: object): Promise<Record<string, object>[]> {
  const response = await fetch(box.urlOf(agent), {
    method: 'POST',
    headers: { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 's', method: 'SendStreamingMessage', params }),
  });
  const text = await response.text();
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => (JSON.parse(data!) as { result: Record<string, object> }).result);
}

describe('a message that is sent again', () => {
  test('is sent once, whichever worker has it, while it is answered and afterwards, and is paid once', async () => {
    one.play(
      well(
        () => one,
        () => sleep(100),
      ),
    );
    const params = message();
    const before = (await invocations('one')) as number;
    const atOnce = await Promise.all(Array.from({ length: 12 }, () => box.rpc('one', 'SendMessage', params)));
    const later = await box.rpc('one', 'SendMessage', params);
    expect(one.asked('SendMessage')).toHaveLength(1);
    expect([...atOnce, later].map((answer) => idOf(answer) ?? answer.body)).toEqual(
      Array.from({ length: 13 }, () => idOf(later)),
    );
    await box.until('one', (agent) => agent['invocation_count'] === before + 1);
    await sleep(100);
    expect(await invocations('one')).toBe(before + 1);
  });

  test('is shown with what its task has cost', async () => {
    const { body } = await box.rpc('one', 'SendMessage', message());
    const { id, contextId } = body.result!['task'] as { id: string; contextId: string };
    await expect
      .poll(async () => (await box.admin('GET', `/v1/agents/one/tasks?context=${contextId}`)).body.data, { timeout: 5_000 })
      .toMatchObject([{ id, cost: 0.5 }]);
  });

  test('is another one of another caller', async () => {
    const params = message();
    const answers = [
      await box.rpc('one', 'SendMessage', params),
      await box.rpc('one', 'SendMessage', params, { key: 'OTHER_KEY' }),
    ];
    expect(new Set(answers.map(idOf)).size).toBe(2);
  });

  test('with other words under the same id is refused', async () => {
    const [first, other] = [message({ messageId: 'same' }), message({ messageId: 'same', parts: [{ text: 'other' }] })];
    await box.rpc('one', 'SendMessage', first);
    const { body } = await box.rpc('one', 'SendMessage', other);
    expect([body.error?.code, body.error?.message]).toEqual([-32602, expect.stringContaining('another message')]);
    expect(one.asked('SendMessage')).toHaveLength(1);
  });

  test('is sent anew where nothing came of it', async () => {
    const params = message();
    one.play(
      well(
        () => one,
        (call, response) => failure(call, response, -32603),
      ),
    );
    expect((await box.rpc('one', 'SendMessage', params)).body.error?.code).toBe(-32603);
    one.play(well(() => one));
    expect(idOf(await box.rpc('one', 'SendMessage', params))).toMatch(/^task-/);
  });

  test('is answered with the same message, to each in its own envelope', async () => {
    one.play(
      well(
        () => one,
        (call, response) =>
          result(call, response, { message: { messageId: `m-${++tasks}`, role: 'ROLE_AGENT', parts: [{ text: 'hi' }] } }),
      ),
    );
    const params = message();
    const first = await box.rpc('one', 'SendMessage', params, { id: 'first' });
    const second = await box.rpc('one', 'SendMessage', params, { id: 'second' });
    expect(second.body).toEqual({ ...first.body, id: 'second' });
  });

  test('to an agent of another version, too', async () => {
    const params = old(crypto.randomUUID());
    const first = await box.rpc('one', 'message/send', params);
    const second = await box.rpc('one', 'message/send', params);
    expect(second.body.result).toMatchObject({ id: first.body.result!['id'], kind: 'task' });
    expect(one.asked('SendMessage')).toHaveLength(1);
  });

  test('after a long answer says that it is not there any more, and does not do it again', async () => {
    one.play(
      well(
        () => one,
        (call, response) =>
          result(call, response, { message: { messageId: 'long', role: 'ROLE_AGENT', parts: [{ text: 'x'.repeat(20_000) }] } }),
      ),
    );
    const params = message();
    await box.rpc('one', 'SendMessage', params);
    expect((await box.rpc('one', 'SendMessage', params)).body.error?.code).toBe(-32602);
    expect(one.asked('SendMessage')).toHaveLength(1);
  });

  test('as a stream takes up the task where it stands', async () => {
    const id = `task-${++tasks}`;
    const waiting: (() => void)[] = [];
    one.play(
      well(
        () => one,
        async (call, response) => {
          if (call.rpc?.method === 'GetTask') return undefined;
          const event = stream(call, response);
          event({ task: taskOf(id, 'TASK_STATE_WORKING') });
          await new Promise<void>((resolve) => waiting.push(resolve));
          event({ statusUpdate: { taskId: id, contextId: `context-of-${id}`, status: { state: 'TASK_STATE_COMPLETED' } } });
          response.end();
          return undefined;
        },
      ),
    );
    const params = message();
    const first = streamed('one', params);
    await expect.poll(() => one.asked('SendStreamingMessage').length).toBe(1);
    const second = streamed('one', params);
    await expect.poll(() => one.asked('SubscribeToTask').length).toBe(1);
    for (const goOn of waiting) goOn();
    one.play(well(() => one));
    for (const events of [await first, await second]) {
      expect(Object.keys(events[0]!)).toEqual(['task']);
      expect(events.at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } });
    }
    expect(one.asked('SendStreamingMessage')).toHaveLength(1);
  });

  test.each(['breaks off', 'ends'])('as a stream that %s before its task does is taken up again', async (how) => {
    const id = `task-${++tasks}`;
    let breaks = 2;
    one.play(
      well(
        () => one,
        (call, response) => {
          if (call.rpc?.method === 'GetTask') return undefined;
          const event = stream(call, response);
          event({ task: taskOf(id, 'TASK_STATE_WORKING') });
          if (breaks-- > 0) return void (how === 'ends' ? response.end() : setTimeout(() => response.destroy(), 20));
          event({ statusUpdate: { taskId: id, contextId: `context-of-${id}`, status: { state: 'TASK_STATE_COMPLETED' } } });
          return void response.end();
        },
      ),
    );
    const params = message();
    const first = await streamed('one', params);
    breaks = 2;
    const second = await streamed('one', params);
    for (const events of [first, second]) {
      expect(events.at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } });
    }
    expect(one.asked('SendStreamingMessage')).toHaveLength(1);
  });

  test.each(['SendMessage', 'SendStreamingMessage'])('as %s is read once more where its agent has no room', async (method) => {
    const params = message();
    const id = idOf(await box.rpc('one', 'SendMessage', params));
    let refusals = 1;
    one.play(
      well(
        () => one,
        (_, response) => (refusals-- > 0 ? void response.writeHead(503).end() : undefined),
      ),
    );
    if (method === 'SendMessage') expect(idOf(await box.rpc('one', method, params))).toBe(id);
    else expect(await streamed('one', params)).toEqual([{ task: expect.objectContaining({ id }) }]);
    expect(refusals).toBeLessThanOrEqual(0);
    expect(one.asked('SendMessage')).toHaveLength(1);
  });
});

describe('a send that outlasts its timeout', () => {
  const slow = (id: string): Script =>
    well(
      () => one,
      async (call, response) => {
        if (call.rpc?.method === 'GetTask') return result(call, response, taskOf(id, 'TASK_STATE_WORKING'));
        if (call.rpc?.method === 'SendMessage') return sleep(2_000);
        const event = stream(call, response);
        event({ task: taskOf(id, 'TASK_STATE_WORKING') });
        return undefined;
      },
    );

  test('is answered with its task as it stands, once the agent has shown that it can be slow; others are asked plainly', async () => {
    const id = `task-${++tasks}`;
    one.play(slow(id));
    const answers: RpcAnswer[] = [];
    // Each of both workers learns by itself.
    for (let index = 0; index < 12 && answers.filter(({ status }) => status === 200).length < 2; index++) {
      answers.push(await box.rpc('short', 'SendMessage', message()));
    }
    const told = answers.filter(({ status }) => status === 200);
    expect(told.length).toBeGreaterThanOrEqual(2);
    for (const { body } of told) expect(body.result).toMatchObject({ task: { id, status: { state: 'TASK_STATE_WORKING' } } });
    expect(answers.filter(({ status }) => status === 504).length).toBeLessThanOrEqual(2);
    const plain = one.asked('SendMessage').length;
    await box.rpc('one', 'SendMessage', message({ parts: [{ text: 'plainly' }] }), {}).catch(() => undefined);
    expect(one.asked('SendMessage').length).toBe(plain + 1);
  });

  test.each(['SendMessage', 'message/send'])(
    'of an agent that can list its tasks is answered with its task at the first time (%s)',
    async (method) => {
      const id = `task-${++tasks}`;
      const messageId = crypto.randomUUID();
      const params = method === 'SendMessage' ? message({ messageId }) : old(messageId);
      one.play(
        well(
          () => one,
          (call, response) => {
            if (call.rpc?.method === 'SendMessage') return sleep(2_000);
            const history = [{ messageId, role: 'ROLE_USER', parts: [{ text: 'hello' }] }];
            const mine = taskOf(id, 'TASK_STATE_WORKING', { history });
            if (call.rpc?.method === 'GetTask') return result(call, response, mine);
            const others = taskOf('task-of-others', 'TASK_STATE_WORKING', { history: [{ ...history[0], messageId: 'other' }] });
            if (call.rpc?.method !== 'ListTasks') return undefined;
            return result(call, response, { tasks: [others, mine], nextPageToken: '', pageSize: 100, totalSize: 2 });
          },
        ),
      );
      // Whichever worker has it, nobody has seen it slow before, or it streams; this one does not answer streams.
      const { status, body } = await box.rpc('listing', method, params);
      expect(status).toBe(200);
      expect(JSON.stringify(body.result)).toContain(`"id":"${id}"`);
      expect(JSON.stringify(body.result)).toMatch(/working/i);
      const later = await box.rpc('listing', 'GetTask', { id });
      expect(later.body.result).toMatchObject({ id });
      expect((await box.rpc('listing', 'GetTask', { id }, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32001);
    },
  );

  test.each(['SendMessage', 'message/send'])(
    'of an agent of 0.3 that streams is answered so at the first time (%s)',
    async (method) => {
      const id = `task-${++tasks}`;
      const task = { kind: 'task', id, contextId: 'context', status: { state: 'working' } };
      one.play(
        well(
          () => one,
          (call, response) => {
            if (call.rpc?.method === 'tasks/get') return result(call, response, task);
            if (call.rpc?.method === 'message/stream') return stream(call, response)(task);
            return call.rpc?.method === 'message/send' ? sleep(2_000) : undefined;
          },
        ),
      );
      const { status, body } = await box.rpc('old', method, method === 'SendMessage' ? message() : old(crypto.randomUUID()));
      expect(status).toBe(200);
      expect(JSON.stringify(body.result)).toMatch(new RegExp(`"id":"${id}".*working`, 'i'));
      expect(one.asked('message/send')).toHaveLength(0);
    },
  );

  test('is answered with the whole task, read from the agent, or the message, where it ends in time', async () => {
    const id = `task-${++tasks}`;
    one.play(
      well(
        () => one,
        (call, response) => {
          if (call.rpc?.method === 'GetTask') return result(call, response, taskOf(id, undefined, { metadata: { whole: true } }));
          if (call.rpc?.method !== 'SendStreamingMessage') return undefined;
          const event = stream(call, response);
          event({ task: taskOf(id, 'TASK_STATE_WORKING') });
          event({ statusUpdate: { taskId: id, contextId: `context-of-${id}`, status: { state: 'TASK_STATE_COMPLETED' } } });
          return undefined;
        },
      ),
    );
    expect((await box.rpc('short', 'SendMessage', message())).body.result).toMatchObject({
      task: { id, metadata: { whole: true } },
    });
    one.play(
      well(
        () => one,
        (call, response) => {
          if (call.rpc?.method !== 'SendStreamingMessage') return undefined;
          stream(call, response)({ message: { messageId: 'said', role: 'ROLE_AGENT', parts: [{ text: 'hi' }] } });
          return undefined;
        },
      ),
    );
    expect((await box.rpc('short', 'SendMessage', message())).body.result).toMatchObject({ message: { messageId: 'said' } });
  });

  test('goes plainly to an agent that takes no streams after all', async () => {
    const { body } = await box.rpc('short', 'SendMessage', message());
    expect([one.asked('SendStreamingMessage').length, one.asked('SendMessage').length]).toEqual([1, 1]);
    expect(body.result).toMatchObject({ task: { status: { state: 'TASK_STATE_COMPLETED' } } });
  });

  test('is sent plainly where the client does not wait', async () => {
    await box.rpc('short', 'SendMessage', { ...message(), configuration: { returnImmediately: true } });
    expect(one.asked('SendStreamingMessage')).toHaveLength(0);
  });
});

describe('a task that nobody knows', () => {
  const onlyAt = (index: number, id: string): void => {
    for (const [at, agent] of replicas.entries()) {
      agent.play(
        well(
          () => agent,
          (call, response) => {
            if (call.rpc?.method !== 'GetTask' || (at === index && call.rpc.params['id'] === id)) return undefined;
            return failure(call, response, -32001);
          },
        ),
      );
    }
  };
  const gets = (): number => replicas.reduce((sum, agent) => sum + agent.asked('GetTask').length, 0);

  test('is looked for at all replicas where tasks are everybody’s, and found there from then on', async () => {
    onlyAt(2, 'task-elsewhere');
    const first = await box.rpc('shared', 'GetTask', { id: 'task-elsewhere' });
    expect(first.body.result).toMatchObject({ id: 'task-elsewhere' });
    const asked = gets();
    for (let index = 0; index < 4; index++) await box.rpc('shared', 'GetTask', { id: 'task-elsewhere' });
    expect(gets()).toBe(asked + 4);
  });

  test.each(['task-urn:of:1', 'task-a b', 'task-ü%'])('is found over REST by whatever name (%s)', async (id) => {
    onlyAt(1, id);
    const headers = { authorization: `Bearer ${AGENT_KEYS.KEY}` };
    const at = `${box.urlOf('shared')}/tasks/${encodeURIComponent(id)}`;
    const whole = await fetch(at, { headers });
    expect([whole.status, await whole.json()]).toEqual([200, expect.objectContaining({ id })]);
    expect((await fetch(at.replaceAll('%3A', ':'), { headers })).status).toBe(200);
    const nowhere = await fetch(`${at}${encodeURIComponent(':none')}:cancel`, { method: 'POST', headers });
    expect(nowhere.status).toBe(404);
  });

  test('and is nowhere is not looked for again at once', async () => {
    onlyAt(0, 'task-of-nobody');
    for (let index = 0; index < 10; index++)
      expect((await box.rpc('shared', 'GetTask', { id: 'task-nowhere' })).body.error?.code).toBe(-32001);
    // Three replicas, two workers.
    expect(gets()).toBeLessThanOrEqual(6);
  });

  test('is not there where tasks are their makers’', async () => {
    onlyAt(1, 'task-hidden');
    expect((await box.rpc('theirs', 'GetTask', { id: 'task-hidden' })).body.error?.code).toBe(-32001);
    expect(gets()).toBe(0);
  });
});

describe('a replica that is down', () => {
  test('leaves its tasks out of the list, and keeps others from nothing', async () => {
    for (const agent of replicas) agent.play(well(() => agent));
    const ids = await Promise.all(
      Array.from({ length: 12 }, async () => idOf(await box.rpc('shared', 'SendMessage', message()))),
    );
    const listed = async (): Promise<unknown[]> => {
      const { status, body } = await box.rpc('shared', 'ListTasks', { pageSize: 100 });
      expect([status, body.error]).toEqual([200, undefined]);
      return (body.result!['tasks'] as { id: string }[]).map(({ id }) => id);
    };
    expect(await listed()).toEqual(expect.arrayContaining(ids));
    const answered = replicas.map((agent) => agent.asked('SendMessage').length);
    await replicas[0]!.shut();
    try {
      expect(ids.filter((id) => id !== undefined)).toHaveLength(12);
      expect((await listed()).filter((id) => ids.includes(id))).toHaveLength(12 - answered[0]!);
    } finally {
      await replicas[0]!.open();
    }
  });

  test('makes no fault of ours of a message that is sent again', async () => {
    const params = message();
    await box.rpc('one', 'SendMessage', params);
    await one.shut();
    try {
      const { status, body } = await box.rpc('one', 'SendMessage', params);
      expect([status, body.error?.data]).toEqual([503, [expect.objectContaining({ reason: 'TASK_OWNER_UNAVAILABLE' })]]);
    } finally {
      await one.open();
    }
  });
});

describe('end users', () => {
  test('have limits and budgets at agents as everywhere', async () => {
    const own = await startAgentBox(
      [
        { name: 'paid', url: one.url, cost_per_request: 0.4, health: { mode: 'off' } },
        { name: 'free', url: one.url, health: { mode: 'off' } },
      ],
      {
        workers: 2,
        more: { end_users: { header: 'x-end-user', limits: { rpm: 3 }, budget: { limit_usd: 1, window: 'day' } } },
      },
    );
    try {
      const asked = async (user: string, agent = 'paid'): Promise<string> => {
        const { status, body } = await own.rpc(agent, 'message/send', old(crypto.randomUUID()), {
          headers: { 'x-end-user': user },
        });
        const [told] = (body.error === undefined ? [] : [body.error.data]) as { reason?: string }[];
        return told?.reason ?? String(status);
      };
      one.play((call, response) =>
        result(call, response, { kind: 'message', messageId: 'said', role: 'agent', parts: [{ kind: 'text', text: 'hi' }] }),
      );
      expect([await asked('ann'), await asked('ann'), await asked('ann')]).toEqual(['200', '200', 'BUDGET_EXCEEDED']);
      // What was refused counts nowhere.
      expect([await asked('ann', 'free'), await asked('ann', 'free')]).toEqual(['200', 'RATE_LIMITED']);
      expect(await asked('bob')).toBe('200');
    } finally {
      await own.close();
    }
  });
});
