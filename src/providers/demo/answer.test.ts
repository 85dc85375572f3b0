import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { AssistantPart, ChatMessage, ChatRequest } from '../../core/chat.ts';
import { demoAnswer } from './answer.ts';
import { tokensOf } from './words.ts';

const user = (text: string): ChatMessage => ({ role: 'user', content: [{ type: 'text', text }] });
const ask = (text: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'demo',
  messages: [user(text)],
  tools: [],
  stream: false,
  includeUsage: false,
  extra: {},
  ...more,
});
const choiceOf = (request: ChatRequest): ReturnType<typeof demoAnswer>['choices'][number] =>
  demoAnswer(request, 'id').choices[0]!;
const textOf = (content: readonly AssistantPart[]): string =>
  content.map((part) => (part.type === 'text' ? part.text : '')).join('');
const callsOf = (content: readonly AssistantPart[]): [string, unknown][] =>
  content.flatMap((part) =>
    part.type === 'tool_call' ? [[part.name, JSON.parse(part.arguments) as unknown] as [string, unknown]] : [],
  );

const WEATHER = {
  type: 'function' as const,
  name: 'get_weather',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
    required: ['city'],
  },
};
const TIME = { type: 'function' as const, name: 'get-time' };

describe('demoAnswer', () => {
  it('says what it is and what was said, the same every time', () => {
    const request = ask('Is the line clear?');
    const text = textOf(choiceOf(request).content);
    expect(text).toContain("Signalbox's built-in demo");
    expect(text).toContain('Is the line clear?');
    expect(demoAnswer(request, 'id')).toEqual(demoAnswer(structuredClone(request), 'id'));
  });

  it('quotes a long message in part, never half a character', () => {
    const text = textOf(choiceOf(ask('🚂'.repeat(1000))).content);
    expect(text.length).toBeLessThan(800);
    expect(text.isWellFormed()).toBe(true);
    expect(text).toContain('…');
  });

  it('survives a request that says nothing', () => {
    expect(textOf(choiceOf({ ...ask(''), messages: [] }).content)).toContain('demo');
  });

  it('stops before the earliest stop sequence', () => {
    const choice = choiceOf(ask('hello', { stop: ['nowhere', 'You said', 'Signalbox', ''] }));
    expect(choice).toMatchObject({ finish: 'stop_sequence', stopSequence: 'Signalbox' });
    expect(textOf(choice.content)).not.toContain('Signalbox');
  });

  it('keeps the token limit exactly, and says so', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.string(), fc.boolean(), (maxOutputTokens, said, thinks) => {
        const more = { maxOutputTokens, tools: [WEATHER], ...(thinks && { reasoning: { mode: 'enabled' as const } }) };
        const cut = demoAnswer(ask(said, more), 'id');
        const whole = demoAnswer(ask(said, { ...more, maxOutputTokens: 10_000 }), 'id');
        expect(cut.usage?.outputTokens).toBe(Math.min(maxOutputTokens, whole.usage?.outputTokens ?? 0));
        expect(cut.choices[0]?.finish).toBe((whole.usage?.outputTokens ?? 0) > maxOutputTokens ? 'length' : 'stop');
      }),
    );
  });

  it('drops a tool call that does not fit', () => {
    const { finish, content } = choiceOf(ask('get weather', { tools: [WEATHER], maxOutputTokens: 8 }));
    expect(finish).toBe('length');
    expect(callsOf(content)).toEqual([]);
  });

  it('gives as many choices as asked for', () => {
    const answer = demoAnswer(ask('hello', { n: 3 }), 'id');
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(answer.usage?.outputTokens).toBe(answer.choices.flatMap(({ content }) => tokensOf(textOf(content))).length);
  });

  it('thinks only when asked to', () => {
    const content = choiceOf(ask('why so', { reasoning: { mode: 'enabled', budgetTokens: 1024 } })).content;
    expect(content[0]).toMatchObject({ type: 'reasoning', signature: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) });
    expect(choiceOf(ask('why so', { reasoning: { mode: 'disabled' } })).content[0]?.type).toBe('text');
    expect(demoAnswer(ask('why so', { reasoning: { mode: 'adaptive' } }), 'id').usage?.reasoningTokens).toBeGreaterThan(5);
  });

  it('answers in JSON where a format is asked for', () => {
    const schema = {
      type: 'object',
      properties: { mood: { enum: ['good'] }, score: { type: 'integer' } },
      required: ['mood', 'score'],
    };
    const shaped = choiceOf(ask('x', { responseFormat: { type: 'json_schema', name: 'mood', schema } }));
    expect(JSON.parse(textOf(shaped.content))).toEqual({ mood: 'good', score: 1 });
    const free = choiceOf(ask('say "hi"', { responseFormat: { type: 'json_object' } }));
    expect(JSON.parse(textOf(free.content))).toMatchObject({ you_said: 'say "hi"' });
  });

  it.each([
    [{ maxOutputTokens: 0 }, 'max_tokens'],
    [{ n: 0 }, 'n'],
    [{ n: 1.5 }, 'n'],
    [{ n: 1000 }, 'n'],
  ])('refuses %j', (more, param) => {
    expect(() => demoAnswer(ask('x', more), 'id')).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ param }) }),
    );
  });
});

describe('tools', () => {
  const tools = [WEATHER, TIME];
  const withResult = (role: 'auto' | 'required'): ChatRequest => ({
    ...ask('', { tools, toolChoice: { type: role } }),
    messages: [
      user('use get_weather and get-time'),
      { role: 'assistant', content: [{ type: 'tool_call', id: 'a', name: 'get_weather', arguments: '{}' }] },
      { role: 'user', content: [{ type: 'tool_result', callId: 'a', content: [{ type: 'text', text: '21 degrees' }] }] },
      { role: 'user', content: [{ type: 'tool_result', callId: 'b', content: [{ type: 'text', text: 'noon' }] }] },
    ],
  });

  it.each<[string, ChatRequest, string[]]>([
    ['none is mentioned', ask('how are you?', { tools }), []],
    ['one is mentioned', ask('What does get_weather say?', { tools }), ['get_weather']],
    ['one is mentioned in words', ask('please Get Weather for Berlin', { tools }), ['get_weather']],
    ['part of a name is no mention', ask('forget weather', { tools }), []],
    ['two are mentioned', ask('get weather, get time', { tools }), ['get_weather', 'get-time']],
    ['two, one at a time', ask('get weather, get time', { tools, parallelToolCalls: false }), ['get_weather']],
    ['a call is required', ask('hello', { tools, toolChoice: { type: 'required' } }), ['get_weather']],
    ['another one is required by mention', ask('get time', { tools, toolChoice: { type: 'required' } }), ['get-time']],
    ['one is named', ask('hello', { tools, toolChoice: { type: 'tool', name: 'get-time' } }), ['get-time']],
    ['none is allowed', ask('get weather', { tools, toolChoice: { type: 'none' } }), []],
    ['a result has just come', withResult('auto'), []],
    ['a result has just come, and calls are required', withResult('required'), []],
  ])('%s', (_name, request, expected) => {
    const { content, finish } = choiceOf(request);
    expect(callsOf(content).map(([name]) => name)).toEqual(expected);
    expect(finish).toBe(expected.length > 0 ? 'tool_calls' : 'stop');
  });

  it('fills arguments from the schema, and gives every call its own id', () => {
    const { content } = choiceOf(ask('get weather and get time', { tools }));
    expect(callsOf(content)).toEqual([
      ['get_weather', { city: 'city', unit: 'celsius' }],
      ['get-time', {}],
    ]);
    expect(new Set(content.map((part) => (part.type === 'tool_call' ? part.id : part.type))).size).toBe(3);
  });

  it('quotes every result of the last turn', () => {
    const text = textOf(choiceOf(withResult('auto')).content);
    expect(text).toContain('21 degrees');
    expect(text).toContain('noon');
  });
});
