import { expect, test } from 'vitest';

import { withFinal } from './final.ts';

const statusOf = (state: string) => ({ kind: 'status-update', taskId: 't', contextId: 'c', status: { state }, final: false });

/** A stream that the test writes. */
function openStream() {
  const cues: ((event: IteratorResult<unknown>) => void)[] = [];
  const left = { value: false };
  let arrived: (() => void) | undefined;
  const asked = async (): Promise<(event: IteratorResult<unknown>) => void> => {
    if (cues.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
    return cues.shift()!;
  };
  async function* events(): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        const { value, done } = await new Promise<IteratorResult<unknown>>((resolve) => {
          cues.push(resolve);
          arrived?.();
        });
        if (done === true) return;
        yield value;
      }
    } finally {
      left.value = true;
    }
  }
  return {
    events: withFinal(events()),
    left,
    say: async (value: unknown) => (await asked())({ value, done: false }),
    end: async () => (await asked())({ value: undefined, done: true }),
  };
}

test('a status that waits for the client is final where the stream ends with it', async () => {
  const { events, say, end } = openStream();
  const first = events.next();
  await say(statusOf('input-required'));
  await end();
  expect((await first).value).toEqual({ ...statusOf('input-required'), final: true });
  expect(await events.next()).toEqual({ value: undefined, done: true });
});

test('it is told while the stream stays open, and is not final where something follows', async () => {
  const { events, say, end } = openStream();
  const first = events.next();
  await say(statusOf('auth-required'));
  expect((await first).value).toEqual(statusOf('auth-required'));
  const second = events.next();
  await say(statusOf('working'));
  expect((await second).value).toEqual(statusOf('working'));
  const third = events.next();
  await end();
  expect(await third).toEqual({ value: undefined, done: true });
});

test('it is said again, as final, where a stream that stayed open ends without another word', async () => {
  const { events, say, end } = openStream();
  const first = events.next();
  await say(statusOf('auth-required'));
  expect((await first).value).toEqual(statusOf('auth-required'));
  const second = events.next();
  await end();
  expect((await second).value).toEqual({ ...statusOf('auth-required'), final: true });
});

test('two that follow each other at once come both, in order', async () => {
  const { events, say, end } = openStream();
  const first = events.next();
  await say(statusOf('input-required'));
  await say(statusOf('auth-required'));
  expect((await first).value).toEqual(statusOf('input-required'));
  const second = events.next();
  await end();
  expect((await second).value).toEqual({ ...statusOf('auth-required'), final: true });
});

test('whoever leaves while a status is open ends the stream behind it', async () => {
  const { events, left, say } = openStream();
  const first = events.next();
  await say(statusOf('auth-required'));
  await first;
  expect(await events.return()).toEqual({ value: undefined, done: true });
  // What was under way comes to its end first.
  await say(statusOf('working'));
  await expect.poll(() => left.value).toBe(true);
});
