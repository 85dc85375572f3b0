import { describe, expect, it } from 'vitest';

import type { AssistantPart, ChatResponse, FinishReason } from '../../core/chat.ts';
import type { JsonObject } from '../dialect.ts';
import { decodeResponse, encodeResponse } from './response.ts';

const CONTEXT = { requestId: 'req_1', nowS: 1, includeUsage: true };

function encode(finish: FinishReason, content: AssistantPart[], fields: Partial<ChatResponse> = {}): JsonObject {
  const warned: string[] = [];
  const response: ChatResponse = { id: 'x', model: 'm', createdS: 0, choices: [{ index: 0, content, finish }], ...fields };
  return { ...encodeResponse(response, CONTEXT, ({ param }) => void warned.push(param)), warned };
}

describe('stop reasons', () => {
  it.each([
    ['end_turn', 'stop'],
    ['max_tokens', 'length'],
    ['stop_sequence', 'stop_sequence'],
    ['tool_use', 'tool_calls'],
    ['pause_turn', 'pause'],
    ['refusal', 'refusal'],
    ['model_context_window_exceeded', 'context_window'],
  ] as const)('%s is %s, both ways', (word, finish) => {
    expect(decodeResponse({ content: [], stop_reason: word }).choices[0]!.finish).toBe(finish);
    expect(encode(finish, []).stop_reason).toBe(word);
  });

  it('of other dialects find their word', () => {
    expect(encode('content_filter', []).stop_reason).toBe('refusal');
    expect(encode('unknown', []).stop_reason).toBe('end_turn');
    expect(decodeResponse({ content: [], stop_reason: 'constructor' }).choices[0]!.finish).toBe('unknown');
  });

  it('follow the content where a provider says stop in spite of it', () => {
    expect(encode('stop', [{ type: 'tool_call', id: 't', name: 'f', arguments: '' }]).stop_reason).toBe('tool_use');
    expect(encode('stop', [{ type: 'refusal', text: 'No' }])).toMatchObject({
      stop_reason: 'refusal',
      content: [{ text: 'No' }],
    });
    expect(encode('length', [{ type: 'tool_call', id: 't', name: 'f', arguments: '{"a' }]).stop_reason).toBe('max_tokens');
  });
});

describe('decodeResponse', () => {
  it('reads the words of a refusal, which stand outside the content', () => {
    const stop_details = { type: 'refusal', category: 'bio', explanation: 'Not this.' };
    const [choice] = decodeResponse({ content: [], stop_reason: 'refusal', stop_details }).choices;
    expect(choice).toEqual({ index: 0, content: [{ type: 'refusal', text: 'Not this.' }], finish: 'refusal' });
  });

  it.each([{}, { content: 'x' }, { content: [{ type: 'text' }] }, { content: [7] }])('cannot read %j', (body) => {
    expect(() => decodeResponse(body)).toThrow(expect.objectContaining({ code: 'upstream_bad_response' }));
  });
});

describe('encodeResponse', () => {
  it('has every field the SDKs rely on, even without usage', () => {
    expect(encode('stop', [{ type: 'text', text: 'Hi' }], { id: '' })).toEqual({
      id: 'req_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [{ type: 'text', text: 'Hi' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 0,
        output_tokens: 0,
        cache_read_input_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      },
      warned: [],
    });
  });

  it('tells the first choice only, and says so', () => {
    const choice = (index: number, text: string) => ({
      index,
      content: [{ type: 'text' as const, text }],
      finish: 'stop' as const,
    });
    expect(encode('stop', [], { choices: [choice(0, 'a'), choice(1, 'b')] })).toMatchObject({
      content: [{ text: 'a' }],
      warned: ['n'],
    });
  });

  it("names the tier in Anthropic's words or not at all", () => {
    expect(encode('stop', [], { serviceTier: 'default' }).usage).toMatchObject({ service_tier: 'standard' });
    expect(encode('stop', [], { serviceTier: 'flex' }).usage).not.toHaveProperty('service_tier');
  });
});
