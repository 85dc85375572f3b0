import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { ChatRequest, Warning } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import type { EncodeTarget, JsonObject } from '../dialect.ts';
import { DEFAULT_MAX_TOKENS, decodeRequest, encodeRequest } from './request.ts';

const PLAIN: JsonObject = { model: 'm', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] };

const neutral = (fields: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'm',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  tools: [],
  stream: false,
  includeUsage: true,
  extra: {},
  ...fields,
});

function encode(fields: Partial<ChatRequest>, target: Partial<EncodeTarget> = {}): { body: JsonObject; warned: string[] } {
  const warnings: Warning[] = [];
  const warn = (warning: Warning) => void warnings.push(warning);
  const body = encodeRequest(neutral(fields), { upstreamModel: 'claude-sonnet-4-0', quirks: {}, ...target, warn });
  return { body, warned: warnings.map(({ param }) => param) };
}

function refusal(act: () => unknown): { code: string; param: string | undefined } {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.details.param };
    throw error;
  }
  return { code: 'none', param: undefined };
}

describe('decodeRequest', () => {
  it('reads the sampling, stops, user, tier and stream', () => {
    const decoded = decodeRequest({
      ...PLAIN,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ['END'],
      metadata: { user_id: 'u-1', project: 'p' },
      service_tier: 'auto',
      stream: true,
      container: 'c-1',
      context_management: { edits: [] },
    });
    expect(decoded).toMatchObject({ temperature: 0.5, topP: 0.9, topK: 40, stop: ['END'], user: 'u-1', serviceTier: 'auto' });
    expect(decoded).toMatchObject({ stream: true, includeUsage: true, maxOutputTokens: 100 });
    expect(decoded.extra).toEqual({ container: 'c-1', context_management: { edits: [] }, 'metadata.project': 'p' });
  });

  it('reads null as not given, as Anthropic does', () => {
    const decoded = decodeRequest({ ...PLAIN, temperature: null, thinking: null, tools: null, system: null, speed: null });
    expect(decoded).toEqual(decodeRequest(PLAIN));
  });

  it.each([
    [{ ...PLAIN, model: undefined }, 'model'],
    [{ ...PLAIN, max_tokens: undefined }, 'max_tokens'],
    [{ ...PLAIN, max_tokens: '100' }, 'max_tokens'],
    [{ ...PLAIN, messages: 'Hi' }, 'messages'],
    [{ ...PLAIN, messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    [{ ...PLAIN, messages: [{ role: 'user' }] }, 'messages[0].content'],
    [{ ...PLAIN, messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text'],
    [{ ...PLAIN, messages: [{ role: 'user', content: [{ type: 'image', source: 'x' }] }] }, 'messages[0].content[0].source'],
    [
      { ...PLAIN, messages: [{ role: 'user', content: [{ type: 'tool_result', content: 'x' }] }] },
      'messages[0].content[0].tool_use_id',
    ],
    [{ ...PLAIN, system: [{ type: 'image' }] }, 'system[0].type'],
    [{ ...PLAIN, tools: [{ name: 'f' }] }, 'tools[0].input_schema'],
    [{ ...PLAIN, tool_choice: { type: 'all' } }, 'tool_choice.type'],
    [{ ...PLAIN, stop_sequences: ['a', 1] }, 'stop_sequences[1]'],
    [{ ...PLAIN, thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
    [{ ...PLAIN, output_config: { format: { type: 'json_object' } } }, 'output_config.format.type'],
    [{ ...PLAIN, temperature: 'hot' }, 'temperature'],
    [{ ...PLAIN, stream: 'yes' }, 'stream'],
  ])('refuses %j naming %s', (body, param) => {
    expect(refusal(() => decodeRequest(body))).toEqual({ code: 'invalid_request', param });
  });

  it('throws nothing but GatewayError, whatever it is given', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('user', 'assistant', 'text', 'tool_use', 'constructor', 'toString', '__proto__'),
    );
    const block = fc.dictionary(
      fc.constantFrom('type', 'text', 'source', 'input', 'id', 'name', 'content', 'tool_use_id', 'citations', 'cache_control'),
      value,
    );
    const body = fc.record({
      model: value,
      max_tokens: fc.oneof(fc.integer(), value),
      messages: fc.oneof(
        fc.array(fc.record({ role: fc.constantFrom('user', 'assistant', 'system'), content: fc.oneof(fc.array(block), value) })),
        value,
      ),
      tools: fc.oneof(fc.array(block), value),
      tool_choice: fc.oneof(block, value),
      thinking: value,
      output_config: value,
    });
    fc.assert(
      fc.property(body, (input) => {
        const { code } = refusal(() =>
          encodeRequest(decodeRequest(input), { upstreamModel: 'm', quirks: {}, warn: () => undefined }),
        );
        expect(['none', 'invalid_request', 'unsupported_parameter']).toContain(code);
      }),
      { numRuns: 500 },
    );
  });
});

describe('encodeRequest', () => {
  it('says nothing that was not asked for', () => {
    expect(encode({ maxOutputTokens: 10 })).toEqual({
      body: {
        model: 'claude-sonnet-4-0',
        max_tokens: 10,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      },
      warned: [],
    });
  });

  it('takes max_tokens from the caller, else from the catalog, else the default', () => {
    expect(encode({ maxOutputTokens: 7 }, { maxOutputTokens: 64_000 }).body.max_tokens).toBe(7);
    expect(encode({}, { maxOutputTokens: 64_000 }).body.max_tokens).toBe(64_000);
    expect(encode({}).body.max_tokens).toBe(DEFAULT_MAX_TOKENS);
    const thinking = encode({ reasoning: { mode: 'enabled', effort: 'high' } }).body;
    expect(thinking).toMatchObject({ max_tokens: DEFAULT_MAX_TOKENS + 16_384, thinking: { budget_tokens: 16_384 } });
  });

  it.each([
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ extra: { modalities: ['text', 'audio'] } }, 'modalities'],
    [{ stop: ['\n'] }, 'stop'],
    [{ toolChoice: { type: 'tool' as const, name: 'f' }, tools: [{ type: 'function' as const, name: 'g' }] }, 'tool_choice'],
    [
      { messages: [{ role: 'user' as const, content: [{ type: 'audio' as const, format: 'wav', data: '' }] }] },
      'messages[0].content[0]',
    ],
  ])('refuses %j, because leaving it out would change the answer', (fields, param) => {
    expect(refusal(() => encode(fields))).toEqual({ code: 'unsupported_parameter', param });
  });

  it('warns of what it cannot say, by name', () => {
    const { body, warned } = encode({
      seed: 1,
      presencePenalty: 0.5,
      frequencyPenalty: 0.5,
      logitBias: { '50256': -100 },
      metadata: { trace: 'x' },
      serviceTier: 'flex',
      responseFormat: { type: 'json_object' },
      extra: { store: true, prompt_cache_key: 'k' },
    });
    expect(warned.toSorted()).toEqual([
      'frequency_penalty',
      'logit_bias',
      'metadata',
      'presence_penalty',
      'prompt_cache_key',
      'response_format',
      'seed',
      'service_tier',
      'store',
    ]);
    expect(Object.keys(body)).toEqual(['model', 'max_tokens', 'messages']);
  });

  it('does not warn of values that change nothing', () => {
    const fields = {
      n: 1,
      logprobs: false,
      presencePenalty: 0,
      frequencyPenalty: 0,
      logitBias: {},
      extra: { modalities: ['text'], store: null },
    };
    expect(encode({ ...fields, responseFormat: { type: 'text' } }).warned).toEqual([]);
  });

  it('maps user, tiers, stops, schema and its own parameters', () => {
    const { body, warned } = encode({
      user: 'u-1',
      serviceTier: 'default',
      stop: ['END'],
      stream: true,
      responseFormat: { type: 'json_schema', name: 'person', schema: { type: 'object' }, strict: true },
      extra: { container: 'c-1', 'output_config.task_budget': 5, 'metadata.project': 'p' },
    });
    expect(warned).toEqual([]);
    expect(body).toMatchObject({
      metadata: { user_id: 'u-1', project: 'p' },
      service_tier: 'standard_only',
      stop_sequences: ['END'],
      stream: true,
      output_config: { format: { type: 'json_schema', schema: { type: 'object' } }, task_budget: 5 },
      container: 'c-1',
    });
  });

  it('lets quirks drop and rename', () => {
    const { body, warned } = encode(
      { topK: 5, maxOutputTokens: 10 },
      { quirks: { unsupported: ['top_k', 'top_p'], rename: { max_tokens: 'max_output' } } },
    );
    expect(body).toMatchObject({ max_output: 10 });
    expect(body).not.toHaveProperty('top_k');
    expect(warned).toEqual(['top_k']);
  });

  it('never changes the request it was given', () => {
    const request = decodeRequest({
      ...PLAIN,
      messages: [
        {
          role: 'assistant',
          content: [
            { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
            { type: 'text', text: 'x', citations: [{ type: 'char_location' }] },
          ],
        },
      ],
    });
    const before = structuredClone(request);
    encodeRequest(request, { upstreamModel: 'm', quirks: {}, warn: () => undefined });
    expect(request).toEqual(before);
  });
});

describe('sampling', () => {
  it.each([
    ['claude-3-haiku-20240307', {}, { temperature: 0.2, top_p: 0.9, top_k: 5 }, []],
    ['claude-sonnet-4-5', {}, { temperature: 0.2, top_k: 5 }, ['top_p']],
    ['claude-opus-4-8', {}, {}, ['temperature', 'top_p', 'top_k']],
    ['deepseek-chat', {}, { temperature: 0.2, top_p: 0.9, top_k: 5 }, []],
    ['claude-sonnet-4-0', { reasoning: { mode: 'enabled' as const, budgetTokens: 2000 } }, {}, ['temperature', 'top_p', 'top_k']],
  ])('%s %j', (upstreamModel, fields, sent, warned) => {
    const result = encode({ temperature: 0.2, topP: 0.9, topK: 5, maxOutputTokens: 9000, ...fields }, { upstreamModel });
    const { temperature, top_p, top_k } = result.body;
    expect(JSON.parse(JSON.stringify({ temperature, top_p, top_k }))).toEqual(sent);
    expect(result.warned).toEqual(warned);
  });

  it('clamps the temperature, and drops defaults without a word', () => {
    expect(encode({ temperature: 1.7 })).toMatchObject({ body: { temperature: 1 }, warned: ['temperature'] });
    expect(encode({ temperature: 1, topP: 1 }, { upstreamModel: 'claude-opus-5' }).warned).toEqual([]);
    expect(encode({ temperature: 1, topP: 1 }, { upstreamModel: 'claude-haiku-4-5' })).toMatchObject({
      body: { temperature: 1 },
      warned: [],
    });
  });
});
