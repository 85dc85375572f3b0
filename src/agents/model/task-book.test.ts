import { expect, test } from 'vitest';

import { type ModelTask, createTask } from './task.ts';
import { createTaskBook } from './task-book.ts';

const BOUNDS = { atWork: 3, atWorkBytes: 1_000, ended: 2, endedBytes: 10_000, keptMs: 1_000 };

function started() {
  const clock = { ms: 0 };
  let ids = 0;
  const book = createTaskBook(() => clock.ms, BOUNDS);
  const begin = (id: string, message = {}): ModelTask => {
    const task = createTask({ id, contextId: 'c', message, newId: () => `id-${ids++}`, nowMs: () => clock.ms });
    book.add('agent', task);
    return task;
  };
  const end = async (task: ModelTask): Promise<void> => {
    task.end('TASK_STATE_COMPLETED');
    await task.ended;
    await Promise.resolve();
  };
  return { clock, book, begin, end };
}

test('tasks at work are never forgotten, and there are so many at most', async () => {
  const { clock, book, begin, end } = started();
  const [one] = [begin('1'), begin('2'), begin('3')];
  expect(book.hasRoom()).toBe(false);
  clock.ms = 1_000_000;
  expect(book.get('agent', '1')).toBe(one);
  await end(one);
  expect(book.hasRoom()).toBe(true);
});

test('their messages have so many bytes at most', async () => {
  const { book, begin, end } = started();
  const large = begin('1', { parts: [{ text: 'x'.repeat(1_000) }] });
  expect(book.hasRoom()).toBe(false);
  await end(large);
  expect(book.hasRoom()).toBe(true);
});

test('of those that ended, the latest are kept for a while', async () => {
  const { clock, book, begin, end } = started();
  for (const id of ['1', '2', '3']) await end(begin(id));
  const known = (): string[] => ['1', '2', '3'].filter((id) => book.get('agent', id) !== undefined);
  expect(known()).toEqual(['2', '3']);
  expect(book.get('another agent', '3')).toBeUndefined();
  clock.ms = 1_001;
  expect(known()).toEqual([]);
});

test('of those that ended, so many bytes at most', async () => {
  const { book, begin, end } = started();
  const one = begin('1');
  one.add('x'.repeat(4_000), true);
  await end(one);
  const two = begin('2');
  two.add('x'.repeat(4_000), true);
  await end(two);
  expect(book.get('agent', '1')).toBeUndefined();
  expect(book.get('agent', '2')).toBe(two);
});

test('a task that has ended hears nothing more, and its followers neither', () => {
  const { begin } = started();
  const task = begin('1');
  const heard: object[] = [];
  task.follow((update) => heard.push(update));
  task.add('a', false);
  task.end('TASK_STATE_CANCELED');
  task.add('b', true);
  task.end('TASK_STATE_FAILED', 'too late');
  expect(heard.map((update) => Object.keys(update)[0])).toEqual(['artifactUpdate', 'statusUpdate']);
  expect(task.shown()).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' }, artifacts: [{ parts: [{ text: 'a' }] }] });
  expect(task.shown(0)).not.toHaveProperty('history');
});
