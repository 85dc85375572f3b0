import { expect, test } from 'vitest';

import { createExpiries } from './expiries.ts';

test('the end of a key is told once, of the store’s and of the file’s', () => {
  const expiries = createExpiries();
  const file = [
    { id: 'ci', name: 'ci', expiresAtMs: 15 },
    { id: 'old', name: 'old', expiresAtMs: 5 },
    { id: 'ever', name: 'ever' },
  ];
  expiries.note({ id: 'key_1', name: 'a', expiresAtMs: 12 });
  expiries.note({ id: 'key_2', name: 'b', expiresAtMs: 30 });
  expiries.note({ id: 'key_3', name: 'c', expiresAtMs: 12 });
  expiries.forget('key_3');
  // What ended before this process looked is no news.
  expect(expiries.take(10, file)).toEqual({ ended: [], stored: [] });
  expect(expiries.take(20, file)).toEqual({
    ended: [
      { id: 'key_1', name: 'a' },
      { id: 'ci', name: 'ci' },
    ],
    stored: ['key_1'],
  });
  expect(expiries.take(25, file)).toEqual({ ended: [], stored: [] });
  expiries.note({ id: 'key_2', name: 'b' });
  expect(expiries.take(40, file).ended).toEqual([]);
});
