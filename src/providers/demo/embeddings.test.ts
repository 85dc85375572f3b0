import { describe, expect, it } from 'vitest';

import { demoEmbeddings } from './embeddings.ts';

interface Answer {
  data: { index: number; embedding: number[] }[];
  usage: { prompt_tokens: number };
}

const embed = (body: Record<string, unknown>): Answer => demoEmbeddings({ model: 'demo', ...body }) as never;
const vectors = (input: string[]): number[][] => embed({ input }).data.map(({ embedding }) => embedding);
const dot = (one: number[] = [], other: number[] = []): number =>
  one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);

describe('demoEmbeddings', () => {
  it('makes vectors of length one, the same ones every time, in the order of the inputs', () => {
    const texts = ['a railway signal box', '', '!!', 'x', 'ein Satz über Züge 火车'];
    const first = vectors(texts);
    expect(first).toEqual(vectors(texts));
    expect(vectors(texts.toReversed())).toEqual(first.toReversed());
    for (const vector of first) expect(dot(vector, vector)).toBeCloseTo(1, 5);
  });

  it('puts texts that share words close to each other', () => {
    const [one, near, far] = vectors(['the train leaves the station', 'the train left the station', 'soup with noodles']);
    expect(dot(one, near)).toBeGreaterThan(0.7);
    expect(Math.abs(dot(one, far))).toBeLessThan(0.4);
  });

  it('gives as many dimensions as asked for', () => {
    expect(embed({ input: 'x', dimensions: 7 }).data[0]?.embedding).toHaveLength(7);
    expect(embed({ input: 'a b c d e f', dimensions: 1 }).data[0]?.embedding.map(Math.abs)).toEqual([1]);
  });

  it('takes token numbers, alone or in several lists', () => {
    expect(embed({ input: [1, 2, 3] }).data).toHaveLength(1);
    const several = embed({ input: [[1, 2, 3], [4]] });
    expect(several.data.map(({ index }) => index)).toEqual([0, 1]);
    expect(several.usage.prompt_tokens).toBe(4);
  });

  it.each([
    [{ input: [] }, 'input'],
    [{}, 'input'],
    [{ input: 7 }, 'input'],
    [{ input: ['a', 7] }, 'input[1]'],
    [{ input: [[1, 'x']] }, 'input[0][1]'],
    [{ input: 'x', dimensions: 0 }, 'dimensions'],
    [{ input: 'x', dimensions: 1e9 }, 'dimensions'],
    [{ input: 'x', encoding_format: 'hex' }, 'encoding_format'],
    [{ input: 'x', model: 7 }, 'model'],
  ])('refuses %j naming %s', (body, param) => {
    expect(() => embed(body)).toThrow(
      expect.objectContaining({ code: 'invalid_request', details: expect.objectContaining({ param }) }),
    );
  });
});
