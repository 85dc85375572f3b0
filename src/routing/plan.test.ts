import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { planRoutes, weightedOrder } from './plan.ts';

/** A small generator with a known seed: the shares below are the same on every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('the first place is drawn by weight', () => {
  const random = seeded(1);
  const firsts = { a: 0, b: 0, never: 0 };
  const candidates = [
    { name: 'a' as const, weight: 3 },
    { name: 'b' as const, weight: 1 },
    { name: 'never' as const, weight: 0 },
  ];
  for (let draw = 0; draw < 10_000; draw++) firsts[weightedOrder(candidates, random)[0]!.name]++;
  expect(firsts.a / 10_000).toBeCloseTo(0.75, 1);
  expect(firsts.b / 10_000).toBeCloseTo(0.25, 1);
  expect(firsts.never).toBe(0);
});

test('every candidate has a place, whatever the weights', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ weight: fc.nat(1000) })), fc.integer(), (candidates, seed) => {
      expect(new Set(weightedOrder(candidates, seeded(seed)))).toEqual(new Set(candidates));
    }),
  );
});

test('the endpoints of a target follow one another before the next target', () => {
  const targets = [
    { provider: 'p', weight: 1 },
    { provider: 'q', weight: 0 },
  ];
  const endpoint = (baseUrl: string, weight: number) => ({ baseUrl, headers: {}, weight });
  const endpoints = { p: [endpoint('p1', 1), endpoint('p2', 0)], q: [endpoint('q1', 1)] };
  const routes = planRoutes(targets, (target) => endpoints[target.provider as 'p' | 'q'], Math.random);
  expect(routes.map((route) => route.endpoint.baseUrl)).toEqual(['p1', 'p2', 'q1']);
});
