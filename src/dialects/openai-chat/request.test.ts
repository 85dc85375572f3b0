import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { ChatMessage, ChatRequest, Warning } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Quirks } from '../../core/quirks.ts';
import type { EncodeTarget, JsonObject } from '../dialect.ts';
import { openaiChat } from './dialect.ts';

const decode = (body: JsonObject) => openaiChat.request.decode({ model: 'm', messages: [], ...body }, {});
const messages = (...list: JsonObject[]) => decode({ messages: list }).messages;

const request = (fields: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'public',
  messages: [],
  tools: [],
  stream: false,
  includeUsage: false,
  extra: {},
  ...fields,
});

function encode(fields: Partial<ChatRequest>, quirks: Quirks = {}) {
  const warnings: Warning[] = [];
  const target: EncodeTarget = { upstreamModel: 'up', quirks, warn: (warning) => warnings.push(warning) };
  const body: JsonObject = JSON.parse(JSON.stringify(openaiChat.request.encode(request(fields), target)));
  return { body, warned: warnings.map((warning) => warning.param) };
}

const sent = (list: ChatMessage[], quirks?: Quirks) => encode({ messages: list }, quirks).body.messages;
const weather = { type: 'function' as const, name: 'weather', parameters: { type: 'object' } };
const foreignTool = {
  type: 'native' as const,
  dialect: 'anthropic-messages',
  name: 'web_search',
  value: { type: 'web_search_20250305' },
};

describe('decoding parameters', () => {
  it('reads every neutral one, and keeps all others under their names', () => {
    expect(
      decode({
        temperature: 0.5,
        top_p: 0.9,
        top_k: 40,
        seed: 7,
        presence_penalty: 1,
        frequency_penalty: -1,
        n: 2,
        logprobs: true,
        top_logprobs: 3,
        logit_bias: { 50256: -100 },
        stop: 'END',
        max_tokens: 10,
        max_completion_tokens: 20,
        parallel_tool_calls: false,
        user: 'u',
        metadata: { a: 'b' },
        service_tier: 'flex',
        stream: true,
        stream_options: { include_usage: true },
        store: true,
        verbosity: 'low',
        prediction: null,
      }),
    ).toEqual({
      model: 'm',
      messages: [],
      tools: [],
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      seed: 7,
      presencePenalty: 1,
      frequencyPenalty: -1,
      n: 2,
      logprobs: true,
      topLogprobs: 3,
      logitBias: { 50256: -100 },
      stop: ['END'],
      maxOutputTokens: 20,
      parallelToolCalls: false,
      user: 'u',
      metadata: { a: 'b' },
      serviceTier: 'flex',
      stream: true,
      includeUsage: true,
      extra: { store: true, verbosity: 'low' },
    });
    expect(decode({ max_tokens: 10, stop: ['a', 'b'] })).toMatchObject({ maxOutputTokens: 10, stop: ['a', 'b'] });
  });

  it.each([
    [{ reasoning_effort: 'high' }, { mode: 'enabled', effort: 'high' }],
    [{ reasoning_effort: 'none' }, { mode: 'disabled', effort: 'none' }],
    [{ reasoning: { effort: 'low' } }, { mode: 'enabled', effort: 'low' }],
    [{ reasoning: { max_tokens: 2000 } }, { mode: 'enabled', budgetTokens: 2000 }],
    [{ reasoning: { enabled: false } }, { mode: 'disabled' }],
    [{ thinking: { type: 'disabled' } }, { mode: 'disabled' }],
    [{ thinking: { type: 'enabled', budget_tokens: 99 } }, { mode: 'enabled', budgetTokens: 99 }],
    [
      { thinking: { type: 'adaptive' }, reasoning_effort: 'max' },
      { mode: 'adaptive', effort: 'max' },
    ],
  ])('%j', (body, reasoning) => {
    expect(decode(body).reasoning).toEqual(reasoning);
  });

  it.each([
    ['none', { type: 'none' }],
    ['auto', { type: 'auto' }],
    ['required', { type: 'required' }],
    ['any', { type: 'required' }],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'tool', name: 'f' },
    ],
    [
      { type: 'custom', custom: { name: 'f' } },
      { type: 'tool', name: 'f' },
    ],
  ])('tool_choice %j', (choice, expected) => {
    expect(decode({ tool_choice: choice }).toolChoice).toEqual(expected);
  });

  it('tools: functions, and those that only this dialect has', () => {
    const custom = { type: 'custom', custom: { name: 'sql' } };
    const { tools } = decode({
      tools: [
        {
          type: 'function',
          function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true },
          cache_control: { type: 'ephemeral', ttl: '1h' },
        },
        { function: { name: 'g', description: null } },
        custom,
      ],
    });
    expect(tools).toEqual([
      {
        type: 'function',
        name: 'f',
        description: 'd',
        parameters: { type: 'object' },
        strict: true,
        cacheControl: { type: 'ephemeral', ttl: '1h' },
      },
      { type: 'function', name: 'g' },
      { type: 'native', dialect: 'openai-chat', name: 'sql', value: custom },
    ]);
  });

  it('formats', () => {
    const schema = { type: 'object' };
    expect(decode({ response_format: { type: 'json_object' } }).responseFormat).toEqual({ type: 'json_object' });
    expect(
      decode({ response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } } }).responseFormat,
    ).toEqual({
      type: 'json_schema',
      name: 'n',
      schema,
      strict: true,
    });
  });

  it('what has a neutral form only for some values travels whole where it has none', () => {
    const allowed = { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } };
    const { extra, toolChoice, responseFormat } = decode({ tool_choice: allowed, response_format: { type: 'grammar' } });
    expect({ extra, toolChoice, responseFormat }).toEqual({
      extra: { tool_choice: allowed, response_format: { type: 'grammar' } },
    });
  });

  it('names of speakers are named by their place', () => {
    const { extra } = decode({
      messages: [
        { role: 'user', content: 'a', name: 'bob' },
        { role: 'tool', tool_call_id: 'c', content: '', name: 'f' },
      ],
    });
    expect(extra).toEqual({ 'messages[0].name': 'bob' });
  });

  it('a parameter called __proto__ is a mere name', () => {
    const { extra } = decode(JSON.parse('{"__proto__":{"stream":true},"logit_bias":{"__proto__":1}}') as JsonObject);
    expect(Object.keys(extra)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(extra)).toBe(Object.prototype);
  });
});

describe('decoding messages', () => {
  it('prompts stay where they are', () => {
    expect(
      messages(
        { role: 'system', content: 'a' },
        { role: 'user', content: 'b' },
        { role: 'developer', content: [{ type: 'text', text: 'c' }] },
      ),
    ).toEqual([
      { role: 'system', content: [{ type: 'text', text: 'a' }] },
      { role: 'user', content: [{ type: 'text', text: 'b' }] },
      { role: 'developer', content: [{ type: 'text', text: 'c' }] },
    ]);
  });

  it.each<[JsonObject, object]>([
    [
      { type: 'image_url', image_url: { url: 'https://x/y.png', detail: 'low' } },
      { type: 'image', source: { kind: 'url', url: 'https://x/y.png' }, detail: 'low' },
    ],
    [
      { type: 'image_url', image_url: 'data:image/png;base64,iVB=' },
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVB=' } },
    ],
    [
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' } },
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' }, filename: 'a.pdf' },
    ],
    [
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'file', source: { kind: 'id', id: 'file-1' } },
    ],
    [
      { type: 'file', file: { file_data: 'https://x/a.pdf' } },
      { type: 'file', source: { kind: 'url', url: 'https://x/a.pdf' } },
    ],
    [
      { type: 'file', file: { file_data: 'JVBE' } },
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' } },
    ],
    [
      { type: 'input_audio', input_audio: { data: 'UklG', format: 'wav' } },
      { type: 'audio', data: 'UklG', format: 'wav' },
    ],
    [
      { type: 'video_url', video_url: { url: 'u' } },
      { type: 'native', dialect: 'openai-chat', value: { type: 'video_url', video_url: { url: 'u' } } },
    ],
    [
      { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'a', cacheControl: { type: 'ephemeral' } },
    ],
  ])('%j', (part, expected) => {
    expect(messages({ role: 'user', content: [part] })[0]?.content).toEqual([expected]);
  });

  it('results of parallel calls are one turn', () => {
    const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: id });
    expect(
      messages(result('a'), result('b'), { role: 'user', content: 'so?' }, result('c')).map((message) =>
        message.content.map((part) => part.type),
      ),
    ).toEqual([['tool_result', 'tool_result'], ['text'], ['tool_result']]);
  });

  it('an assistant turn: reasoning with its signature, text, refusal, calls, a spoken answer', () => {
    expect(
      messages({
        role: 'assistant',
        content: 'a',
        refusal: 'no',
        reasoning_content: 'hm',
        reasoning_details: [{ type: 'reasoning.text', text: 'hm', signature: 'S=', index: 0 }],
        tool_calls: [
          { id: 'c', type: 'function', function: { name: 'f', arguments: '' } },
          { id: 'd', type: 'custom', custom: { name: 'sql', input: 'x' } },
        ],
        audio: { id: 'au' },
        annotations: [],
      })[0]?.content,
    ).toEqual([
      { type: 'reasoning', text: 'hm', signature: 'S=' },
      { type: 'text', text: 'a' },
      { type: 'refusal', text: 'no' },
      { type: 'tool_call', id: 'c', name: 'f', arguments: '' },
      { type: 'native', dialect: 'openai-chat', value: { id: 'd', type: 'custom', custom: { name: 'sql', input: 'x' } } },
      { type: 'native', dialect: 'openai-chat', value: { type: 'annotation', fields: { audio: { id: 'au' } } } },
    ]);
  });

  it('a cache marker on a message means its last part; on a tool message, the result', () => {
    const cache_control = { type: 'ephemeral' };
    const [system, tool] = messages(
      { role: 'system', content: 'a', cache_control },
      { role: 'tool', tool_call_id: 'c', content: 'r', cache_control },
    );
    expect(system?.content).toEqual([{ type: 'text', text: 'a', cacheControl: { type: 'ephemeral' } }]);
    expect(tool?.content).toEqual([
      { type: 'tool_result', callId: 'c', content: [{ type: 'text', text: 'r' }], cacheControl: { type: 'ephemeral' } },
    ]);
  });
});

describe('refusing bodies', () => {
  const inMessage = (message: JsonObject) => ({ messages: [{ role: 'user', content: 'a' }, message] });

  it.each<[JsonObject, string, string?]>([
    [{ model: 1 }, 'model'],
    [{ messages: 'hi' }, 'messages'],
    [inMessage({ content: 'a' }), 'messages[1].role'],
    [inMessage({ role: 'constructor', content: 'a' }), 'messages[1].role'],
    [inMessage({ role: 'user' }), 'messages[1].content'],
    [inMessage({ role: 'user', content: [{ text: 'a' }] }), 'messages[1].content[0].type'],
    [inMessage({ role: 'user', content: [{ type: 'text' }] }), 'messages[1].content[0].text'],
    [inMessage({ role: 'user', content: [{ type: 'image_url', image_url: {} }] }), 'messages[1].content[0].image_url.url'],
    [inMessage({ role: 'system', content: [{ type: 'image_url', image_url: 'u' }] }), 'messages[1].content[0].type'],
    [inMessage({ role: 'tool', content: 'a' }), 'messages[1].tool_call_id'],
    [inMessage({ role: 'tool', tool_call_id: 'c', content: [{ type: 'input_audio' }] }), 'messages[1].content[0].type'],
    [inMessage({ role: 'assistant', tool_calls: [{ id: 'a', function: {} }] }), 'messages[1].tool_calls[0].function.name'],
    [inMessage({ role: 'assistant', function_call: { name: 'f' } }), 'messages[1].function_call', 'unsupported_parameter'],
    [{ functions: [] }, 'functions', 'unsupported_parameter'],
    [{ temperature: '1' }, 'temperature'],
    [{ stop: [1] }, 'stop[0]'],
    [{ logit_bias: { a: 'b' } }, 'logit_bias.a'],
    [{ metadata: { a: 1 } }, 'metadata.a'],
    [{ stream: 'yes' }, 'stream'],
    [{ stream_options: { include_usage: 1 } }, 'stream_options.include_usage'],
    [{ tools: {} }, 'tools'],
    [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
    [{ tool_choice: 'maybe' }, 'tool_choice'],
    [{ tool_choice: { type: 'function' } }, 'tool_choice.function'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    [{ reasoning_effort: 3 }, 'reasoning_effort'],
  ])('%j names %s', (body, param, code = 'invalid_request') => {
    expect(() => decode(body)).toThrow(expect.objectContaining({ code, details: expect.objectContaining({ param }) as unknown }));
  });

  it('nothing else is ever thrown, whatever the JSON', () => {
    const names = [
      'messages',
      'tools',
      'stop',
      'tool_choice',
      'response_format',
      'reasoning',
      'thinking',
      'metadata',
      'stream_options',
    ];
    const value = fc.oneof(
      fc.jsonValue(),
      fc.array(fc.dictionary(fc.constantFrom('role', 'content', 'type', 'function', 'tool_calls'), fc.jsonValue())),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (body) => {
        try {
          decode(body);
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
      }),
    );
  });
});

describe('encoding parameters', () => {
  it('by OpenAI’s names, with the upstream’s model, and usage asked for in streams', () => {
    const { body, warned } = encode({
      maxOutputTokens: 10,
      temperature: 0,
      topP: 1,
      stop: ['a'],
      seed: 1,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      logitBias: { 1: 2 },
      n: 1,
      logprobs: true,
      topLogprobs: 2,
      responseFormat: { type: 'json_schema', name: 'n', schema: {}, strict: true, description: 'd' },
      reasoning: { mode: 'enabled', effort: 'low' },
      user: 'u',
      metadata: { a: 'b' },
      serviceTier: 'standard_only',
      stream: true,
      tools: [weather],
      toolChoice: { type: 'tool', name: 'weather' },
      parallelToolCalls: false,
      extra: { store: true },
    });
    expect(warned).toEqual([]);
    expect(body).toEqual({
      model: 'up',
      messages: [],
      max_completion_tokens: 10,
      temperature: 0,
      top_p: 1,
      stop: ['a'],
      seed: 1,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      logit_bias: { 1: 2 },
      n: 1,
      logprobs: true,
      top_logprobs: 2,
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {}, strict: true, description: 'd' } },
      reasoning_effort: 'low',
      user: 'u',
      metadata: { a: 'b' },
      service_tier: 'default',
      stream: true,
      stream_options: { include_usage: true },
      tools: [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      store: true,
    });
  });

  it.each<[Partial<ChatRequest>, string[]]>([
    [{ topK: 40 }, ['top_k']],
    [{ extra: { context_management: {} } }, ['context_management']],
    [{ user: 'x'.repeat(65) }, ['user']],
    [{ tools: [foreignTool, weather] }, ['tools[0]']],
    [{ reasoning: { mode: 'disabled' } }, ['thinking']],
    [{ reasoning: { mode: 'enabled', budgetTokens: 4000 } }, ['thinking.budget_tokens']],
    [{ reasoning: { mode: 'adaptive' } }, []],
  ])('%j warns of %j', (fields, params) => {
    expect(encode(fields).warned).toEqual(params);
  });

  it('a budget becomes the least effort that holds it', () => {
    const effort = (budgetTokens: number) => encode({ reasoning: { mode: 'enabled', budgetTokens } }).body.reasoning_effort;
    expect([1024, 2048, 2049, 8192, 8193, 100_000].map(effort)).toEqual(['low', 'low', 'medium', 'medium', 'high', 'high']);
  });

  it.each<[string, Partial<ChatRequest>]>([
    ['a forced tool of another API', { tools: [foreignTool], toolChoice: { type: 'tool', name: 'web_search' } }],
    ['one of several tools, none of which can be sent', { tools: [foreignTool], toolChoice: { type: 'required' } }],
    ['a file by URL', { messages: [{ role: 'user', content: [{ type: 'file', source: { kind: 'url', url: 'https://x' } }] }] }],
    [
      'content of another API',
      {
        messages: [
          { role: 'user', content: [{ type: 'native', dialect: 'anthropic-messages', value: { type: 'search_result' } }] },
        ],
      },
    ],
  ])('%s is refused', (_name, fields) => {
    expect(() => encode(fields)).toThrow(expect.objectContaining({ code: 'unsupported_parameter' }));
  });

  it('no tools, no choice', () => {
    expect(encode({ tools: [foreignTool], toolChoice: { type: 'auto' }, parallelToolCalls: true }).body).toEqual({
      model: 'up',
      messages: [],
    });
  });
});

describe('quirks', () => {
  it('rename, refuse, and leave usage unasked', () => {
    const { body, warned } = encode(
      { maxOutputTokens: 5, seed: 1, logitBias: { 1: 1 }, n: 1, stream: true },
      {
        rename: { max_completion_tokens: 'max_tokens', seed: 'random_seed' },
        unsupported: ['logit_bias', 'n'],
        includeUsage: false,
      },
    );
    expect(body).toEqual({ model: 'up', messages: [], max_tokens: 5, random_seed: 1, stream: true });
    expect(warned).toEqual(['logit_bias', 'n']);
  });

  it.each<[Partial<ChatRequest>, string]>([
    [{ n: 2 }, 'n'],
    [{ tools: [weather] }, 'tools'],
    [{ tools: [weather], toolChoice: { type: 'required' } }, 'tool_choice'],
    [{ responseFormat: { type: 'json_object' } }, 'response_format'],
  ])('%j cannot be left out', (fields, param) => {
    expect(() => encode(fields, { unsupported: [param] })).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', details: expect.objectContaining({ param }) as unknown }),
    );
  });

  it('a switch for thinking', () => {
    const quirks = { thinkingSwitch: true };
    expect(encode({ reasoning: { mode: 'disabled' } }, quirks)).toEqual({
      body: { model: 'up', messages: [], thinking: { type: 'disabled' } },
      warned: [],
    });
    expect(encode({ reasoning: { mode: 'adaptive', effort: 'high' } }, quirks).body).toMatchObject({
      thinking: { type: 'enabled' },
      reasoning_effort: 'high',
    });
  });
});

describe('encoding messages', () => {
  it('one plain text is a string, and so is none', () => {
    expect(
      sent([
        { role: 'system', content: [{ type: 'text', text: 'a' }] },
        { role: 'user', content: [] },
      ]),
    ).toEqual([
      { role: 'system', content: 'a' },
      { role: 'user', content: '' },
    ]);
  });

  it('cache markers go only where they are understood', () => {
    const cached: ChatMessage[] = [{ role: 'user', content: [{ type: 'text', text: 'a', cacheControl: { type: 'ephemeral' } }] }];
    expect(encode({ messages: cached })).toMatchObject({ body: { messages: [{ content: 'a' }] }, warned: [] });
    expect(sent(cached, { cacheControl: true })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }] },
    ]);
  });

  it('results come first, and pictures in them follow as a user message', () => {
    const picture = { type: 'image' as const, source: { kind: 'base64' as const, mediaType: 'image/png', data: 'iVB' } };
    const { body, warned } = encode({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'tool_result', callId: 'c', content: [{ type: 'text', text: 'done' }, picture], isError: true },
          ],
        },
      ],
    });
    expect(body.messages).toEqual([
      { role: 'tool', tool_call_id: 'c', content: 'done' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Content of the result of tool call c:' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVB' } },
          { type: 'text', text: 'look' },
        ],
      },
    ]);
    expect(warned).toEqual(['messages[].tool_result.content', 'messages[].tool_result.is_error']);
  });

  it('an assistant turn that only calls has no content, and never empty arguments', () => {
    expect(sent([{ role: 'assistant', content: [{ type: 'tool_call', id: 'c', name: 'f', arguments: '' }] }])).toEqual([
      { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
    ]);
  });

  it('reasoning goes back where the provider takes it; one warning where it does not', () => {
    const turn: ChatMessage = {
      role: 'assistant',
      content: [
        { type: 'reasoning', text: 'hm', signature: 'S' },
        { type: 'text', text: 'a' },
      ],
    };
    expect(encode({ messages: [turn, turn] })).toMatchObject({
      body: { messages: [{ role: 'assistant', content: 'a' }, {}] },
      warned: ['messages[].reasoning'],
    });
    expect(sent([turn], { reasoningField: 'reasoning' })).toEqual([
      {
        role: 'assistant',
        content: 'a',
        reasoning: 'hm',
        reasoning_details: [{ type: 'reasoning.text', text: 'hm', signature: 'S', index: 0 }],
      },
    ]);
  });

  it('blocks and options of another API are named', () => {
    const native = (value: Record<string, unknown>) => ({ type: 'native' as const, dialect: 'anthropic-messages', value });
    const { warned } = encode({
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'a' }, native({ type: 'annotation', fields: { citations: {} } })] },
        { role: 'assistant', content: [native({ type: 'server_tool_use' })] },
      ],
    });
    expect(warned).toEqual(['messages[].content[]', 'messages[].content[]']);
  });

  it('what is encoded is decoded as it was', () => {
    const text = fc.record({ type: fc.constant('text' as const), text: fc.string() });
    const data = fc.base64String({ minLength: 4 });
    const image = fc.record({
      type: fc.constant('image' as const),
      source: fc.record({ kind: fc.constant('base64' as const), mediaType: fc.constant('image/png'), data }),
    });
    const result = fc.record({
      type: fc.constant('tool_result' as const),
      callId: fc.uuid(),
      content: fc.array(
        text.filter((part) => part.text !== ''),
        { maxLength: 2 },
      ),
    });
    const call = fc.record({
      type: fc.constant('tool_call' as const),
      id: fc.uuid(),
      name: fc.constant('f'),
      arguments: fc.jsonValue().map((value) => JSON.stringify({ value })),
    });
    const reasoning = fc.record({
      type: fc.constant('reasoning' as const),
      text: fc.string(),
      signature: fc.string({ minLength: 1 }),
    });
    const said = text.filter((part) => part.text !== '');
    const message: fc.Arbitrary<ChatMessage> = fc.oneof(
      fc.record({
        role: fc.constantFrom('system' as const, 'developer' as const),
        content: fc.array(said, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ role: fc.constant('user' as const), content: fc.array(fc.oneof(said, image), { minLength: 1, maxLength: 3 }) }),
      fc.record({ role: fc.constant('user' as const), content: fc.array(result, { minLength: 1, maxLength: 3 }) }),
      fc.tuple(fc.array(reasoning, { maxLength: 2 }), said, fc.array(call, { maxLength: 2 })).map(([thoughts, words, calls]) => ({
        role: 'assistant' as const,
        content: [...thoughts, words, ...calls],
      })),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (list) => {
        const spaced = list.flatMap((each) => [
          each,
          { role: 'system' as const, content: [{ type: 'text' as const, text: '-' }] },
        ]);
        const encoded = sent(spaced, { reasoningField: 'reasoning_content' }) as JsonObject[];
        expect(messages(...encoded)).toEqual(spaced);
      }),
    );
  });
});
