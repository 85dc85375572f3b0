import { describe, expect, it } from 'vitest';

import type { AssistantPart, ChatResponse, FinishReason, Warning } from '../../core/chat.ts';
import { NO_USAGE } from '../../core/usage.ts';
import type { JsonObject } from '../dialect.ts';
import { openaiChat } from './dialect.ts';

const decode = (message: JsonObject, beside: JsonObject = {}, top: JsonObject = {}) =>
  openaiChat.response.decode({
    id: 'c.1',
    model: 'm',
    created: 7,
    choices: [{ index: 0, message, finish_reason: 'stop', ...beside }],
    ...top,
  }).choices[0];

const answer = (content: AssistantPart[], finish: FinishReason = 'stop'): ChatResponse => ({
  id: 'i',
  model: 'm',
  createdS: 0,
  choices: [{ index: 0, content, finish }],
});

function encode(response: ChatResponse) {
  const warnings: Warning[] = [];
  const body = openaiChat.response.encode(response, { requestId: 'r', nowS: 99, includeUsage: true }, (warning) =>
    warnings.push(warning),
  );
  const [choice] = body.choices as [{ message: JsonObject; finish_reason: string; logprobs: unknown }];
  return { body, choice, warned: warnings.map((warning) => warning.param) };
}

describe('decoding an answer', () => {
  it.each<[string, JsonObject, AssistantPart[]]>([
    ['text', { content: 'a' }, [{ type: 'text', text: 'a' }]],
    ['nothing', { content: '' }, []],
    ['null', { content: null }, []],
    [
      'parts (Mistral)',
      {
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
          { type: 'text', text: 'a' },
        ],
      },
      [
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'a' },
      ],
    ],
    ['a refusal', { content: null, refusal: 'no' }, [{ type: 'refusal', text: 'no' }]],
    [
      'blanks (Snowflake)',
      {
        content: 'a',
        refusal: '',
        function_call: { name: '', arguments: '' },
        tool_calls: null,
        audio: { id: '', data: '', expires_at: 0 },
      },
      [{ type: 'text', text: 'a' }],
    ],
    [
      'the call of 2023',
      { function_call: { name: 'f', arguments: '{}' } },
      [{ type: 'tool_call', id: 'call_c_1_0_0', name: 'f', arguments: '{}' }],
    ],
    [
      'calls without ids',
      { tool_calls: [{ function: { name: 'f' } }, { id: '', function: { name: 'g', arguments: { x: 1 } } }] },
      [
        { type: 'tool_call', id: 'call_c_1_0_0', name: 'f', arguments: '' },
        { type: 'tool_call', id: 'call_c_1_0_1', name: 'g', arguments: '{"x":1}' },
      ],
    ],
    [
      'custom calls',
      { tool_calls: [{ id: 'a', type: 'custom', custom: { name: 'sql', input: 'SELECT 1' } }] },
      [{ type: 'tool_call', id: 'a', name: 'sql', arguments: 'SELECT 1' }],
    ],
    [
      'signed reasoning',
      {
        reasoning: 'hm',
        reasoning_details: [
          { type: 'reasoning.text', text: 'hm', signature: 'S' },
          { type: 'reasoning.encrypted', data: 'D' },
        ],
      },
      [
        { type: 'reasoning', text: 'hm', signature: 'S' },
        { type: 'reasoning', text: '', redacted: 'D' },
      ],
    ],
    [
      'plain reasoning beside encrypted',
      { reasoning: 'hm', reasoning_details: [{ type: 'reasoning.encrypted', data: 'D' }] },
      [
        { type: 'reasoning', text: 'hm' },
        { type: 'reasoning', text: '', redacted: 'D' },
      ],
    ],
  ])('%s', (_name, message, content) => {
    expect(decode(message)?.content).toEqual(content);
  });

  it.each<[unknown, FinishReason]>([
    ['stop', 'stop'],
    ['end_turn', 'stop'],
    ['length', 'length'],
    ['model_length', 'length'],
    ['tool_calls', 'tool_calls'],
    ['function_call', 'tool_calls'],
    ['content_filter', 'content_filter'],
    ['sensitive', 'content_filter'],
    ['model_context_window_exceeded', 'context_window'],
    ['constructor', 'unknown'],
    ['', 'unknown'],
    [null, 'unknown'],
    [7, 'unknown'],
  ])('finish %j', (word, finish) => {
    expect(decode({ content: 'a' }, { finish_reason: word })?.finish).toBe(finish);
  });

  it('logprobs stay as they are; empty ones are none', () => {
    const logprobs = { content: [{ token: 'a' }], refusal: null };
    expect(decode({ content: 'a' }, { logprobs })?.logprobs).toEqual(logprobs);
    expect(decode({ content: 'a' }, { logprobs: { content: null, refusal: null } })).not.toHaveProperty('logprobs');
  });

  it.each<[string, JsonObject, string]>([
    ['no choices', { choices: [] }, 'upstream_bad_response'],
    ['choices of the wrong kind', { choices: {} }, 'upstream_bad_response'],
    ['an error in a 200', { choices: null, error: { message: 'filtered', code: 'content_filter' } }, 'upstream_error'],
    ['an error in a choice', { choices: [{ error: { code: 502, message: 'gone' } }] }, 'upstream_error'],
  ])('%s', (_name, body, code) => {
    expect(() => openaiChat.response.decode(body)).toThrow(expect.objectContaining({ code }));
  });
});

describe('encoding an answer', () => {
  it('with every field that OpenAI’s SDKs require', () => {
    const usage = { ...NO_USAGE, inputTokens: 9, outputTokens: 4, cacheReadTokens: 3, cacheWriteTokens: 2, reasoningTokens: 1 };
    expect(
      encode({
        ...answer([
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ]),
        id: '',
        usage,
        serviceTier: 'standard',
        systemFingerprint: 'fp',
      }).body,
    ).toEqual({
      id: 'chatcmpl-r',
      object: 'chat.completion',
      created: 99,
      model: 'm',
      service_tier: 'default',
      system_fingerprint: 'fp',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'ab', refusal: null }, logprobs: null, finish_reason: 'stop' },
      ],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 4,
        total_tokens: 13,
        prompt_tokens_details: { cached_tokens: 3, audio_tokens: 0, cache_write_tokens: 2 },
        completion_tokens_details: {
          reasoning_tokens: 1,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
    });
  });

  it.each<[string, AssistantPart[], JsonObject]>([
    [
      'calls alone',
      [{ type: 'tool_call', id: 'c', name: 'f', arguments: ' ' }],
      { content: null, refusal: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
    ],
    ['a refusal', [{ type: 'refusal', text: 'no' }], { content: null, refusal: 'no' }],
    ['nothing', [], { content: '', refusal: null }],
    ['plain reasoning', [{ type: 'reasoning', text: 'hm' }], { content: '', refusal: null, reasoning_content: 'hm' }],
    [
      'signed and encrypted reasoning',
      [
        { type: 'reasoning', text: 'hm', signature: 'S' },
        { type: 'reasoning', text: '', redacted: 'D' },
      ],
      {
        reasoning_content: 'hm',
        reasoning_details: [
          { type: 'reasoning.text', text: 'hm', signature: 'S', index: 0 },
          { type: 'reasoning.encrypted', data: 'D', index: 1 },
        ],
      },
    ],
    [
      'a spoken answer',
      [{ type: 'native', dialect: 'openai-chat', value: { type: 'annotation', fields: { audio: { id: 'a' } } } }],
      { content: null, audio: { id: 'a' } },
    ],
  ])('%s', (_name, content, message) => {
    expect(encode(answer(content)).choice.message).toMatchObject(message);
  });

  it.each<[FinishReason, string]>([
    ['stop', 'stop'],
    ['stop_sequence', 'stop'],
    ['length', 'length'],
    ['context_window', 'length'],
    ['tool_calls', 'tool_calls'],
    ['content_filter', 'content_filter'],
    ['refusal', 'content_filter'],
    ['pause', 'stop'],
    ['unknown', 'stop'],
  ])('finish %s is told as %s', (finish, word) => {
    expect(encode(answer([], finish)).choice.finish_reason).toBe(word);
  });

  it('names what it cannot say', () => {
    const native = (value: Record<string, unknown>): AssistantPart => ({ type: 'native', dialect: 'anthropic-messages', value });
    const { warned } = encode(
      answer([native({ type: 'annotation', fields: { citations: [1] } }), native({ type: 'server_tool_use' })], 'pause'),
    );
    expect(warned).toEqual(['finish_reason', 'content[].citations', 'content[].server_tool_use']);
  });

  it('a tier that OpenAI does not know is left out', () => {
    expect(encode({ ...answer([]), serviceTier: 'on_demand' }).body).not.toHaveProperty('service_tier');
  });
});
