import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { assemble, decodeStream, partsOf } from '../../../test/support/parts.ts';
import type { ChatResponse, Warning } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import type { StreamPart } from '../../core/parts.ts';
import { NO_USAGE } from '../../core/usage.ts';
import { openaiChat } from './dialect.ts';

const start: StreamPart = { type: 'start', id: 'msg_1', model: 'claude', createdS: 0 };
const end: StreamPart[] = [
  { type: 'usage', usage: { ...NO_USAGE, inputTokens: 3, outputTokens: 2 } },
  { type: 'finish', choice: 0, reason: 'stop' },
  { type: 'end' },
];

function encode(parts: readonly StreamPart[], includeUsage = false) {
  const warnings: Warning[] = [];
  const encoder = openaiChat.stream.encoder({ requestId: 'req_1', nowS: 99, includeUsage }, (warning) => warnings.push(warning));
  const text = parts.map((part) => encoder.encode(part)).join('');
  const data = text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => event.replace('data: ', ''));
  return {
    encoder,
    warnings,
    text,
    data,
    chunks: data.filter((each) => each !== '[DONE]').map((each) => JSON.parse(each) as Chunk),
  };
}

interface Chunk {
  id: string;
  created: number;
  usage?: unknown;
  error?: unknown;
  choices: { index: number; delta: Record<string, unknown>; finish_reason: string | null; logprobs?: unknown }[];
}

const deltas = (parts: readonly StreamPart[]) => encode([start, ...parts, ...end]).chunks.map((chunk) => chunk.choices[0]?.delta);

describe('openaiChatEncoder', () => {
  it('tells a text as OpenAI does', () => {
    const text: StreamPart[] = [
      { type: 'text_start', block: 0, choice: 0 },
      { type: 'text_delta', block: 0, text: 'Hi', logprobs: { content: [{ token: 'Hi' }], refusal: null } },
      { type: 'text_end', block: 0 },
    ];
    expect(encode([start, ...text, ...end]).data).toEqual([
      '{"id":"msg_1","object":"chat.completion.chunk","created":99,"model":"claude","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}',
      '{"id":"msg_1","object":"chat.completion.chunk","created":99,"model":"claude","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null,"logprobs":{"content":[{"token":"Hi"}],"refusal":null}}]}',
      '{"id":"msg_1","object":"chat.completion.chunk","created":99,"model":"claude","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
      '[DONE]',
    ]);
  });

  it('sends usage where it was asked for: null in every chunk, the counts in a last one without choices', () => {
    const { chunks } = encode([start, ...end], true);
    expect(chunks.map((chunk) => chunk.usage)).toEqual([
      null,
      null,
      expect.objectContaining({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }),
    ]);
    expect(chunks.at(-1)?.choices).toEqual([]);
    expect(encode([start, ...end], false).text).not.toContain('usage');
    expect(encode([start, end[1]!, end[2]!], true).chunks).toHaveLength(2);
  });

  it('numbers the calls of each choice, and never leaves arguments empty', () => {
    const call = (block: number, choice: number): StreamPart[] => [
      { type: 'tool_call_start', block, choice, id: `id${block}`, name: 'f' },
      { type: 'tool_call_end', block },
    ];
    const told = encode([start, ...call(0, 0), ...call(1, 0), ...call(2, 1), ...end]).chunks.flatMap(({ choices }) =>
      choices.map(({ index, delta }) => [index, (delta.tool_calls as { index: number; function: object }[] | undefined)?.[0]]),
    );
    const first = (index: number, id: string) => ({ index, id, type: 'function', function: { name: 'f', arguments: '' } });
    const empty = (index: number) => ({ index, function: { arguments: '{}' } });
    expect(told.filter(([, each]) => each !== undefined)).toEqual([
      [0, first(0, 'id0')],
      [0, empty(0)],
      [0, first(1, 'id1')],
      [0, empty(1)],
      [1, first(0, 'id2')],
      [1, empty(0)],
    ]);
  });

  it('carries a signature with the text it signs, and encrypted reasoning, byte for byte', () => {
    const told = deltas([
      { type: 'reasoning_start', block: 0, choice: 0 },
      { type: 'reasoning_delta', block: 0, text: 'a' },
      { type: 'reasoning_delta', block: 0, text: 'b' },
      { type: 'reasoning_signature', block: 0, signature: 'Eq+/=\u0000"' },
      { type: 'reasoning_end', block: 0 },
      { type: 'reasoning_start', block: 1, choice: 0, redacted: 'blob==' },
      { type: 'reasoning_end', block: 1 },
    ]);
    expect(told.slice(1, 5)).toEqual([
      { reasoning_content: 'a' },
      { reasoning_content: 'b' },
      { reasoning_details: [{ type: 'reasoning.text', text: 'ab', signature: 'Eq+/=\u0000"', index: 0 }] },
      { reasoning_details: [{ type: 'reasoning.encrypted', data: 'blob==', index: 1 }] },
    ]);
  });

  it('an error of the provider is told in OpenAI’s shape, and nothing after it', () => {
    const { data } = encode([
      start,
      { type: 'error', error: { status: 529, type: 'overloaded_error', message: 'busy' } },
      ...end,
    ]);
    expect(data.map((each) => JSON.parse(each) as unknown)).toEqual([
      { error: { message: 'busy', type: 'overloaded_error', param: null, code: null } },
    ]);
  });

  it('a failure of ours ends the stream without [DONE]', () => {
    const { encoder, text } = encode([start]);
    const told = text + encoder.fail(new GatewayError('upstream_incomplete'));
    expect(told).toMatch(/^data: \{"error":\{"message":"The upstream ended.*"code":"upstream_incomplete"\}\}\n\n$/);
    expect(encoder.encode({ type: 'end' })).toBe('');
  });

  it('names what it cannot say', () => {
    const citations = { type: 'annotation', fields: { citations: [] } };
    const { warnings } = encode([
      start,
      { type: 'native', choice: 0, part: { type: 'native', dialect: 'anthropic-messages', value: citations } },
      { type: 'native', choice: 0, part: { type: 'native', dialect: 'anthropic-messages', value: { type: 'server_tool_use' } } },
      { type: 'native', choice: 0, part: { type: 'native', dialect: 'anthropic-messages', value: { type: 'server_tool_use' } } },
      { type: 'finish', choice: 0, reason: 'pause' },
    ]);
    expect(warnings.map((warning) => warning.param)).toEqual([
      'content[].citations',
      'content[].server_tool_use',
      'finish_reason',
    ]);
  });

  it('refuses a block that nobody opened', () => {
    expect(() => encode([start, { type: 'text_delta', block: 4, text: 'x' }])).toThrow(/never opened/);
  });
});

describe('streamed and whole', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
  const part = fc.oneof(
    fc.record({ type: fc.constant('text' as const), text }),
    fc.record({ type: fc.constant('reasoning' as const), text, signature: text }),
    fc.record({ type: fc.constant('reasoning' as const), text: fc.constant(''), redacted: text }),
    fc.record({ type: fc.constant('refusal' as const), text }),
    fc.record({
      type: fc.constant('tool_call' as const),
      id: fc.uuid(),
      name: fc.constant('f'),
      arguments: fc.object({ maxDepth: 1 }).map((value) => JSON.stringify(value)),
    }),
  );

  it('are the same answer, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(part, { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 9 }),
        (contents, size) => {
          const answer: ChatResponse = {
            id: 'i',
            model: 'm',
            createdS: 5,
            choices: contents.map((content, index) => ({ index, content, finish: 'length' })),
          };
          const streamed = assemble(decodeStream(openaiChat, [Buffer.from(encode(partsOf(answer, size)).text)]));
          const whole = openaiChat.response.decode(
            openaiChat.response.encode(answer, { requestId: 'r', nowS: 1, includeUsage: false }, () => undefined),
          );
          expect(streamed.choices.map(sorted)).toEqual(whole.choices.map(sorted));
        },
      ),
    );
  });
});

/** A message has one text, one refusal and an order of its own; a stream tells things as they come. */
function sorted({ index, content, finish }: ChatResponse['choices'][number]) {
  const join = (type: 'text' | 'refusal') => content.map((part) => (part.type === type ? part.text : '')).join('');
  const rest = content.filter((part) => part.type === 'reasoning' || part.type === 'tool_call');
  return {
    index,
    finish,
    text: join('text'),
    refusal: join('refusal'),
    reasoning: rest.filter((part) => part.type === 'reasoning'),
    calls: rest.filter((part) => part.type === 'tool_call'),
  };
}
