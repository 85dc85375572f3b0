import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { expect, test } from 'vitest';

import { LOCK_WORDS, heldBy, lock, tryLock, unlock } from './shared-lock.ts';

const newWords = (): Int32Array => new Int32Array(new SharedArrayBuffer(8 * Int32Array.BYTES_PER_ELEMENT));
const race = (words: Int32Array, owner: number, options: { rivals: number; rounds: number }): Worker =>
  new Worker(new URL('../../test/fixtures/lock-race.ts', import.meta.url), { workerData: { words, owner, ...options } });

test('one owner at a time, named while it holds', () => {
  const words = newWords();
  expect(heldBy(words, 0)).toBe(0);
  lock(words, 0, 7);
  expect(heldBy(words, 0)).toBe(7);
  expect(tryLock(words, 0, 8)).toBe(false);
  unlock(words, 0);
  expect(heldBy(words, 0)).toBe(0);
  expect(tryLock(words, 0, 8)).toBe(true);
});

test('two locks in the same words do not know each other', () => {
  const words = newWords();
  lock(words, 0, 1);
  expect(tryLock(words, LOCK_WORDS, 2)).toBe(true);
  expect(heldBy(words, 0)).toBe(1);
});

test('threads change several numbers together, and lose nothing', async () => {
  const [rivals, rounds] = [4, 50_000];
  const words = newWords();
  const threads = Array.from({ length: rivals }, (_, index) => race(words, index + 1, { rivals, rounds }));
  const torn = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0] as number));
  expect(torn).toEqual([0, 0, 0, 0]);
  expect([words[3], words[4]]).toEqual([rivals * rounds, rivals * rounds]);
  expect([heldBy(words, 0), words[1]]).toEqual([0, 0]);
});

test('who waits sleeps, and goes on when another unlocks in the name of the dead', async () => {
  const words = newWords();
  lock(words, 0, 99);
  const thread = race(words, 1, { rivals: 1, rounds: 10 });
  const done = once(thread, 'message');
  await expect.poll(() => Atomics.load(words, 1)).toBe(1);
  await delay(20);
  expect(words[3]).toBe(0);
  expect(heldBy(words, 0)).toBe(99);
  unlock(words, 0);
  expect((await done)[0]).toBe(0);
  expect(words[3]).toBe(10);
});
