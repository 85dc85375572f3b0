import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GatewayError } from '../../core/errors.ts';
import type { StreamPart } from '../../core/parts.ts';
import { NO_USAGE } from '../../core/usage.ts';
import type { JsonObject } from '../dialect.ts';
import { messagesEncoder } from './stream-encoder.ts';

const CONTEXT = { requestId: 'req_1', nowS: 1, includeUsage: true };
const START: StreamPart = { type: 'start', id: 'chatcmpl-1', model: 'gpt-x', createdS: 1 };
const FINISH: StreamPart = { type: 'finish', choice: 0, reason: 'stop' };
const END: StreamPart = { type: 'end' };

interface Wire extends JsonObject {
  type: string;
  index?: number;
  content_block?: JsonObject;
  delta?: JsonObject;
}

function encode(...parts: StreamPart[]): { events: Wire[]; text: string; warned: string[] } {
  const warned: string[] = [];
  const encoder = messagesEncoder(CONTEXT, ({ param }) => void warned.push(param));
  const text = parts.map((part) => encoder.encode(part)).join('');
  const events = text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => {
      const [name, data] = event.split('\n');
      const parsed = JSON.parse(data!.slice('data: '.length)) as Wire;
      expect(name).toBe(`event: ${parsed.type}`);
      return parsed;
    });
  return { events, text, warned };
}

/** `0+text`, `0 Hi`, `0-`: starts, pieces and stops in one line each. */
function brief(events: Wire[]): string[] {
  return events.flatMap(({ type, index, content_block: block, delta }) => {
    if (type === 'content_block_start') return [`${index}+${String(block!.type)}`];
    if (type === 'content_block_stop') return [`${index}-`];
    if (type !== 'content_block_delta') return [];
    return [`${index} ${String(delta!.text ?? delta!.thinking ?? delta!.signature ?? delta!.partial_json ?? delta!.type)}`];
  });
}

const text = (block: number, value: string): StreamPart => ({ type: 'text_delta', block, text: value });
const textStart = (block: number, choice = 0): StreamPart => ({ type: 'text_start', block, choice });
const toolStart = (block: number): StreamPart => ({ type: 'tool_call_start', block, choice: 0, id: `t${block}`, name: 'f' });
const args = (block: number, value: string): StreamPart => ({ type: 'tool_call_delta', block, arguments: value });

describe('messagesEncoder', () => {
  it('opens and closes a message as Anthropic does', () => {
    const usage = { ...NO_USAGE, inputTokens: 100, cacheReadTokens: 60, outputTokens: 9, reasoningTokens: 4 };
    const { events } = encode(
      START,
      textStart(0),
      text(0, 'Hi'),
      { type: 'text_end', block: 0 },
      { type: 'usage', usage },
      FINISH,
      END,
    );
    expect(events[0]).toEqual({
      type: 'message_start',
      message: {
        id: 'chatcmpl-1',
        type: 'message',
        role: 'assistant',
        model: 'gpt-x',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: expect.objectContaining({ input_tokens: 0, output_tokens: 0 }),
      },
    });
    expect(brief(events)).toEqual(['0+text', '0 Hi', '0-']);
    expect(events.slice(-2)).toEqual([
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: {
          input_tokens: 40,
          cache_read_input_tokens: 60,
          cache_creation_input_tokens: 0,
          output_tokens: 9,
          output_tokens_details: { thinking_tokens: 4 },
        },
      },
      { type: 'message_stop' },
    ]);
  });

  it('lets a text nobody ended give way to a tool call, so that its arguments flow', () => {
    const encoder = messagesEncoder(CONTEXT, () => undefined);
    for (const part of [START, textStart(0), text(0, 'Let me see')]) encoder.encode(part);
    expect(encoder.encode(toolStart(1))).toMatch(/content_block_stop[\s\S]*content_block_start/);
    expect(encoder.encode(args(1, '{"a"'))).toContain('input_json_delta');
  });

  it('puts interleaved tool calls one after the other', () => {
    const { events } = encode(
      START,
      toolStart(0),
      toolStart(1),
      args(0, '{"a"'),
      args(1, '{"b"'),
      args(0, ':1}'),
      args(1, ':2}'),
      FINISH,
      END,
    );
    expect(brief(events)).toEqual(['0+tool_use', '0 {"a"', '0 :1}', '0-', '1+tool_use', '1 {"b"', '1 :2}', '1-']);
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' } });
  });

  it('ends a tool call whose arguments are whole when the next one starts', () => {
    const { events } = encode(START, toolStart(0), args(0, '{"a":1}'), toolStart(1), args(1, '{}'), args(0, ' '), FINISH, END);
    expect(brief(events)).toEqual(['0+tool_use', '0 {"a":1}', '0-', '1+tool_use', '1 {}', '1-']);
  });

  it('opens a new block for text that comes late', () => {
    const { events } = encode(
      START,
      textStart(0),
      text(0, 'a'),
      toolStart(1),
      args(1, '{'),
      text(0, 'b'),
      text(0, 'c'),
      args(1, '}'),
      FINISH,
      END,
    );
    expect(brief(events)).toEqual(['0+text', '0 a', '0-', '1+tool_use', '1 {', '1 }', '1-', '2+text', '2 b', '2 c', '2-']);
  });

  it('shows reasoning, signed or not', () => {
    const { events } = encode(
      START,
      { type: 'reasoning_start', block: 0, choice: 0 },
      { type: 'reasoning_delta', block: 0, text: 'Hm' },
      { type: 'reasoning_signature', block: 0, signature: 'c2ln' },
      { type: 'reasoning_end', block: 0 },
      { type: 'reasoning_start', block: 1, choice: 0, redacted: 'b3Bh' },
      { type: 'reasoning_end', block: 1 },
      FINISH,
      END,
    );
    expect(brief(events)).toEqual(['0+thinking', '0 Hm', '0 c2ln', '0-', '1+redacted_thinking', '1-']);
  });

  it('shows a refusal as text, and as the reason', () => {
    const { events } = encode(
      START,
      { type: 'refusal_start', block: 0, choice: 0 },
      { type: 'refusal_delta', block: 0, text: 'No' },
      { type: 'refusal_end', block: 0 },
      FINISH,
      END,
    );
    expect(brief(events)).toEqual(['0+text', '0 No', '0-']);
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'refusal' } });
  });

  it('tells the first choice only, and leaves out what another dialect alone knows', () => {
    const { events, warned } = encode(
      START,
      textStart(0),
      textStart(1, 1),
      text(1, 'other'),
      text(0, 'first'),
      {
        type: 'native',
        choice: 0,
        part: { type: 'native', dialect: 'openai-chat', value: { type: 'annotation', fields: { audio: {} } } },
      },
      { type: 'text_end', block: 1 },
      { type: 'finish', choice: 1, reason: 'length' },
      FINISH,
      END,
    );
    expect(brief(events)).toEqual(['0+text', '0 first', '0-']);
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'end_turn' } });
    expect(warned).toEqual(['n', 'content']);
  });

  it("passes a provider's error on, and says nothing after it", () => {
    const { text: wire } = encode(START, { type: 'error', error: { status: 429, type: 'tokens', message: 'Slow down' } }, END);
    expect(wire).toMatch(
      /event: error\ndata: \{"type":"error","error":\{"type":"rate_limit_error","message":"Slow down"\}\}\n\n$/,
    );
  });

  it('fails with one error event', () => {
    const encoder = messagesEncoder(CONTEXT, () => undefined);
    encoder.encode(START);
    expect(encoder.fail(new GatewayError('upstream_incomplete'))).toMatch(/^event: error\ndata: .*"request_id":"req_1"\}\n\n$/);
    expect([encoder.encode(END), encoder.fail(new GatewayError('internal'))]).toEqual(['', '']);
  });

  it('loses no piece of any block, in whatever order they come', () => {
    fc.assert(
      fc.property(interleavings, ({ parts, wanted }) => {
        const { events } = encode(START, ...parts, FINISH, END);
        expect(orderErrors(events)).toEqual([]);
        expect(gathered(events)).toEqual(wanted);
      }),
      { numRuns: 500 },
    );
  });
});

/** Blocks of random kinds in random pieces, dealt out in a random order; each block has a letter of its own. */
const interleavings = fc
  .array(
    fc.record({ tool: fc.boolean(), ended: fc.boolean(), sizes: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }) }),
    { minLength: 1, maxLength: 5 },
  )
  .chain((blocks) => {
    const lanes = blocks.map((block, number) => laneOf(number, block));
    const slots = lanes.flatMap((lane, number) => lane.map(() => number));
    return fc.shuffledSubarray(slots, { minLength: slots.length }).map((order) => {
      const queues = lanes.map((lane) => [...lane]);
      return {
        parts: order.map((number) => queues[number]!.shift()!),
        wanted: Object.fromEntries(lanes.map((lane, number) => [letter(number), contentOf(lane)])),
      };
    });
  });

const letter = (number: number) => String.fromCodePoint(97 + number);

function laneOf(number: number, { tool, ended, sizes }: { tool: boolean; ended: boolean; sizes: number[] }): StreamPart[] {
  const whole = tool ? `{"${letter(number)}":"${letter(number).repeat(6)}"}` : letter(number).repeat(12);
  const pieces: string[] = [];
  let rest = whole;
  for (const size of sizes) {
    pieces.push(rest.slice(0, size));
    rest = rest.slice(size);
  }
  pieces.push(rest);
  const deltas = pieces.filter(Boolean).map((piece) => (tool ? args(number, piece) : text(number, piece)));
  const end: StreamPart = tool ? { type: 'tool_call_end', block: number } : { type: 'text_end', block: number };
  return [tool ? toolStart(number) : textStart(number), ...deltas, ...(ended ? [end] : [])];
}

function contentOf(lane: StreamPart[]): string {
  return lane
    .map((part) => (part.type === 'tool_call_delta' ? part.arguments : part.type === 'text_delta' ? part.text : ''))
    .join('');
}

/** What reached the client, by the block's letter. */
function gathered(events: Wire[]): Record<string, string> {
  const found: Record<string, string> = {};
  let owner = '';
  for (const { type, content_block: block, delta } of events) {
    if (type === 'content_block_start') owner = typeof block!.id === 'string' ? letter(Number(block!.id.slice(1))) : '';
    if (type !== 'content_block_delta') continue;
    const piece = String(delta!.text ?? delta!.partial_json);
    const key = owner === '' ? piece[0]! : owner;
    found[key] = (found[key] ?? '') + piece;
  }
  return found;
}

function orderErrors(events: Wire[]): string[] {
  let open: number | undefined;
  let next = 0;
  return events.flatMap(({ type, index }) => {
    if (type === 'content_block_start') {
      const wrong = open !== undefined || index !== next;
      open = index;
      next += 1;
      return wrong ? [`start ${index}`] : [];
    }
    if (type !== 'content_block_delta' && type !== 'content_block_stop') return [];
    const wrong = index !== open;
    if (type === 'content_block_stop') open = undefined;
    return wrong ? [`${type} ${index}`] : [];
  });
}
