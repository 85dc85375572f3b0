import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';

import { createAgentAnswer } from './model-answer.ts';

const artifact = (text: string, artifactId = 'a'): object => ({ artifactId, parts: [{ text }] });
const update = (text: string, append: boolean, id?: string): object => ({
  artifactUpdate: { artifact: artifact(text, id), append },
});
const task = (state: string, artifacts: object[] = [], told?: string): object => ({
  task: { id: 't', status: { state, ...(told !== undefined && { message: { parts: [{ text: told }] } }) }, artifacts },
});

/** All that is said of these events. */
function said(...events: unknown[]): string {
  const answer = createAgentAnswer();
  return events.map((event) => answer.take(event)).join('') + answer.rest();
}

describe('the text of an answer', () => {
  test('is that of its artifacts, in the order in which they come', () => {
    expect(said(update('one ', false), update('two', true), update('!', false, 'b'))).toBe('one two!');
    expect(said(task('completed', [artifact('one'), artifact('two', 'b')]))).toBe('onetwo');
  });

  test('goes on where a later version of an artifact goes on, and stays where it does not', () => {
    expect(said(update('one ', false), task('working', [artifact('one two ')]), update('three', true))).toBe('one two three');
    expect(said(update('\ud83d', false), task('working', [artifact('\ud83d\ude82 runs')]))).toBe('🚂 runs');
    expect(said(update('one', false), update('two', false))).toBe('one');
    expect(said(update('one two', false), update('one', false))).toBe('one two');
  });

  test('is the same however often the task is looked at, and wherever its stream breaks', () => {
    const pieces = fc.array(fc.string({ unit: 'binary', maxLength: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pieces, fc.nat(8), fc.nat(8), (texts, brokenAt, snapshotAt) => {
        const at = Math.min(brokenAt, texts.length);
        const until = Math.min(texts.length, at + snapshotAt);
        const whole = (count: number): string => texts.slice(0, count).join('');
        const events = [
          ...texts.slice(0, at).map((text, index) => update(text, index > 0)),
          task('working', [artifact(whole(until))]),
          ...texts.slice(until).map((text) => update(text, true)),
          task('completed', [artifact(whole(texts.length))]),
        ];
        expect(said(...events)).toBe(whole(texts.length));
      }),
    );
  });

  test('is the last word of the status where there is no artifact, and its question in any case', () => {
    expect(said(task('completed', [], 'done'))).toBe('done');
    expect(said(task('completed', [artifact('one')], 'done'))).toBe('one');
    expect(said(task('working', [], 'thinking'))).toBe('');
    expect(said(task('TASK_STATE_INPUT_REQUIRED', [artifact('one')], 'Where to?'))).toBe('one\nWhere to?');
  });

  test('shows data, places and names of files', () => {
    const parts = [
      { data: { a: 1 } },
      { url: 'https://example.com/x' },
      { raw: 'AAAA', filename: 'x.png' },
      { raw: 'AAAA' },
      null,
    ];
    expect(said({ message: { parts } })).toBe('{"a":1}https://example.com/x[x.png]');
  });

  test.each([
    undefined,
    null,
    'text',
    [],
    {},
    { task: 1 },
    { artifactUpdate: { artifact: null } },
    { statusUpdate: { status: 3 } },
  ])('is nothing for %o', (event) => {
    expect(said(event)).toBe('');
  });
});
