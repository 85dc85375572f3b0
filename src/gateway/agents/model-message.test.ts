import { describe, expect, test } from 'vitest';

import type { ChatMessage, ChatRequest } from '../../core/chat.ts';
import { leftOut, paramsOf } from './model-message.ts';

const request = (messages: ChatMessage[], more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'a2a/x',
  messages,
  tools: [],
  stream: false,
  includeUsage: false,
  extra: {},
  ...more,
});
const text = (words: string) => ({ type: 'text' as const, text: words });
const user = (...words: string[]): ChatMessage => ({ role: 'user', content: words.map(text) });
const assistant = (words: string): ChatMessage => ({ role: 'assistant', content: [text(words)] });
const system: ChatMessage = { role: 'system', content: [text('Be brief.')] };

const partsOf = (messages: ChatMessage[], conversation = {}): unknown =>
  (paramsOf(request(messages), conversation, 'm-1') as { message: { parts: unknown } }).message.parts;

describe('a message to an agent', () => {
  test('is the only one there is, part by part', () => {
    expect(paramsOf(request([user('a', 'b')]), {}, 'm-1')).toEqual({
      message: { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'a' }, { text: 'b' }] },
    });
  });

  test('is all that was said, thoughts aside, in one text', () => {
    const spoken: ChatMessage = {
      role: 'assistant',
      content: [
        { type: 'reasoning', text: 'hm' },
        { type: 'tool_call', id: '1', name: 'look', arguments: '{"at":"it"}' },
      ],
    };
    const shown: ChatMessage = { role: 'user', content: [{ type: 'tool_result', callId: '1', content: [text('a hat')] }] };
    expect(partsOf([system, user('what is it?'), spoken, shown])).toEqual([
      { text: 'system: Be brief.\n\nuser: what is it?\n\nassistant: look({"at":"it"})\n\nuser: a hat' },
    ]);
  });

  test('takes the files of every turn along, those that are text as text', () => {
    const image = { type: 'image' as const, source: { kind: 'url' as const, url: 'https://example.com/a.png' } };
    const file = { type: 'file' as const, filename: 'a.txt', source: { kind: 'text' as const, text: 'told' } };
    expect(partsOf([{ role: 'user', content: [image] }, assistant('nice'), { role: 'user', content: [file] }])).toEqual([
      { text: 'user: \n\nassistant: nice\n\nuser: told' },
      { url: 'https://example.com/a.png' },
    ]);
    expect(partsOf([system, { role: 'user', content: [image] }].slice(1) as ChatMessage[])).toEqual([
      { url: 'https://example.com/a.png' },
    ]);
  });

  test.each([{ context: 'c' }, { task: 't' }])('is what is new, in a conversation that is known: %o', (known) => {
    expect(partsOf([system, user('a'), assistant('b'), user('c'), system, user('d')], known)).toEqual([
      { text: 'c' },
      { text: 'd' },
    ]);
  });

  test.each([
    ['nothing', [], {}],
    ['empty text', [user('')], {}],
    ['several empty texts', [user(''), assistant('')], {}],
    ['nothing new', [user('a'), assistant('b')], { context: 'c' }],
  ])('is not %s', (_, messages, known) => {
    expect(() => partsOf(messages, known)).toThrow('something to answer');
  });

  test.each([
    [{ type: 'audio' as const, format: 'wav', data: 'AAAA' }],
    [{ type: 'native' as const, dialect: 'anthropic-messages', value: {} }],
    [{ type: 'file' as const, source: { kind: 'id' as const, id: 'file_1' } }],
  ])('cannot hold %o', (part) => {
    expect(() => partsOf([{ role: 'user', content: [part] }])).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter' }),
    );
  });
});

describe('what an agent does not get', () => {
  const names = (body: Record<string, unknown>, dialect: 'openai-chat' | 'anthropic-messages'): string[] =>
    leftOut(body, request([user('a')]), dialect).map(({ param }) => param);

  test('is named as the client named it', () => {
    const body = { model: 'm', messages: [], stop_sequences: ['x'], top_k: 5, max_tokens: 9 };
    expect(names(body, 'anthropic-messages')).toEqual(['stop_sequences', 'top_k']);
    expect(names({ ...body, user: 'ann', n: 1, stream_options: {} }, 'openai-chat')).toEqual([
      'stop_sequences',
      'top_k',
      'max_tokens',
    ]);
  });

  test('is nothing where nothing was meant', () => {
    expect(names({ temperature: null, store: false, tools: [] }, 'openai-chat')).toEqual([]);
  });

  test.each<Partial<ChatRequest>>([
    { n: 2 },
    { logprobs: true },
    { toolChoice: { type: 'required' } },
    { toolChoice: { type: 'tool', name: 'f' } },
    { responseFormat: { type: 'json_schema', name: 'x', schema: {} } },
  ])('is refused where the answer would be another: %o', (more) => {
    expect(() => leftOut({}, request([], more), 'openai-chat')).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter' }),
    );
  });
});
