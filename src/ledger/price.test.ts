import { waitForUpdate } from '@pydantic/genai-prices';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { ModelPrice } from '@pydantic/genai-prices';
import { calcPrice } from '@pydantic/genai-prices';

import type { Price, PriceState } from '../core/price.ts';
import type { Usage } from '../core/usage.ts';
import { NO_USAGE } from '../core/usage.ts';
import { costNanoUsd } from './cost.ts';
import { createPriceBook, priceFromRecord } from './price.ts';

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const book = await createPriceBook({ nowMs: () => NOW_MS });
const providers = (await waitForUpdate()) ?? [];
const OPENAI = { priceProvider: 'openai', providerApiUrl: 'https://api.openai.com/v1' };

interface ListRecord {
  model: string;
  record: ModelPrice;
}

/** Every price record of the list, those not in force today too. */
const records: ListRecord[] = providers.flatMap((provider) =>
  provider.models.flatMap((model) =>
    (Array.isArray(model.prices) ? model.prices : [{ prices: model.prices }]).map(({ prices }) => ({
      model: `${provider.id}/${model.id}`,
      record: prices,
    })),
  ),
);

const part = fc.oneof(fc.constant(0), fc.nat({ max: 5000 }), fc.nat({ max: 400_000 }));

/** Consistent usage: disjoint parts, summed up the way the canonical form wants them. */
const mixedUsage: fc.Arbitrary<Usage> = fc
  .record({
    text: part,
    cached: part,
    cachedAudio: part,
    audio: part,
    written5m: part,
    written1h: part,
    answer: part,
    thought: part,
    speech: part,
    searches: fc.nat({ max: 20 }),
  })
  .map((parts) => ({
    inputTokens: parts.text + parts.cached + parts.cachedAudio + parts.audio + parts.written5m + parts.written1h,
    cacheReadTokens: parts.cached + parts.cachedAudio,
    cacheReadAudioTokens: parts.cachedAudio,
    inputAudioTokens: parts.audio + parts.cachedAudio,
    cacheWriteTokens: parts.written5m + parts.written1h,
    cacheWrite1hTokens: parts.written1h,
    outputTokens: parts.answer + parts.thought + parts.speech,
    reasoningTokens: parts.thought,
    outputAudioTokens: parts.speech,
    webSearches: parts.searches,
  }));

/** Prompts that lie on the start of a tier, where one token more changes the whole price. */
const edgeUsage: fc.Arbitrary<Usage> = fc
  .constantFrom(128_000, 199_999, 200_000, 271_999, 272_000, 512_000)
  .map((inputTokens) => Object.assign({}, NO_USAGE, { inputTokens, outputTokens: 1000 }));

const consistentUsage = fc.oneof({ weight: 4, arbitrary: mixedUsage }, { weight: 1, arbitrary: edgeUsage });

/** What the list's own library asks for the same usage, in USD. */
function oracleUsd(record: ModelPrice, usage: Usage): number {
  const model = { id: 'm', match: { equals: 'm' }, prices: record };
  const provider = { id: 'p', name: 'p', api_pattern: 'p', models: [model] };
  const counts = {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cacheReadTokens,
    cache_write_tokens: usage.cacheWriteTokens,
    cache_write_1h_tokens: usage.cacheWrite1hTokens,
    output_reasoning_tokens: usage.reasoningTokens,
    input_audio_tokens: usage.inputAudioTokens,
    output_audio_tokens: usage.outputAudioTokens,
    cache_audio_read_tokens: usage.cacheReadAudioTokens,
    web_searches: usage.webSearches,
  };
  return calcPrice(counts, 'm', { provider })?.total_price ?? Number.NaN;
}

/** Pico-USD by which rounding the record's rates to whole pico-USD may move the cost: zero for nearly all. */
function rateErrorPico(record: ModelPrice, usage: Usage): number {
  const values = Object.values(record).flatMap((value) =>
    typeof value === 'number' ? [value] : [value?.base ?? 0].concat(value?.tiers.map((tier) => tier.price) ?? []),
  );
  const error = Math.max(0, ...values.map((value) => Math.abs(value * 1e6 - Math.round(value * 1e6))));
  return error < 1e-6 ? 0 : error * (usage.inputTokens + usage.outputTokens);
}

describe('the price list', () => {
  it('costs what its own library says, for every record and any usage', { timeout: 60_000 }, () => {
    const priced = records.flatMap(({ model, record }) => {
      const state = priceFromRecord(record, model);
      return state.status === 'priced' ? [{ model, record, price: state.price }] : [];
    });
    expect(priced.length).toBeGreaterThan(1400);
    fc.assert(
      fc.property(fc.array(consistentUsage, { minLength: priced.length, maxLength: priced.length }), (usages) => {
        for (const [index, { model, record, price }] of priced.entries()) {
          const usage = usages[index] as Usage;
          const ours = costNanoUsd(usage, price) / 1e9;
          const allowedUsd = 1e-9 + rateErrorPico(record, usage) / 1e12;
          expect(Math.abs(ours - oracleUsd(record, usage)), `${model} ${JSON.stringify(usage)}`).toBeLessThanOrEqual(allowedUsd);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('has only keys that somebody has classified', () => {
    const keys = new Set(records.flatMap(({ record }) => Object.keys(record)));
    const unsupported = new Set<string>();
    const hidden = new Set<string>();
    for (const key of keys) {
      const state = priceFromRecord({ input_mtok: 1, [key]: 1 }, 'm');
      if (state.status === 'unpriced') hidden.add(key);
      if (state.status === 'priced' && state.unsupported !== undefined) unsupported.add(key);
    }
    expect([...hidden].toSorted()).toEqual([
      'cache_image_read_mtok',
      'input_image_mtok',
      'input_video_mtok',
      'output_citation_mtok',
      'output_image_mtok',
      'output_video_mtok',
    ]);
    expect([...unsupported].toSorted()).toEqual([
      'audio_hours',
      'input_annotated_document_kpages',
      'input_audio_hours',
      'input_document_kpages',
      'input_text_messages_kcount',
      'storage_searches_kcount',
    ]);
  });

  it.each<[string, ModelPrice, string, PriceState['status']]>([
    ['an empty record says nothing', {}, 'gemma-3', 'unpriced'],
    ['unless the router names the model free', {}, 'meta-llama/llama-4-scout:free', 'free'],
    ['audio hours are no price of tokens', { audio_hours: 0.36, input_audio_hours: 0.36 }, 'whisper-1', 'unpriced'],
    ['embeddings have no output to pay', { input_mtok: 0.02 }, 'text-embedding-3-small', 'priced'],
    [
      'image output at another rate cannot be told apart',
      { input_mtok: 1, output_mtok: 2, output_image_mtok: 30 },
      'g',
      'unpriced',
    ],
  ])('%s', (_name, record, model, status) => {
    expect(priceFromRecord(record, model).status).toBe(status);
  });
});

describe('createPriceBook', () => {
  it('reads rates, tiers and services', () => {
    expect(book.priceOf({ ...OPENAI, upstreamModel: 'gpt-4o-2024-08-06' })).toEqual({
      status: 'priced',
      source: 'list',
      price: {
        input: { picoUsd: 2_500_000 },
        cacheRead: { picoUsd: 1_250_000 },
        output: { picoUsd: 10_000_000 },
        webSearch: { picoUsd: 10_000_000_000 },
      },
      unsupported: ['storage_searches_kcount'],
    });
    const tiered = book.priceOf({ ...OPENAI, upstreamModel: 'gpt-5.4' });
    expect(tiered.status === 'priced' && tiered.price.input).toEqual({
      picoUsd: 2_500_000,
      tiers: [{ aboveTokens: 271_999, picoUsd: 5_000_000 }],
    });
  });

  it('finds nothing for a server that only shares a model name', () => {
    const query = { providerApiUrl: 'http://127.0.0.1:8000/v1', upstreamModel: 'gpt-4o' };
    expect(book.priceOf(query)).toMatchObject({ status: 'unpriced' });
    expect(book.contextWindowOf(query)).toBeUndefined();
  });

  it('finds a known provider by its base URL', () => {
    const found = book.priceOf({ providerApiUrl: 'https://api.anthropic.com', upstreamModel: 'claude-sonnet-4-5-20250929' });
    expect(found.status).toBe('priced');
  });

  it('knows the dearest price of a provider where a model has none', () => {
    const state = book.priceOf({ ...OPENAI, upstreamModel: 'no-such-model' });
    expect(state.status === 'unpriced' && state.ceiling).toMatchObject({ input: { picoUsd: expect.any(Number) } });
    const ceiling = (state as { ceiling: Price }).ceiling;
    for (const upstreamModel of ['gpt-4o', 'o1-pro', 'gpt-5', 'gpt-4']) {
      const known = book.priceOf({ ...OPENAI, upstreamModel });
      if (known.status !== 'priced') continue;
      for (const kind of Object.keys(known.price) as (keyof Price)[])
        expect(ceiling[kind]!.picoUsd).toBeGreaterThanOrEqual(known.price[kind]!.picoUsd);
    }
    expect(book.priceOf({ priceProvider: 'nobody', providerApiUrl: 'x', upstreamModel: 'm' })).not.toHaveProperty('ceiling');
  });

  it.each(['no-such-model', '', '*', '\u0000', 'x'.repeat(10_000)])('never throws: %j is unpriced', (upstreamModel) => {
    expect(book.priceOf({ ...OPENAI, upstreamModel })).toMatchObject({ status: 'unpriced' });
    expect(book.priceOf({ priceProvider: 'nobody', providerApiUrl: 'x', upstreamModel })).toMatchObject({ status: 'unpriced' });
  });

  it("lets the operator's price win", () => {
    const query = { ...OPENAI, upstreamModel: 'gpt-4o' };
    expect(book.priceOf({ ...query, override: 'free' })).toEqual({ status: 'free' });
    const override = {
      input_usd_per_mtok: 0.15,
      output_usd_per_mtok: 0.6,
      cache_read_usd_per_mtok: 0.075,
      per_request_usd: 0.001,
    };
    expect(book.priceOf({ ...query, override })).toEqual({
      status: 'priced',
      source: 'config',
      price: {
        input: { picoUsd: 150_000 },
        output: { picoUsd: 600_000 },
        cacheRead: { picoUsd: 75_000 },
        request: { picoUsd: 1_000_000_000 },
      },
    });
  });

  it('knows context windows', () => {
    expect(book.contextWindowOf({ ...OPENAI, upstreamModel: 'gpt-4o' })).toBe(128_000);
  });
});

describe('prices that depend on the time', () => {
  const at = async (
    iso: string,
    upstreamModel: string,
  ): Promise<{ inputPicoUsd: number | undefined; changes: string | undefined }> => {
    const timed = await createPriceBook({ nowMs: () => Date.parse(iso) });
    const state = timed.priceOf({ priceProvider: 'deepseek', providerApiUrl: '', upstreamModel });
    if (state.status !== 'priced') throw new Error(state.status);
    const changes = state.changesAtMs === undefined ? undefined : new Date(state.changesAtMs).toISOString();
    return { inputPicoUsd: state.price.input.picoUsd, changes };
  };

  it('tells when the next one begins, and has it from that instant', async () => {
    const conditional = providers
      .find((provider) => provider.id === 'deepseek')
      ?.models.filter(
        (model) => Array.isArray(model.prices) && model.prices.some((price) => price.constraint?.type === 'time_of_date'),
      );
    expect(conditional?.length).toBeGreaterThan(0);
    const model = conditional?.[0]?.id ?? '';
    const seen = new Set<number | undefined>();
    let iso = '2025-03-01T03:00:00.000Z';
    for (let step = 0; step < 4; step += 1) {
      const { inputPicoUsd, changes } = await at(iso, model);
      seen.add(inputPicoUsd);
      expect(changes, iso).toBeDefined();
      expect(Date.parse(changes ?? '')).toBeGreaterThan(Date.parse(iso));
      const before = await at(new Date(Date.parse(changes ?? '') - 1).toISOString(), model);
      expect(before.inputPicoUsd).toBe(inputPicoUsd);
      iso = changes ?? '';
    }
    expect(seen.size).toBeGreaterThan(1);
  });
});
