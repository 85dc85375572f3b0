import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type Estimate, NOTHING, knownMs, learned } from './estimate.ts';

const T0 = 1_800_000_000_000;
const known = ({ meanMs, weight, atMs }: Estimate, nowMs: number) => knownMs(meanMs, weight, nowMs - atMs);
const after = (values: number[], everyMs = 0) =>
  values.reduce((state, value, at) => learned(state, value, T0 + at * everyMs), NOTHING);

test('the first measurements count alike, of many the newest one fifth', () => {
  expect(known(NOTHING, T0)).toBeUndefined();
  expect(known(after([100]), T0)).toBe(100);
  expect(known(after([100, 300]), T0)).toBe(200);
  expect(known(after([100, 100, 100, 100, 100, 100, 600]), T0)).toBeCloseTo(200);
});

test('one measurement is known for a minute, many for three', () => {
  expect(known(after([100]), T0 + 59_999)).toBe(100);
  expect(known(after([100]), T0 + 60_001)).toBeUndefined();
  const often = after([100, 100, 100, 100, 100, 100]);
  expect(known(often, T0 + 180_000)).toBe(100);
  expect(known(often, T0 + 200_000)).toBeUndefined();
});

test('what was long ago hardly weighs', () => {
  const old = after([1_000, 1_000, 1_000, 1_000, 1_000]);
  expect(learned(old, 100, T0 + 600_000).meanMs).toBeLessThan(110);
});

test('it stays within what was measured, whatever the clock does', () => {
  const step = fc.record({ ms: fc.double({ min: 0, max: 1e6, noNaN: true }), at: fc.integer({ min: T0, max: T0 + 1e9 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1 }), (steps) => {
      const end = steps.reduce((state, { ms, at }) => learned(state, ms, at), NOTHING);
      const all = steps.map(({ ms }) => ms);
      expect(end.meanMs).toBeGreaterThanOrEqual(Math.min(...all) - 1e-6);
      expect(end.meanMs).toBeLessThanOrEqual(Math.max(...all) + 1e-6);
    }),
  );
});
