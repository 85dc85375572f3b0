import { expect, test } from 'vitest';

import { poolOf } from '../../test/support/routing.ts';
import { createPool } from './candidate.ts';

test('each endpoint of a provider is a candidate with its share of the weight', () => {
  const { pool } = poolOf([{ weight: 4, endpoints: [3, 1] }, { weight: 2 }]);
  expect(pool.candidates.map(({ id, weight }) => ({ id, weight }))).toEqual([
    { id: 'p/a', weight: 3 },
    { id: 'p/a#2', weight: 1 },
    { id: 'p/b', weight: 2 },
  ]);
  expect(new Set(pool.candidates.map(({ place }) => place)).size).toBe(3);
});

test('endpoints that all have no weight share alike', () => {
  const { pool } = poolOf([{ endpoints: [0, 0] }]);
  expect(pool.candidates.map(({ weight }) => weight)).toEqual([0.5, 0.5]);
});

test('tiers stand by order, and candidates without weight behind them all', () => {
  const { pool } = poolOf([{ order: 2 }, { weight: 0 }, { order: 1 }, { order: 2, endpoints: [1, 0] }, { weight: 0, order: 2 }]);
  const tiers = pool.tiers.map(({ start, end }) => pool.candidates.slice(start, end).map(({ id }) => id));
  expect(tiers).toEqual([['p/c'], ['p/a', 'p/d'], ['p/b'], ['p/d#2', 'p/e']]);
});

test('a wildcard is filled in, but keeps the place of what is configured', () => {
  const { pool } = poolOf([{}]);
  const target = { ...pool.candidates[0]!.target, id: 'p/x', configuredId: 'p/*' };
  const asked: string[] = [];
  const endpoints = [pool.candidates[0]!.endpoint, pool.candidates[0]!.endpoint];
  const placeOf = (id: string): number => asked.push(id);
  const filled = createPool({ name: 'm', targets: [target] }, { endpointsOf: () => endpoints, placeOf });
  expect(filled.candidates.map(({ id }) => id)).toEqual(['p/x', 'p/x#2']);
  expect(asked).toEqual(['p/*', 'p/*#2']);
});

test('what a target says of itself is known of its candidates', () => {
  const said = { tags: ['paid'], region: 'eu-west-1', capabilities: ['tools'] };
  const limits = { rpm: 3 };
  const { pool } = poolOf([{ ...said, limits, bounds: { contextWindow: 8_192 } }, {}]);
  expect(pool.candidates[0]).toMatchObject({ ...said, limits, contextWindow: 8_192 });
  expect(pool.candidates[1]).toMatchObject({ tags: [] });
  for (const absent of ['region', 'capabilities', 'limits', 'contextWindow'])
    expect(pool.candidates[1]).not.toHaveProperty(absent);
});

test('a model without targets has no candidates', () => {
  expect(poolOf([]).pool).toMatchObject({ candidates: [], tiers: [] });
});
