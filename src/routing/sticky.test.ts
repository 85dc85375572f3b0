import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type FakeTarget, NOW_MS, REQUEST, poolOf, seeded } from '../../test/support/routing.ts';
import type { Candidate } from './candidate.ts';
import { mix32 } from './hash.ts';
import { type Planner, createPlanner } from './planner.ts';
import { keyOf, prefixKey } from './sticky.ts';

function plannerOf(targets: readonly FakeTarget[], seed = 1): Planner {
  return createPlanner({ ...poolOf(targets), strategy: 'weighted', random: seeded(seed) });
}

function homeOf(planner: Planner, key: number): string {
  return planner.pick({ ...REQUEST, stickyKey: key }, [], NOW_MS)!.id;
}

const KEYS = Array.from({ length: 4_000 }, (_, at) => mix32(at + 1));

test('a key has one home, in every worker', () => {
  const targets = Array.from({ length: 20 }, (): FakeTarget => ({}));
  const [one, other] = [plannerOf(targets, 1), plannerOf(targets, 2)];
  for (const key of KEYS.slice(0, 100)) expect(homeOf(one, key)).toBe(homeOf(other, key));
});

test('only the keys of what goes move, to all of the others, and they come back with it', () => {
  const { pool, live, states } = poolOf(Array.from({ length: 10 }, (): FakeTarget => ({})));
  const planner = createPlanner({ pool, live, strategy: 'cost', random: seeded(1) });
  const before = KEYS.map((key) => homeOf(planner, key));
  const gone = pool.candidates[3]!;
  states[gone.place]!.breaker = 'open';
  const during = KEYS.map((key) => homeOf(planner, key));
  const moved = during.filter((home, at) => home !== before[at]);
  expect(moved).toHaveLength(before.filter((home) => home === gone.id).length);
  expect(new Set(moved).size).toBe(9);
  states[gone.place]!.breaker = 'closed';
  expect(KEYS.map((key) => homeOf(planner, key))).toEqual(before);
});

test('homes are spread by weight', () => {
  const planner = plannerOf([{ weight: 6 }, { weight: 3 }, { weight: 1 }, { weight: 0 }]);
  const part = (id: string): number => KEYS.filter((key) => homeOf(planner, key) === id).length / KEYS.length;
  expect(part('p/a')).toBeCloseTo(0.6, 1);
  expect(part('p/b')).toBeCloseTo(0.3, 1);
  expect(part('p/c')).toBeCloseTo(0.1, 1);
  expect(part('p/d')).toBe(0);
});

test('a weight that rises draws keys to it and moves none between the others', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 20 }), fc.integer(), (weights, key) => {
      const targets = weights.map((weight): FakeTarget => ({ weight }));
      const before = homeOf(plannerOf(targets), key);
      const after = homeOf(plannerOf([{ weight: weights[0]! * 3 }, ...targets.slice(1)]), key);
      expect([before, 'p/a']).toContain(after);
    }),
  );
});

test('tiers and filters hold, and after a failure the next home is always the same', () => {
  const planner = plannerOf([{ order: 2 }, {}, {}, {}]);
  const request = { ...REQUEST, stickyKey: 77 };
  const tried: Candidate[] = [];
  for (let at = 0; at < 4; at++) tried.push(planner.pick(request, tried, NOW_MS)!);
  expect(tried.at(-1)?.id).toBe('p/a');
  const { candidates, sticky } = planner.explain(request, [], NOW_MS);
  expect(sticky).toBe(true);
  expect(candidates.toSorted((a, b) => a.rank! - b.rank!).map(({ id }) => id)).toEqual(tried.map(({ id }) => id));
});

describe('keys', () => {
  test('of a name, apart by whose name it is', () => {
    expect(keyOf('key:a', 'chat-1')).toBe(keyOf('key:a', 'chat-1'));
    expect(keyOf('key:a', 'chat-1')).not.toBe(keyOf('key:b', 'chat-1'));
  });

  test('of a prompt: how it begins, nothing else', () => {
    const prompt = new Uint8Array(10_000).fill(97);
    const key = prefixKey(prompt);
    expect(key).toBeTypeOf('number');
    expect(prefixKey(prompt.with(4_096, 98))).toBe(key);
    expect(prefixKey(prompt.subarray(0, 5_000))).toBe(key);
    for (const at of [0, 1, 2, 3, 1_000, 4_095]) expect(prefixKey(prompt.with(at, 98))).not.toBe(key);
  });

  test('none of a prompt too short for any cache', () => {
    expect(prefixKey(new Uint8Array(4_095))).toBeUndefined();
    expect(prefixKey(new Uint8Array(5), 5)).toBeTypeOf('number');
  });

  test('differ for prompts that differ', () => {
    const bytes = fc.uint8Array({ minLength: 5, maxLength: 11 });
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        fc.pre(Buffer.compare(one, other) !== 0 && one.length === other.length);
        expect(prefixKey(one, one.length)).not.toBe(prefixKey(other, other.length));
      }),
      { numRuns: 2_000 },
    );
  });
});
