import { describe, expect, it } from 'vitest';

import { messagesTap } from './tap.ts';

const START = { type: 'message_start', message: { model: 'claude-x', usage: { input_tokens: 10, output_tokens: 1 } } };
const TEXT = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } };
const DELTA = { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } };

const named = (data: { type: string }, eol = '\n') =>
  Buffer.from(`event: ${data.type}${eol}data: ${JSON.stringify(data)}${eol}${eol}`);

describe('messagesTap', () => {
  it.each([
    ['as Anthropic writes them', (data: { type: string }) => named(data)],
    ['with CRLF', (data: { type: string }) => named(data, '\r\n')],
    ['without a space', (data: { type: string }) => Buffer.from(`event:${data.type}\ndata:${JSON.stringify(data)}\n\n`)],
    ['without a name', (data: { type: string }) => Buffer.from(`data: ${JSON.stringify(data)}\n\n`)],
    [
      'after a comment',
      (data: { type: string }) => Buffer.from(`: ping\nevent: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`),
    ],
  ])('sees usage, finish, model and end in events %s', (_how, write) => {
    const tap = messagesTap();
    const seen: unknown[] = [];
    for (const event of [START, { type: 'ping' }, TEXT, DELTA, { type: 'message_stop' }]) {
      expect(tap.see(write(event))).toBe(true);
      seen.push([tap.state, tap.sawContent]);
    }
    expect(seen).toEqual([
      ['open', false],
      ['open', false],
      ['open', true],
      ['open', true],
      ['done', true],
    ]);
    expect(tap).toMatchObject({ finish: 'end_turn', model: 'claude-x', usage: { inputTokens: 10, outputTokens: 5 } });
  });

  it('counts a tool call without arguments as content', () => {
    const tap = messagesTap();
    tap.see(named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } as never));
    expect(tap.sawContent).toBe(false);
    tap.see(named({ type: 'content_block_start', index: 0, content_block: { type: 'tool_use', input: {} } } as never));
    expect(tap.sawContent).toBe(true);
  });

  it("tells the provider's own error", () => {
    const tap = messagesTap();
    tap.see(named({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } } as never));
    expect(tap).toMatchObject({ state: 'error', failure: { status: 529, type: 'overloaded_error', message: 'Overloaded' } });
    tap.see(named({ type: 'message_stop' }));
    expect(tap.state).toBe('error');
  });

  it('is not fooled by events that only begin like known ones, and survives garbage', () => {
    const tap = messagesTap();
    for (const text of [
      'event: message_stopped\ndata: {}\n\n',
      'event: message_stop',
      '',
      '\n\n',
      'data: {',
      'event: message_start\ndata: [\n\n',
      'event:\n\n',
    ]) {
      expect(tap.see(Buffer.from(text))).toBe(true);
      expect(tap.state).toBe(text === 'event: message_stop' ? 'done' : tap.state);
    }
    expect(tap).toMatchObject({ state: 'done', usage: undefined, failure: undefined });
  });
});
