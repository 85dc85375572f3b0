import { describe, expect, test } from 'vitest';

import { type FakeTarget, NOW_MS, REQUEST, poolOf, seeded } from '../../../test/support/routing.ts';
import { type Planner, createPlanner } from '../planner.ts';
import type { RouteRequest } from '../request.ts';

function plannerOf(targets: readonly FakeTarget[]): Planner {
  return createPlanner({ ...poolOf(targets), strategy: 'latency', random: seeded(5) });
}

function shares(planner: Planner, request: Partial<RouteRequest> = {}): Record<string, number> {
  const found: Record<string, number> = {};
  for (let pick = 0; pick < 4_000; pick++) {
    const name = planner.pick({ ...REQUEST, ...request }, [], NOW_MS)!.id.slice(2);
    found[name] = (found[name] ?? 0) + 1 / 4_000;
  }
  return found;
}

const takes = (firstContentMs: number, perTokenMs?: number, more: FakeTarget['live'] = {}): FakeTarget => ({
  live: { firstContentMs, perTokenMs, ...more },
});

test('the shortest expected time: first content, and tokens times pace', () => {
  const planner = plannerOf([takes(100, 50), takes(900, 5)]);
  expect(shares(planner, { outputTokens: 10 })).toEqual({ a: expect.closeTo(1) });
  expect(shares(planner, { outputTokens: 1_000 })).toEqual({ b: expect.closeTo(1) });
});

test('those near the best share the requests, the less busy one first', () => {
  const near = shares(plannerOf([takes(100), takes(105), takes(300)]), { outputTokens: 0 });
  expect(near).toEqual({ a: expect.closeTo(0.5, 1), b: expect.closeTo(0.5, 1) });
  const busy = shares(plannerOf([takes(100, 0, { inFlight: 4 }), takes(105, 0, { inFlight: 3 }), takes(300)]), {
    outputTokens: 0,
  });
  expect(busy).toEqual({ b: expect.closeTo(1) });
});

test('a thousand near ones do not follow one', () => {
  const planner = plannerOf(Array.from({ length: 1_000 }, () => takes(100, 10)));
  expect(Object.keys(shares(planner)).length).toBeGreaterThan(800);
});

test('whose pace is not known is not thereby the quickest', () => {
  expect(shares(plannerOf([takes(300), takes(200, 20)]), { outputTokens: 10 })).toEqual({ b: expect.closeTo(1) });
});

describe('what is not known', () => {
  test('is explored by a small part', () => {
    const found = shares(plannerOf([takes(100), {}, {}]));
    expect(found['a']).toBeCloseTo(0.95, 1);
    expect(found['b']! + found['c']!).toBeGreaterThan(0.03);
    expect(found['b']! + found['c']!).toBeLessThan(0.07);
  });

  test('but not while somebody is finding out', () => {
    expect(shares(plannerOf([takes(100), { live: { inFlight: 1 } }]))).toEqual({ a: expect.closeTo(1) });
  });

  test('at a cold start: all alike, the less busy first', () => {
    const cold = shares(plannerOf([{}, {}, {}, {}]));
    for (const share of Object.values(cold)) expect(share).toBeCloseTo(0.25, 1);
    expect(shares(plannerOf([{ live: { inFlight: 2 } }, { live: { inFlight: 1 } }]))).toEqual({ b: expect.closeTo(1) });
  });

  test('what was measured before an outage does not count after it', () => {
    const found = shares(plannerOf([takes(500), takes(10, 1, { breaker: 'probing' })]));
    expect(found['b']).toBeGreaterThan(0.03);
    expect(found['b']).toBeLessThan(0.07);
  });
});

describe('what has had no request for a while', () => {
  const idle = { lastSentMs: NOW_MS - 60_000 };

  test('is explored the more often the less it costs, within 4 % of the best time', () => {
    const found = shares(plannerOf([takes(100), takes(200, 0, idle), takes(1_000, 0, idle)]), { outputTokens: 0 });
    expect(found['b']).toBeCloseTo(0.02, 2);
    expect(found['c'] ?? 0).toBeLessThan(0.006);
    const meanMs = found['a']! * 100 + found['b']! * 200 + (found['c'] ?? 0) * 1_000;
    expect(meanMs).toBeLessThan(106);
  });

  test('but not when it was just asked', () => {
    expect(shares(plannerOf([takes(100), takes(1_000)]))).toEqual({ a: expect.closeTo(1) });
  });
});

test('of many, the best that were once drawn are not lost', () => {
  const planner = plannerOf(Array.from({ length: 500 }, (_, at) => takes(at === 321 ? 100 : 1_000)));
  shares(planner);
  expect(shares(planner)['t321']).toBeGreaterThan(0.95);
});

test('a silence longer than what was measured refutes it', () => {
  const { pool, live, states } = poolOf([takes(100), takes(400)]);
  const planner = createPlanner({ pool, live, strategy: 'latency', random: seeded(5) });
  expect(shares(planner)).toEqual({ a: expect.closeTo(1) });
  states[0]!.waitingMs = 1_000;
  expect(shares(planner)).toEqual({ b: expect.closeTo(1) });
});
