import { describe, expect, test } from 'vitest';

import { type FakeTarget, NOW_MS, REQUEST, poolOf } from '../../test/support/routing.ts';
import type { Candidate } from './candidate.ts';
import { obstacleOf } from './explain.ts';
import { createPlanner } from './planner.ts';
import type { RouteRequest } from './request.ts';

/** `a b`: who may be tried; and the reasons of the others. */
function filtered(
  targets: readonly FakeTarget[],
  request: Partial<RouteRequest>,
): { left: string; because: string[]; obstacle: unknown } {
  const { pool, live } = poolOf(targets);
  const planner = createPlanner({ pool, live, strategy: 'weighted', random: Math.random });
  const explained = planner.explain({ ...REQUEST, fallbackLeft: true, ...request }, [], NOW_MS);
  const left = explained.candidates.filter(({ rank }) => rank !== undefined).map(({ id }) => id.slice(2));
  const failed = explained.candidates.flatMap(({ verdicts }) => verdicts.filter(({ passes }) => !passes));
  return {
    left: left.sort().join(' '),
    because: failed.map((each) => `${each.filter} ${each.because}`),
    obstacle: obstacleOf(explained),
  };
}

const NEEDS_TOOLS = { needs: { tools: true, vision: false, jsonSchema: false } };

describe('tags', () => {
  const paid: FakeTarget[] = [{ tags: ['free'] }, { tags: ['paid', 'fast'] }, { tags: ['default', 'free'] }, {}];
  test.each([
    { targets: paid, tags: ['free'], left: 'a c' },
    { targets: paid, tags: ['paid'], left: 'b' },
    { targets: paid, tags: ['fast', 'free'], left: 'a b c' },
    { targets: paid, tags: [], left: 'c' },
    { targets: paid, tags: ['accounting-only'], left: 'c' },
    { targets: paid, tags: ['accounting-only', 'paid'], left: 'b' },
    { targets: paid.filter(({ tags }) => tags?.includes('default') !== true), tags: [], left: 'c' },
    { targets: [{ tags: ['paid'] }], tags: [], left: '' },
    { targets: [{}, {}], tags: ['paid'], left: 'a b' },
  ])('$tags: $left', ({ targets, tags, left }) => {
    expect(filtered(targets, { tags }).left).toBe(left);
  });

  test.each([
    { tags: [], boundTags: ['paid'], left: 'b' },
    { tags: ['fast'], boundTags: ['paid'], left: 'b' },
    { tags: ['free'], boundTags: ['paid'], left: '' },
    { tags: ['free'], boundTags: ['free', 'paid'], left: 'a c' },
    { tags: [], boundTags: ['unheard'], left: 'c' },
  ])('$tags of a key bound to $boundTags: $left', ({ tags, boundTags, left }) => {
    expect(filtered(paid, { tags, boundTags }).left).toBe(left);
  });

  test('more than a word of them', () => {
    const many = Array.from({ length: 70 }, (_, at): FakeTarget => ({ tags: [`t${at}`] }));
    for (const at of [0, 30, 31, 32, 63, 64, 69]) expect(filtered(many, { tags: [`t${at}`] }).because).toHaveLength(69);
  });

  test('they never yield: a tagged request goes to no other target, though its own are down', () => {
    const { pool, live } = poolOf([{ tags: ['paid'], live: { breaker: 'open' } }, { tags: ['default'] }]);
    const planner = createPlanner({ pool, live, strategy: 'weighted', random: Math.random });
    const request = { ...REQUEST, tags: ['paid'] };
    expect(planner.pick(request, [], NOW_MS)?.id).toBe('p/a');
    expect(planner.pick(request, [pool.candidates[0]!], NOW_MS)).toBeUndefined();
  });

  test('say why', () => {
    expect(filtered([{ tags: ['a', 'b'] }, {}], { tags: ['a'] }).because).toEqual([
      'tags carries no tag; the request asks for a',
    ]);
    expect(filtered([{ tags: ['a', 'b'] }, {}], {}).because).toEqual(['tags carries a, b; the request asks for no tag']);
  });
});

test.each([
  { region: 'eu', left: 'a b' },
  { region: 'eu-west-1', left: 'a' },
  { region: 'e', left: '' },
  { region: 'us', left: '' },
])('region $region: $left', ({ region, left }) => {
  expect(filtered([{ region: 'eu-west-1' }, { region: 'eu' }, { region: 'europe' }, {}], { region }).left).toBe(left);
});

test('a region never yields, and says why', () => {
  const targets: FakeTarget[] = [{ region: 'us-east-1' }, {}];
  expect(filtered(targets, { region: 'eu', fallbackLeft: false })).toEqual({
    left: '',
    because: [
      'region is in us-east-1; the request must stay in eu',
      'region its region is not known; the request must stay in eu',
    ],
    obstacle: 'region',
  });
});

test('grants never yield', () => {
  const mayUse: RouteRequest['mayUse'] = ({ id }) => id !== 'p/a';
  expect(filtered([{}, {}], { mayUse })).toMatchObject({ left: 'b', because: ['grants the caller may not use it'] });
  expect(filtered([{}], { mayUse, fallbackLeft: false })).toMatchObject({ left: '', obstacle: 'grants' });
});

describe('abilities', () => {
  const targets: FakeTarget[] = [
    { capabilities: ['tools', 'images', 'structured_output'] },
    { capabilities: ['tools', 'vision', 'json_schema'] },
    { capabilities: [] },
    {},
  ];
  test.each(['tools', 'vision', 'jsonSchema'] as const)('%s: unknown ones are not excluded', (need) => {
    expect(filtered(targets, { needs: { ...REQUEST.needs, [need]: true } }).left).toBe('a b d');
  });

  test('say what is missing', () => {
    const needs = { tools: true, vision: true, jsonSchema: true };
    expect(filtered([{ capabilities: ['tools'] }], { needs })).toEqual({
      left: '',
      because: ['capability sees no images, follows no JSON schema'],
      obstacle: 'capability',
    });
  });

  test('yield when nothing else is left: the table may be wrong', () => {
    expect(filtered([{ capabilities: [] }], { ...NEEDS_TOOLS, fallbackLeft: false }).left).toBe('a');
  });
});

describe('context window', () => {
  const targets: FakeTarget[] = [
    { bounds: { contextWindow: 1_000 } },
    { bounds: { contextWindow: 2_000, maxOutputTokens: 100 } },
    {},
  ];
  test.each([
    { inputTokens: 1_000, left: 'a b c' },
    { inputTokens: 1_001, left: 'b c' },
    { inputTokens: 900, maxOutputTokens: 101, left: 'b c' },
    { inputTokens: 1_900, maxOutputTokens: 50_000, left: 'b c' },
    { inputTokens: 1_901, maxOutputTokens: 50_000, left: 'c' },
  ])('$inputTokens and $maxOutputTokens: $left', ({ left, ...tokens }) => {
    expect(filtered(targets, tokens).left).toBe(left);
  });

  test('says why', () => {
    const small = filtered(targets.slice(0, 1), { inputTokens: 5_000, maxOutputTokens: 500 });
    expect(small).toEqual({
      left: '',
      because: ['context_window takes 1000 tokens; the request needs 5500'],
      obstacle: 'context_window',
    });
  });
});

describe('health', () => {
  test('an open breaker says until when', () => {
    const open: FakeTarget = { live: { breaker: 'open', openUntilMs: NOW_MS } };
    expect(filtered([open, {}], {})).toMatchObject({
      left: 'b',
      because: [`breaker is left alone until ${new Date(NOW_MS).toISOString()} after failures`],
    });
    expect(filtered([open], {})).toMatchObject({ left: '', obstacle: 'breaker' });
    expect(filtered([{ live: { breaker: 'probing' } }], {})).toMatchObject({ left: 'a', obstacle: undefined });
  });

  test.each(['requestsUsed', 'tokensUsed', 'concurrencyUsed'] as const)('%s', (figure) => {
    const full: FakeTarget = { limits: { rpm: 1 }, live: { [figure]: 1 } };
    expect(filtered([full, { limits: { rpm: 1 }, live: { [figure]: 0.99 } }, { live: { [figure]: 1 } }], {}).left).toBe('b c');
    expect(filtered([full], {})).toMatchObject({ left: '', obstacle: 'limits' });
  });

  test('limits name which are used up', () => {
    const full: FakeTarget = { limits: { rpm: 1, tpm: 1 }, live: { requestsUsed: 1.2, tokensUsed: 1 } };
    expect(filtered([full], {}).because).toEqual(['limits its own requests and tokens are used up']);
  });
});

test('what yields first: an open breaker, then used up limits, then what the table says of the model', () => {
  const { pool, live } = poolOf([
    { capabilities: [] },
    { limits: { rpm: 1 }, live: { requestsUsed: 1 } },
    { live: { breaker: 'open', openUntilMs: NOW_MS } },
    { capabilities: [], live: { breaker: 'open', openUntilMs: NOW_MS } },
  ]);
  const planner = createPlanner({ pool, live, strategy: 'weighted', random: Math.random });
  const tried: Candidate[] = [];
  for (let at = 0; at < 4; at++) tried.push(planner.pick({ ...REQUEST, ...NEEDS_TOOLS }, tried, NOW_MS)!);
  expect(tried.map(({ id }) => id)).toEqual(['p/c', 'p/b', 'p/a', 'p/d']);
});

test('the obstacle is what stands before the candidate that comes nearest', () => {
  const open = { breaker: 'open' as const };
  const full = { requestsUsed: 1 };
  const limits = { rpm: 1 };
  expect(filtered([{ live: open }, { live: { ...open, ...full }, limits }], {}).obstacle).toBe('breaker');
  expect(filtered([{ live: { ...open, ...full }, limits }], {}).obstacle).toBe('limits');
  expect(filtered([{ live: open, capabilities: [] }], NEEDS_TOOLS).obstacle).toBe('capability');
});
