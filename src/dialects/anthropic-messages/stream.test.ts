import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GatewayError } from '../../core/errors.ts';
import type { StreamPart } from '../../core/parts.ts';
import type { JsonObject } from '../dialect.ts';
import { messagesDecoder } from './stream.ts';

const START = { type: 'message_start', message: { id: 'msg_1', model: 'claude-x', usage: { input_tokens: 3 } } };
const STOP = { type: 'message_stop' };
const start = (index: number, content_block: JsonObject) => ({ type: 'content_block_start', index, content_block });
const delta = (index: number, value: JsonObject) => ({ type: 'content_block_delta', index, delta: value });
const stop = (index: number) => ({ type: 'content_block_stop', index });
const ending = (value: JsonObject) => ({ type: 'message_delta', delta: value, usage: { output_tokens: 7 } });

function decode(...events: JsonObject[]): StreamPart[] {
  const decoder = messagesDecoder();
  const parts = events.flatMap((data) => decoder.decode({ event: 'message', data: JSON.stringify(data) }));
  return [...parts, ...decoder.finish()];
}

const kinds = (parts: StreamPart[]) => parts.map((part) => part.type);

const WORDS =
  'message_start message_delta message_stop content_block_start content_block_delta content_block_stop error text thinking tool_use ' +
  'text_delta input_json_delta signature_delta citations_delta __proto__ constructor';

describe('messagesDecoder', () => {
  it('ends only with message_stop, after usage and finish', () => {
    const whole = decode(START, ending({ stop_reason: 'stop_sequence', stop_sequence: 'END' }), STOP);
    expect(kinds(whole)).toEqual(['start', 'usage', 'usage', 'finish', 'end']);
    expect(whole.at(-2)).toEqual({ type: 'finish', choice: 0, reason: 'stop_sequence', stopSequence: 'END' });
    expect(whole[2]).toMatchObject({ usage: { inputTokens: 3, outputTokens: 7 } });
    expect(kinds(decode(START, ending({ stop_reason: 'end_turn' })))).toEqual(['start', 'usage', 'usage']);
  });

  it('closes what a cut stream left open', () => {
    expect(kinds(decode(START, start(0, { type: 'text', text: '' }), delta(0, { type: 'text_delta', text: 'H' })))).toEqual([
      'start',
      'usage',
      'text_start',
      'text_delta',
      'text_end',
    ]);
  });

  it('tells arguments that come in pieces, not at all, or whole in the start', () => {
    const args = (...events: JsonObject[]) =>
      decode(START, ...events, stop(0), STOP)
        .map((part) => (part.type === 'tool_call_delta' ? part.arguments : ''))
        .join('');
    const call = { type: 'tool_use', id: 't', name: 'f', input: {} };
    const piece = (partial_json: string) => delta(0, { type: 'input_json_delta', partial_json });
    expect(args(start(0, call), piece(''), piece('{"a"'), piece(': 1}'))).toBe('{"a": 1}');
    expect(args(start(0, call), piece(''))).toBe('{}');
    expect(args(start(0, { ...call, input: { a: 1 } }))).toBe('{"a":1}');
  });

  it('keeps thinking, its signature and what is redacted apart and byte-exact', () => {
    const parts = decode(
      START,
      start(0, { type: 'thinking', thinking: '', signature: '' }),
      delta(0, { type: 'thinking_delta', thinking: 'Hm' }),
      delta(0, { type: 'signature_delta', signature: 'c2ln+/=' }),
      stop(0),
      start(1, { type: 'redacted_thinking', data: 'b3Bh' }),
      stop(1),
      STOP,
    );
    expect(parts.slice(2, 8)).toEqual([
      { type: 'reasoning_start', block: 0, choice: 0 },
      { type: 'reasoning_delta', block: 0, text: 'Hm' },
      { type: 'reasoning_signature', block: 0, signature: 'c2ln+/=' },
      { type: 'reasoning_end', block: 0 },
      { type: 'reasoning_start', block: 1, choice: 0, redacted: 'b3Bh' },
      { type: 'reasoning_end', block: 1 },
    ]);
  });

  it('tells native blocks whole, whatever their deltas', () => {
    const parts = decode(
      START,
      start(0, { type: 'server_tool_use', id: 's', name: 'web_search', input: {} }),
      delta(0, { type: 'input_json_delta', partial_json: '{"query":"q"}' }),
      stop(0),
      start(1, { type: 'compaction', content: null }),
      delta(1, { type: 'compaction_delta', content: 'So ' }),
      delta(1, { type: 'compaction_delta', content: 'far' }),
      stop(1),
      STOP,
    );
    expect(parts.flatMap((part) => (part.type === 'native' ? [part.part.value] : []))).toEqual([
      { type: 'server_tool_use', id: 's', name: 'web_search', input: { query: 'q' } },
      { type: 'compaction', content: 'So far' },
    ]);
  });

  it('tells the words of a refusal as a block of their own', () => {
    const details = { stop_reason: 'refusal', stop_details: { type: 'refusal', explanation: 'Not this.' } };
    expect(kinds(decode(START, ending(details), STOP))).toEqual([
      'start',
      'usage',
      'usage',
      'refusal_start',
      'refusal_delta',
      'refusal_end',
      'finish',
      'end',
    ]);
  });

  it("ends with the provider's error, and hears nothing after it", () => {
    const parts = decode(START, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, STOP);
    expect(parts.at(-1)).toEqual({ type: 'error', error: { status: 529, type: 'overloaded_error', message: 'Overloaded' } });
  });

  it("ignores what it does not know: events, deltas, OpenAI's terminator", () => {
    const decoder = messagesDecoder();
    const send = (data: string) => decoder.decode({ event: 'message', data });
    expect(send('{"type":"ping"}')).toEqual([]);
    send(JSON.stringify(START));
    expect([send('{"type":"constructor"}'), send('[DONE]'), send('')]).toEqual([[], [], []]);
    send(JSON.stringify(start(0, { type: 'text', text: '' })));
    expect(send(JSON.stringify(delta(0, { type: 'sparkle_delta', sparkle: 1 })))).toEqual([]);
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['a delta before the start of its block', JSON.stringify(delta(3, { type: 'text_delta', text: 'x' }))],
    ['a block without an index', JSON.stringify({ type: 'content_block_start', content_block: { type: 'text' } })],
    ['a second message', JSON.stringify(START)],
  ])('cannot read %s', (_what, data) => {
    const decoder = messagesDecoder();
    decoder.decode({ event: 'message', data: JSON.stringify(START) });
    expect(() => decoder.decode({ event: 'message', data })).toThrow(expect.objectContaining({ code: 'upstream_bad_response' }));
  });

  it('throws nothing but GatewayError on garbage', () => {
    const word = fc.constantFrom(...WORDS.split(' '));
    const value = fc.oneof(word, fc.jsonValue(), fc.integer({ min: 0, max: 2 }));
    const inner = fc.dictionary(
      fc.constantFrom('type', 'text', 'thinking', 'partial_json', 'signature', 'input', 'stop_reason', 'usage', '__proto__'),
      value,
    );
    const event = fc.record(
      {
        type: word,
        index: fc.integer({ min: 0, max: 2 }),
        content_block: fc.oneof(inner, value),
        delta: fc.oneof(inner, value),
        message: inner,
        usage: inner,
        error: value,
      },
      { requiredKeys: ['type'] },
    );
    const text = fc.oneof(
      { weight: 9, arbitrary: event.map((data) => JSON.stringify(data)) },
      { weight: 1, arbitrary: fc.string() },
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 12 }), (events) => {
        const decoder = messagesDecoder();
        try {
          for (const data of [JSON.stringify(START), ...events]) decoder.decode({ event: 'message', data });
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
        decoder.finish();
      }),
      { numRuns: 1000 },
    );
  });
});
