import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import type { EventFact } from '../../core/fact.ts';
import { type Delivery, type QueueOptions, createEventQueue } from './queue.ts';

function event(id: string): EventFact {
  return { kind: 'event', id, atMs: 0, type: 'store.down', details: {} };
}

function setUp(deliver: (event: EventFact) => Delivery | Promise<Delivery>, more: Partial<QueueOptions> = {}) {
  const tried: string[] = [];
  const dead: string[] = [];
  const queue = createEventQueue({
    deliver: async (one) => {
      tried.push(one.id);
      return deliver(one);
    },
    onDead: ({ id }, reason) => dead.push(`${id} ${reason}`),
    nowMs: () => performance.now(),
    random: () => 0.5,
    pausesMs: [20, 40],
    ...more,
  });
  return { queue, tried, dead };
}

test('what is taken is sent once, also where it comes twice', async () => {
  const { queue, tried, dead } = setUp(() => 'taken');
  for (const id of ['a', 'b', 'a', 'a']) queue.add(event(id));
  await delay(60);
  queue.add(event('b'));
  await delay(20);
  expect({ tried, dead }).toEqual({ tried: ['a', 'b'], dead: [] });
});

test('what fails is tried again with pauses, then given up', async () => {
  const startedAt = performance.now();
  const { queue, tried, dead } = setUp(() => Promise.reject(new Error('no connection')));
  queue.add(event('a'));
  await expect.poll(() => dead).toEqual(['a tries']);
  expect(tried).toEqual(['a', 'a', 'a']);
  expect(performance.now() - startedAt).toBeGreaterThan(55);
});

test('what the receiver refuses is not tried again', async () => {
  const { queue, tried, dead } = setUp(() => 'refused');
  queue.add(event('a'));
  await delay(80);
  expect({ tried, dead }).toEqual({ tried: ['a'], dead: ['a refused'] });
});

test('one that never succeeds holds up nobody', async () => {
  const { queue, tried } = setUp(({ id }) => (id === 'bad' ? 'failed' : 'taken'), { pausesMs: [60_000] });
  queue.add(event('bad'));
  for (let index = 0; index < 20; index++) queue.add(event(`good-${index}`));
  await expect.poll(() => tried.length).toBe(21);
  await queue.close(100);
});

test('four at once, and no more wait than there is room for: the oldest goes', async () => {
  let underWay = 0;
  let most = 0;
  const open = Promise.withResolvers<void>();
  const { queue, dead } = setUp(
    async (): Promise<Delivery> => {
      most = Math.max(most, ++underWay);
      await open.promise;
      underWay--;
      return 'taken';
    },
    { capacity: 3 },
  );
  for (let index = 0; index < 9; index++) queue.add(event(String(index)));
  expect(dead).toEqual(['4 full', '5 full']);
  open.resolve();
  await queue.close(1_000);
  expect(most).toBe(4);
  expect(dead).toHaveLength(2);
});

test('at the end each gets a last try, then is named', async () => {
  let up = false;
  const { queue, tried, dead } = setUp(({ id }) => (up && id !== 'b' ? 'taken' : 'failed'), { pausesMs: [60_000] });
  for (const id of ['a', 'b', 'c']) queue.add(event(id));
  await expect.poll(() => tried.length).toBe(3);
  up = true;
  await queue.close(1_000);
  expect(tried).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  expect(dead).toEqual(['b stopped']);
  queue.add(event('d'));
  expect(tried).toHaveLength(6);
});

test('the end has a deadline', async () => {
  const { queue, dead } = setUp(() => new Promise(() => {}));
  for (let index = 0; index < 6; index++) queue.add(event(String(index)));
  const startedAt = performance.now();
  await queue.close(50);
  expect(performance.now() - startedAt).toBeLessThan(500);
  expect(dead).toEqual([0, 1, 2, 3, 4, 5].map((id) => `${id} stopped`));
});
