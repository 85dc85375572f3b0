import { expect, test } from 'vitest';

import type { Seen } from '../../agents/a2a/read.ts';
import { endingOf } from './ending.ts';

const asks: Seen = { kind: 'task', task: 't', state: 'input-required' };
const works: Seen = { kind: 'status', task: 't', state: 'working' };
const asksAgain: Seen = { kind: 'status', task: 't', state: 'input-required' };
const done: Seen = { kind: 'task', task: 't', state: 'completed' };

const endsOf = (isFollowUp: boolean, ...results: (Seen | undefined)[]): boolean[] => {
  const ending = endingOf(isFollowUp);
  return [...results.map(ending.after), ending.atLast()];
};

test('a task that waits ends what a new message comes to', () => {
  expect(endsOf(false, asks)).toEqual([true, true]);
  expect(endsOf(false, works, asksAgain)).toEqual([false, true, true]);
  expect(endsOf(false, works)).toEqual([false, false]);
});

test('of a message to that task it ends nothing unless it is all that is told', () => {
  expect(endsOf(true, asks)).toEqual([false, true]);
  expect(endsOf(true, asks, works)).toEqual([false, false, false]);
  expect(endsOf(true, asks, works, asksAgain)).toEqual([false, false, true, true]);
  expect(endsOf(true, undefined, works, asks)).toEqual([false, false, true, true]);
});

test('what has ended stays so', () => {
  expect(endsOf(true, done, works)).toEqual([true, true, true]);
  expect(endsOf(false, { kind: 'message' })).toEqual([true, true]);
});
