import { describe, expect, it } from 'vitest';

import { NO_USAGE } from '../../core/usage.ts';
import { decodeUsage, encodeUsage, mergeUsage } from './usage.ts';

const RAW = {
  input_tokens: 10,
  cache_read_input_tokens: 1000,
  cache_creation_input_tokens: 100,
  cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 },
  output_tokens: 50,
  output_tokens_details: { thinking_tokens: 30 },
  server_tool_use: { web_search_requests: 2 },
};

describe('usage', () => {
  it('counts the cache as input, and comes back as it was', () => {
    const usage = decodeUsage(RAW)!;
    expect(usage).toEqual({
      ...NO_USAGE,
      inputTokens: 1110,
      outputTokens: 50,
      cacheReadTokens: 1000,
      cacheWriteTokens: 100,
      cacheWrite1hTokens: 40,
      reasoningTokens: 30,
      webSearches: 2,
    });
    expect(encodeUsage(usage)).toEqual(RAW);
  });

  it('reads writes by their lifetimes where their sum is missing', () => {
    const { cache_creation_input_tokens: _sum, ...rest } = RAW;
    expect(decodeUsage(rest)).toMatchObject({ inputTokens: 1110, cacheWriteTokens: 100 });
  });

  it('keeps the invariants whatever a provider says', () => {
    expect(decodeUsage({ output_tokens: 5, output_tokens_details: { thinking_tokens: 9 } })).toMatchObject({
      reasoningTokens: 5,
    });
    expect(decodeUsage({ cache_creation_input_tokens: 5, cache_creation: { ephemeral_1h_input_tokens: 9 } })).toMatchObject({
      cacheWrite1hTokens: 5,
    });
    expect(decodeUsage({ input_tokens: -4, output_tokens: 'x', cache_read_input_tokens: null })).toEqual(NO_USAGE);
    expect(decodeUsage(undefined)).toBeUndefined();
  });

  it('adds what summing up the conversation took, which the sums leave out', () => {
    const iterations = [
      {
        type: 'compaction',
        input_tokens: 5_000,
        output_tokens: 700,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 0,
      },
      { type: 'message', input_tokens: 10, output_tokens: 70, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    ];
    const before = decodeUsage(RAW)!;
    expect(decodeUsage({ ...RAW, iterations })).toEqual({
      ...before,
      inputTokens: before.inputTokens + 5_100,
      outputTokens: before.outputTokens + 700,
      cacheReadTokens: before.cacheReadTokens + 100,
    });
    expect(decodeUsage({ ...RAW, iterations: ['x', null, {}] })).toEqual(before);
  });

  it('merges cumulative updates, absent and null fields leaving what was', () => {
    const merged = mergeUsage(RAW, { input_tokens: 20, cache_read_input_tokens: null, output_tokens: 70 });
    expect(merged).toEqual({ ...RAW, input_tokens: 20, output_tokens: 70 });
    expect(mergeUsage(merged, undefined)).toBe(merged);
  });
});
