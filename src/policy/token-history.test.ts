import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { NO_USAGE } from '../core/usage.ts';
import { chargedTokens, createTokenHistory, historyName } from './token-history.ts';

const usage = (inputTokens: number, outputTokens: number, cacheReadTokens = 0) => ({
  ...NO_USAGE,
  inputTokens,
  outputTokens,
  cacheReadTokens,
});
const NAME = historyName('ci', 'gpt');

test('before anything is known: a quarter of the bytes, and what the request allows of a modest answer', () => {
  const history = createTokenHistory();
  expect(history.estimate(NAME, { requestBytes: 4_000, answers: true })).toBe(1_512);
  expect(history.estimate(NAME, { requestBytes: 4_000, maxOutputTokens: 100, answers: true })).toBe(1_100);
  expect(history.estimate(NAME, { requestBytes: 4_000, answers: false })).toBe(1_000);
  expect(history.estimate(NAME, { requestBytes: 0, answers: false })).toBe(1);
});

test('learns what a byte is worth: what the provider had in its cache is not charged', () => {
  const history = createTokenHistory();
  for (let call = 0; call < 40; call++) history.learn(NAME, 100_000, usage(30_000, 0, 29_000));
  expect(history.estimate(NAME, { requestBytes: 100_000, answers: true })).toBe(1_000);
  expect(chargedTokens(usage(30_000, 7, 29_000))).toBe(1_007);
});

test('expects the p90 of the last 32 answers, no more than the request allows, each pair by itself', () => {
  const history = createTokenHistory();
  const other = historyName('ci', 'claude');
  history.learn(other, 10, usage(0, 5));
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { minLength: 33, maxLength: 80 }), (outputs) => {
      for (const output of outputs) history.learn(NAME, 10, usage(0, output));
      const recent = outputs.slice(-32).sort((a, b) => a - b);
      const expected = recent[Math.ceil(32 * 0.9) - 1]!;
      expect(history.estimate(NAME, { requestBytes: 0, answers: true })).toBe(Math.max(1, expected));
      expect(history.estimate(NAME, { requestBytes: 0, maxOutputTokens: 50, answers: true })).toBe(
        Math.max(1, Math.min(50, expected)),
      );
    }),
    { numRuns: 50 },
  );
  expect(history.estimate(other, { requestBytes: 0, answers: true })).toBe(5);
});
