/** The requirements of a2a-tck on capabilities, cards, versions, who may see what, and the data model. */
import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { AGENT_KEYS } from '../support/agent-box.ts';
import {
  DIRECT,
  GATEWAY,
  GATEWAY_10,
  GATEWAY_RPC,
  REQUIRED_EXTENSION,
  type TckBox,
  type TckName,
  idOf,
  sendTo,
  startTckBox,
  taskMadeAt,
} from '../support/a2a-tck-box.ts';
import {
  type Json,
  type Place,
  RPC_ID,
  ask,
  faultsOfError,
  listAt,
  messageIn,
  objectAt,
  post,
  resultOf,
  stateIn,
  taskIn,
  textIn,
} from '../support/a2a-tck-wire.ts';

let tck: TckBox;
beforeAll(async () => {
  tck = await startTckBox();
});
afterAll(() => tck?.close());

async function cardOf(agent: TckName, headers: Record<string, string> = {}): Promise<{ headers: Headers; card: Json }> {
  const authorization = `Bearer ${AGENT_KEYS.KEY}`;
  const response = await fetch(`${tck.box.urlOf(agent)}/.well-known/agent-card.json`, { headers: { authorization, ...headers } });
  expect(response.status).toBe(200);
  return { headers: response.headers, card: (await response.json()) as Json };
}

/** Of the four agents of the suite each lacks something; how each way to ask for it is refused. */
describe.each([...GATEWAY_10, ...DIRECT])('capabilities $via, $form', (subject) => {
  test('CORE-CAP-002: an agent that does not stream', async () => {
    const here = tck.placeOf(subject, 'tck-bare');
    const stream = await ask(here, 'stream', { message: { messageId: idOf('tck-cap-stream') } });
    expect(faultsOfError(stream, 'UnsupportedOperation')).toEqual([]);
    const subscription = await ask(here, 'subscribe', { id: await taskMadeAt(here, 'tck-input-required') });
    expect(faultsOfError(subscription, 'UnsupportedOperation')).toEqual([]);
  });

  test('CORE-CAP-003: an agent without an extended card', async () => {
    const answer = await ask(tck.placeOf(subject, 'tck-bare'), 'extendedCard');
    expect(faultsOfError(answer, 'UnsupportedOperation')).toEqual([]);
  });

  test('CORE-CAP-004: an extension that is required', async () => {
    const here = tck.placeOf(subject, 'tck-strict');
    expect(faultsOfError(await sendTo(here), 'ExtensionSupportRequired')).toEqual([]);
    const withIt = await sendTo(here, 'tck-complete-task', { 'a2a-extensions': REQUIRED_EXTENSION });
    expect(stateIn(taskIn(resultOf(withIt)))).toBe('completed');
  });

  test('CARD-EXT-002: an extended card that is promised, and is not there', async () => {
    const answer = await ask(tck.placeOf(subject, 'tck-announced'), 'extendedCard');
    expect(faultsOfError(answer, 'ExtendedAgentCardNotConfigured')).toEqual([]);
  });
});

describe('cards', () => {
  test('CARD-DISC-001, CARD-STRUCT-001: there is one, with all that it must have', async () => {
    const { card } = await cardOf('tck', { 'a2a-version': '1.0' });
    for (const name of ['name', 'description', 'version']) expect(card[name]).toMatch(/^.+$/);
    for (const name of ['supportedInterfaces', 'skills', 'defaultInputModes', 'defaultOutputModes'])
      expect(listAt(card, name)).not.toEqual([]);
    expect(objectAt(card, 'capabilities')).toMatchObject({ streaming: true, extendedAgentCard: true });
    for (const skill of listAt(card, 'skills'))
      expect(Object.keys(skill)).toEqual(expect.arrayContaining(['id', 'name', 'description', 'tags']));
  });

  test('CARD-PROTO-001, CARD-PROTO-002, BIND-FIELD-001: each binding and version stands in it, with the place that answers', async () => {
    const { card } = await cardOf('tck');
    const places = listAt(card, 'supportedInterfaces');
    const named = places.map(({ protocolBinding, protocolVersion }) => `${String(protocolBinding)} ${String(protocolVersion)}`);
    expect(named.sort()).toEqual(['HTTP+JSON 0.3', 'HTTP+JSON 1.0', 'JSONRPC 0.3', 'JSONRPC 1.0']);
    for (const { url, protocolBinding, protocolVersion } of places) {
      const form = protocolBinding === 'JSONRPC' ? 'JSON-RPC' : 'REST';
      const version = protocolVersion === '1.0' ? '1.0' : '0.3';
      const place = {
        ...tck.placeOf({ via: 'through the gateway', form, version }),
        url: `${String(url)}${form === 'REST' && version === '0.3' ? '/v1' : ''}`,
      };
      expect(stateIn(taskIn(resultOf(await sendTo(place))))).toBe('completed');
    }
  });

  test('CARD-EXT-001: the extended card is for those who say who they are', async () => {
    for (const subject of GATEWAY_10) {
      const here = tck.placeOf(subject);
      const { status, body } = await ask(here, 'extendedCard');
      expect(status).toBe(200);
      expect(resultOf({ place: here, body })['name']).toBe('tck (extended)');
      expect((await ask({ ...here, headers: {} }, 'extendedCard')).status).toBe(401);
    }
  });

  test('CARD-CACHE-001, CARD-CACHE-002: it may be kept for a time, and asked for again by its tag', async () => {
    const { headers } = await cardOf('tck');
    expect(headers.get('cache-control')).toMatch(/\bmax-age=\d+/);
    const etag = headers.get('etag')!;
    expect(etag).toMatch(/^(W\/)?"[^"]+"$/);
    const authorization = `Bearer ${AGENT_KEYS.KEY}`;
    const again = await fetch(`${tck.box.urlOf('tck')}/.well-known/agent-card.json`, {
      headers: { authorization, 'if-none-match': etag },
    });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await cardOf('tck-bare')).headers.get('etag')).not.toBe(etag);
  });
});

describe('versions', () => {
  test('VER-CLIENT-001: the agent is told the version with each request', async () => {
    tck.agents.tck.requests.length = 0;
    for (const subject of GATEWAY) await taskMadeAt(tck.placeOf(subject));
    const calls = tck.agents.tck.requests.filter(({ path }) => path.startsWith('/a2a/'));
    expect(calls.length).toBeGreaterThanOrEqual(GATEWAY.length);
    expect(new Set(calls.map(({ headers }) => headers['a2a-version']))).toEqual(new Set(['1.0']));
  });

  test('VER-CLIENT-002: the patch number does not count', async () => {
    for (const subject of GATEWAY_10) {
      const answer = await sendTo(tck.placeOf(subject), 'tck-complete-task', { 'a2a-version': '1.0.7' });
      expect(stateIn(taskIn(resultOf(answer)))).toBe('completed');
    }
    expect(
      faultsOfError(await sendTo(tck.placeOf(GATEWAY_RPC), 'tck-complete-task', { 'a2a-version': '1.1' }), 'VersionNotSupported'),
    ).toEqual([]);
  });

  test('VER-SERVER-001: each version is answered in its own words', async () => {
    const states: string[] = [];
    for (const subject of GATEWAY) {
      const result = resultOf(await sendTo(tck.placeOf(subject)));
      states.push(`${'kind' in result ? 'bare' : 'wrapped'} ${String(objectAt(taskIn(result)!, 'status')!['state'])}`);
    }
    expect(states).toEqual([
      'wrapped TASK_STATE_COMPLETED',
      'wrapped TASK_STATE_COMPLETED',
      'bare completed',
      'wrapped TASK_STATE_COMPLETED',
    ]);
    // A method of the other version is none of this one.
    const other = { jsonrpc: '2.0', id: RPC_ID, method: 'message/send', params: {} };
    expect((await post(tck.placeOf(GATEWAY_RPC), JSON.stringify(other))).body).toMatchObject({ error: { code: -32601 } });
  });

  test.each([...GATEWAY_10, ...DIRECT])('VER-SERVER-002: a version that nobody speaks, $via, $form', async (subject) => {
    const answer = await sendTo(tck.placeOf(subject), 'tck-complete-task', { 'a2a-version': '99.0' });
    expect(faultsOfError(answer, 'VersionNotSupported')).toEqual([]);
  });

  test('VER-SERVER-003: an empty version is 0.3; what only 1.0 has is taken as that, not guessed at', async () => {
    const message = {
      kind: 'message',
      messageId: idOf('tck-complete-task'),
      role: 'user',
      parts: [{ kind: 'text', text: 'hi' }],
    };
    const legacy = { jsonrpc: '2.0', id: RPC_ID, method: 'message/send', params: { message } };
    const { body } = await post(tck.placeOf(GATEWAY_RPC), JSON.stringify(legacy), { 'a2a-version': '' });
    expect(body).toMatchObject({ result: { kind: 'task', status: { state: 'completed' } } });
    const { body: modern } = await post(
      tck.placeOf(GATEWAY_RPC),
      JSON.stringify({ ...legacy, method: 'GetTask', params: { id: 'none' } }),
      {
        'a2a-version': '',
      },
    );
    expect(modern).toMatchObject({ jsonrpc: '2.0', id: RPC_ID, error: { code: -32001 } });
  });
});

describe('who asks', () => {
  test('AUTH-SERVER-002, AUTH-SCOPE-001, BIND-EQUIV-004: no operation for anybody without a key, over any binding', async () => {
    for (const subject of GATEWAY) {
      const here = tck.placeOf(subject);
      const id = await taskMadeAt(here);
      for (const headers of [{}, { authorization: 'Bearer of-nobody-at-all-0001' }]) {
        const place = { ...here, headers };
        for (const verb of ['send', 'stream', 'get', 'cancel', 'subscribe', 'extendedCard'] as const) {
          const { status } = await ask(place, verb, { id, message: { messageId: idOf('tck-complete-task') } });
          expect(`${verb} ${status}`).toBe(`${verb} 401`);
        }
      }
    }
    const { card } = await cardOf('tck', { 'a2a-version': '1.0' });
    expect(Object.values(objectAt(card, 'securitySchemes')!)).toEqual([{ httpAuthSecurityScheme: { scheme: 'Bearer' } }]);
  });

  test('AUTH-SCOPE-002, AUTH-SCOPE-003: a task of somebody else’s is not there', async () => {
    for (const subject of GATEWAY) {
      const id = await taskMadeAt(tck.placeOf(subject), 'tck-input-required');
      const others = tck.placeOf(subject, 'tck', 'OTHER_KEY');
      for (const verb of ['get', 'cancel'] as const) {
        const foreign = await ask(others, verb, { id });
        const absent = await ask(others, verb, { id: randomUUID() });
        expect(faultsOfError(foreign, 'TaskNotFound')).toEqual([]);
        expect({ status: foreign.status, body: foreign.body }).toEqual({ status: absent.status, body: absent.body });
      }
      const follow = await ask(others, 'send', { message: { messageId: idOf('tck-complete-task'), taskId: id } });
      expect(faultsOfError(follow, 'TaskNotFound')).toEqual([]);
      expect(stateIn(taskIn(resultOf(await ask(tck.placeOf(subject), 'get', { id }))))).toBe('input-required');
    }
  });
});

const STATES = new Set(
  ['SUBMITTED', 'WORKING', 'INPUT_REQUIRED', 'AUTH_REQUIRED', 'COMPLETED', 'FAILED', 'CANCELED', 'REJECTED'].map(
    (name) => `TASK_STATE_${name}`,
  ),
);

describe.each([...GATEWAY_10, ...DIRECT])('the data model $via, $form', (subject) => {
  const here = (): Place => tck.placeOf(subject);
  const PREFIXES = [
    'complete-task',
    'input-required',
    'auth-required',
    'reject-task',
    'artifact-text',
    'artifact-file',
    'artifact-file-url',
    'artifact-data',
  ];
  const tasks = (): Promise<Json[]> =>
    Promise.all(PREFIXES.map(async (prefix) => taskIn(resultOf(await sendTo(here(), `tck-${prefix}`)))!));

  test('DM-TASK-001, DM-TASK-002, DM-STATUS-001: tasks have an id, and a state that there is', async () => {
    const all = await tasks();
    for (const task of all)
      expect(task).toMatchObject({ id: expect.stringMatching(/./), status: { state: expect.stringMatching(/./) } });
    const states = all.map((task) => String(objectAt(task, 'status')!['state']));
    expect(states.filter((state) => !STATES.has(state))).toEqual([]);
    expect(new Set(states).size).toBe(4);
  });

  test('DM-MSG-001, DM-MSG-002: messages have an id, a role and parts', async () => {
    const said = messageIn(resultOf(await sendTo(here(), 'tck-message-response')));
    const history = (await tasks()).flatMap((task) => listAt(task, 'history'));
    expect(history.length).toBeGreaterThan(0);
    for (const message of [said!, ...history]) {
      expect(message).toMatchObject({
        messageId: expect.stringMatching(/./),
        role: expect.stringMatching(/^ROLE_(USER|AGENT)$/),
      });
      expect(listAt(message, 'parts')).not.toEqual([]);
    }
  });

  test('DM-PART-001, DM-ART-001: an artifact has an id and parts, and each part one content', async () => {
    const artifacts = (await tasks()).flatMap((task) => listAt(task, 'artifacts'));
    expect(artifacts).toHaveLength(4);
    for (const { artifactId } of artifacts) expect(artifactId).toMatch(/./);
    const contents = artifacts
      .flatMap((each) => listAt(each, 'parts'))
      .map((part) => ['text', 'raw', 'url', 'data'].filter((name) => name in part));
    expect(contents).toEqual([['text'], ['raw'], ['url'], ['data']]);
    const [, , , data] = artifacts;
    expect(listAt(data, 'parts')[0]).toMatchObject({ data: { key: 'value', count: 42 } });
  });

  test('DM-SERIAL-001, DM-SERIAL-002: members are in camelCase, and enumerations by their names', async () => {
    const all = JSON.stringify([
      ...(await tasks()),
      resultOf(await ask(here(), 'list')),
      resultOf(await ask(here(), 'extendedCard')),
    ]);
    const names = [...all.matchAll(/"([^"\\]+)":/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name) => name.includes('_'))).toEqual([]);
    expect(
      [...all.matchAll(/"(?:state|role)":([^,}]+)/g)].filter(([, value = '']) => !/^"(TASK_STATE|ROLE)_[A-Z_]+"$/.test(value)),
    ).toEqual([]);
  });

  test('DM-SERIAL-003: times are ISO 8601 in UTC', async () => {
    const times = (await tasks()).map((task) => String(objectAt(task, 'status')!['timestamp']));
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  });

  test('DM-SERIAL-004: a message without its id is none', async () => {
    const { status, body } = await ask(here(), 'send', { message: { messageId: '' } });
    if (here().form === 'JSON-RPC') expect(objectAt(body, 'error')).toMatchObject({ code: -32602 });
    else expect(status).toBe(400);
  });

  test('DM-SERIAL-005: members that nobody knows do no harm', async () => {
    const message = { messageId: idOf('tck-complete-task'), more: { ofTomorrow: { a: [1] } } };
    const task = taskIn(resultOf(await ask(here(), 'send', { message })));
    expect([stateIn(task), textIn(objectAt(task!, 'status', 'message'))]).toEqual(['completed', 'Hello from the agent']);
  });
});
