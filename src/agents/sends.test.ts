import { expect, test } from 'vitest';

import { createSendBook } from './sends.ts';

const claim = (key: string, body = 1): { key: string; body: number; waitMs: number } => ({ key, body, waitMs: 0 });

test('a message is its first sender’s for ten minutes, however many come after it', async () => {
  let nowMs = 0;
  const book = createSendBook(() => nowMs);
  expect(await book.claim(claim('first'))).toEqual({ is: 'yours' });
  book.settle('first', { is: 'task', task: 't' });
  for (let index = 0; index < 150_000; index++) await book.claim(claim(`m${index}`));
  nowMs = 599_999;
  expect(await book.claim(claim('first'))).toEqual({ is: 'task', task: 't' });
  expect(await book.claim(claim('first', 2))).toEqual({ is: 'another' });
  nowMs = 600_000;
  expect(await book.claim(claim('first'))).toEqual({ is: 'yours' });
});

test('answers are kept as long as there is room, that they were given for ten minutes', async () => {
  const book = createSendBook(() => 0);
  const answer = 'x'.repeat(1024 * 1024);
  for (let index = 0; index < 65; index++) {
    await book.claim(claim(`m${index}`));
    book.settle(`m${index}`, { is: 'answer', answer, shape: 's' });
  }
  expect(await book.claim(claim('m0'))).toEqual({ is: 'gone' });
  expect(await book.claim(claim('m1'))).toEqual({ is: 'answer', answer, shape: 's' });
});

test('whoever repeats a message waits for what comes of it, and sends it where that is nothing', async () => {
  const book = createSendBook(() => 0);
  await book.claim(claim('m'));
  const waiting = book.claim({ key: 'm', body: 1, waitMs: 60_000 });
  book.settle('m', { is: 'nothing' });
  expect(await waiting).toEqual({ is: 'yours' });
  expect(await book.claim(claim('m'))).toEqual({ is: 'under_way' });
});
