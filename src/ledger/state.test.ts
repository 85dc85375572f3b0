import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { simulate } from '../../test/support/ledger-simulator.ts';
import { type Entry, type Move, nextEntry } from './state.ts';

const OPEN: Entry = { state: 'open', reservedNanoUsd: 100, floorNanoUsd: 10, checkpointNanoUsd: 0 };
const FAR: Entry = { ...OPEN, checkpointNanoUsd: 40 };
const SETTLED: Entry = { state: 'settled', nanoUsd: 55 };
const RESERVE: Move = { type: 'reserve', nanoUsd: 100, floorNanoUsd: 10 };

test.each<[string, Entry | undefined, Move, Entry | undefined]>([
  ['a reservation opens', undefined, RESERVE, OPEN],
  ['twice is once', FAR, RESERVE, FAR],
  ['a checkpoint is kept', OPEN, { type: 'checkpoint', nanoUsd: 40 }, FAR],
  ['an older one is not', FAR, { type: 'checkpoint', nanoUsd: 20 }, FAR],
  ['it settles', FAR, { type: 'settle', nanoUsd: 55 }, SETTLED],
  ['or is released', FAR, { type: 'release' }, { state: 'released', nanoUsd: 0 }],
  ['or expires at its floor', OPEN, { type: 'expire' }, { state: 'expired', nanoUsd: 10 }],
  ['or at its checkpoint', FAR, { type: 'expire' }, { state: 'expired', nanoUsd: 40 }],
  ['the first end counts', SETTLED, { type: 'expire' }, SETTLED],
  ['a second settlement does not', SETTLED, { type: 'settle', nanoUsd: 1 }, SETTLED],
  ['nor a reservation read again', SETTLED, RESERVE, SETTLED],
  ['an end may come first', undefined, { type: 'settle', nanoUsd: 55 }, SETTLED],
  ['nothing expires that is not reserved', undefined, { type: 'expire' }, undefined],
  ['nor has it come far', undefined, { type: 'checkpoint', nanoUsd: 1 }, undefined],
])('%s', (_, entry, move, expected) => {
  expect(nextEntry(entry, move)).toEqual(expected);
});

const nanoUsd = fc.nat(1_000);
const moves: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ type: fc.constant('reserve' as const), nanoUsd, floorNanoUsd: nanoUsd }),
  fc.record({ type: fc.constant('checkpoint' as const), nanoUsd }),
  fc.record({ type: fc.constant('settle' as const), nanoUsd }),
  fc.constant({ type: 'release' as const }),
  fc.constant({ type: 'expire' as const }),
);

test('whatever comes after the end changes nothing, and every move twice is that move once', () => {
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 12 }), fc.array(moves, { maxLength: 6 }), (before, after) => {
      const fold = (list: readonly Move[], from?: Entry): Entry | undefined => list.reduce<Entry | undefined>(nextEntry, from);
      const entry = fold(before);
      const doubled = before.flatMap((move) => [move, move]);
      expect(fold(doubled)).toEqual(entry);
      if (entry !== undefined && entry.state !== 'open') expect(fold(after, entry)).toBe(entry);
    }),
  );
});

test('thousands of schedules of crashes, second readings and reordering keep the books', async () => {
  for (let seed = 0; seed < 3_000; seed++) await simulate(seed);
});
