import { expect, test } from 'vitest';
import * as z from 'zod';

import { GatewayError } from '../../core/errors.ts';
import { readInput } from './input.ts';

const schema = z.strictObject({ name: z.string().exactOptional(), rows: z.array(z.looseObject({})).exactOptional() });

function complaintAbout(value: unknown): unknown {
  try {
    return readInput(schema, value);
  } catch (error) {
    return (error as GatewayError).details.issues;
  }
}

test.each([
  [{ name: 'a\u0000' }, 'name', 'holds a character that cannot be kept'],
  [{ rows: [{}, { a: { b: ['x', '\ud800'] } }] }, 'rows[1].a.b[1]', 'holds a character that cannot be kept'],
  [{ rows: [{ 'a\u0000': 1 }] }, 'rows[0]', 'has a key that is not valid'],
  [{ rows: [JSON.parse('{"__proto__": 1}')] }, 'rows[0]', 'has a key that is not valid'],
  [{ ['k'.repeat(1_000_000)]: 1 }, '', 'has a key that is not valid'],
  [
    { rows: [Object.fromEntries(Array.from({ length: 10_001 }, (_, each) => [each, 1]))] },
    'rows[0]',
    'has more than 10000 members',
  ],
])('what cannot be kept or named is refused where it stands: %#', (value, param, message) => {
  expect(complaintAbout(value)).toEqual([{ param, message }]);
});

test('nesting has an end', () => {
  let deep: unknown = 1;
  for (let depth = 0; depth < 33; depth++) deep = [deep];
  expect(complaintAbout({ rows: deep })).toMatchObject([{ message: 'is nested too deeply' }]);
});

test('complaints are counted out', () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, each) => [`field${each}`, 1]));
  expect(complaintAbout(many)).toHaveLength(50);
  expect(complaintAbout({ rows: Array.from({ length: 5_000 }, () => 1) })).toHaveLength(50);
});

test('a megabyte of small things is read in a moment', () => {
  const wide = { rows: [{ list: Array.from({ length: 500_000 }, () => 1) }] };
  const before = performance.now();
  expect(complaintAbout(wide)).toEqual(wide);
  expect(performance.now() - before).toBeLessThan(200);
});
