import { calcPrice } from '@pydantic/genai-prices';
import { describe, expect, it } from 'vitest';

import { modelFacts } from './facts.ts';
import { FAMILIES } from './families.ts';

describe('modelFacts', () => {
  it.each([
    ['anthropic', 'claude-sonnet-4-5', 64_000],
    ['anthropic', 'claude-sonnet-4-5-20250929', 64_000],
    ['openrouter', 'anthropic/claude-sonnet-4.5', 64_000],
    ['aws', 'us.anthropic.claude-opus-4-5-20251101-v1:0', 64_000],
    ['google', 'claude-sonnet-4@20250514', 64_000],
    ['anthropic', 'claude-sonnet-4-20250514', 64_000],
    ['anthropic', 'claude-opus-4-20250514', 32_000],
    ['anthropic', 'claude-3-5-haiku-latest', 8192],
    ['anthropic', 'claude-opus-5-5', 128_000],
    [undefined, 'gpt-4o-2024-08-06', 16_384],
    ['azure', 'gpt-4o-mini', 16_384],
    ['openai', 'gpt-5.2', 128_000],
    ['google', 'gemini-3.1-pro-preview', 65_536],
    ['minimax', 'MiniMax-M2.5', 131_072],
  ])('%s knows the greatest output of %s', (provider, model, maxOutputTokens) => {
    expect(modelFacts(provider, model)?.maxOutputTokens).toBe(maxOutputTokens);
  });

  it.each([
    ['openai', 'gpt-4o-realtime-preview'],
    ['openai', 'gpt-5.7'],
    ['anthropic', 'claude-opus-4-9'],
    ['anthropic', 'claude-sonnet-4-5-turbo'],
    ['x-ai', 'grok-4-fast'],
    ['openai', ''],
  ])('%s does not guess about %s', (provider, model) => {
    expect(modelFacts(provider, model)).toBeUndefined();
  });

  it('trusts open weights only where their maker serves them', () => {
    expect(modelFacts('deepseek', 'deepseek-v4-pro')?.contextWindow).toBe(1_000_000);
    expect(modelFacts('together', 'deepseek-ai/deepseek-v4-pro')).toBeUndefined();
    expect(modelFacts(undefined, 'deepseek-v4-pro')).toBeUndefined();
  });

  it('has each name once, and finds every one', () => {
    const names = FAMILIES.flatMap((family) => family.names);
    expect(new Set(names).size).toBe(names.length);
    for (const family of FAMILIES) {
      for (const name of family.names)
        expect(modelFacts(family.at?.[0], name)?.maxOutputTokens, name).toBe(family.maxOutputTokens);
    }
  });

  it('agrees with the price list about context windows, round numbers aside', () => {
    let compared = 0;
    for (const family of FAMILIES) {
      for (const name of family.names) {
        const place = family.at === undefined ? {} : { providerId: family.at[0]! };
        const listed = calcPrice({}, name, place)?.model.context_window;
        if (listed === undefined || family.contextWindow === undefined) continue;
        compared += 1;
        expect(Math.abs(listed - family.contextWindow) / listed, `${name}: ${listed}`).toBeLessThan(0.06);
      }
    }
    expect(compared).toBeGreaterThan(25);
  });
});
