import { describe, expect, it } from 'vitest';

import { badResponse, compact, listOf, may, must, objectOf, textOf } from './read.ts';

describe('strict reading', () => {
  it('answers what has the right kind', () => {
    expect(must('string', 'a', 'p')).toBe('a');
    expect(must('array', [1], 'p')).toEqual([1]);
    expect(may('number', null, 'p')).toBeUndefined();
    expect(may('boolean', undefined, 'p')).toBeUndefined();
  });

  it.each([
    ['string', 1, 'model: this must be a string'],
    ['number', Number.NaN, 'model: this must be a number'],
    ['object', [], 'model: this must be an object'],
    ['array', {}, 'model: this must be an array'],
    ['boolean', 0, 'model: this must be a boolean'],
    ['string', undefined, 'model: this field is required'],
  ] as const)('%s refuses %j', (kind, value, message) => {
    expect(() => must(kind, value, 'model')).toThrow(
      expect.objectContaining({ code: 'invalid_request', message, details: { param: 'model', message } }),
    );
  });
});

describe('loose reading', () => {
  it('takes what has the wrong kind for absent', () => {
    expect([textOf(1), textOf('a'), listOf('a'), listOf([1, {}, null, []]), objectOf([]), objectOf({ a: 1 })]).toEqual([
      '',
      'a',
      [],
      [{}],
      {},
      { a: 1 },
    ]);
  });
});

it('compact leaves out what is undefined, and keeps null', () => {
  expect(compact({ a: undefined, b: null, c: 0 })).toEqual({ b: null, c: 0 });
});

it('badResponse keeps its cause', () => {
  const cause = new SyntaxError('x');
  expect(badResponse('no JSON', cause)).toMatchObject({ code: 'upstream_bad_response', cause, message: 'no JSON' });
});
