import { expect, test } from 'vitest';

import { count } from './usage.ts';

test.each([
  [17, 17],
  [17.9, 17],
  [0, 0],
  [-3, 0],
  [Number.NaN, 0],
  [Infinity, 0],
  ['17', 0],
  [null, 0],
  // What it costs must be an integer that a database takes.
  [1e300, 1e9],
])('%j counts as %i', (told, counted) => {
  expect(count(told)).toBe(counted);
});
