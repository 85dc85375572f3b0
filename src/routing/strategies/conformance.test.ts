/** What every strategy owes: filters, tiers, ties and exclusions hold whichever chooses. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type FakeTarget, NOW_MS, REQUEST, poolOf, priced, seeded } from '../../../test/support/routing.ts';
import type { Candidate } from '../candidate.ts';
import { SAMPLE } from '../draw.ts';
import { YIELDING } from '../filters.ts';
import { type Planner, createPlanner } from '../planner.ts';
import type { RouteRequest } from '../request.ts';
import { STRATEGY_ALIASES, STRATEGY_NAMES, type StrategyName, strategyNamed } from '../../core/routing.ts';

const NAMES = STRATEGY_NAMES;

function plannerOf(strategy: StrategyName, targets: readonly FakeTarget[], random = seeded(7)): Planner {
  return createPlanner({ ...poolOf(targets), strategy, random });
}

/** How often each is chosen, in the order of the targets. */
function counts(planner: Planner, picks: number, request: RouteRequest = REQUEST): number[] {
  const found = new Map<string, number>();
  for (let pick = 0; pick < picks; pick++) {
    const id = planner.pick(request, [], NOW_MS)?.id ?? 'none';
    found.set(id, (found.get(id) ?? 0) + 1);
  }
  return planner.pool.candidates.map(({ id }) => found.get(id) ?? 0);
}

/** With every figure a strategy might look at; ticks of a tenth, so that ties are common. */
const tenths = fc.integer({ min: 0, max: 10 }).map((value) => value / 10);
const anyTarget = fc.record({
  weight: fc.constantFrom(0, 1, 1, 5),
  order: fc.constantFrom(1, 1, 2),
  tags: fc.constantFrom([], [], ['default'], ['paid']),
  capabilities: fc.constantFrom(['tools'], []),
  priceState: fc.constantFrom(priced(1, 2), priced(3, 1, 0), { status: 'free' as const }, { status: 'unpriced' as const }),
  limits: fc.constantFrom(undefined, { rpm: 10, tpm: 1_000, concurrent: 5 }),
  live: fc.record({
    inFlight: fc.nat(3),
    breaker: fc.constantFrom('closed' as const, 'closed' as const, 'open' as const, 'probing' as const),
    openUntilMs: fc.nat(3),
    firstContentMs: fc.constantFrom(undefined, 100, 105, 500),
    perTokenMs: fc.constantFrom(undefined, 10, 20),
    requestsUsed: tenths,
    tokensUsed: tenths,
    concurrencyUsed: tenths,
  }),
}) as fc.Arbitrary<FakeTarget>;
const anyRequest = fc.record({
  tags: fc.constantFrom([], ['paid']),
  needs: fc.constantFrom(REQUEST.needs, { ...REQUEST.needs, tools: true }),
  fallbackLeft: fc.boolean(),
  stickyKey: fc.constantFrom(undefined, 1, 2),
}) as fc.Arbitrary<Partial<RouteRequest>>;

describe.each(NAMES)('%s', (strategy) => {
  test('chooses exactly where explain says that someone may be tried, and of those the tier that comes first', () => {
    const sizes = fc.oneof(fc.array(anyTarget, { maxLength: 5 }), fc.array(anyTarget, { minLength: 17, maxLength: 40 }));
    fc.assert(
      fc.property(sizes, anyRequest, fc.integer(), fc.nat(4), (targets, more, seed, failures) => {
        const planner = plannerOf(strategy, targets, seeded(seed));
        const request = { ...REQUEST, ...more };
        const excluded: Candidate[] = planner.pool.candidates.slice(0, failures);
        const picked = planner.pick(request, excluded, NOW_MS);
        const { candidates } = planner.explain(request, excluded, NOW_MS);
        const ranked = candidates.filter(({ rank }) => rank !== undefined).sort((a, b) => a.rank! - b.rank!);
        expect(picked === undefined).toBe(ranked.length === 0);
        if (picked === undefined) return;
        expect(excluded).not.toContain(picked);
        const own = ranked.find(({ id }) => id === picked.id);
        expect(own, 'the plan has it').toBeDefined();
        const first = ranked[0]!;
        const failed = (each: typeof first): string[] =>
          each.verdicts.filter(({ passes }) => !passes).map(({ filter }) => filter);
        const level = (each: typeof first): number =>
          YIELDING.findIndex((yielding) => failed(each).every((filter) => (yielding as string[]).includes(filter)));
        expect({ level: level(own!), spare: own!.weight === 0, order: own!.order }).toEqual({
          level: level(first),
          spare: first.weight === 0,
          order: first.order,
        });
      }),
      { numRuns: 300 },
    );
  });

  test.each([3, SAMPLE, 40])('chooses among %i equals at random', (size) => {
    const planner = plannerOf(
      strategy,
      Array.from({ length: size }, () => ({})),
    );
    for (const count of counts(planner, size * 400)) {
      expect(count).toBeGreaterThan(300);
      expect(count).toBeLessThan(500);
    }
  });

  test('keeps order tiers: the next one serves only while none of the first can', () => {
    const planner = plannerOf(strategy, [{ order: 1 }, { order: 1 }, { order: 2 }, { order: 3 }]);
    const [a, b, c] = planner.pool.candidates as [Candidate, Candidate, Candidate];
    expect(counts(planner, 100).slice(2)).toEqual([0, 0]);
    expect(planner.pick(REQUEST, [a, b], NOW_MS)?.id).toBe('p/c');
    expect(planner.pick(REQUEST, [a, b, c], NOW_MS)?.id).toBe('p/d');
  });

  test('a candidate without weight comes when nothing else is left', () => {
    const { pool, live, states } = poolOf([{ weight: 0 }, {}, { order: 9 }]);
    const planner = createPlanner({ pool, live, strategy, random: seeded(1) });
    const pick = (): string | undefined => planner.pick(REQUEST, [], NOW_MS)?.id;
    expect(pick()).toBe('p/b');
    states[1]!.breaker = 'open';
    expect(pick()).toBe('p/c');
    states[2]!.breaker = 'open';
    expect(pick()).toBe('p/a');
  });

  test('an open breaker excludes only while another candidate or a fallback is left', () => {
    const open = { breaker: 'open' as const };
    const planner = plannerOf(strategy, [{ live: { ...open, openUntilMs: 9 } }, { live: { ...open, openUntilMs: 5 } }]);
    expect(planner.pick({ ...REQUEST, fallbackLeft: true }, [], NOW_MS)).toBeUndefined();
    const back = planner.pick(REQUEST, [], NOW_MS)!;
    expect(back.id, 'the one that is back first').toBe('p/b');
    const other = planner.pick(REQUEST, [back], NOW_MS)!;
    expect(other.id).toBe('p/a');
    expect(planner.pick(REQUEST, [back, other], NOW_MS)).toBeUndefined();
  });

  test('finds the one that is left of many', () => {
    const targets = Array.from({ length: 200 }, (_, at): FakeTarget => ({
      live: { breaker: at === 137 ? 'closed' : 'open' },
      weight: at === 137 ? 1 : 50,
    }));
    const planner = plannerOf(strategy, targets);
    expect(counts(planner, 20)[137]).toBe(20);
  });

  test('comes to the same choices from the same random numbers', () => {
    const targets = Array.from({ length: 30 }, (_, at): FakeTarget => ({
      weight: at,
      live: { inFlight: at % 3, firstContentMs: at },
    }));
    const once = plannerOf(strategy, targets, seeded(3));
    const again = plannerOf(strategy, targets, seeded(3));
    for (let pick = 0; pick < 50; pick++) {
      expect(again.pick(REQUEST, [], NOW_MS)?.id).toBe(once.pick(REQUEST, [], NOW_MS)?.id);
    }
  });

  test('explaining changes nothing', () => {
    const targets = Array.from({ length: 5 }, (): FakeTarget => ({}));
    const asked = plannerOf(strategy, targets, seeded(3));
    const silent = plannerOf(strategy, targets, seeded(3));
    for (let pick = 0; pick < 20; pick++) {
      asked.explain(REQUEST, [], NOW_MS);
      expect(asked.pick(REQUEST, [], NOW_MS)?.id).toBe(silent.pick(REQUEST, [], NOW_MS)?.id);
    }
  });

  test('a model without targets has none', () => {
    expect(plannerOf(strategy, []).pick(REQUEST, [], NOW_MS)).toBeUndefined();
  });
});

test('names of other gateways stand for strategies', () => {
  for (const [alias, name] of Object.entries(STRATEGY_ALIASES)) expect(strategyNamed(alias)).toBe(name);
  for (const name of NAMES) expect(strategyNamed(name)).toBe(name);
  expect(strategyNamed('toString')).toBeUndefined();
  expect(strategyNamed('fastest')).toBeUndefined();
});
