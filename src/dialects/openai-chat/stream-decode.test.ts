import { describe, expect, it } from 'vitest';

import { assemble, decodeStream, grammarErrors } from '../../../test/support/parts.ts';
import type { AssistantPart } from '../../core/chat.ts';
import { openaiChat } from './dialect.ts';

type Delta = Record<string, unknown>;

const chunk = (delta: Delta, beside: Delta = {}, top: Delta = {}): string =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 7,
    model: 'm',
    choices: [{ index: 0, delta, ...beside }],
    ...top,
  });

const finish = (reason: string, top: Delta = {}): string => chunk({}, { finish_reason: reason }, top);

function decode(...data: string[]) {
  const parts = decodeStream(openaiChat, [
    Buffer.from(data.map((each) => (each.startsWith('event:') ? each : `data: ${each}\n\n`)).join('')),
  ]);
  expect(grammarErrors(parts)).toEqual([]);
  return parts;
}

const content = (...data: string[]): AssistantPart[] => assemble(decode(...data, '[DONE]')).choices[0]?.content ?? [];

const calls = (...deltas: Delta[]) =>
  content(...deltas.map((call) => chunk({ tool_calls: [call] }))).map((part) =>
    part.type === 'tool_call' ? [part.id, part.name, part.arguments] : part,
  );

describe('tool calls in pieces', () => {
  it.each<[string, Delta[], string[][]]>([
    [
      'as OpenAI sends them',
      [
        { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } },
        { index: 0, function: { arguments: '{"x":' } },
        { index: 0, function: { arguments: '1}' } },
        { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '{}' } },
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'g', '{}'],
      ],
    ],
    [
      'whole, every one at index 0 (Ollama)',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '{"x":1}' } },
        { index: 0, id: 'b', function: { name: 'f', arguments: '{"x":2}' } },
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'f', '{"x":2}'],
      ],
    ],
    [
      'in pieces, every one at index 0',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '{"x"' } },
        { index: 0, function: { arguments: ':1}' } },
        { index: 0, id: 'b', function: { name: 'g', arguments: '{"y"' } },
        { index: 0, function: { arguments: ':2}' } },
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'g', '{"y":2}'],
      ],
    ],
    [
      'without index (Gemini)',
      [
        { id: 'a', function: { name: 'f', arguments: '{}' } },
        { id: 'b', function: { name: 'g', arguments: '{"y"' } },
        { function: { arguments: ':2}' } },
      ],
      [
        ['a', 'f', '{}'],
        ['b', 'g', '{"y":2}'],
      ],
    ],
    [
      'without index, matched by id',
      [
        { id: 'a', function: { name: 'f', arguments: '{"x"' } },
        { id: 'b', function: { name: 'g', arguments: '{"y"' } },
        { id: 'a', function: { arguments: ':1}' } },
        { id: 'b', function: { arguments: ':2}' } },
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'g', '{"y":2}'],
      ],
    ],
    [
      'by turns',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '' } },
        { index: 1, id: 'b', function: { name: 'g', arguments: '' } },
        { index: 0, function: { arguments: '{"x":1}' } },
        { index: 1, function: { arguments: '{"y":2}' } },
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'g', '{"y":2}'],
      ],
    ],
    [
      'with name and id in every piece',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '{"x"' } },
        { index: 0, id: 'a', function: { name: 'f', arguments: ':1}' } },
      ],
      [['a', 'f', '{"x":1}']],
    ],
    [
      'with a new id in every piece (vLLM)',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '' } },
        { index: 0, id: 'a2', function: { name: null, arguments: '{"x":1}' } },
      ],
      [['a', 'f', '{"x":1}']],
    ],
    [
      'with a new id and the name in every piece',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '{"x"' } },
        { index: 0, id: 'a2', function: { name: 'f', arguments: ':1}' } },
      ],
      [['a', 'f', '{"x":1}']],
    ],
    [
      'of one tool twice, without arguments, both at index 0',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '' } },
        { index: 0, id: 'b', function: { name: 'f', arguments: '' } },
      ],
      [
        ['a', 'f', ''],
        ['b', 'f', ''],
      ],
    ],
    [
      'without ids',
      [
        { index: 0, function: { name: 'f', arguments: '{"x"' } },
        { index: 0, function: { name: 'f', arguments: ':1}' } },
        { index: 0, function: { name: 'f', arguments: '{"x":2}' } },
      ],
      [
        ['call_c1_0_0', 'f', '{"x":1}'],
        ['call_c1_0_1', 'f', '{"x":2}'],
      ],
    ],
    [
      'with the name after the id',
      [
        { index: 0, id: 'a', function: { arguments: '{' } },
        { index: 0, function: { name: 'f' } },
        { index: 0, function: { arguments: '}' } },
      ],
      [['a', 'f', '{}']],
    ],
    [
      'with arguments as an object',
      [{ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }],
      [['a', 'f', '{"x":1}']],
    ],
    ['with arguments null', [{ index: 0, id: 'a', function: { name: 'f', arguments: null } }], [['a', 'f', '']]],
  ])('%s', (_name, deltas, expected) => {
    expect(calls(...deltas)).toEqual(expected);
  });

  it('several in one chunk, beside text', () => {
    const both = [
      { index: 0, id: 'a', function: { name: 'f', arguments: '{}' } },
      { index: 1, id: 'b', function: { name: 'g', arguments: '{}' } },
    ];
    expect(content(chunk({ content: 'so:', tool_calls: both })).map((part) => part.type)).toEqual([
      'text',
      'tool_call',
      'tool_call',
    ]);
  });

  it('the single call of 2023', () => {
    const parts = [chunk({ function_call: { name: 'f', arguments: '{"x"' } }), chunk({ function_call: { arguments: ':1}' } })];
    expect(content(...parts, finish('function_call'))).toEqual([
      { type: 'tool_call', id: 'call_c1_0_0', name: 'f', arguments: '{"x":1}' },
    ]);
  });

  it('one that is complete ends when the next begins, so that encoders need not wait', () => {
    const types = decode(
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }] }),
      chunk({ tool_calls: [{ index: 1, id: 'b', function: { name: 'g', arguments: '' } }] }),
    ).map((part) => part.type);
    expect(types.slice(0, 5)).toEqual(['start', 'tool_call_start', 'tool_call_delta', 'tool_call_end', 'tool_call_start']);
  });

  it('more after the end is refused, unless it is white space', () => {
    const first = chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }] });
    const second = chunk({ tool_calls: [{ index: 1, id: 'b', function: { name: 'g', arguments: '{}' } }] });
    const late = (text: string) => chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] });
    expect(content(first, second, late('\n'))).toHaveLength(2);
    expect(() => decode(first, second, late('{'))).toThrow(expect.objectContaining({ code: 'upstream_bad_response' }));
  });

  it('an answer that calls tools ended for them, whatever the provider says', () => {
    const call = chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }] });
    for (const word of ['stop', 'STOP', 'tool_calls', 'function_call']) {
      expect(assemble(decode(call, finish(word), '[DONE]')).choices[0]?.finish).toBe('tool_calls');
    }
    expect(assemble(decode(call, finish('length'), '[DONE]')).choices[0]?.finish).toBe('length');
  });
});

describe('reasoning', () => {
  const text = (part: AssistantPart | undefined) => part;

  it.each([
    ['reasoning_content', { reasoning_content: 'hm' }],
    ['reasoning', { reasoning: 'hm' }],
    ['both at once', { reasoning: 'hm', reasoning_content: 'hm' }],
    ['with details that repeat it', { reasoning: 'hm', reasoning_details: [{ type: 'reasoning.text', text: 'hm', index: 0 }] }],
    ['details alone', { reasoning_details: [{ type: 'reasoning.summary', summary: 'hm' }] }],
    ['content parts', { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] }],
  ])('%s', (_name, delta) => {
    expect(content(chunk(delta), chunk({ content: 'yes' }))).toEqual([
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'yes' },
    ]);
  });

  it('signed at its end, as OpenRouter does it', () => {
    const piece = (words: string) =>
      chunk({ reasoning: words, reasoning_details: [{ type: 'reasoning.text', text: words, index: 0 }] });
    const signature = chunk({ content: '', reasoning_details: [{ type: 'reasoning.text', signature: 'sig==', index: 0 }] });
    expect(text(content(piece('a'), piece('b'), signature, chunk({ content: 'yes' }))[0])).toEqual({
      type: 'reasoning',
      text: 'ab',
      signature: 'sig==',
    });
  });

  it('signed with the whole text again, as we do it, twice', () => {
    const signed = (words: string) => [
      chunk({ reasoning_content: words }),
      chunk({ reasoning_details: [{ type: 'reasoning.text', text: words, signature: `sig ${words}` }] }),
    ];
    expect(content(...signed('a'), ...signed('b'))).toEqual([
      { type: 'reasoning', text: 'a', signature: 'sig a' },
      { type: 'reasoning', text: 'b', signature: 'sig b' },
    ]);
  });

  it('signed without a text, and encrypted', () => {
    const details = [
      { type: 'reasoning.text', signature: 's' },
      { type: 'reasoning.encrypted', data: 'd' },
      { type: 'reasoning.encrypted' },
    ];
    expect(content(chunk({ reasoning_details: details }))).toEqual([
      { type: 'reasoning', text: '', signature: 's' },
      { type: 'reasoning', text: '', redacted: 'd' },
    ]);
  });
});

describe('the rest of a chunk', () => {
  it('text, refusal and logprobs of several choices, each its own', () => {
    const of = (index: number, delta: Delta, beside: Delta = {}) =>
      JSON.stringify({ id: 'c', model: 'm', choices: [{ index, delta, ...beside }] });
    const token = (word: string) => ({ content: [{ token: word }], refusal: null });
    const parts = decode(
      of(0, { role: 'assistant', content: '' }),
      of(0, { content: 'a' }, { logprobs: token('a') }),
      of(1, { refusal: 'no' }, { logprobs: { content: null, refusal: [{ token: 'no' }] } }),
      of(0, { content: 'b' }, { logprobs: token('b') }),
      of(1, {}, { finish_reason: 'content_filter' }),
      of(0, {}, { finish_reason: 'stop' }),
      '[DONE]',
    );
    expect(assemble(parts).choices).toEqual([
      {
        index: 0,
        content: [{ type: 'text', text: 'ab' }],
        finish: 'stop',
        logprobs: { content: [{ token: 'a' }, { token: 'b' }], refusal: null },
      },
      {
        index: 1,
        content: [{ type: 'refusal', text: 'no' }],
        finish: 'content_filter',
        logprobs: { content: null, refusal: [{ token: 'no' }] },
      },
    ]);
  });

  it('spoken answers and citations pass as they are', () => {
    const audio = { id: 'au', data: 'UklG' };
    expect(content(chunk({ audio, annotations: [] }), chunk({ annotations: [{ type: 'url_citation' }] }))).toEqual([
      { type: 'native', dialect: 'openai-chat', value: { type: 'annotation', fields: { audio } } },
      {
        type: 'native',
        dialect: 'openai-chat',
        value: { type: 'annotation', fields: { annotations: [{ type: 'url_citation' }] } },
      },
    ]);
  });

  it.each([
    ['at the top', { usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } }],
    ['Groq', { x_groq: { usage: { prompt_tokens: 3, completion_tokens: 4 } } }],
    ['Moonshot', { choices: [{ index: 0, delta: {}, usage: { prompt_tokens: 3, completion_tokens: 4 } }] }],
  ])('usage: %s', (_name, top) => {
    expect(assemble(decode(chunk({ content: 'a' }), finish('stop', top), '[DONE]')).usage).toMatchObject({
      inputTokens: 3,
      outputTokens: 4,
    });
  });

  it('the start waits for the first chunk that says something', () => {
    const empty = JSON.stringify({ id: '', model: '', created: 0, choices: [], prompt_filter_results: [] });
    expect(decode(empty, chunk({ content: 'a' }, {}, { service_tier: 'default', system_fingerprint: 'fp' }))[0]).toEqual({
      type: 'start',
      id: 'c1',
      model: 'm',
      createdS: 7,
      serviceTier: 'default',
      systemFingerprint: 'fp',
    });
  });
});

describe('the end', () => {
  const open = chunk({ content: 'a' });
  const types = (...data: string[]) => decode(...data).map((part) => part.type);

  it.each<[string, string[], string[]]>([
    ['[DONE]', [open, finish('stop'), '[DONE]'], ['finish', 'end']],
    ['every choice finished', [open, finish('stop')], ['finish', 'end']],
    ['[DONE] without any finish', [open, '[DONE]'], ['finish', 'end']],
    ['neither', [open], ['text_delta', 'text_end']],
    ['nothing at all', [], []],
    ['comments only', [JSON.stringify({ choices: [] })], []],
  ])('%s', (_name, data, last) => {
    expect(types(...data).slice(-2)).toEqual(last);
  });

  it('one of two choices finished is no end', () => {
    const second = JSON.stringify({ id: 'c1', model: 'm', choices: [{ index: 1, delta: { content: 'b' } }] });
    expect(types(open, second, finish('stop'))).not.toContain('end');
  });

  it('nothing counts after it', () => {
    expect(types(open, finish('stop'), '[DONE]', open, '[DONE]')).toEqual(types(open, finish('stop'), '[DONE]'));
  });
});

describe('errors', () => {
  const failure = { message: 'm', type: 'server_error', code: 'c' };

  it.each([
    ['at the top', JSON.stringify({ error: failure })],
    ['beside choices', chunk({ content: '' }, { finish_reason: 'error' }, { error: failure })],
    ['in a choice', chunk({}, { finish_reason: 'error', error: failure })],
    ['as a named event', `event: error\ndata: ${JSON.stringify({ error: failure })}\n\n`],
    ['as a named event without a wrapper', `event: error\ndata: ${JSON.stringify(failure)}\n\n`],
  ])('%s', (_name, event) => {
    const parts = decode(chunk({ content: 'a' }), event, finish('stop'), '[DONE]');
    expect(parts.at(-1)).toMatchObject({ type: 'error', error: { message: 'm', type: 'server_error', status: 500 } });
  });

  it.each(['{"choices":', '"text"', '[1]', 'null', 'Internal Server Error'])('%s is no chunk', (data) => {
    expect(() => decode(data)).toThrow(expect.objectContaining({ code: 'upstream_bad_response' }));
  });
});
