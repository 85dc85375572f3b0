/** The requirements of a2a-tck on streams, and on tasks that wait for credentials: through the gateway, and of 1.0 from the agent itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CHUNKS } from '../support/a2a-tck-agent.ts';
import { DIRECT, GATEWAY, GATEWAY_10, type TckBox, idOf, startTckBox } from '../support/a2a-tck-box.ts';
import {
  type Event,
  type Json,
  type Place,
  RPC_ID,
  type Stream,
  ask,
  faultsOfError,
  listAt,
  messageIn,
  objectAt,
  openStream,
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

const TERMINAL = ['completed', 'failed', 'canceled', 'rejected'];

const streamed = (place: Place, messageId: string): Promise<Stream> => openStream(place, 'stream', { message: { messageId } });

/** A task that waits for its cue, and the stream that began it; its first event and the one that says that it works are read. */
async function held(place: Place): Promise<{ id: string; stream: Stream; release: () => void }> {
  const messageId = idOf('tck-hold');
  const stream = await streamed(place, messageId);
  const first = await stream.next();
  await stream.next();
  return { id: String(taskIn(first!.result)!['id']), stream, release: () => tck.agents.tck.release(messageId) };
}

/** Artifacts and states in their order, without what a snapshot repeats. */
const storyOf = (events: readonly Event[]): string[] =>
  events.flatMap(({ kind, text, state }) => (kind === 'artifact' ? [text] : kind === 'status' ? [state] : []));
const WHOLE_STORY = [...CHUNKS, 'completed'];

describe.each([...GATEWAY, ...DIRECT])('$via, $form $version', (subject) => {
  const here = (): Place => tck.placeOf(subject);

  test('CORE-STREAM-001: a stream is opened, and its events come while the task works', async () => {
    const { stream, release } = await held(here());
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    // Two events have come before the agent was told to go on.
    release();
    expect((await stream.rest()).at(-1)).toMatchObject({ kind: 'status', state: 'completed' });
  });

  test('CORE-STREAM-002: a message is all there is of its stream', async () => {
    const events = await (await streamed(here(), idOf('tck-stream-002'))).rest();
    expect(events.map(({ kind }) => kind)).toEqual(['message']);
    expect(textIn(messageIn(events[0]!.result))).toBe('Direct message response');
  });

  test('CORE-STREAM-003: a task comes first, and its end is the stream’s', async () => {
    const events = await (await streamed(here(), idOf('tck-stream-003'))).rest();
    expect(events[0]!.kind).toBe('task');
    expect(events.slice(1).map(({ kind }) => kind)).not.toContain('task');
    expect(storyOf(events)).toEqual(['working', ...WHOLE_STORY]);
    expect(TERMINAL).toContain(events.at(-1)!.state);
  });

  test('STREAM-ORDER-001: events come in the order in which they were made', async () => {
    const { stream, release } = await held(here());
    release();
    expect(storyOf(await stream.rest())).toEqual(WHOLE_STORY);
  });

  test('STREAM-ORDER-002, STREAM-ORDER-003: all streams of a task have the same events in the same order', async () => {
    const { id, stream, release } = await held(here());
    const others = await Promise.all([1, 2].map(() => openStream(here(), 'subscribe', { id })));
    for (const other of others) expect((await other.next())?.kind).toBe('task');
    release();
    const stories = await Promise.all([stream, ...others].map(async (each) => storyOf(await each.rest())));
    expect(stories).toEqual([WHOLE_STORY, WHOLE_STORY, WHOLE_STORY]);
  });

  test('STREAM-ORDER-004: one that leaves takes nothing from another', async () => {
    const { id, stream, release } = await held(here());
    const other = await openStream(here(), 'subscribe', { id });
    await other.next();
    await stream.close();
    release();
    expect(storyOf(await other.rest())).toEqual(WHOLE_STORY);
  });

  test('STREAM-SUB-001, STREAM-SUB-002: who subscribes sees the task as it is, and its end', async () => {
    const { id, stream, release } = await held(here());
    const subscribed = await openStream(here(), 'subscribe', { id });
    const first = await subscribed.next();
    expect({ kind: first?.kind, id: taskIn(first!.result)?.['id'], state: first?.state }).toEqual({
      kind: 'task',
      id,
      state: 'working',
    });
    release();
    expect((await subscribed.rest()).at(-1)?.state).toBe('completed');
    await stream.rest();
  });

  test('STREAM-SUB-003, STREAM-SUB-004: no subscription to what has ended or is not there', async () => {
    const done = taskIn(resultOf(await ask(here(), 'send', { message: { messageId: idOf('tck-complete-task') } })));
    const refusals = [
      [String(done!['id']), 'UnsupportedOperation'],
      [idOf('tck-nonexistent'), 'TaskNotFound'],
    ] as const;
    for (const [id, error] of refusals) {
      // Whoever asked for a stream over JSON-RPC of 0.3 has the error as its event.
      if (here().form === 'JSON-RPC' && here().version === '0.3') {
        const [event] = await (await openStream(here(), 'subscribe', { id })).rest();
        expect(objectAt(event!.raw, 'error')?.['code']).toBe(error === 'TaskNotFound' ? -32001 : -32004);
      } else expect(faultsOfError(await ask(here(), 'subscribe', { id }), error)).toEqual([]);
    }
  });

  test('AUTH-INTASK-001, AUTH-INTASK-002, AUTH-INTASK-003: a task that wants credentials says so', async () => {
    const task = taskIn(resultOf(await ask(here(), 'send', { message: { messageId: idOf('tck-auth-required') } })))!;
    expect(stateIn(task)).toBe('auth-required');
    const status = objectAt(task, 'status')!;
    expect(textIn(objectAt(status, 'message') ?? objectAt(status, 'update'))).toBe('Something is wanted of you.');
    const later = taskIn(resultOf(await ask(here(), 'get', { id: String(task['id']) })));
    expect(stateIn(later)).toBe('auth-required');
  });

  test('AUTH-INTASK-005: its stream goes on when the credentials come from elsewhere', async () => {
    const messageId = idOf('tck-credentials-elsewhere');
    const stream = await streamed(here(), messageId);
    await stream.next();
    expect((await stream.next())?.state).toBe('auth-required');
    tck.agents.tck.release(messageId);
    expect(storyOf(await stream.rest())).toEqual(['completed']);
  });

  test('AUTH-INTASK-006: it takes messages meanwhile', async () => {
    const task = taskIn(resultOf(await ask(here(), 'send', { message: { messageId: idOf('tck-auth-required') } })))!;
    const taskId = String(task['id']);
    const answer = await ask(here(), 'send', { message: { messageId: idOf('tck-complete-task'), taskId } });
    expect(taskIn(resultOf(answer))?.['id']).toBe(taskId);
    expect(stateIn(taskIn(resultOf(answer)))).toBe('completed');
  });
});

const PAYLOADS = ['task', 'message', 'statusUpdate', 'artifactUpdate'];
const payloadsOf = (result: Json): string[] => PAYLOADS.filter((name) => name in result);

describe.each([...GATEWAY_10, ...DIRECT].filter(({ form }) => form === 'JSON-RPC'))('JSON-RPC $via', (subject) => {
  test('JSONRPC-SSE-001: each event is a JSON-RPC response with one StreamResponse', async () => {
    const stream = await streamed(tck.placeOf(subject), idOf('tck-stream-003'));
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = await stream.rest();
    expect(events.length).toBeGreaterThan(CHUNKS.length);
    for (const { raw } of events) {
      expect(raw).toMatchObject({ jsonrpc: '2.0', id: RPC_ID });
      expect(payloadsOf(objectAt(raw, 'result')!)).toHaveLength(1);
    }
  });
});

describe.each([...GATEWAY_10, ...DIRECT].filter(({ form }) => form === 'REST'))('REST $via', (subject) => {
  test('HTTP_JSON-SSE-001: each event is one StreamResponse', async () => {
    const stream = await streamed(tck.placeOf(subject), idOf('tck-stream-003'));
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = await stream.rest();
    expect(events.length).toBeGreaterThan(CHUNKS.length);
    for (const { raw } of events) expect([Object.keys(raw).length, payloadsOf(raw).length]).toEqual([1, 1]);
  });
});

describe.each([...GATEWAY_10, ...DIRECT])('what came of a stream, $via, $form', (subject) => {
  test('STREAM-ORDER-001: the task holds what its stream told', async () => {
    const events = await (await streamed(tck.placeOf(subject), idOf('tck-stream-003'))).rest();
    const id = String(taskIn(events[0]!.result)!['id']);
    const task = taskIn(resultOf(await ask(tck.placeOf(subject), 'get', { id })));
    expect(listAt(task, 'artifacts').map(textIn)).toEqual([CHUNKS.join('')]);
  });
});
