import { describe, expect, test } from 'vitest';

import type { Caller } from '../core/directory.ts';
import type { Budget, Rules, Scope } from '../core/rules.ts';
import { createWindows } from '../ledger/window.ts';
import { budgetRefusal, createPlans, planBudgets, thresholdsPassed, unenforceable } from './budget.ts';

const NOW_MS = Date.parse('2026-11-22T10:30:00Z');
const budget = (over: Partial<Budget & { slot: number }> = {}): Budget & { slot: number } => ({
  slot: 1,
  limitNanoUsd: 1_000,
  window: 'day',
  timeZone: 'UTC',
  hard: true,
  mode: 'strict',
  unpriced: 'ceiling',
  ...over,
});
const rules = (scope: Scope, ...budgets: (Budget & { slot: number })[]): Rules => ({ scope, budgets });
const MODEL = {};
const plan = (...all: Rules[]) => planBudgets(all, createWindows(), NOW_MS)!;

describe('a plan', () => {
  test('is none without budgets', () => {
    expect(planBudgets([rules('key:a'), rules('team:t')], createWindows(), NOW_MS)).toBeUndefined();
  });

  test('demands room in every account, softly where the budget is soft', () => {
    const { demands, hard, stepped } = plan(
      rules('key:a', budget()),
      rules('team:t', budget({ slot: 2, window: 'total', hard: false, limitNanoUsd: 5 })),
    );
    expect(demands).toEqual([
      { slot: 1, windowStartMs: Date.parse('2026-11-22T00:00:00Z'), limitNanoUsd: 1_000 },
      { slot: 2, windowStartMs: 0, limitNanoUsd: Infinity },
    ]);
    expect([hard, stepped]).toEqual([true, false]);
  });

  test('counts budgets that share an account once, by the least hard limit', () => {
    const { demands, accounts } = plan(
      rules('key:a', budget(), budget({ limitNanoUsd: 700 }), budget({ limitNanoUsd: 5, hard: false })),
    );
    expect(demands).toMatchObject([{ slot: 1, limitNanoUsd: 700 }]);
    expect(accounts[0]!.budgets).toHaveLength(3);
  });

  test('takes the strictest of several', () => {
    const stepped = budget({ mode: 'stepped', unpriced: 'allow' });
    expect(plan(rules('key:a', stepped))).toMatchObject({ stepped: true, unpriced: 'allow' });
    expect(plan(rules('key:a', stepped), rules('team:t', budget({ slot: 2, hard: false })))).toMatchObject({
      stepped: true,
      unpriced: 'allow',
    });
    expect(plan(rules('key:a', stepped), rules('team:t', budget({ slot: 2, unpriced: 'block' })))).toMatchObject({
      stepped: false,
      unpriced: 'block',
    });
  });
});

test('plans are made once for a caller, a model and a target, until a window ends', () => {
  let made = 0;
  const planOf = createPlans(createWindows());
  const caller = {} as Caller;
  const parts = (targetId: string, who = caller) => ({
    caller: who,
    model: MODEL,
    targetId,
    rules: () => {
      made++;
      return [rules('key:a', budget({ window: 'hour' }), budget({ slot: 2, window: 'total' }))];
    },
  });
  const first = planOf(parts('t'), NOW_MS);
  expect(planOf(parts('t'), NOW_MS + 1_799_999)).toBe(first);
  expect(made).toBe(1);
  expect(planOf(parts('t'), NOW_MS + 1_800_000)!.demands[0]!.windowStartMs).toBe(NOW_MS + 1_800_000);
  planOf(parts('u'), NOW_MS);
  planOf(parts('t', {} as Caller), NOW_MS);
  expect(made).toBe(4);
});

describe('a refusal', () => {
  const refused = (over: object) => ({
    ok: false as const,
    demand: 0,
    bySpent: true,
    spentNanoUsd: 900,
    reservedNanoUsd: 100,
    ...over,
  });

  test('by what is spent names whose budget it is, and when it begins anew', () => {
    const error = budgetRefusal(plan(rules('team:t', budget())), refused({}), NOW_MS);
    expect(error).toMatchObject({
      code: 'budget_exceeded',
      status: 429,
      details: { scope: 'team:t', shouldRetry: false, retryAfterS: 48_600 },
    });
    expect(error.message).toContain('budget of the day of team `t`');
    expect(error.message).toContain('2026-11-23T00:00:00.000Z');
  });

  test('for good has no date', () => {
    const error = budgetRefusal(plan(rules('key:a', budget({ window: 'total' }))), refused({}), NOW_MS);
    expect(error.details).not.toHaveProperty('retryAfterS');
    expect(error.message).toContain('does not begin anew');
  });

  test('by what is only reserved passes within seconds', () => {
    const error = budgetRefusal(plan(rules('key:a', budget())), refused({ bySpent: false }), NOW_MS);
    expect(error).toMatchObject({ code: 'budget_reserved', status: 429 });
    expect(error.details.retryAfterS).toBeLessThanOrEqual(5);
    expect(error.details).not.toHaveProperty('shouldRetry');
  });

  test('of what has no price names a hard budget', () => {
    const error = unenforceable(
      plan(rules('key:a', budget({ hard: false })), rules('org:o', budget({ slot: 2 }))),
      'it has no price',
    );
    expect(error).toMatchObject({ code: 'budget_unenforceable', status: 403, details: { scope: 'org:o' } });
    expect(error.message).toMatch(/org `o`.*because it has no price/);
  });
});

test('thresholds are told once, when they are passed', () => {
  const soft = plan(
    rules('key:a', budget({ hard: false })),
    rules('org:o', budget({ slot: 2, window: 'month', limitNanoUsd: 2_000 })),
  );
  const told = (...changes: ({ before: number; after: number } | undefined)[]) =>
    thresholdsPassed(soft, changes).map(({ type, scope, details }) => [type, scope, details['percent'], details['window']]);
  expect(told({ before: 0, after: 799 }, undefined)).toEqual([]);
  expect(told({ before: 799, after: 800 }, { before: 799, after: 800 })).toEqual([['budget.threshold', 'key:a', 80, 'day']]);
  expect(told({ before: 800, after: 800 }, { before: 100, after: 2_100 })).toEqual([
    ['budget.threshold', 'org:o', 80, 'month'],
    ['budget.threshold', 'org:o', 100, 'month'],
  ]);
  expect(told({ before: 810, after: 1_000 }, undefined)).toEqual([['budget.soft_exceeded', 'key:a', 100, 'day']]);
});
