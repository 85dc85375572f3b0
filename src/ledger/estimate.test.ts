import { describe, expect, test } from 'vitest';

import { NO_USAGE, type Usage } from '../core/usage.ts';
import { type Estimator, type Unanswered, HANG_UP_MS, createEstimator } from './estimate.ts';

const usage = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  ...NO_USAGE,
  inputTokens,
  outputTokens,
  ...more,
});

/** Chance that is the same every time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

const gone = (over: Partial<Unanswered>): Unanswered => ({
  requestBytes: 4_000,
  answerBytes: 0,
  elapsedMs: 1_000,
  stream: true,
  hungUp: true,
  ...over,
});

describe('before anything is known', () => {
  const estimator = createEstimator();
  test('input is a quarter of the bytes, and never nothing', () => {
    expect(estimator.inputTokens('t', 4_000)).toBe(1_000);
    expect(estimator.inputTokens('t', 1)).toBe(1);
    expect(estimator.usageOf('t', gone({ hungUp: false }))).toEqual(usage(1_000, 0));
  });
  test('output is what was seen and what follows the end, within the cap', () => {
    expect(estimator.usageOf('t', gone({ answerBytes: 2_000 })).outputTokens).toBe(10 + 100);
    expect(estimator.usageOf('t', gone({ answerBytes: 2_000, mostTokens: 30 })).outputTokens).toBe(30);
    expect(estimator.usageOf('t', gone({ stream: false })).outputTokens).toBe(50 + 100);
  });
});

test('what the provider told counts, and is the least', () => {
  const estimator = createEstimator();
  const told = usage(77, 40, { cacheReadTokens: 50 });
  expect(estimator.usageOf('t', gone({ told, hungUp: false }))).toEqual(told);
  expect(estimator.usageOf('t', gone({ told: usage(77, 1), answerBytes: 20_000, hungUp: false })).outputTokens).toBe(100);
});

test('ratios and shares of caches are learned, each kind its own', () => {
  const estimator = createEstimator();
  for (let count = 0; count < 20; count++) {
    const answered = usage(500, 200, { cacheReadTokens: 400, cacheWriteTokens: 50 });
    estimator.learn('t', { requestBytes: 1_000, answerBytes: 8_000, firstByteMs: 10, totalMs: 1_010, usage: answered });
  }
  expect(estimator.inputTokens('t', 2_000)).toBe(1_000);
  expect(estimator.outputTokens('t', 4_000)).toBe(100);
  expect(estimator.usageOf('t', gone({ requestBytes: 2_000, hungUp: false }))).toMatchObject({
    cacheReadTokens: 800,
    cacheWriteTokens: 100,
  });
  expect(estimator.inputTokens('other', 4_000)).toBe(1_000);
});

test('the most that was written is told by the densest long answer, never by short ones, which are nearly all frame', () => {
  const estimator = createEstimator();
  const answer = (answerBytes: number, tokens: number): void =>
    estimator.learn('t', { requestBytes: 100, answerBytes, firstByteMs: 0, totalMs: 100, usage: usage(10, tokens) });
  expect(estimator.mostOutputTokens('t', 16_000)).toBe(1_000);
  for (let count = 0; count < 20; count++) answer(1_000, 1);
  expect(estimator.mostOutputTokens('t', 16_000)).toBe(1_000);
  answer(10_000, 200);
  for (let count = 0; count < 20; count++) answer(10_000, 50);
  expect(estimator.outputTokens('t', 16_000)).toBeLessThan(150);
  expect(estimator.mostOutputTokens('t', 16_000)).toBeGreaterThan(300);
  expect(estimator.mostUsageOf('t', gone({ answerBytes: 16_000 })).outputTokens).toBeGreaterThan(375);
});

test('nobody writes more than the longest answers, nor less than was read', () => {
  const estimator = createEstimator();
  for (let count = 0; count < 50; count++)
    estimator.learn('t', { requestBytes: 100, answerBytes: 10_000, firstByteMs: 0, totalMs: 100, usage: usage(10, 100) });
  expect(estimator.usageOf('t', gone({ answerBytes: 1_000 })).outputTokens).toBe(100);
  expect(estimator.usageOf('t', gone({ answerBytes: 30_000 })).outputTokens).toBe(300);
});

test.each([
  ['streams', true],
  ['whole answers', false],
])('sums over many %s that were left agree with the bill of a provider that goes on for two seconds', (_, stream) => {
  const random = dice(stream ? 11 : 113);
  const estimator: Estimator = createEstimator();
  let billed = 0;
  let estimated = 0;
  for (let count = 0; count < 5_000; count++) {
    const length = Math.round(Math.exp(3 + 2.5 * random()));
    const waitMs = 200 + 300 * random();
    const msPerToken = 15 + 10 * random();
    const bytesPerToken = 180 + 60 * random();
    const wholeMs = waitMs + length * msPerToken;
    const leftMs = random() * 6_000;
    if (count < 500 || random() < 0.5 || leftMs > wholeMs) {
      const answerBytes = 400 + length * bytesPerToken;
      estimator.learn('t', {
        requestBytes: 400,
        answerBytes,
        firstByteMs: stream ? waitMs : wholeMs,
        totalMs: wholeMs,
        usage: usage(100, length),
      });
      continue;
    }
    const seen = Math.max(0, Math.floor((leftMs - waitMs) / msPerToken));
    billed += Math.min(length, Math.max(0, Math.floor((leftMs + HANG_UP_MS - waitMs) / msPerToken)));
    const answerBytes = stream && seen > 0 ? 400 + seen * bytesPerToken : 0;
    estimated += estimator.usageOf('t', gone({ requestBytes: 400, answerBytes, elapsedMs: leftMs, stream })).outputTokens;
  }
  expect(Math.abs(estimated / billed - 1)).toBeLessThan(0.04);
});
