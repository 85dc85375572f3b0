import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { NO_USAGE } from '../core/usage.ts';
import { chargedTokens, createTokenHistory, expectedTokens, learnTokens } from './token-history.ts';

const usage = (inputTokens: number, outputTokens: number, cacheReadTokens = 0) => ({
  ...NO_USAGE,
  inputTokens,
  outputTokens,
  cacheReadTokens,
});

test('before anything is known: a quarter of the bytes, and what the request allows of a modest answer', () => {
  const history = createTokenHistory()('ci', 'gpt');
  expect(expectedTokens(history, { requestBytes: 4_000, answers: true })).toBe(1_512);
  expect(expectedTokens(history, { requestBytes: 4_000, maxOutputTokens: 100, answers: true })).toBe(1_100);
  expect(expectedTokens(history, { requestBytes: 4_000, answers: false })).toBe(1_000);
  expect(expectedTokens(history, { requestBytes: 0, answers: false })).toBe(1);
});

test('learns what a byte is worth: what the provider had in its cache is not charged', () => {
  const historyOf = createTokenHistory();
  for (let call = 0; call < 40; call++) learnTokens(historyOf('ci', 'gpt'), 100_000, usage(30_000, 0, 29_000));
  expect(expectedTokens(historyOf('ci', 'gpt'), { requestBytes: 100_000, answers: true })).toBe(1_000);
  expect(chargedTokens(usage(30_000, 7, 29_000))).toBe(1_007);
});

test('expects the p90 of the last 32 answers, no more than the request allows, each pair by itself', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(5), fc.nat(10_000)), { minLength: 1, maxLength: 80 }), (outputs) => {
      const historyOf = createTokenHistory();
      learnTokens(historyOf('ci', 'claude'), 10, usage(0, 5));
      const history = historyOf('ci', 'gpt');
      for (const [at, output] of outputs.entries()) {
        learnTokens(history, 10, usage(0, output));
        const recent = outputs.slice(Math.max(0, at - 31), at + 1).sort((a, b) => a - b);
        const p90 = recent[Math.ceil(recent.length * 0.9) - 1]!;
        expect(expectedTokens(history, { requestBytes: 0, answers: true })).toBe(Math.max(1, p90));
        expect(expectedTokens(history, { requestBytes: 0, maxOutputTokens: 50, answers: true })).toBe(
          Math.max(1, Math.min(50, p90)),
        );
      }
      expect(expectedTokens(historyOf('ci', 'claude'), { requestBytes: 0, answers: true })).toBe(5);
    }),
    { numRuns: 100 },
  );
});
