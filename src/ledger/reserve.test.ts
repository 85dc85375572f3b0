import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { ModelBounds, Price } from '../core/price.ts';
import { NO_USAGE } from '../core/usage.ts';
import { scanObject } from '../lib/json-scan.ts';
import { costNanoUsd } from './cost.ts';
import { outputWish } from './request-shape.ts';
import { type Bound, type BoundParts, boundAt, boundOf, tokensFor } from './reserve.ts';

const PRICE: Price = { input: { picoUsd: 1_000_000 }, output: { picoUsd: 5_000_000 } };

interface Over extends Partial<Omit<BoundParts, 'shape'>> {
  defaults?: Record<string, unknown>;
  dropped?: string[];
  rename?: Record<string, string>;
}

function shapeOf(body: object | string, { defaults = {}, dropped = [], rename = {} }: Over = {}): BoundParts['shape'] {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const scan = scanObject(bytes);
  if (!scan.ok) throw new Error(scan.reason);
  return { bytes, members: scan.members, defaults, dropped, rename };
}

function bound(body: object | string, over: Over = {}): Bound | string {
  const parts: BoundParts = {
    shape: shapeOf(body, over),
    dialect: 'openai-chat',
    price: PRICE,
    bounds: {},
    generates: true,
    ...over,
  };
  const result = boundOf(parts);
  return 'because' in result ? result.because : result;
}

/** Input tokens that the bound counts with. */
const inputOf = (body: object | string, over?: Over): number => (bound(body, over) as Bound).fixedPicoUsd / 1_000_000;
const MESSAGES = { messages: [{ role: 'user', content: 'hello' }] };

describe('caps and choices', () => {
  test.each<[object, Over, object]>([
    [{}, {}, { choices: 1 }],
    [{ max_tokens: 10 }, {}, { choices: 1, capTokens: 10 }],
    [{ max_tokens: 10, max_completion_tokens: 30, n: 4 }, {}, { choices: 4, capTokens: 30 }],
    [{ max_output_tokens: 7, n: null }, {}, { choices: 1, capTokens: 7 }],
    [{ max_tokens: -1 }, {}, { choices: 1 }],
    [{ max_tokens: '10', n: 0 }, {}, { choices: 1 }],
    [{ max_tokens: null, n: 2.5 }, {}, { choices: 3 }],
    [{ n: '4' }, {}, { choices: 4 }],
    [{ max_tokens: 10 }, { dropped: ['max_tokens'] }, { choices: 1 }],
    [{}, { defaults: { max_tokens: 99, n: 2 } }, { choices: 2, capTokens: 99 }],
    [{ max_tokens: 10 }, { defaults: { max_tokens: 99 } }, { choices: 1, capTokens: 10 }],
    [{ max_completion_tokens: 10 }, { rename: { max_completion_tokens: 'max_tokens' }, dropped: ['max_tokens'] }, { choices: 1 }],
  ])('%j %j', (body, over, expected) => {
    expect(outputWish(shapeOf(body, over))).toEqual(expected);
  });
});

describe('the bound', () => {
  test('is bytes ÷ 2 × input + n × min(cap, maximum) × output', () => {
    const body = { model: 'm', n: 4, max_tokens: 100, ...MESSAGES };
    const input = Math.ceil(JSON.stringify(body).length / 2);
    expect(bound(body)).toEqual({
      fixedPicoUsd: input * 1_000_000,
      perTokenPicoUsd: 20_000_000,
      capTokens: 100,
      sentCapTokens: 100,
      choices: 4,
    });
    expect(boundAt(bound(body) as Bound, 100)).toBe(input * 1_000 + 4 * 100 * 5_000);
    expect(bound(body, { bounds: { maxOutputTokens: 60 } })).toMatchObject({ capTokens: 60, sentCapTokens: 100 });
    expect(bound({ ...MESSAGES }, { bounds: { maxOutputTokens: 60 } })).toMatchObject({ capTokens: 60 });
    expect(bound({ ...MESSAGES })).not.toHaveProperty('capTokens');
    expect(bound({ input: 'x' }, { generates: false })).toMatchObject({ perTokenPicoUsd: 0, capTokens: 0 });
  });

  test('takes the dearest rate of each side, reasoning, caches and tiers included', () => {
    const price: Price = {
      input: { picoUsd: 100, tiers: [{ aboveTokens: 1_000, picoUsd: 200 }] },
      cacheWrite: { picoUsd: 125 },
      cacheWrite1h: { picoUsd: 250 },
      output: { picoUsd: 500, tiers: [{ aboveTokens: 1_000, picoUsd: 750 }] },
      reasoning: { picoUsd: 600 },
      request: { picoUsd: 7 },
    };
    const rate = (body: object, over: Over = {}): number => {
      const { fixedPicoUsd } = bound(body, { price, ...over }) as Bound;
      return (fixedPicoUsd - 7) / Math.ceil(JSON.stringify(body).length / 2);
    };
    const anthropic: Over = { dialect: 'anthropic-messages' };
    expect(rate(MESSAGES)).toBe(125);
    expect(rate(MESSAGES, anthropic)).toBe(100);
    expect(rate({ ...MESSAGES, cache_control: {} }, anthropic)).toBe(125);
    expect(rate({ ...MESSAGES, cache_control: { ttl: '1h' } }, anthropic)).toBe(250);
    expect(rate({ messages: 'x'.repeat(3_000) }, anthropic)).toBe(200);
    expect(bound(MESSAGES, { price })).toMatchObject({ perTokenPicoUsd: 600 });
    expect(bound({ messages: 'x'.repeat(3_000) }, { price })).toMatchObject({ perTokenPicoUsd: 750 });
  });

  test('counts audio where the request may hold some', () => {
    const price: Price = { ...PRICE, inputAudio: { picoUsd: 9_000_000 }, outputAudio: { picoUsd: 20_000_000 } };
    expect(bound(MESSAGES, { price })).toMatchObject({ perTokenPicoUsd: 5_000_000 });
    expect(bound({ ...MESSAGES, modalities: ['audio'] }, { price })).toMatchObject({ perTokenPicoUsd: 20_000_000 });
    const hidden = '{"messages":[],"modalities":["a\\u0075dio"]}';
    expect(bound(hidden, { price, bounds: { contextWindow: 1_000 } })).toMatchObject({ perTokenPicoUsd: 20_000_000 });
  });

  test('adds what images cost, whatever their bytes', () => {
    const image = { type: 'image_url', image_url: { url: 'https://x/y.png' } };
    const one = { messages: [{ role: 'user', content: [image] }] };
    expect(inputOf(one)).toBe(50_000 + Math.ceil(JSON.stringify(one).length / 2));
    const anthropic = { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'u' } }] }] };
    expect(inputOf(anthropic, { dialect: 'anthropic-messages' })).toBe(5_000 + Math.ceil(JSON.stringify(anthropic).length / 2));
    const responses = {
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: 'u' },
            { type: 'input_image', image_url: 'v' },
          ],
        },
      ],
    };
    expect(inputOf(responses)).toBe(100_000 + Math.ceil(JSON.stringify(responses).length / 2));
  });

  test.each([
    { previous_response_id: 'resp_1' },
    { conversation: { id: 'c' } },
    { prompt: { id: 'p' } },
    { input: [{ type: 'input_file', file_url: 'https://x' }] },
    { messages: [{ content: [{ type: 'file', file: { file_id: 'f' } }] }] },
    { messages: [{ content: [{ type: 'document', source: { type: 'url', url: 'u' } }] }] },
    { messages: [{ content: [{ type: 'video_url', video_url: { url: 'u' } }] }] },
    { input: [{ type: 'item_reference', id: 'msg_1' }] },
    { input: [{ role: 'user', content: 'go on' }, { id: 'rs_1' }] },
    { input: [{ type: 'reasoning', id: 'rs_1', summary: [] }] },
    { input: [{ type: 'web_search_call', id: 'ws_1', status: 'completed' }] },
    { messages: [], extra_body: { google: { cached_content: 'cachedContents/1' } } },
  ])('%j is at most the context window', (body) => {
    const bounds: ModelBounds = { contextWindow: 200_000 };
    expect(inputOf(body, { bounds })).toBeGreaterThanOrEqual(200_000);
    expect(bound(body)).toMatch(/context window/);
    expect(inputOf({ ...MESSAGES, previous_response_id: null })).toBeLessThan(100);
  });

  test('takes items of responses that are whole for what they are', () => {
    const input = [
      { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'hello' }] },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'c2VjcmV0' },
      { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'f', arguments: '{"id":"x"}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'done' },
    ];
    expect(inputOf({ input })).toBe(Math.ceil(JSON.stringify({ input }).length / 2));
    expect(inputOf({ input: ['x'], tools: [{ type: 'function', parameters: { id: {} } }] })).toBeLessThan(100);
  });

  test('does not take a look-alike for content elsewhere', () => {
    expect(inputOf({ messages: [{ tool_call_id: 'file_id_1', content: 'my \\"document\\" and profile_id' }] })).toBeLessThan(100);
  });
});

describe('what cannot be priced', () => {
  const tools = (...list: object[]) => ({ ...MESSAGES, tools: list });
  test.each<[object, RegExp]>([
    [tools({ type: 'code_interpreter', container: { type: 'auto' } }), /code_interpreter/],
    [tools({ type: 'file_search' }), /file_search/],
    [tools({ type: 'function' }, { type: 'web_search' }), /web_search/],
    [tools({ type: 'web_search_20250305', name: 'web_search' }), /web_search_20250305/],
    [tools({ type: 'mcp', server_url: 'x' }), /mcp/],
    [tools({ type: 'something_new' }), /something_new/],
    [{ ...MESSAGES, web_search_options: { search_context_size: 'low' } }, /searches/],
    [{ ...MESSAGES, web_search_options: {} }, /searches/],
    [{ ...MESSAGES, prediction: { type: 'content', content: 'x' } }, /predicts/],
    [{ ...MESSAGES, service_tier: 'priority' }, /service_tier/],
    [{ ...MESSAGES, speed: 'fast' }, /speed/],
    [{ ...MESSAGES, background: true }, /background/],
    [{ ...MESSAGES, plugins: [{ id: 'web' }] }, /plugins/],
    [{ ...MESSAGES, models: ['a', 'b'] }, /another model/],
    [{ ...MESSAGES, fallbacks: [{ model: 'b' }] }, /another model/],
    [{ ...MESSAGES, context_management: { edits: [{ type: 'compact_20260112' }] } }, /summaries/],
  ])('%j', (body, why) => {
    expect(bound(body, { bounds: { contextWindow: 1_000 } })).toMatch(why);
  });

  test('counts what the operator adds, unless the client sets it or it is taken out', () => {
    const defaults = { service_tier: 'priority', tools: [{ type: 'code_interpreter' }] };
    expect(bound(MESSAGES, { defaults })).toMatch(/service_tier/);
    expect(bound({ ...MESSAGES, service_tier: 'default' }, { defaults })).toMatch(/code_interpreter/);
    expect(bound({ ...MESSAGES, service_tier: 'default' }, { defaults, dropped: ['tools'] })).toHaveProperty('fixedPicoUsd');
    expect(bound(MESSAGES, { defaults: { previous_response_id: 'r' } })).toMatch(/context window/);
    expect(bound(MESSAGES, { defaults: { temperature: 0 } })).toHaveProperty('fixedPicoUsd');
  });

  test('hides nowhere', () => {
    expect(bound('{"messages":[],"tools":[{"type":"function","type":"code_interpreter"}]}')).toMatch(/tools/);
    expect(bound('{"messages":[],"tools":[{"t\\u0079pe":"code_interpreter"}]}')).toMatch(/tools/);
    expect(bound('{"messages":[],"tools":[{"type":"code_interpr\\u0065ter"}]}')).toMatch(/code_interpreter/);
    expect(bound('{"messages":[{"content":[{"type":"f\\u0069le","file":{"file\\u005fid":"x"}}]}]}')).toMatch(/context window/);
  });

  test('is found by the exact look wherever the quick one cannot tell', () => {
    const schemas = {
      type: 'function',
      function: { parameters: { type: ['object', 'null'], properties: { type: { type: 'string' }, kind: { type: 'enum' } } } },
    };
    expect(bound(tools(schemas))).toMatchObject({ perTokenPicoUsd: 5_000_000 });
    expect(bound(tools(schemas, { type: 'code_interpreter' }))).toMatch(/code_interpreter/);
    expect(bound('{"messages":[],"tools":[{"type" :\n"code_interpreter"}]}')).toMatch(/code_interpreter/);
    expect(bound('{"messages":[],"tools":[{"name":"my type","type":"code_interpreter"}]}')).toMatch(/code_interpreter/);
    expect(bound('{"messages":[],"tools":[{"type":"func\\u0074ion"},{"type":"x"}]}')).toMatch(/`x`/);
    expect(bound('{"messages":[],"tools":["code_interpreter"]}')).toMatchObject({ perTokenPicoUsd: 5_000_000 });
  });

  test.each<object>([
    tools(),
    tools({
      type: 'function',
      function: { name: 'f', parameters: { type: 'object', properties: { type: { type: 'string' } } } },
    }),
    tools({ type: 'custom', name: 'c' }),
    tools(
      { name: 'f', input_schema: { type: 'object' } },
      { type: 'bash_20250124', name: 'bash' },
      { type: 'text_editor_20250728', name: 't' },
    ),
    { ...MESSAGES, context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } },
    { ...MESSAGES, service_tier: 'auto', background: false, web_search_options: null, speed: 'standard' },
  ])('%j is all tokens', (body) => {
    expect(bound(body)).toMatchObject({ perTokenPicoUsd: 5_000_000 });
  });

  test('bounded searches have a price', () => {
    const price: Price = { ...PRICE, webSearch: { picoUsd: 10_000_000_000 } };
    const body = tools({ type: 'web_search_20250305', name: 'web_search', max_uses: 3 });
    const over: Over = { dialect: 'anthropic-messages', bounds: { contextWindow: 1_000_000 } };
    expect(bound(body, { price, ...over })).toMatchObject({ fixedPicoUsd: 4_000_000 * 1_000_000 + 3 * 10_000_000_000 });
    expect(bound(body, over)).toMatch(/no price/);
    expect(bound(body, { price, dialect: 'anthropic-messages' })).toMatch(/context window/);
    const responses = { input: 'x', tools: [{ type: 'web_search' }], max_tool_calls: 2 };
    expect(bound(responses, { price, ...over })).toMatchObject({ fixedPicoUsd: 3_000_000 * 1_000_000 + 2 * 10_000_000_000 });
  });
});

test('nothing within the cap costs more than the bound', () => {
  const rate = fc.record({ picoUsd: fc.nat(50_000_000) });
  const tiered = fc.record({
    picoUsd: fc.nat(50_000_000),
    tiers: fc.array(fc.record({ aboveTokens: fc.nat(400), picoUsd: fc.nat(90_000_000) }), { maxLength: 2 }),
  });
  const price = fc.record(
    {
      input: tiered,
      output: tiered,
      cacheRead: rate,
      cacheWrite: rate,
      cacheWrite1h: rate,
      reasoning: rate,
      inputAudio: rate,
      outputAudio: rate,
      request: rate,
    },
    { requiredKeys: ['input', 'output'] },
  );
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      price,
      fc.nat(500),
      fc.integer({ min: 1, max: 4 }),
      fc.tuple(share, share, share, share, share),
      (price, cap, n, parts) => {
        const body = { messages: `audio cache_control 1h ${'x'.repeat(600)}`, n, max_tokens: cap + 1 };
        const result = bound(body, { price, dialect: 'anthropic-messages' }) as Bound;
        const most = Math.ceil(JSON.stringify(body).length / 2);
        const inputTokens = Math.floor(parts[0] * most);
        const outputTokens = Math.floor(parts[1] * n * (cap + 1));
        const cacheWriteTokens = Math.floor(parts[2] * inputTokens);
        const usage = {
          ...NO_USAGE,
          inputTokens,
          outputTokens,
          cacheWriteTokens,
          cacheWrite1hTokens: Math.floor(parts[3] * cacheWriteTokens),
          reasoningTokens: Math.floor(parts[4] * outputTokens),
          inputAudioTokens: Math.floor(parts[4] * (inputTokens - cacheWriteTokens)),
        };
        expect(costNanoUsd(usage, price as Price)).toBeLessThanOrEqual(boundAt(result, cap + 1));
      },
    ),
  );
});

test('what an amount pays for never costs more than it, and one token more would', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000_000),
      fc.integer({ min: 1, max: 100_000_000 }),
      fc.nat(10_000_000),
      (fixedPicoUsd, perTokenPicoUsd, nanoUsd) => {
        const linear = { fixedPicoUsd, perTokenPicoUsd };
        const tokens = tokensFor(linear, nanoUsd);
        if (tokens > 0) expect(boundAt(linear, tokens)).toBeLessThanOrEqual(nanoUsd);
        expect(boundAt(linear, tokens + 1)).toBeGreaterThan(nanoUsd);
      },
    ),
  );
});
