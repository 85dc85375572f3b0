/** The requirements of a2a-tck on the two bindings: their forms, their places and methods, their errors, and that both do the same. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  GATEWAY_10,
  GATEWAY_RPC,
  GATEWAY_REST,
  type Subject,
  type TckBox,
  idOf,
  sendTo,
  startTckBox,
  taskMadeAt,
} from '../support/a2a-tck-box.ts';
import {
  type Answer,
  type ErrorName,
  METHODS,
  RPC_ID,
  type Verb,
  ask,
  faultsOfError,
  listAt,
  objectAt,
  openStream,
  post,
  restPlace,
  resultOf,
  stateIn,
  taskIn,
} from '../support/a2a-tck-wire.ts';

let tck: TckBox;
beforeAll(async () => {
  tck = await startTckBox();
});
afterAll(() => tck?.close());

describe('JSON-RPC', () => {
  test('JSONRPC-FMT-001: a request has its form, and so has its answer', async () => {
    const { body } = await sendTo(tck.placeOf(GATEWAY_RPC));
    expect(Object.keys(body).sort()).toEqual(['id', 'jsonrpc', 'result']);
    expect(body).toMatchObject({ jsonrpc: '2.0', id: RPC_ID });
    expect((await post(tck.placeOf(GATEWAY_RPC), '{"jsonrpc": "2.0", ')).body).toMatchObject({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32700 },
    });
    const strange = [
      { id: 1, method: 'GetTask', params: {} },
      { jsonrpc: '1.0', id: 1, method: 'GetTask' },
      { jsonrpc: '2.0', id: 1 },
      [],
    ];
    for (const each of strange)
      expect((await post(tck.placeOf(GATEWAY_RPC), JSON.stringify(each))).body).toMatchObject({ error: { code: -32600 } });
    const params = { jsonrpc: '2.0', id: 7, method: 'GetTask', params: ['x'] };
    expect((await post(tck.placeOf(GATEWAY_RPC), JSON.stringify(params))).body).toMatchObject({ id: 7, error: { code: -32602 } });
  });

  test('JSONRPC-FMT-002: results and errors are application/json', async () => {
    for (const answer of [await sendTo(tck.placeOf(GATEWAY_RPC)), await ask(tck.placeOf(GATEWAY_RPC), 'get', { id: 'none' })]) {
      expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
    }
  });

  test('JSONRPC-SVC-001: methods are those of the specification', async () => {
    for (const method of Object.values(METHODS['1.0'])) {
      const { body } = await post(tck.placeOf(GATEWAY_RPC), JSON.stringify({ jsonrpc: '2.0', id: RPC_ID, method, params: {} }));
      expect(objectAt(body, 'error')?.['code'] ?? 0, method).not.toBe(-32601);
    }
    for (const method of ['sendMessage', 'sendmessage', 'NonExistentMethod', 'tasks/get']) {
      const { body } = await post(tck.placeOf(GATEWAY_RPC), JSON.stringify({ jsonrpc: '2.0', id: RPC_ID, method, params: {} }));
      expect(body, method).toMatchObject({ id: RPC_ID, error: { code: -32601 } });
    }
  });

  test('JSONRPC-ERR-001, JSONRPC-ERR-002, JSONRPC-ERR-003, JSONRPC-SSE-002: errors have their form, their codes and their reasons', async () => {
    for (const [name, answer] of await refusals(GATEWAY_RPC)) {
      expect([name, ...faultsOfError(answer, name)]).toEqual([name]);
      const error = objectAt(answer.body, 'error')!;
      expect(Object.keys(error).filter((member) => !['code', 'message', 'data'].includes(member))).toEqual([]);
      expect(Number(error['code'])).toBeGreaterThanOrEqual(-32099);
      expect(Number(error['code'])).toBeLessThanOrEqual(-32001);
    }
  });
});

/** An answer of each kind of error that can be brought about. */
async function refusals(subject: Subject): Promise<[ErrorName, Answer][]> {
  const here = tck.placeOf(subject);
  const part = { bytes: 'dGNr', mediaType: 'application/x-unsupported-tck-type' };
  return [
    ['TaskNotFound', await ask(here, 'get', { id: idOf('tck-nonexistent') })],
    ['TaskNotCancelable', await ask(here, 'cancel', { id: await taskMadeAt(here) })],
    ['UnsupportedOperation', await ask(here, 'subscribe', { id: await taskMadeAt(here) })],
    ['ContentTypeNotSupported', await ask(here, 'send', { message: { messageId: idOf('tck-send-003'), ...part } })],
    ['ExtendedAgentCardNotConfigured', await ask(tck.placeOf(subject, 'tck-announced'), 'extendedCard')],
    ['ExtensionSupportRequired', await sendTo(tck.placeOf(subject, 'tck-strict'))],
    ['VersionNotSupported', await sendTo(here, 'tck-complete-task', { 'a2a-version': '99.0' })],
  ];
}

describe.each(GATEWAY_10)('service parameters, $form', (subject) => {
  const EXTENSIONS = 'https://example.com/ext/v1,https://example.com/ext/v2';

  test('JSONRPC-SVC-002, HTTP_JSON-SVC-002: they are headers, and go on as such', async () => {
    tck.agents.tck.requests.length = 0;
    const answer = await sendTo(tck.placeOf(subject), 'tck-complete-task', { 'a2a-extensions': EXTENSIONS });
    expect(stateIn(taskIn(resultOf(answer)))).toBe('completed');
    const call = tck.agents.tck.requests.find(({ path }) => path.startsWith('/a2a/'));
    expect(call?.headers).toMatchObject({ 'a2a-version': '1.0', 'a2a-extensions': EXTENSIONS });
  });
});

describe('HTTP+JSON', () => {
  /** Method, path and whether it answers with a result: every operation but those on push notifications. */
  const VERBS: readonly Verb[] = ['send', 'get', 'list', 'cancel', 'extendedCard'];

  test('HTTP_JSON-URL-001: each operation has its place', async () => {
    const here = tck.placeOf(GATEWAY_REST);
    for (const verb of VERBS) {
      const id = await taskMadeAt(here, 'tck-input-required');
      const answer = await ask(here, verb, { id, message: { messageId: idOf('tck-complete-task') } });
      expect([verb, answer.status]).toEqual([verb, 200]);
    }
    const stream = await openStream(here, 'stream', { message: { messageId: idOf('tck-complete-task') } });
    expect([stream.status, (await stream.rest()).length > 0]).toEqual([200, true]);
    const nowhere = await fetch(`${here.url}/messages`, {
      method: 'POST',
      headers: { ...here.headers, 'content-type': 'application/a2a+json' },
      body: '{}',
    });
    expect([nowhere.status, await nowhere.json()]).toMatchObject([404, { error: { code: 404 } }]);
  });

  test('HTTP_JSON-URL-002: each has its method, and no other', async () => {
    const here = tck.placeOf(GATEWAY_REST);
    const id = await taskMadeAt(here, 'tck-input-required');
    for (const verb of VERBS) {
      const [method, path] = restPlace(verb, { id });
      const wrong = method === 'GET' ? 'DELETE' : 'PUT';
      const { status } = await fetch(`${here.url}${path}`, { method: wrong, headers: here.headers });
      expect(`${verb} ${wrong} ${status}`).toBe(`${verb} ${wrong} 405`);
    }
    expect(stateIn(taskIn(resultOf(await ask(here, 'get', { id }))))).toBe('input-required');
  });

  test('HTTP_JSON-SVC-001: results and errors are application/a2a+json', async () => {
    const here = tck.placeOf(GATEWAY_REST);
    for (const answer of [await sendTo(here), await ask(here, 'get', { id: 'none' }), await ask(here, 'list')]) {
      expect(answer.headers.get('content-type')).toMatch(/^application\/a2a\+json\b/);
    }
    const plain = await sendTo(here, 'tck-complete-task', { 'content-type': 'application/json' });
    expect(stateIn(taskIn(resultOf(plain)))).toBe('completed');
  });

  test('HTTP_JSON-QP-001: queries are written in camelCase', async () => {
    const here = tck.placeOf(GATEWAY_REST);
    const task = taskIn(resultOf(await sendTo(here, 'tck-artifact-text')))!;
    await sendTo(here);
    const page = resultOf(
      await ask(here, 'list', { query: { contextId: task['contextId'], pageSize: 1, includeArtifacts: true } }),
    );
    expect(listAt(page, 'tasks').map(({ id }) => id)).toEqual([task['id']]);
    expect(listAt(listAt(page, 'tasks')[0], 'artifacts')).toHaveLength(1);
    const short = resultOf(await ask(here, 'get', { id: String(task['id']), query: { historyLength: 0 } }));
    expect(listAt(short, 'history')).toEqual([]);
  });

  test('HTTP_JSON-ERR-001, HTTP_JSON-ERR-002, HTTP_JSON-STATUS-001: errors have their form, their reasons and their status', async () => {
    for (const [name, answer] of await refusals(GATEWAY_REST)) expect([name, ...faultsOfError(answer, name)]).toEqual([name]);
    for (const subject of GATEWAY_10) {
      const plain = await sendTo(tck.placeOf(subject), 'tck-complete-task', { 'content-type': 'text/plain' });
      const told = objectAt(plain.body, 'error')!;
      const infos = [...listAt(told, 'data'), ...listAt(told, 'details')];
      expect([plain.status, infos.map(({ reason }) => reason)]).toEqual([400, ['CONTENT_TYPE_NOT_SUPPORTED']]);
    }
    const malformed = await fetch(`${tck.placeOf(GATEWAY_REST).url}/message:send`, {
      method: 'POST',
      headers: { ...tck.placeOf(GATEWAY_REST).headers, 'content-type': 'application/a2a+json' },
      body: '{"message": ',
    });
    expect(malformed.status).toBe(400);
    expect(await malformed.json()).toMatchObject({
      error: { code: 400, status: 'INVALID_ARGUMENT', message: expect.any(String), details: [{}] },
    });
  });
});

describe('bindings', () => {
  test('BIND-EQUIV-001, BIND-EQUIV-002: both have the same operations, with the same results', async () => {
    const stories: unknown[] = [];
    for (const subject of GATEWAY_10) {
      const here = tck.placeOf(subject);
      const sent = taskIn(resultOf(await sendTo(here, 'tck-artifact-data')))!;
      const id = String(sent['id']);
      const got = taskIn(resultOf(await ask(here, 'get', { id })))!;
      const listed = listAt(resultOf(await ask(here, 'list', { query: { contextId: sent['contextId'] } })), 'tasks');
      const waiting = await taskMadeAt(here, 'tck-input-required');
      const canceled = taskIn(resultOf(await ask(here, 'cancel', { id: waiting })))!;
      const stream = await (await openStream(here, 'stream', { message: { messageId: idOf('tck-stream-003') } })).rest();
      const card = resultOf(await ask(here, 'extendedCard'));
      stories.push({
        sent: shapeOf(sent),
        got: shapeOf(got),
        listed: listed.map(shapeOf),
        canceled: shapeOf(canceled),
        stream: stream.map(({ result }) => shapeOf(result)),
        card,
      });
    }
    expect(stories[0]).toEqual(stories[1]);
    // Each made by one binding is seen over the other.
    const id = await taskMadeAt(tck.placeOf(GATEWAY_RPC));
    expect(taskIn(resultOf(await ask(tck.placeOf(GATEWAY_REST), 'get', { id })))?.['id']).toBe(id);
  });

  test('BIND-EQUIV-003: both refuse for the same reasons', async () => {
    const [overRpc, overRest] = [await refusals(GATEWAY_RPC), await refusals(GATEWAY_REST)];
    const reasonsOf = (answers: [ErrorName, Answer][], member: string): unknown[] =>
      answers.map(([, { body }]) => listAt(objectAt(body, 'error'), member).map(({ reason, domain }) => ({ reason, domain })));
    expect(reasonsOf(overRpc, 'data')).toEqual(reasonsOf(overRest, 'details'));
    expect(reasonsOf(overRpc, 'data').flat()).toHaveLength(overRpc.length);
  });
});

/** Without what differs from call to call: ids and times. */
function shapeOf(value: unknown): unknown {
  const changing = new Set(['id', 'taskId', 'contextId', 'messageId', 'artifactId', 'timestamp']);
  return JSON.parse(JSON.stringify(value, (name, inner: unknown) => (changing.has(name) ? '…' : inner)));
}
