import { expect, test } from 'vitest';

import type { Rules } from '../core/rules.ts';
import { demandsOf } from './demands.ts';

const rules: Rules[] = [
  {
    scope: 'key:ci',
    requests: { slot: 3, perMinute: 600 },
    tokens: { slot: 4, perMinute: 10_000 },
    concurrent: { slot: 0, most: 5 },
    budgets: [],
  },
  { scope: 'team:team_1', requests: { slot: 9, perMinute: 7 }, budgets: [] },
];

test('a call is one request and one lease of each rule that limits them', () => {
  expect(demandsOf(rules, { call: true })).toEqual([
    { scope: 'key:ci', what: 'requests', slot: 3, amount: 1, most: 600 },
    { scope: 'key:ci', what: 'concurrent', slot: 0, amount: 1, most: 5 },
    { scope: 'team:team_1', what: 'requests', slot: 9, amount: 1, most: 7 },
  ]);
});

test('tokens: never more than the limit, never nothing', () => {
  const amounts = (tokens: number) => demandsOf(rules, { tokens }).map(({ what, amount, most }) => [what, amount, most]);
  expect(amounts(800)).toEqual([['tokens', 800, 10_000]]);
  expect(amounts(50_000)).toEqual([['tokens', 10_000, 10_000]]);
  const closed: Rules[] = [{ scope: 'key:ci', tokens: { slot: 0, perMinute: 0 }, budgets: [] }];
  expect(demandsOf(closed, { tokens: 10 })).toMatchObject([{ amount: 1, most: 0 }]);
});

test('a part is kept back for higher classes; of what cannot be divided, nothing', () => {
  const most = (limit: number, keptBack: number) =>
    demandsOf([{ scope: 'model:m', concurrent: { slot: 0, most: limit }, budgets: [] }], { call: true, keptBack })[0]!.most;
  expect([most(100, 0.2), most(10, 0.25), most(4, 0.2), most(1, 0.5), most(0, 0.5)]).toEqual([80, 8, 4, 1, 0]);
  expect([most(Infinity, 0), most(Infinity, 0.5)]).toEqual([Infinity, Infinity]);
});
