import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Price } from '../core/price.ts';
import type { Usage } from '../core/usage.ts';
import { NO_USAGE } from '../core/usage.ts';
import { costNanoUsd } from './cost.ts';

const usage = (counts: Partial<Usage>): Usage => ({ ...NO_USAGE, ...counts });
const rate = (picoUsd: number): { picoUsd: number } => ({ picoUsd });

/** Two and ten USD per million tokens. */
const PLAIN: Price = { input: rate(2_000_000), output: rate(10_000_000) };
const CLAUDE: Price = {
  input: rate(3_000_000),
  output: rate(15_000_000),
  cacheRead: rate(300_000),
  cacheWrite: rate(3_750_000),
  cacheWrite1h: rate(6_000_000),
  webSearch: rate(10_000_000_000),
};

describe('costNanoUsd', () => {
  it.each<[string, Partial<Usage>, Price, number]>([
    ['nothing costs nothing', {}, PLAIN, 0],
    ['input and output', { inputTokens: 1000, outputTokens: 100 }, PLAIN, 3_000_000],
    [
      'cache counts are parts of the input',
      { inputTokens: 1110, cacheReadTokens: 1000, cacheWriteTokens: 100, outputTokens: 5 },
      CLAUDE,
      780_000,
    ],
    [
      'one-hour writes are parts of the writes',
      { inputTokens: 100, cacheWriteTokens: 100, cacheWrite1hTokens: 40 },
      CLAUDE,
      60 * 3750 + 40 * 6000,
    ],
    ['web searches', { inputTokens: 10, webSearches: 3 }, CLAUDE, 30_030_000],
    [
      'kinds without a rate count as what contains them',
      { inputTokens: 100, cacheReadTokens: 90, inputAudioTokens: 5 },
      PLAIN,
      200_000,
    ],
    ['reasoning without a rate is output', { outputTokens: 100, reasoningTokens: 90 }, PLAIN, 1_000_000],
    ['reasoning with a rate', { outputTokens: 100, reasoningTokens: 90 }, { ...PLAIN, reasoning: rate(3_000_000) }, 370_000],
    ['a request has a price of its own', {}, { ...PLAIN, request: rate(12_000_000_000) }, 12_000_000],
    [
      'audio',
      { inputTokens: 30, inputAudioTokens: 10, outputTokens: 20, outputAudioTokens: 20 },
      { ...PLAIN, inputAudio: rate(32_000_000), outputAudio: rate(64_000_000) },
      1_640_000,
    ],
    ['half a nano-USD is rounded up', { inputTokens: 1 }, { ...PLAIN, input: rate(500) }, 1],
    ['less than half is rounded down', { inputTokens: 1 }, { ...PLAIN, input: rate(499) }, 0],
  ])('%s', (_name, counts, price, expected) => {
    expect(costNanoUsd(usage(counts), price)).toBe(expected);
  });

  it('applies a tier to the whole, from the first token past its start', () => {
    const tiered: Price = {
      input: {
        picoUsd: 1_000_000,
        tiers: [
          { aboveTokens: 200, picoUsd: 2_000_000 },
          { aboveTokens: 400, picoUsd: 4_000_000 },
        ],
      },
      output: { picoUsd: 5_000_000, tiers: [{ aboveTokens: 200, picoUsd: 7_000_000 }] },
    };
    const cost = (inputTokens: number): number => costNanoUsd(usage({ inputTokens, outputTokens: 10 }), tiered);
    expect(cost(200)).toBe(200_000 + 50_000);
    expect(cost(201)).toBe(402_000 + 70_000);
    expect(cost(401)).toBe(1_604_000 + 70_000);
  });

  it('never goes below zero for counts that contradict each other', () => {
    const odd = usage({ inputTokens: 10, cacheReadTokens: 500, outputTokens: 1, reasoningTokens: 50, cacheWrite1hTokens: 7 });
    expect(costNanoUsd(odd, CLAUDE)).toBe(500 * 300 + 7 * 6000 + 15_000);
  });

  it('equals exact arithmetic at every size, and stops at the largest safe integer', () => {
    const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    const picoUsd = fc.nat({ max: 1_000_000_000_000 });
    fc.assert(
      fc.property(count, count, picoUsd, picoUsd, (inputTokens, outputTokens, inputRate, outputRate) => {
        const exact = (BigInt(inputTokens) * BigInt(inputRate) + BigInt(outputTokens) * BigInt(outputRate) + 500n) / 1000n;
        const limit = BigInt(Number.MAX_SAFE_INTEGER);
        const price = { input: rate(inputRate), output: rate(outputRate) };
        expect(BigInt(costNanoUsd(usage({ inputTokens, outputTokens }), price))).toBe(exact > limit ? limit : exact);
      }),
      { numRuns: 2000 },
    );
  });
});
