import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beginsWithNumbers, numbersAsBase64 } from './base64.ts';

describe('numbersAsBase64', () => {
  it('encodes numbers as little-endian float32, and keeps all else', () => {
    const answer = {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [1, -2.5] }],
      model: 'e',
      usage: { total_tokens: 1 },
    };
    expect(numbersAsBase64(answer)).toEqual({ ...answer, data: [{ object: 'embedding', index: 0, embedding: 'AACAPwAAIMA=' }] });
  });

  it('encodes so that the SDK decodes the same', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true })), (numbers) => {
        const { data } = numbersAsBase64({ data: [{ embedding: numbers }] }) as { data: { embedding: string }[] };
        const bytes = Buffer.from(data[0]!.embedding, 'base64');
        expect(numbers.map((_, at) => bytes.readFloatLE(at * 4))).toEqual(numbers);
        expect(bytes.length).toBe(numbers.length * 4);
      }),
    );
  });

  it.each([{}, { data: 'x' }, { data: [] }, { data: [null, { embedding: 'AACAPw==' }] }, { data: [{ embedding: ['1'] }] }])(
    'changes nothing in %j',
    (answer) => {
      expect(numbersAsBase64(answer)).toBeUndefined();
    },
  );
});

describe('beginsWithNumbers', () => {
  it.each([
    ['{"data":[{"embedding":[0.1', true],
    ['{"data": [{"embedding" : [\n0.1', true],
    ['{"data":[{"embedding":"AACA', false],
    ['{"object":"list"', false],
  ])('%s: %s', (head, expected) => {
    expect(beginsWithNumbers(Buffer.from(head))).toBe(expected);
  });
});
