import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { editDistance, nearest } from './nearest.ts';

describe('nearest', () => {
  it.each([
    ['prot', ['port', 'host', 'public_url'], ['port']],
    ['api_kye', ['api_key', 'api_keys', 'base_url'], ['api_key', 'api_keys']],
    ['GPT-4O', ['gpt-4o', 'gpt-4o-mini'], ['gpt-4o', 'gpt-4o-mini']],
    ['claude', ['claude-sonnet-4-5', 'gpt-4o'], ['claude-sonnet-4-5']],
    ['lba/llama-3', ['lab/*', 'gpt-4o'], ['lab/*']],
    ['something', ['port', 'host', '*'], []],
    ['', ['a'], []],
  ])('%s among %j', (word, candidates, expected) => {
    expect(nearest(word, candidates)).toEqual(expected);
  });

  it('gives at most three, and each once', () => {
    expect(nearest('abcd', ['abce', 'abcf', 'abcg', 'abch', 'abce'])).toEqual(['abce', 'abcf', 'abcg']);
  });

  it('does no work for words nobody types', () => {
    expect(nearest('a'.repeat(129), ['a'.repeat(129)])).toEqual([]);
  });
});

describe('editDistance', () => {
  it('is zero for equal words, symmetric, and at most the longer length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('counts a swap as one mistake', () => {
    expect(editDistance('prot', 'port')).toBe(1);
  });
});
