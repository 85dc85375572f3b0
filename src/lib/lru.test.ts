import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLru } from './lru.ts';

describe('createLru', () => {
  it('forgets what was used longest ago', () => {
    const lru = createLru<string, number>(2);
    lru.set('a', 1);
    lru.set('b', 2);
    expect(lru.get('a')).toBe(1);
    lru.set('c', 3);
    expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3]);
    lru.set('a', 4);
    lru.set('d', 5);
    expect([lru.get('a'), lru.get('c'), lru.size]).toEqual([4, undefined, 2]);
  });

  it('holds the last distinct keys used, whatever happens', () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 9 }), write: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, max) => {
        const lru = createLru<number, number>(max);
        let recent: { key: number; value: number }[] = [];
        steps.forEach(({ key, write }, value) => {
          const known = recent.find((entry) => entry.key === key);
          expect(lru.get(key)).toBe(known?.value);
          if (write) lru.set(key, value);
          if (write || known !== undefined) {
            recent = [...recent.filter((entry) => entry.key !== key), { key, value: write ? value : (known?.value ?? -1) }].slice(
              -max,
            );
          }
          expect(lru.size).toBe(recent.length);
        });
      }),
    );
  });
});
