import { expect, test } from 'vitest';

import { NOW_MS, REQUEST, poolOf, priced, seeded } from '../../test/support/routing.ts';
import type { Candidate } from './candidate.ts';
import { obstacleOf } from './explain.ts';
import { createPlanner } from './planner.ts';

test('says of every candidate what the filters, the strategy and its price say', () => {
  const { pool, live } = poolOf([
    { priceState: priced(2_000, 4_000), tags: ['default'] },
    { priceState: priced(1_000, 1_000), tags: ['default'], live: { breaker: 'open', openUntilMs: NOW_MS + 1 } },
    { priceState: { status: 'unpriced' }, tags: ['default'] },
    { priceState: { status: 'free' }, tags: ['paid'] },
    { priceState: priced(1_000, 9_000), tags: ['default'] },
  ]);
  const planner = createPlanner({ pool, live, strategy: 'cost', random: seeded(1) });
  const { candidates, ...more } = planner.explain(REQUEST, [], NOW_MS);
  expect(more).toEqual({ strategy: 'cost', unit: 'pico-USD', sticky: false });
  const summary = candidates.map(({ id, rank, score, costNanoUsd, verdicts }) => ({
    id,
    rank,
    score,
    costNanoUsd,
    failed: verdicts.filter(({ passes }) => !passes).map(({ filter }) => filter),
  }));
  expect(summary).toEqual([
    { id: 'p/a', rank: 2, score: 2_400_000, costNanoUsd: 2_400, failed: [] },
    { id: 'p/b', rank: 4, score: 1_100_000, costNanoUsd: 1_100, failed: ['breaker'] },
    { id: 'p/c', rank: 3, score: undefined, costNanoUsd: undefined, failed: [] },
    { id: 'p/d', rank: undefined, score: 0, costNanoUsd: 0, failed: ['tags'] },
    { id: 'p/e', rank: 1, score: 1_900_000, costNanoUsd: 1_900, failed: [] },
  ]);
  expect(candidates[0]!.verdicts.map(({ filter }) => filter)).toEqual([
    'grants',
    'tags',
    'region',
    'capability',
    'context_window',
    'breaker',
    'limits',
  ]);
});

test('its order is the order of trial, where nothing is left to chance', () => {
  const { pool, live } = poolOf([
    { priceState: priced(5, 5) },
    { priceState: priced(1, 1), live: { breaker: 'open', openUntilMs: 7 } },
    { priceState: priced(3, 3) },
    { priceState: priced(1, 1), order: 2 },
    { priceState: priced(2, 2), live: { breaker: 'open', openUntilMs: 6 } },
    { priceState: priced(1, 1), capabilities: [] },
  ]);
  const planner = createPlanner({ pool, live, strategy: 'cost', random: seeded(1) });
  const request = { ...REQUEST, needs: { ...REQUEST.needs, tools: true } };
  const plan = planner.explain(request, [], NOW_MS).candidates.toSorted((a, b) => a.rank! - b.rank!);
  const tried: Candidate[] = [];
  for (let at = 0; at < 6; at++) tried.push(planner.pick(request, tried, NOW_MS)!);
  expect(tried.map(({ id }) => id)).toEqual(['p/c', 'p/a', 'p/d', 'p/e', 'p/b', 'p/f']);
  expect(plan.map(({ id }) => id)).toEqual(tried.map(({ id }) => id));
});

test('what was tried is not tried again, and no filter is to blame for it', () => {
  const { pool, live } = poolOf([{}]);
  const planner = createPlanner({ pool, live, strategy: 'weighted', random: seeded(1) });
  const explained = planner.explain(REQUEST, pool.candidates, NOW_MS);
  expect(explained.candidates[0]).toMatchObject({ tried: true });
  expect(explained.candidates[0]).not.toHaveProperty('rank');
  expect(obstacleOf(explained)).toBeUndefined();
});

test('where a prompt is cached, it tells what leaving would cost, unless there is nowhere to go', () => {
  const { pool, live, states } = poolOf([{ priceState: priced(1_000, 0, 100) }, { priceState: priced(1_000, 0) }]);
  const planner = createPlanner({ pool, live, strategy: 'weighted', random: seeded(1) });
  const request = { ...REQUEST, cachedAt: { place: pool.candidates[0]!.place, tokens: 1_000 } };
  expect(planner.explain(request, [], NOW_MS).leavingNanoUsd).toBe(900);
  states[1]!.breaker = 'open';
  expect(planner.explain(request, [], NOW_MS)).not.toHaveProperty('leavingNanoUsd');
});
