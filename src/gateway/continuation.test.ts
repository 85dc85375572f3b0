import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { StreamPart } from '../core/parts.ts';
import { NO_USAGE } from '../core/usage.ts';
import { type Continuation, createJoin } from './continuation.ts';

function broken(text: string): Continuation {
  const start = { type: 'start', id: 'chatcmpl-1', model: 'm', createdS: 1 } as const;
  const usage = { ...NO_USAGE, inputTokens: 5, outputTokens: 3 };
  return { see: () => {}, possible: true, text, start, resumed: true, usage, nanoUsd: 0, bytes: 0 };
}

const text = (parts: readonly StreamPart[]): string =>
  parts.flatMap((part) => (part.type === 'text_delta' ? [part.text] : [])).join('');

function rest(before: string, pieces: readonly string[]): StreamPart[] {
  const { join } = createJoin(broken(before));
  const stream: StreamPart[] = [
    { type: 'start', id: 'other', model: 'other', createdS: 2 },
    { type: 'text_start', block: 0, choice: 0 },
    ...pieces.map((piece): StreamPart => ({ type: 'text_delta', block: 0, text: piece })),
    { type: 'text_end', block: 0 },
    { type: 'usage', usage: { ...NO_USAGE, inputTokens: 8, outputTokens: 2 } },
    { type: 'finish', choice: 0, reason: 'stop' },
    { type: 'end' },
  ];
  return stream.flatMap((part) => join(part));
}

test('no second beginning, white space once, usage summed', () => {
  const parts = rest('Once upon ', [' ', 'a time', '.']);
  expect(text(parts)).toBe('a time.');
  expect(parts.map(({ type }) => type)).toEqual(['text_delta', 'text_delta', 'text_end', 'usage', 'finish', 'end']);
  expect(parts.find((part) => part.type === 'usage')).toMatchObject({ usage: { inputTokens: 13, outputTokens: 5 } });
});

test('white space that the first one had not sent is kept', () => {
  expect(text(rest('Once', [' upon']))).toBe(' upon');
  expect(text(rest('Once ', ['upon']))).toBe('upon');
  expect(text(rest('Once \n', ['\nupon']))).toBe('\nupon');
});

test('wherever the text is cut and however the rest comes in pieces, the whole is the whole', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', ' ', '\n', 'word', ' the')),
      fc.nat(40),
      fc.array(fc.nat(5)),
      (words, cutAt, sizes) => {
        const whole = words.join('');
        const before = whole.slice(0, cutAt);
        // A model goes on behind what it was shown, which is the text without the white space at its end.
        const continued = whole.slice(before.trimEnd().length);
        const pieces: string[] = [];
        let at = 0;
        for (const size of sizes) {
          pieces.push(continued.slice(at, at + size));
          at += size;
        }
        pieces.push(continued.slice(at));
        return before + text(rest(before, pieces)) === whole;
      },
    ),
  );
});

test('other blocks keep out of the way of the text that is open', () => {
  const { opening, join } = createJoin(broken('x'));
  expect(opening.map(({ type }) => type)).toEqual(['start', 'text_start']);
  expect(join({ type: 'tool_call_start', block: 0, choice: 0, id: 'c', name: 'f' })).toEqual([
    { type: 'tool_call_start', block: 1, choice: 0, id: 'c', name: 'f' },
  ]);
});
