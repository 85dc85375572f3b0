import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { NO_USAGE } from '../../core/usage.ts';
import { summarize, usageOf, writeUsage } from './usage.ts';

const counts = { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 };

describe('usageOf', () => {
  it.each([
    [
      'OpenAI',
      {
        ...counts,
        prompt_tokens_details: { cached_tokens: 6, audio_tokens: 2 },
        completion_tokens_details: { reasoning_tokens: 3, audio_tokens: 1 },
      },
      { cacheReadTokens: 6, inputAudioTokens: 2, reasoningTokens: 3, outputAudioTokens: 1 },
    ],
    ['DeepSeek', { ...counts, prompt_cache_hit_tokens: 6, prompt_cache_miss_tokens: 4 }, { cacheReadTokens: 6 }],
    ['Moonshot, Together', { ...counts, cached_tokens: 6 }, { cacheReadTokens: 6 }],
    ['Mistral', { ...counts, num_cached_tokens: 6, prompt_tokens_details: { cached_tokens: 0 } }, { cacheReadTokens: 6 }],
    [
      'OpenRouter',
      { ...counts, prompt_tokens_details: { cached_tokens: 2, cache_write_tokens: 5 } },
      { cacheReadTokens: 2, cacheWriteTokens: 5 },
    ],
    [
      'xAI, reasoning beside the completion',
      { ...counts, total_tokens: 44, completion_tokens_details: { reasoning_tokens: 30 } },
      { outputTokens: 34, reasoningTokens: 30 },
    ],
    ['Perplexity', { ...counts, num_search_queries: 2, reasoning_tokens: 3 }, { webSearches: 2, reasoningTokens: 3 }],
    ['a total that is too small', { ...counts, total_tokens: 0 }, {}],
    ['nulls', { ...counts, prompt_tokens_details: null, completion_tokens_details: null }, {}],
  ])('%s', (_name, usage, expected) => {
    expect(usageOf({ usage })).toEqual({ ...NO_USAGE, inputTokens: 10, outputTokens: 4, ...expected });
  });

  it.each([
    ['at the top', { usage: counts, x_groq: { usage: { ...counts, prompt_tokens: 1 } } }],
    ['Groq', { usage: null, x_groq: { id: 'r', usage: counts } }],
    ['Moonshot', { choices: [{ usage: counts }] }],
  ])('is found: %s', (_name, body) => {
    expect(usageOf(body)?.inputTokens).toBe(10);
  });

  it.each([{}, { usage: null }, { usage: {} }, { usage: [] }, { usage: { total_tokens: 4 } }, { choices: [null] }])(
    '%j holds none',
    (body) => {
      expect(usageOf(body)).toBeUndefined();
    },
  );

  it('parts never exceed their whole, whatever a provider counts', () => {
    const number = fc.oneof(fc.nat(1000), fc.constantFrom(-5, 0.5, Number.NaN, '7', null));
    const details = fc.dictionary(
      fc.constantFrom('cached_tokens', 'audio_tokens', 'reasoning_tokens', 'cache_write_tokens'),
      number,
    );
    fc.assert(
      fc.property(
        fc.record({
          prompt_tokens: fc.nat(1000),
          completion_tokens: number,
          total_tokens: number,
          prompt_tokens_details: details,
          completion_tokens_details: details,
        }),
        (usage) => {
          const read = usageOf({ usage })!;
          expect(read.cacheReadTokens + read.cacheWriteTokens).toBeLessThanOrEqual(read.inputTokens);
          expect(read.reasoningTokens).toBeLessThanOrEqual(read.outputTokens);
          expect(Object.values(read).every((each) => Number.isSafeInteger(each) && each >= 0)).toBe(true);
          expect(usageOf({ usage: writeUsage(read) })).toEqual(read);
        },
      ),
    );
  });
});

describe('summarize', () => {
  it('tells usage, finish and model, each where it is there', () => {
    expect(
      summarize({ model: 'm', usage: counts, choices: [{ finish_reason: null }, { finish_reason: 'length' }] }),
    ).toMatchObject({ finish: 'length', model: 'm', usage: { inputTokens: 10 } });
    expect(summarize({ object: 'list' })).toEqual({ usage: undefined, finish: undefined, model: undefined });
  });
});
