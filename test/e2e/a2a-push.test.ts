/**
 * Push notifications through the gateway: real agents of the SDK post to it, real receivers of clients get them, and neither side learns of the other's secrets.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type RunningAgent, startAgent } from '../support/a2a-agents.ts';
import { BINDINGS, CLIENT_SDKS, type PlainTask, clientOf } from '../support/a2a-clients.ts';
import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import {
  type ScriptedAgent,
  type ScriptedCall,
  cardAt,
  failure,
  json,
  result,
  startScriptedAgent,
  taskOf,
} from '../support/scripted-agent.ts';
import { startSignalbox } from '../support/signalbox.ts';
import { type ReceivedCall, type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const PRIVATE = { egress: { allow_private: ['127.0.0.0/8'] } };
const agents = new Map<string, RunningAgent>();
let box: AgentBox;
let receiver: WebhookReceiver;
let scripted: ScriptedAgent;
let tasks = 0;

const nameOf = (sdk: string): string => `sdk-${sdk.replaceAll('.', '-')}`;
const AGENTS = ['1.3.0', '0.3.14'] as const;

/** Takes every configuration, and posts nothing by itself. */
const obliging = (call: ScriptedCall, response: Parameters<typeof result>[1]): void => {
  if (call.path.endsWith('/agent-card.json')) {
    const interfaces = [{ url: scripted.url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }];
    return json(
      response,
      200,
      cardAt(scripted.url, { supportedInterfaces: interfaces, capabilities: { streaming: true, pushNotifications: true } }),
    );
  }
  const { method, params } = call.rpc!;
  if (method === 'SendMessage') return result(call, response, { task: taskOf(`task-${++tasks}`, 'TASK_STATE_WORKING') });
  if (method === 'GetTask') return result(call, response, taskOf(String(params['id']), 'TASK_STATE_WORKING'));
  if (method === 'CreateTaskPushNotificationConfig') return result(call, response, params);
  if (method === 'DeleteTaskPushNotificationConfig') return result(call, response, null);
  return failure(call, response, -32601);
};
const quiet = (name = 'quiet'): object => ({ name, url: scripted.url, health: { mode: 'card' } });

const listed = (): object[] => [
  ...AGENTS.map((sdk) => ({ name: nameOf(sdk), url: agents.get(sdk)!.base })),
  quiet(),
  quiet('other'),
];
const configured = (more: object = PRIVATE, url: string = box.box.url): string =>
  box.config(listed(), { ...more, server: { workers: 2, public_url: url } });

beforeAll(async () => {
  for (const sdk of AGENTS) agents.set(sdk, await startAgent({ sdk }));
  receiver = await startWebhookReceiver('unused-by-these-tests');
  scripted = await startScriptedAgent(obliging);
  box = await startAgentBox(listed(), { workers: 2, more: PRIVATE });
  await box.box.reload(configured());
});
afterAll(async () => {
  await box?.close();
  await receiver?.close();
  await scripted?.close();
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

/** What the agent was told of where to post. */
interface Given {
  id: string;
  url: string;
  token: string;
  authentication: { scheme: string; credentials: string };
}

const send = async (key: 'KEY' | 'OTHER_KEY' = 'KEY', configuration?: object): Promise<string> => {
  const message = { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hello' }] };
  const { body } = await box.rpc('quiet', 'SendMessage', { message, ...(configuration && { configuration }) }, { key });
  return (body.result as { task: { id: string } }).task.id;
};
const create = (taskId: string, more: object) =>
  box.rpc('quiet', 'CreateTaskPushNotificationConfig', { taskId, url: receiver.url, ...more });
const givenLast = (): Given => scripted.asked('CreateTaskPushNotificationConfig').at(-1)!.rpc!.params as unknown as Given;
const status = (taskId: string, state: string, more: object = {}): object => ({
  statusUpdate: { taskId, contextId: `context-of-${taskId}`, status: { state: `TASK_STATE_${state}` }, ...more },
});
const post = (to: { url: string }, body: object | string, headers: Record<string, string>): Promise<Response> =>
  fetch(to.url, {
    method: 'POST',
    headers: { 'content-type': 'application/a2a+json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const tell = (given: Given, body: object): Promise<Response> => post(given, body, { 'x-a2a-notification-token': given.token });
const withPush = async (path: string, more: object = {}): Promise<{ task: string; given: Given }> => {
  const task = await send();
  const { body } = await create(task, { id: 'p', url: receiver.url + path, ...more });
  expect(body.error).toBeUndefined();
  return { task, given: givenLast() };
};
const pathOf = (): string => `/${crypto.randomUUID()}`;
/** As the index has it. */
const indexed = async (task: string): Promise<unknown> => {
  const { body } = await box.admin('GET', '/v1/agents/quiet/tasks?limit=1000');
  return (body.data as { id: string; state: string }[]).find(({ id }) => id === task)?.state;
};

describe('who may', () => {
  test('the card says so, and where nobody could call back neither it nor we say yes', async () => {
    const card = async (at: AgentBox): Promise<unknown> => {
      const headers = { authorization: `Bearer ${AGENT_KEYS.KEY}` };
      const answer = await fetch(`${at.urlOf('quiet')}/.well-known/agent-card.json`, { headers });
      return ((await answer.json()) as { capabilities: object }).capabilities;
    };
    expect(await card(box)).toMatchObject({ pushNotifications: true });
    const closed = await startAgentBox([quiet()], { more: PRIVATE });
    expect(await card(closed)).toMatchObject({ pushNotifications: false });
    const refused = await closed.rpc('quiet', 'CreateTaskPushNotificationConfig', { taskId: 't', url: receiver.url });
    expect(refused.body.error).toMatchObject({ code: -32003, message: expect.stringContaining('public_url') });
    await closed.close();
  });

  test('another caller does not find the task, nor does the agent hear of him', async () => {
    const { task } = await withPush(pathOf());
    const before = scripted.asked().length;
    const one = { taskId: task, id: 'p' };
    for (const [method, params] of [
      ['CreateTaskPushNotificationConfig', { ...one, url: receiver.url }],
      ['GetTaskPushNotificationConfig', one],
      ['ListTaskPushNotificationConfigs', { taskId: task }],
      ['DeleteTaskPushNotificationConfig', one],
    ] as const) {
      const foreign = await box.rpc('quiet', method, params, { key: 'OTHER_KEY' });
      const absent = await box.rpc('quiet', method, { ...params, taskId: 'nowhere' }, { key: 'OTHER_KEY' });
      expect(foreign.body.error).toEqual(absent.body.error);
      expect(foreign.body.error?.code).toBe(-32001);
    }
    expect(scripted.asked()).toHaveLength(before);
    const kept = await box.rpc('quiet', 'GetTaskPushNotificationConfig', one);
    expect(kept.body.result).toMatchObject({ id: 'p' });
  });

  test('what cannot be read, and more than there may be, is refused', async () => {
    const task = await send();
    for (const wrong of [
      { url: 'nowhere' },
      { url: 'https://user:secret@example.com/' },
      { token: 'two\nlines' },
      { id: 'a/b' },
      { authentication: { scheme: 'Bad Scheme', credentials: 'x' } },
    ]) {
      expect((await create(task, wrong)).body.error?.code).toBe(-32602);
    }
    for (let index = 0; index < 16; index++) await create(task, { id: `c-${index}` });
    expect((await create(task, { id: 'one more' })).body.error?.code).toBe(-32602);
    // The same one again is no other one, and has the agent's place that it had.
    const { url } = givenLast();
    expect((await create(task, { id: 'c-15' })).body.error).toBeUndefined();
    expect(givenLast().url).toBe(url);
  });

  test('an agent that refuses leaves nothing behind', async () => {
    const task = await send();
    scripted.play((call, response) =>
      call.rpc?.method === 'CreateTaskPushNotificationConfig' ? failure(call, response, -32003) : obliging(call, response),
    );
    expect((await create(task, { id: 'p' })).body.error?.code).toBe(-32003);
    scripted.play(obliging);
    const { body } = await box.rpc('quiet', 'ListTaskPushNotificationConfigs', { taskId: task });
    expect(body.result).toMatchObject({ configs: [] });
  });

  test('inner addresses are refused when they are said', async () => {
    const task = await send();
    const asked = scripted.asked('CreateTaskPushNotificationConfig').length;
    for (const url of [
      'http://169.254.169.254/latest',
      'https://10.0.0.1/',
      'http://example.com/',
      'http://[::1]/',
      'ftp://127.0.0.1/',
    ]) {
      expect((await create(task, { url })).body.error, url).toMatchObject({ code: -32602 });
      const along = await box.rpc('quiet', 'SendMessage', {
        message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'x' }] },
        configuration: { taskPushNotificationConfig: { url } },
      });
      expect(along.body.error, url).toMatchObject({ code: -32602 });
    }
    expect(scripted.asked('CreateTaskPushNotificationConfig')).toHaveLength(asked);
  });
});

describe('what the agent posts', () => {
  test('only with the token, only of its task, only so much', async () => {
    const path = pathOf();
    const { task, given } = await withPush(path);
    const bearer = { authorization: `Bearer ${given.token}` };
    const body = status(task, 'WORKING');
    const nowhere = { ...given, url: `${given.url.slice(0, -4)}AAAA` };
    const elsewhere = { url: given.url.replace('/quiet/', '/other/') };
    expect((await post(given, body, {})).status).toBe(401);
    expect((await post(given, body, { authorization: `Bearer ${given.token}x` })).status).toBe(401);
    expect((await post(given, body, { authorization: `Bearer ${AGENT_KEYS.KEY}` })).status).toBe(401);
    // Of another place, which there is or is not: no difference is told.
    const other = await withPush(pathOf());
    for (const at of [other.given, nowhere, elsewhere]) {
      const answer = await post(at, body, bearer);
      expect(answer.status).toBe(401);
      expect(await answer.text()).not.toContain(task);
    }
    expect((await post(given, status(other.task, 'WORKING'), bearer)).status).toBe(404);
    expect((await post(given, { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [] } }, bearer)).status).toBe(404);
    expect((await post(given, 'no JSON', bearer)).status).toBe(400);
    expect((await post(given, { ...body, pad: 'x'.repeat(1024 * 1024) }, bearer)).status).toBe(413);
    expect((await fetch(given.url, { headers: bearer })).status).toBe(405);
    expect(callsAt(path)).toEqual([]);
    expect((await post(given, body, bearer)).status).toBe(204);
    expect((await post(given, status(task, 'COMPLETED'), { 'a2a-notification-token': given.token })).status).toBe(204);
    await expect.poll(() => callsAt(path).map(stateIn)).toEqual(['working', 'completed']);
    expect(await indexed(task)).toBe('completed');
    await box.rpc('quiet', 'DeleteTaskPushNotificationConfig', { taskId: task, id: 'p' });
    expect((await post(given, body, bearer)).status).toBe(404);
  });

  test('the client’s own credentials go to the client, and neither come back nor lie open in the store', async () => {
    const path = pathOf();
    const secret = `credential-${crypto.randomUUID()}`;
    const more = { token: `token-${secret}`, authentication: { scheme: 'Bearer', credentials: secret } };
    const { task, given } = await withPush(path, more);
    expect(given.authentication).toEqual({ scheme: 'Bearer', credentials: given.token });
    await tell(given, status(task, 'COMPLETED', { metadata: { said: secret.slice(11) } }));
    await expect.poll(() => callsAt(path).length).toBe(1);
    expect(callsAt(path)[0]!.headers).toMatchObject({
      authorization: `Bearer ${secret}`,
      'x-a2a-notification-token': `token-${secret}`,
      'content-type': 'application/a2a+json',
    });
    for (const method of ['GetTaskPushNotificationConfig', 'ListTaskPushNotificationConfigs']) {
      const { body } = await box.rpc('quiet', method, { taskId: task, id: 'p' });
      expect(JSON.stringify(body)).toContain(path);
      expect(JSON.stringify(body)).not.toContain(secret);
    }
    expect(JSON.stringify(scripted.calls)).not.toContain(secret);
    for (const file of readdirSync(box.box.dataDir, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      expect(readFileSync(join(file.parentPath, file.name)).includes(secret.slice(11)), file.name).toBe(false);
    }
  });

  test('the same twice is told once; the same piece of an artifact twice is two pieces', async () => {
    const path = pathOf();
    const { task, given } = await withPush(path);
    const piece = {
      artifactUpdate: { taskId: task, contextId: 'c', artifact: { artifactId: 'a', parts: [{ text: 'ha' }] }, append: true },
    };
    for (const body of [status(task, 'WORKING'), status(task, 'WORKING'), piece, piece, status(task, 'COMPLETED')]) {
      expect((await tell(given, body)).status).toBe(204);
    }
    await expect.poll(() => callsAt(path).length).toBe(4);
    expect(callsAt(path).map(({ body }) => Object.keys(body)[0])).toEqual([
      'statusUpdate',
      'artifactUpdate',
      'artifactUpdate',
      'statusUpdate',
    ]);
  });

  test('before the message is answered: its task is the client’s from then on', async () => {
    const path = pathOf();
    const answered = Promise.withResolvers<void>();
    scripted.play(async (call, response) => {
      if (call.rpc?.method === 'SendMessage') await answered.promise;
      return obliging(call, response);
    });
    const sending = send('KEY', { taskPushNotificationConfig: { id: 'early', url: receiver.url + path } });
    await expect.poll(() => scripted.asked('SendMessage').at(-1)?.rpc?.params['configuration']).toBeDefined();
    const { configuration } = scripted.asked('SendMessage').at(-1)!.rpc!.params as unknown as {
      configuration: { taskPushNotificationConfig: Given };
    };
    const given = configuration.taskPushNotificationConfig;
    const task = `task-${tasks + 1}`;
    expect((await tell(given, status(task, 'WORKING'))).status).toBe(204);
    await expect.poll(() => callsAt(path).length).toBe(1);
    expect((await box.rpc('quiet', 'GetTask', { id: task })).body.result).toMatchObject({ id: task });
    expect((await box.rpc('quiet', 'GetTask', { id: task }, { key: 'OTHER_KEY' })).body.error?.code).toBe(-32001);
    expect((await tell(given, status('task-of-nobody', 'WORKING'))).status).toBe(404);
    answered.resolve();
    expect(await sending).toBe(task);
    scripted.play(obliging);
    const { body } = await box.rpc('quiet', 'GetTaskPushNotificationConfig', { taskId: task, id: 'early' });
    expect(body.result).toMatchObject({ id: 'early', url: receiver.url + path });
  });

  test('an agent does not get another caller’s task into its client’s hands', async () => {
    const foreign = await send('OTHER_KEY');
    const path = pathOf();
    await send('KEY', { taskPushNotificationConfig: { url: receiver.url + path } });
    const { configuration } = scripted.asked('SendMessage').at(-1)!.rpc!.params as unknown as {
      configuration: { taskPushNotificationConfig: Given };
    };
    expect((await tell(configuration.taskPushNotificationConfig, status(foreign, 'WORKING'))).status).toBe(404);
    expect(callsAt(path)).toEqual([]);
  });
});

describe('on the way to the client', () => {
  test('a receiver that is down gets all of it in order once it is up', async () => {
    const later = await startWebhookReceiver('unused-by-these-tests');
    await later.close();
    const task = await send();
    await create(task, { id: 'p', url: `${later.url}/late` });
    const given = givenLast();
    for (const state of ['SUBMITTED', 'WORKING', 'COMPLETED']) await tell(given, status(task, state));
    const up = await startWebhookReceiver('unused-by-these-tests', () => 204, later.port);
    const calls = await up.until(3);
    expect(calls.map(stateIn)).toEqual(['submitted', 'working', 'completed']);
    await up.close();
  });

  test('what waited when the process was killed is sent by the next one', async () => {
    const port = Number(new URL(box.box.url).port);
    const later = await startWebhookReceiver('unused-by-these-tests');
    await later.close();
    const task = await send();
    await create(task, { id: 'p', url: `${later.url}/late` });
    const given = givenLast();
    for (const state of ['WORKING', 'COMPLETED']) expect((await tell(given, status(task, state))).status).toBe(204);
    await box.box.kill();
    const up = await startWebhookReceiver('unused-by-these-tests', () => 204, later.port);
    const again = await startSignalbox({
      config: configured(),
      env: AGENT_KEYS,
      dataDir: box.box.dataDir,
      args: ['--port', String(port)],
    });
    Object.assign(box, { box: again, close: () => again.stop() });
    expect((await up.until(2)).map(stateIn)).toEqual(['working', 'completed']);
    expect((await box.rpc('quiet', 'GetTaskPushNotificationConfig', { taskId: task, id: 'p' })).body.result).toMatchObject({
      id: 'p',
    });
    expect(await indexed(task)).toBe('completed');
    await up.close();
  });

  test('what the client refuses is a dead letter, and the next one is tried all the same', async () => {
    const path = pathOf();
    let refused = 0;
    receiver.play((call) => (call.path === path && ++refused === 1 ? 410 : 204));
    const { task, given } = await withPush(path);
    await tell(given, status(task, 'WORKING'));
    await tell(given, status(task, 'COMPLETED'));
    await expect.poll(() => callsAt(path).map(stateIn)).toEqual(['working', 'completed']);
    const { body } = await box.admin('GET', '/v1/agents/quiet/push-dead-letters');
    const letters = (body.data as { task_id: string }[]).filter((letter) => letter.task_id === task);
    expect(letters).toEqual([
      { task_id: task, push_id: given.id, owner: 'key:caller', received_at: expect.any(String), tries: 1, reason: 'status 410' },
    ]);
    await expect.poll(() => box.box.stderr()).toContain('agent.push_failed');
    receiver.play(() => 204);
  });

  test('a redirect is not followed', async () => {
    const path = pathOf();
    const target = pathOf();
    receiver.play((call, response) =>
      call.path === path ? void response.writeHead(307, { location: receiver.url + target }).end() : 204,
    );
    const { task, given } = await withPush(path);
    await tell(given, status(task, 'WORKING'));
    await expect.poll(() => callsAt(path).length).toBeGreaterThan(0);
    await box.rpc('quiet', 'DeleteTaskPushNotificationConfig', { taskId: task, id: 'p' });
    expect(callsAt(target)).toEqual([]);
    receiver.play(() => 204);
  });

  test('an address that may not be reached any more is not reached', async () => {
    const path = pathOf();
    const { task, given } = await withPush(path);
    await box.box.reload(configured({}));
    expect((await tell(given, status(task, 'WORKING'))).status).toBe(204);
    await expect
      .poll(async () => {
        const { body } = await box.admin('GET', '/v1/agents/quiet/push-dead-letters');
        return (body.data as { task_id: string; reason: string }[])
          .filter((letter) => letter.task_id === task)
          .map(({ reason }) => reason);
      })
      .toEqual(['address']);
    expect(callsAt(path)).toEqual([]);
    await box.box.reload(configured());
  });
});
