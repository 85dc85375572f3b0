/** Clients of every version and form, at real agents of every version and binding: what the agent is asked, and what the client is told, each in its own words. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { type RunningAgent, startAgent } from '../../../test/support/a2a-agents.ts';
import type { AgentInterface } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { JsonObject, Operation, ProtocolVersion } from './methods.ts';
import { ProtocolError } from './protocol.ts';
import { seenIn } from './read.ts';
import { eventToRest, paramsFromRest, resultToRest } from './rest03.ts';
import { type Upstream, createTranslator } from './translate.ts';

const translator = createTranslator();
const agents = new Map<string, RunningAgent>();

beforeAll(async () => {
  for (const sdk of ['1.3.0', '0.3.14', '0.2.5'] as const) agents.set(sdk, await startAgent({ sdk }));
});
afterAll(async () => {
  for (const agent of agents.values()) await agent.close();
});

/** How a client words things. */
interface Form {
  version: ProtocolVersion;
  /** Of `message/send` and its like. */
  asked: (message: Message) => JsonObject;
  /** Of the operations on one task. */
  ofTask: (id: string) => JsonObject;
  result: (operation: Operation, result: unknown) => unknown;
  event: (event: unknown) => unknown;
  /** A task as `send` answers it, and as an event says it. */
  wrapped: (task: object) => object;
  task: (state: State, text?: string) => object;
  message: (text: string) => object;
  status: (state: State, final: boolean) => object;
  artifact: (text: string) => object;
}

interface Message {
  messageId?: string;
  text?: string;
  taskId?: string;
  configuration?: JsonObject;
}

type State = 'completed' | 'canceled' | 'working' | 'input-required' | 'rejected';

const stateOf10 = (state: State): string => `TASK_STATE_${state.toUpperCase().replace('-', '_')}`;
/** 0.3's proto has two l. */
const stateOfRest = (state: State): string => stateOf10(state).replace('CANCELED', 'CANCELLED');
const same = (_: unknown, result: unknown): unknown => result;
const idOf = (): string => crypto.randomUUID();

const rpc10: Form = {
  version: '1.0',
  asked: ({ messageId = idOf(), text = 'hello', configuration, ...rest }) => ({
    message: { messageId, role: 'ROLE_USER', parts: [{ text }], ...rest },
    ...(configuration !== undefined && { configuration }),
  }),
  ofTask: (id) => ({ id }),
  result: same,
  event: (event) => event,
  wrapped: (task) => ({ task }),
  task: (state, text) => ({
    id: expect.any(String),
    contextId: expect.any(String),
    status: { state: stateOf10(state) },
    ...(text !== undefined && { artifacts: [{ parts: [{ text }] }] }),
  }),
  message: (text) => ({ message: { role: 'ROLE_AGENT', parts: [{ text }] } }),
  status: (state) => ({ statusUpdate: { status: { state: stateOf10(state) } } }),
  artifact: (text) => ({ artifactUpdate: { artifact: { parts: [{ text }] } } }),
};

const rpc03: Form = {
  version: '0.3',
  asked: ({ messageId = idOf(), text = 'hello', configuration, ...rest }) => ({
    message: { kind: 'message', messageId, role: 'user', parts: [{ kind: 'text', text }], ...rest },
    ...(configuration !== undefined && { configuration }),
  }),
  ofTask: (id) => ({ id }),
  result: same,
  event: (event) => event,
  wrapped: (task) => task,
  task: (state, text) => ({
    kind: 'task',
    id: expect.any(String),
    contextId: expect.any(String),
    status: { state },
    ...(text !== undefined && { artifacts: [{ parts: [{ kind: 'text', text }] }] }),
  }),
  message: (text) => ({ kind: 'message', role: 'agent', parts: [{ kind: 'text', text }] }),
  status: (state, final) => ({ kind: 'status-update', status: { state }, final }),
  artifact: (text) => ({ kind: 'artifact-update', artifact: { parts: [{ kind: 'text', text }] } }),
};

const rest03: Form = {
  version: '0.3',
  asked: ({ messageId = idOf(), text = 'hello', configuration, ...rest }) =>
    paramsFromRest(
      'send',
      {
        request: { messageId, role: 'ROLE_USER', content: [{ text }], ...rest },
        ...(configuration !== undefined && { configuration }),
      },
      {},
    ),
  ofTask: (id) => paramsFromRest('get', {}, { id }),
  result: resultToRest,
  event: eventToRest,
  wrapped: (task) => ({ task }),
  task: (state, text) => ({
    id: expect.any(String),
    contextId: expect.any(String),
    status: { state: stateOfRest(state) },
    ...(text !== undefined && { artifacts: [{ parts: [{ text }] }] }),
  }),
  message: (text) => ({ message: { role: 'ROLE_AGENT', content: [{ text }] } }),
  status: (state, final) => ({ statusUpdate: { status: { state: stateOfRest(state) }, final } }),
  artifact: (text) => ({ artifactUpdate: { artifact: { parts: [{ text }] } } }),
};

const FORMS = { 'JSON-RPC 1.0': rpc10, 'JSON-RPC 0.3': rpc03, 'REST 0.3': rest03 } as const;
type FormName = keyof typeof FORMS;

interface Cell {
  client: FormName;
  sdk: '1.3.0' | '0.3.14' | '0.2.5';
  binding: AgentInterface['binding'];
}

const CELLS: readonly Cell[] = (Object.keys(FORMS) as FormName[]).flatMap((client): Cell[] => [
  { client, sdk: '1.3.0', binding: 'JSONRPC' },
  { client, sdk: '1.3.0', binding: 'HTTP+JSON' },
  { client, sdk: '0.3.14', binding: 'JSONRPC' },
  { client, sdk: '0.3.14', binding: 'HTTP+JSON' },
  { client, sdk: '0.2.5', binding: 'JSONRPC' },
]);

/** As a card would name it. */
function placeOf({ sdk, binding }: Pick<Cell, 'sdk' | 'binding'>): AgentInterface {
  const { base, url } = agents.get(sdk)!;
  return { url: binding === 'JSONRPC' ? url : `${base}/a2a/rest`, binding, version: sdk === '1.3.0' ? '1.0' : '0.3' };
}

/** The SDK's transports name no version: whoever sends must. */
function upstreamAt(at: AgentInterface, more: Partial<Upstream> = {}): Upstream {
  const send: typeof fetch = (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set('a2a-version', at.version);
    return fetch(url, { ...init, headers });
  };
  return { interface: at, fetch: send, failure: () => undefined, ...more };
}

async function resultFrom(upstream: Upstream, form: Form, operation: Operation, params: JsonObject): Promise<unknown> {
  const answer = await translator.translate({ version: form.version, operation, params }, upstream);
  if (!('result' in answer)) throw new Error('a stream came instead of a result');
  return form.result(operation, answer.result);
}

async function eventsFrom(
  upstream: Upstream,
  form: Form,
  operation: 'stream' | 'subscribe',
  params: JsonObject,
): Promise<AsyncGenerator<unknown, void, undefined>> {
  const answer = await translator.translate({ version: form.version, operation, params }, upstream);
  if (!('events' in answer)) throw new Error('a result came instead of a stream');
  const { events } = answer;
  return (async function* inForm() {
    for await (const event of events) yield form.event(event);
  })();
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function rejection(asking: Promise<unknown>): Promise<unknown> {
  try {
    await asking;
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}

/** As 1.0 wants it, and nothing of it for 0.3. */
function dataOf(version: ProtocolVersion, reason: string): unknown {
  if (version === '0.3') return undefined;
  return [
    expect.objectContaining({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'a2a-protocol.org' }),
  ];
}

describe.each(CELLS)('$client at $sdk over $binding', ({ client, sdk, binding }) => {
  const form = FORMS[client];
  const { version } = form;
  const upstream = (): Upstream => upstreamAt(placeOf({ sdk, binding }));
  const send = (message: Message): Promise<unknown> => resultFrom(upstream(), form, 'send', form.asked(message));
  const sent = async (message: Message): Promise<string> => seenIn(await send(message))!.task!;

  test('send', async () => {
    expect(await send({})).toMatchObject(form.wrapped(form.task('completed', 'echo: hello')));
  });

  test('a message as the answer', async () => {
    expect(await send({ messageId: `tck-message-response-${idOf()}` })).toMatchObject(form.message('echo: hello'));
  });

  test('a second turn', async () => {
    const first = await send({ messageId: `tck-input-required-${idOf()}` });
    expect(first).toMatchObject(form.wrapped(form.task('input-required')));
    const taskId = seenIn(first)!.task!;
    expect(seenIn(await send({ taskId, text: 'the blue one' }))).toMatchObject({ task: taskId, state: 'completed' });
  });

  test('stream', async () => {
    const events = await all(
      await eventsFrom(upstream(), form, 'stream', form.asked({ messageId: `chunks-3-${idOf()}` })),
    );
    expect(events).toHaveLength(6);
    expect(seenIn(events[0])).toMatchObject({ kind: 'task' });
    expect(events.slice(1)).toMatchObject([
      form.status('working', false),
      form.artifact('echo: hello'),
      form.artifact(' 2'),
      form.artifact(' 3'),
      form.status('completed', true),
    ]);
  });

  test('the last status of a stream is final although the task goes on', async () => {
    const asked = form.asked({ messageId: `tck-input-required-${idOf()}` });
    const events = await all(await eventsFrom(upstream(), form, 'stream', asked));
    expect(events.at(-1)).toMatchObject(form.status('input-required', true));
  });

  test('get', async () => {
    const id = await sent({});
    const task = await resultFrom(upstream(), form, 'get', form.ofTask(id));
    expect(task).toMatchObject({ ...form.task('completed', 'echo: hello'), id });
  });

  test('get of what is not there', async () => {
    const thrown = await rejection(resultFrom(upstream(), form, 'get', form.ofTask('no-such-task')));
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect(thrown).toMatchObject({ code: -32001, message: expect.stringContaining('no-such-task') });
    expect((thrown as ProtocolError).data).toEqual(dataOf(version, 'TASK_NOT_FOUND'));
  });

  test('cancel, and what is over cannot be', async () => {
    const stream = await eventsFrom(upstream(), form, 'stream', form.asked({ messageId: `never-${idOf()}` }));
    const id = seenIn((await stream.next()).value)!.task!;
    // It begins to work, or there would be nothing that 0.2 could stop.
    await stream.next();
    expect(await resultFrom(upstream(), form, 'cancel', form.ofTask(id))).toMatchObject({ ...form.task('canceled'), id });
    expect((await all(stream)).at(-1)).toMatchObject(form.status('canceled', true));
    const thrown = await rejection(resultFrom(upstream(), form, 'cancel', form.ofTask(id)));
    expect(thrown).toMatchObject({ name: 'ProtocolError', code: -32002 });
    expect((thrown as ProtocolError).data).toEqual(dataOf(version, 'TASK_NOT_CANCELABLE'));
  });

  test('subscribe', async () => {
    const stream = await eventsFrom(upstream(), form, 'stream', form.asked({ messageId: `slow-400-${idOf()}` }));
    const id = seenIn((await stream.next()).value)!.task!;
    await stream.next();
    await stream.return();
    const events = await all(await eventsFrom(upstream(), form, 'subscribe', form.ofTask(id)));
    expect(seenIn(events[0])).toMatchObject({ kind: 'task', task: id });
    expect(events.slice(-2)).toMatchObject([form.artifact('echo: hello'), form.status('completed', true)]);
  });

  test('subscribe to what is not there', async () => {
    const thrown = await rejection(
      eventsFrom(upstream(), form, 'subscribe', form.ofTask('no-such-task')).then((events) => events.next()),
    );
    expect(thrown).toMatchObject({ name: 'ProtocolError', code: -32001, message: expect.stringMatching(/^Task not found/) });
    expect((thrown as ProtocolError).data).toEqual(dataOf(version, 'TASK_NOT_FOUND'));
  });

  test('not waiting for the end', async () => {
    const configuration = version === '1.0' ? { returnImmediately: true } : { blocking: false };
    const task = await send({ messageId: `slow-300-${idOf()}`, configuration });
    expect(['submitted', 'working']).toContain(seenIn(task)?.state);
  });

  test('who does not say whether to wait waits', async () => {
    const messageId = `slow-100-${idOf()}`;
    expect(seenIn(await send({ messageId, configuration: { acceptedOutputModes: ['text/plain'] } }))?.state).toBe('completed');
  });

  // 0.2 had one configuration for each task, and no extended card over JSON-RPC.
  test.skipIf(sdk === '0.2.5')('extended card', async () => {
    const card = await resultFrom(upstream(), form, 'extended_card', {});
    expect(card).toMatchObject({ name: `echo-${sdk} (extended)`, skills: [{ id: 'echo' }, { id: 'whisper' }] });
    expect(card).toHaveProperty(version === '1.0' ? 'supportedInterfaces' : 'preferredTransport');
  });

  test.runIf(sdk === '0.2.5')('no extended card', async () => {
    expect(await rejection(resultFrom(upstream(), form, 'extended_card', {}))).toMatchObject({ code: -32601 });
  });
});

const RPC_CELLS = CELLS.filter(({ client, sdk }) => client !== 'REST 0.3' && sdk !== '0.2.5');

/** As either version words it. */
function pushWords(version: ProtocolVersion, taskId: string, id: string) {
  const about = { id, url: 'https://example.com/hook', token: 'a token' };
  if (version === '1.0') {
    const config = { taskId, ...about, authentication: { scheme: 'Bearer', credentials: 'secret' } };
    return { config, listed: (configs: object[]) => ({ configs }), one: { taskId, id }, every: { taskId } };
  }
  const authentication = { schemes: ['Bearer'], credentials: 'secret' };
  return {
    config: { taskId, pushNotificationConfig: { ...about, authentication } },
    listed: (configs: object[]) => configs,
    one: { id: taskId, pushNotificationConfigId: id },
    every: { id: taskId },
  };
}

describe.each(RPC_CELLS)('push notifications: $client at $sdk over $binding', ({ client, sdk, binding }) => {
  const form = FORMS[client];
  const ask = (operation: Operation, params: JsonObject): Promise<unknown> =>
    resultFrom(upstreamAt(placeOf({ sdk, binding })), form, operation, params);

  test('create, get, list, delete', async () => {
    const { task } = seenIn(await ask('send', form.asked({})))!;
    const { config, listed, one, every } = pushWords(form.version, task!, 'mine');
    expect(await ask('push_create', config)).toMatchObject(config);
    expect(await ask('push_get', one)).toMatchObject(config);
    expect(await ask('push_list', every)).toMatchObject(listed([config]));
    expect(await ask('push_delete', one)).toBeNull();
    await expect(ask('push_get', one)).rejects.toBeInstanceOf(ProtocolError);
  });

  test('with a message', async () => {
    const config = { id: 'along', url: 'https://example.com/hook' };
    const named = form.version === '1.0' ? 'taskPushNotificationConfig' : 'pushNotificationConfig';
    const messageId = `slow-100-${idOf()}`;
    const { task } = seenIn(await ask('send', form.asked({ messageId, configuration: { [named]: config } })))!;
    const { one } = pushWords(form.version, task!, 'along');
    expect(await ask('push_get', one)).toMatchObject(form.version === '1.0' ? config : { pushNotificationConfig: config });
  });
});
