/** What each strategy chooses by. */
import { describe, expect, test } from 'vitest';

import { type FakeTarget, NOW_MS, REQUEST, poolOf, priced, seeded } from '../../../test/support/routing.ts';
import type { PriceState } from '../../core/price.ts';
import { type Planner, createPlanner } from '../planner.ts';
import type { RouteRequest } from '../request.ts';
import type { StrategyName } from '../../core/routing.ts';

function plannerOf(strategy: StrategyName, targets: readonly FakeTarget[]): Planner {
  return createPlanner({ ...poolOf(targets), strategy, random: seeded(11) });
}

/** `a: 3, b: 1` */
function chosen(planner: Planner, picks: number, request: Partial<RouteRequest> = {}): Record<string, number> {
  const found: Record<string, number> = {};
  for (let pick = 0; pick < picks; pick++) {
    const name = planner.pick({ ...REQUEST, ...request }, [], NOW_MS)!.id.slice(2);
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

describe('weighted', () => {
  test('draws in proportion to the weights', () => {
    const { a, b } = chosen(plannerOf('weighted', [{ weight: 3 }, { weight: 1 }, { weight: 0 }]), 8_000);
    expect(a! / 8_000).toBeCloseTo(0.75, 1);
    expect(a! + b!).toBe(8_000);
  });

  test('keeps the proportion among those that are left', () => {
    const targets: FakeTarget[] = [{ weight: 100, live: { breaker: 'open' } }, { weight: 3 }, { weight: 1 }];
    const { b, c } = chosen(plannerOf('weighted', targets), 8_000);
    expect(b! / 8_000).toBeCloseTo(0.75, 1);
    expect(b! + c!).toBe(8_000);
  });

  test('keeps it where nearly all of the weight is excluded', () => {
    const targets: FakeTarget[] = [{ weight: 1_000_000, live: { breaker: 'open' } }, { weight: 3 }, { weight: 1 }];
    expect(chosen(plannerOf('weighted', targets), 4_000)['b']! / 4_000).toBeCloseTo(0.75, 1);
  });

  test('endpoints share the weight of their target', () => {
    const { a, 'a#2': second, b } = chosen(plannerOf('weighted', [{ weight: 1, endpoints: [1, 1] }, { weight: 1 }]), 8_000);
    expect(a! / 8_000).toBeCloseTo(0.25, 1);
    expect(second! / 8_000).toBeCloseTo(0.25, 1);
    expect(b! / 8_000).toBeCloseTo(0.5, 1);
  });
});

describe('round_robin', () => {
  test('each once before any twice, whatever they weigh', () => {
    const planner = plannerOf('round_robin', [{ weight: 9 }, {}, {}, {}]);
    for (let round = 0; round < 5; round++) expect(chosen(planner, 4)).toEqual({ a: 1, b: 1, c: 1, d: 1 });
  });

  test('nobody serves the turns of one that is down', () => {
    const { pool, live, states } = poolOf([{}, {}, {}, {}]);
    const planner = createPlanner({ pool, live, strategy: 'round_robin', random: seeded(2) });
    states[1]!.breaker = 'open';
    expect(chosen(planner, 300)).toEqual({ a: 100, c: 100, d: 100 });
    states[1]!.breaker = 'closed';
    // It does not get what it missed, but a turn like the others.
    expect(chosen(planner, 400)).toEqual({ a: 100, b: 100, c: 100, d: 100 });
  });

  test('is fair within each kind of request, though they come by turns', () => {
    const planner = plannerOf('round_robin', [{ tags: ['x'] }, { tags: ['x'] }, { tags: ['y'] }, { tags: ['y'] }]);
    const total: Record<string, number> = {};
    for (let pick = 0; pick < 100; pick++) {
      const [name] = Object.keys(chosen(planner, 1, { tags: [pick % 2 === 0 ? 'x' : 'y'] }));
      total[name!] = (total[name!] ?? 0) + 1;
    }
    expect(total).toEqual({ a: 25, b: 25, c: 25, d: 25 });
  });

  test('planners of several workers do not go in step', () => {
    const firsts = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const planner = createPlanner({ ...poolOf([{}, {}, {}]), strategy: 'round_robin', random: seeded(seed) });
        return planner.pick(REQUEST, [], NOW_MS)!.id;
      }),
    );
    expect(firsts.size).toBe(3);
  });
});

test('least_busy: the fewest attempts under way, of those that serve', () => {
  const targets: FakeTarget[] = [
    { live: { inFlight: 3 } },
    { live: { inFlight: 1 } },
    { live: { inFlight: 1 } },
    { live: { inFlight: 0, breaker: 'open' } },
  ];
  const { b, c, ...others } = chosen(plannerOf('least_busy', targets), 1_000);
  expect(others).toEqual({});
  expect(Math.min(b!, c!)).toBeGreaterThan(400);
});

test('least_busy: of many, those drawn are compared, so that the busy ones are left alone', () => {
  const targets = Array.from({ length: 100 }, (_, at): FakeTarget => ({ live: { inFlight: at < 50 ? 9 : 0 } }));
  const planner = plannerOf('least_busy', targets);
  const busy = Array.from({ length: 1_000 }, () => planner.pick(REQUEST, [], NOW_MS)!.place).filter((place) => place < 50);
  expect(busy.length).toBeLessThan(5);
});

describe('cost', () => {
  test('goes by the price of this very request', () => {
    const planner = plannerOf('cost', [{ priceState: priced(1_000, 9_000) }, { priceState: priced(2_000, 2_000) }]);
    expect(chosen(planner, 10, { inputTokens: 10_000, outputTokens: 10 })).toEqual({ a: 10 });
    expect(chosen(planner, 10, { inputTokens: 100, outputTokens: 5_000 })).toEqual({ b: 10 });
  });

  test('a warm cache counts', () => {
    const planner = plannerOf('cost', [{ priceState: priced(3_000, 0, 300) }, { priceState: priced(1_000, 0, 1_000) }]);
    const { place } = planner.pool.candidates[0]!;
    expect(chosen(planner, 10)).toEqual({ b: 10 });
    expect(chosen(planner, 10, { cachedAt: { place, tokens: 900 } })).toEqual({ a: 10 });
    expect(chosen(planner, 10, { cachedAt: { place, tokens: 500 } })).toEqual({ b: 10 });
    const { leavingNanoUsd } = planner.explain({ ...REQUEST, cachedAt: { place, tokens: 900 } }, [], NOW_MS);
    expect(leavingNanoUsd).toBe(1_000 - (100 * 3_000 + 900 * 300) / 1_000);
  });

  test('rates that rise with the prompt', () => {
    const rate = { picoUsd: 1_000, tiers: [{ aboveTokens: 2_000, picoUsd: 8_000 }] };
    const tiered: PriceState = { status: 'priced', price: { input: rate, output: { picoUsd: 0 } }, source: 'list' };
    const planner = plannerOf('cost', [{ priceState: tiered }, { priceState: priced(2_000, 0) }]);
    expect(chosen(planner, 10, { inputTokens: 2_000 })).toEqual({ a: 10 });
    expect(chosen(planner, 10, { inputTokens: 2_001 })).toEqual({ b: 10 });
  });

  test('a price per request counts once', () => {
    const flat: PriceState = {
      status: 'priced',
      price: { input: { picoUsd: 0 }, output: { picoUsd: 0 }, request: { picoUsd: 50_000 } },
      source: 'config',
    };
    const planner = plannerOf('cost', [{ priceState: flat }, { priceState: priced(100, 0) }]);
    expect(chosen(planner, 10, { inputTokens: 499 })).toEqual({ b: 10 });
    expect(chosen(planner, 10, { inputTokens: 501 })).toEqual({ a: 10 });
  });

  test('free first, unpriced last', () => {
    const unpriced: FakeTarget = { priceState: { status: 'unpriced' } };
    expect(chosen(plannerOf('cost', [unpriced, { priceState: priced(1, 1) }]), 10)).toEqual({ b: 10 });
    expect(chosen(plannerOf('cost', [{ priceState: priced(1, 1) }, { priceState: { status: 'free' } }]), 10)).toEqual({ b: 10 });
    expect(chosen(plannerOf('cost', [unpriced]), 10)).toEqual({ a: 10 });
    const none = { ...REQUEST, inputTokens: 0, outputTokens: 0 };
    expect(plannerOf('cost', [unpriced, {}]).pick(none, [], NOW_MS)?.id).toBe('p/b');
  });

  test('a price that has run out, or was never resolved, is asked for', () => {
    const own = { ...priced(1, 1), changesAtMs: NOW_MS } as PriceState;
    const { pool, live } = poolOf([{ priceState: own }, { priceState: priced(5, 5) }, { priceState: { status: 'lazy' } }]);
    const now: Record<string, PriceState> = { 'p/a': priced(9, 9), 'p/c': priced(4, 4) };
    const planner = createPlanner({ pool, live, strategy: 'cost', random: seeded(1), priceOf: ({ id }) => now[id] });
    expect(planner.pick(REQUEST, [], NOW_MS - 1)?.id).toBe('p/a');
    expect(planner.pick(REQUEST, [], NOW_MS)?.id).toBe('p/c');
    const deaf = createPlanner({ pool, live, strategy: 'cost', random: seeded(1), priceOf: () => undefined });
    expect(deaf.pick(REQUEST, [], NOW_MS)?.id, 'what was known last').toBe('p/a');
  });
});

test('usage: the smallest part of the tokens per minute; without a limit nothing is in use', () => {
  const limits = { tpm: 100 };
  const targets: FakeTarget[] = [
    { limits, live: { tokensUsed: 0.4, requestsUsed: 0 } },
    { limits, live: { tokensUsed: 0.1, requestsUsed: 0.9 } },
  ];
  expect(chosen(plannerOf('usage', targets), 10)).toEqual({ b: 10 });
  expect(chosen(plannerOf('usage', [...targets, { live: { tokensUsed: 0.9 } }]), 10)).toEqual({ c: 10 });
});

describe('rate_limit_aware', () => {
  test('the scarcest limit decides', () => {
    const limits = { rpm: 1_000, tpm: 1_000_000, concurrent: 1_000 };
    const targets: FakeTarget[] = [
      { limits, live: { tokensUsed: 0.1, requestsUsed: 0.9 } },
      { limits, live: { tokensUsed: 0.5, requestsUsed: 0.5 } },
      { limits, live: { tokensUsed: 0, requestsUsed: 0, concurrencyUsed: 0.8 } },
    ];
    expect(chosen(plannerOf('rate_limit_aware', targets), 10)).toEqual({ b: 10 });
  });

  test('what the request itself takes counts', () => {
    const targets: FakeTarget[] = [{ limits: { tpm: 2_000 } }, { limits: { tpm: 100_000 }, live: { tokensUsed: 0.3 } }];
    const planner = plannerOf('rate_limit_aware', targets);
    expect(chosen(planner, 10, { inputTokens: 1_900, outputTokens: 200 })).toEqual({ b: 10 });
    expect(chosen(planner, 10, { inputTokens: 100, outputTokens: 100 })).toEqual({ a: 10 });
  });
});

test('priority: of the lowest order any, whatever they weigh', () => {
  const { b, c, ...others } = chosen(plannerOf('priority', [{ order: 3 }, { order: 2, weight: 50 }, { order: 2 }]), 1_000);
  expect(others).toEqual({});
  expect(Math.min(b!, c!)).toBeGreaterThan(400);
});
