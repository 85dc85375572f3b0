import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { createPinMemory, openPins } from './pins.ts';

test('an id is where it was noted last, for every thread that opened the memory', () => {
  const memory = createPinMemory();
  const [one, other] = [openPins(memory), openPins(memory)];
  one.note('resp_1', 0);
  one.note('resp_2', 65_535);
  expect([other.placeOf('resp_1'), other.placeOf('resp_2'), other.placeOf('resp_3')]).toEqual([0, 65_535, undefined]);
  other.note('resp_1', 7);
  expect(one.placeOf('resp_1')).toBe(7);
});

test('of ten thousand ids nearly all are found, each at its own place; strangers are not', () => {
  const pins = openPins(createPinMemory());
  const ids = Array.from({ length: 10_000 }, (_, n) => `resp_${n.toString(36)}`);
  for (const [n, id] of ids.entries()) pins.note(id, n);
  const right = ids.filter((id, n) => pins.placeOf(id) === n).length;
  expect(right).toBeGreaterThan(9_900);
  const strange = ids.filter((id) => pins.placeOf(`${id}!`) !== undefined).length;
  expect(strange).toBeLessThan(20);
});

test('whatever the id, nothing breaks', () => {
  const pins = openPins(createPinMemory());
  fc.assert(
    fc.property(fc.string(), fc.nat(65_535), (id, place) => {
      pins.note(id, place);
      return pins.placeOf(id) === place;
    }),
  );
});
