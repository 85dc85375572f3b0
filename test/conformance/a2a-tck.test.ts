/**
 * The requirements of a2a-tck on operations, through the built gateway in both versions over both bindings; of 1.0 asked of the agent itself as well, so that a fault of the
 * SDK is not taken for ours.
 */
import { readFileSync, readdirSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DIRECT, GATEWAY, GATEWAY_10, type TckBox, idOf, startTckBox } from '../support/a2a-tck-box.ts';
import { NOT_APPLICABLE, REQUIREMENTS, conformanceTable } from '../support/a2a-tck-requirements.ts';
import {
  type Answer,
  type Asking,
  type Json,
  type Place,
  ask,
  faultsOfError,
  listAt,
  messageIn,
  objectAt,
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

const TERMINAL_OR_INTERRUPTED = ['completed', 'failed', 'canceled', 'rejected', 'input-required', 'auth-required'];

const send = (place: Place, prefix: string, more: Omit<NonNullable<Asking['message']>, 'messageId'> = {}): Promise<Answer> =>
  ask(place, 'send', { message: { messageId: idOf(prefix), ...more } });

/** The task that a message makes. */
async function made(place: Place, prefix = 'tck-complete-task'): Promise<{ id: string; contextId: string; state: string }> {
  const answer = await send(place, prefix);
  const task = taskIn(resultOf(answer));
  if (task === undefined) throw new Error(`no task: ${JSON.stringify(answer.body)}`);
  return { id: String(task['id']), contextId: String(task['contextId']), state: stateIn(task) };
}

async function got(place: Place, id: string, query: Json = {}): Promise<Json> {
  return taskIn(resultOf(await ask(place, 'get', { id, query })))!;
}

describe.each([...GATEWAY, ...DIRECT])('$via, $form $version', (subject) => {
  const here = (): Place => tck.placeOf(subject);

  test('CORE-SEND-001: a message is answered with a task or a message', async () => {
    const withTask = resultOf(await send(here(), 'tck-complete-task'));
    expect(stateIn(taskIn(withTask))).toBe('completed');
    const withMessage = resultOf(await send(here(), 'tck-message-response'));
    expect(textIn(messageIn(withMessage))).toBe('Direct message response');
    expect([messageIn(withTask), taskIn(withMessage)]).toEqual([undefined, undefined]);
  });

  test('CORE-SEND-002: a task that has ended takes no message', async () => {
    for (const prefix of ['tck-complete-task', 'tck-reject-task']) {
      const { id: taskId, contextId } = await made(here(), prefix);
      const answer = await send(here(), 'tck-complete-task', { taskId, contextId });
      expect(faultsOfError(answer, 'UnsupportedOperation')).toEqual([]);
    }
    const { id } = await made(here(), 'tck-input-required');
    await ask(here(), 'cancel', { id });
    expect(faultsOfError(await send(here(), 'tck-complete-task', { taskId: id }), 'UnsupportedOperation')).toEqual([]);
  });

  test('CORE-SEND-003: a media type that the agent does not take', async () => {
    const part = { bytes: 'dGNr', mediaType: 'application/x-unsupported-tck-type' };
    expect(faultsOfError(await send(here(), 'tck-send-003', part), 'ContentTypeNotSupported')).toEqual([]);
  });

  test('CORE-GET-001: a task is shown as it stands, with its artifacts', async () => {
    const { id } = await made(here(), 'tck-artifact-text');
    const task = await got(here(), id);
    expect({ id: task['id'], state: stateIn(task) }).toEqual({ id, state: 'completed' });
    expect(listAt(task, 'artifacts').map(textIn)).toEqual(['Generated text content']);
    const waiting = await made(here(), 'tck-input-required');
    expect(stateIn(await got(here(), waiting.id))).toBe('input-required');
  });

  test('CORE-GET-002, CORE-CANCEL-003, CORE-MULTI-004: a task that is not there', async () => {
    const id = idOf('tck-nonexistent');
    expect(faultsOfError(await ask(here(), 'get', { id }), 'TaskNotFound')).toEqual([]);
    expect(faultsOfError(await ask(here(), 'cancel', { id }), 'TaskNotFound')).toEqual([]);
    expect(faultsOfError(await send(here(), 'tck-multi-004', { taskId: id }), 'TaskNotFound')).toEqual([]);
  });

  test('CORE-CANCEL-001: a task that waits can be cancelled', async () => {
    const { id } = await made(here(), 'tck-input-required');
    const answer = await ask(here(), 'cancel', { id });
    const task = taskIn(resultOf(answer));
    expect({ id: task?.['id'], state: stateIn(task) }).toEqual({ id, state: 'canceled' });
    expect(stateIn(await got(here(), id))).toBe('canceled');
  });

  test('CORE-CANCEL-002: a task that has ended cannot', async () => {
    const { id } = await made(here());
    expect(faultsOfError(await ask(here(), 'cancel', { id }), 'TaskNotCancelable')).toEqual([]);
  });

  test('CORE-EXECUTION-MODE-001: whoever waits hears of the end', async () => {
    for (const configuration of [{}, { returnImmediately: false }]) {
      const asking = { message: { messageId: idOf('tck-delayed-complete') }, configuration };
      expect(stateIn(taskIn(resultOf(await ask(here(), 'send', asking))))).toBe('completed');
    }
    expect(TERMINAL_OR_INTERRUPTED).toContain((await made(here(), 'tck-input-required')).state);
  });

  test('CORE-EXECUTION-MODE-002: whoever does not wait hears of the beginning', async () => {
    const messageId = idOf('tck-hold');
    const asking = { message: { messageId }, configuration: { returnImmediately: true } };
    const task = taskIn(resultOf(await ask(here(), 'send', asking)));
    expect(['submitted', 'working']).toContain(stateIn(task));
    tck.agents.tck.release(messageId);
    await expect.poll(async () => stateIn(await got(here(), String(task!['id'])))).toBe('completed');
  });

  test('CORE-ERR-001: an error has a code and a message', async () => {
    const { body } = await ask(here(), 'get', { id: idOf('tck-nonexistent') });
    const error = objectAt(body, 'error') ?? body;
    expect(error).toMatchObject({ code: expect.any(Number), message: expect.stringMatching(/\w/) });
  });

  test('CORE-ERR-002: a request without its message is refused, and nothing is made of it', async () => {
    const { status, body } = await ask(here(), 'send', {});
    if (here().form === 'JSON-RPC') expect(objectAt(body, 'error')).toMatchObject({ code: -32602 });
    else expect(status).toBe(400);
  });

  test('CORE-MULTI-001, CORE-MULTI-001a: a context that the agent makes is told', async () => {
    const [first, second] = [await made(here()), await made(here())];
    expect(first.contextId).toMatch(/^.+$/);
    expect(second.contextId).not.toBe(first.contextId);
    const message = messageIn(resultOf(await send(here(), 'tck-message-response')));
    expect(message?.['contextId']).toMatch(/^.+$/);
  });

  test('CORE-MULTI-002, CORE-MULTI-002a: a context of the client’s is kept, or refused without another in its place', async () => {
    const contextId = idOf('tck-client-context');
    const own = taskIn(resultOf(await send(here(), 'tck-complete-task', { contextId })));
    expect(own?.['contextId']).toBe(contextId);
    const again = taskIn(resultOf(await send(here(), 'tck-complete-task', { contextId })));
    expect(again?.['contextId']).toBe(contextId);
    expect(again?.['id']).not.toBe(own?.['id']);
  });

  test('CORE-MULTI-003: every task has an id of its own', async () => {
    const tasks = await Promise.all(Array.from({ length: 5 }, () => made(here())));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(5);
  });

  test('CORE-MULTI-005: a message that names a task only is of the task’s context', async () => {
    const { id: taskId, contextId } = await made(here(), 'tck-input-required');
    const task = taskIn(resultOf(await send(here(), 'tck-complete-task', { taskId })));
    expect(task).toMatchObject({ id: taskId, contextId });
    expect(stateIn(task)).toBe('completed');
  });

  test('CORE-MULTI-006: a task and another context are refused together', async () => {
    const { id: taskId } = await made(here(), 'tck-input-required');
    const other = await made(here());
    for (const contextId of [other.contextId, idOf('tck-no-context')]) {
      const { status, body } = await send(here(), 'tck-complete-task', { taskId, contextId });
      if (here().form === 'JSON-RPC') expect(body).toHaveProperty('error.code');
      else expect(status).toBeGreaterThanOrEqual(400);
    }
    expect(stateIn(await got(here(), taskId))).toBe('input-required');
  });

  test('CORE-HIST-001: no history where none is wished for', async () => {
    const { id } = await made(here());
    expect(listAt(await got(here(), id, { historyLength: 0 }), 'history')).toEqual([]);
  });

  test('CORE-HIST-002: no more of it than is wished for', async () => {
    const { id: taskId } = await made(here(), 'tck-input-required');
    await send(here(), 'tck-complete-task', { taskId });
    expect(listAt(await got(here(), taskId), 'history').length).toBeGreaterThan(1);
    expect(listAt(await got(here(), taskId, { historyLength: 1 }), 'history')).toHaveLength(1);
  });

  test('CORE-HIST-003: the same for what a message is answered with', async () => {
    const asking = { message: { messageId: idOf('tck-complete-task') }, configuration: { historyLength: 0 } };
    const task = taskIn(resultOf(await ask(here(), 'send', asking)));
    expect(stateIn(task)).toBe('completed');
    expect(listAt(task, 'history')).toEqual([]);
  });

  test('CORE-HIST-004, CORE-HIST-005, CORE-HIST-006: what was said is kept, in its order and its words', async () => {
    const first = await send(here(), 'tck-input-required', { text: 'the first word' });
    const taskId = String(taskIn(resultOf(first))!['id']);
    await send(here(), 'tck-complete-task', { taskId, text: 'the second word' });
    const history = listAt(await got(here(), taskId), 'history');
    const ours = history.filter(({ role }) => /user/i.test(String(role))).map(textIn);
    expect(ours).toEqual(['the first word', 'the second word']);
  });
});

describe.each([...GATEWAY_10, ...DIRECT])('lists $via, $form $version', (subject) => {
  const here = (): Place => tck.placeOf(subject);
  const listed = async (query: Json): Promise<Json> => resultOf(await ask(here(), 'list', { query }));
  const idsOf = (list: Json): unknown[] => listAt(list, 'tasks').map(({ id }) => id);

  /** Tasks of one new context, the oldest first. */
  async function threeTasks(): Promise<{ contextId: string; ids: string[] }> {
    const contextId = idOf('tck-test-context');
    const ids: string[] = [];
    for (let count = 0; count < 3; count++) {
      ids.push(String(taskIn(resultOf(await send(here(), 'tck-artifact-text', { contextId })))!['id']));
      // A status has no finer time than the millisecond.
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    return { contextId, ids };
  }

  test('CORE-LIST-002, CORE-LIST-004: pages by a token, which is empty at the end', async () => {
    const { contextId, ids } = await threeTasks();
    const first = await listed({ contextId, pageSize: 2 });
    expect(idsOf(first)).toHaveLength(2);
    expect(first['nextPageToken']).toMatch(/^.+$/);
    const second = await listed({ contextId, pageSize: 2, pageToken: first['nextPageToken'] });
    expect(new Set([...idsOf(first), ...idsOf(second)])).toEqual(new Set(ids));
    expect(second['nextPageToken']).toBe('');
    expect((await listed({ contextId, pageSize: 100 }))['nextPageToken']).toBe('');
  });

  test('CORE-LIST-003: the latest first', async () => {
    const { contextId, ids } = await threeTasks();
    const times = listAt(await listed({ contextId }), 'tasks').map((task) => String(objectAt(task, 'status')?.['timestamp']));
    expect(times).toHaveLength(3);
    expect(times).toEqual([...times].sort().reverse());
    expect(idsOf(await listed({ contextId }))).toEqual([...ids].reverse());
  });

  test('CORE-LIST-003: the latest first, also where a task went on while nobody looked', async () => {
    const contextId = idOf('tck-test-context');
    const messageId = idOf('tck-hold');
    const asking = { message: { messageId, contextId }, configuration: { returnImmediately: true } };
    const held = String(taskIn(resultOf(await ask(here(), 'send', asking)))!['id']);
    const other = String(taskIn(resultOf(await send(here(), 'tck-complete-task', { contextId })))!['id']);
    // A status has no finer time than the millisecond.
    await new Promise((resolve) => setTimeout(resolve, 3));
    tck.agents.tck.release(messageId);
    await expect.poll(async () => listAt(await listed({ contextId }), 'tasks').map(stateIn)).toEqual(['completed', 'completed']);
    expect(idsOf(await listed({ contextId }))).toEqual([held, other]);
  });

  test('CORE-LIST-005: artifacts only where they are wished for', async () => {
    const { contextId } = await threeTasks();
    for (const query of [{ contextId }, { contextId, includeArtifacts: false }]) {
      expect(listAt(await listed(query), 'tasks').filter((task) => 'artifacts' in task)).toEqual([]);
    }
    const [task] = listAt(await listed({ contextId, includeArtifacts: true }), 'tasks');
    expect(listAt(task, 'artifacts').map(textIn)).toEqual(['Generated text content']);
  });
});

describe.each(GATEWAY_10)('lists of several callers, $form', (subject) => {
  test('CORE-LIST-001: a caller’s own tasks, nobody else’s', async () => {
    const { id, contextId } = await made(tck.placeOf(subject));
    const own = await ask(tck.placeOf(subject), 'list', { query: { contextId } });
    const others = await ask(tck.placeOf(subject, 'tck', 'OTHER_KEY'), 'list', { query: { contextId } });
    const all = await ask(tck.placeOf(subject, 'tck', 'OTHER_KEY'), 'list', { query: { pageSize: 100 } });
    expect(listAt(resultOf(own), 'tasks').map((task) => task['id'])).toEqual([id]);
    expect(others.status === 200 ? listAt(resultOf(others), 'tasks') : []).toEqual([]);
    expect(listAt(resultOf(all), 'tasks').map((task) => task['id'])).not.toContain(id);
  });
});

describe('the requirements of the kit', () => {
  const folder = new URL('./', import.meta.url);
  const files = readdirSync(folder).filter((name) => /^a2a-tck.*\.test\.ts$/.test(name));
  const title = /\btest(?:\.each\([^)]*\))?\(\s*'([A-Z][^:']+): /g;
  const sources = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n');
  const tested = new Set([...sources.matchAll(title)].flatMap(([, ids = '']) => ids.split(', ')));

  test('there are 129, each once', () => {
    expect(REQUIREMENTS).toHaveLength(129);
    expect(new Set(REQUIREMENTS).size).toBe(129);
  });

  test('each is tested, or does not apply for a reason; none is both, and none is made up', () => {
    const known = new Set(REQUIREMENTS);
    expect(REQUIREMENTS.filter((id) => !tested.has(id) && !(id in NOT_APPLICABLE))).toEqual([]);
    expect([...tested].filter((id) => id in NOT_APPLICABLE)).toEqual([]);
    expect([...tested, ...Object.keys(NOT_APPLICABLE)].filter((id) => !known.has(id))).toEqual([]);
  });

  test('the documentation has their numbers', () => {
    const page = readFileSync(new URL('../../docs/agents.md', import.meta.url), 'utf8').split('\n');
    expect(page).toEqual(expect.arrayContaining(conformanceTable(tested)));
  });
});
