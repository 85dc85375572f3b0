import { expect, test } from 'vitest';

import type { NewAccount } from '../ledger/fill-accounts.ts';
import { SlotsExhausted, createSlotBook } from './slots.ts';

const HOUR_MS = 3_600_000;

test('a place stays with its scope and kind; each memory is numbered by itself', () => {
  const book = createSlotBook({ windows: 9, leases: 9, accounts: 9 }, () => 0);
  expect(book.slotOf('key:a', 'requests')).toBe(0);
  expect(book.slotOf('key:a', 'tokens')).toBe(1);
  expect(book.slotOf('key:a', 'concurrent')).toBe(0);
  expect(book.slotOf('key:a', 'budget:day:UTC')).toBe(0);
  expect(book.slotOf('key:a', 'budget:day:Europe/Berlin')).toBe(1);
  expect(book.slotOf('key:b', 'requests')).toBe(2);
  expect(book.slotOf('key:a', 'requests')).toBe(0);
});

test('new accounts are to be filled until somebody has', async () => {
  const book = createSlotBook({ windows: 9, leases: 9, accounts: 9 }, () => 0);
  const told: NewAccount[][] = [];
  const fill = (accounts: readonly NewAccount[]) => Promise.resolve(void told.push([...accounts]));
  book.slotOf('team:t', 'budget:day:Europe/Berlin');
  book.slotOf('team:t', 'requests');
  book.slotOf('team:t', 'budget:day:Europe/Berlin');
  await expect(book.fillNew(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
  await book.fillNew(fill);
  await book.fillNew(fill);
  expect(told).toEqual([[{ slot: 0, scope: 'team:t', isReused: false, window: 'day', timeZone: 'Europe/Berlin' }]]);
});

test('an account that no budget counts in any more is another when there is one again, filled anew', async () => {
  const book = createSlotBook({ windows: 9, leases: 9, accounts: 9 }, () => 0);
  const told: NewAccount[] = [];
  const fill = (accounts: readonly NewAccount[]) => Promise.resolve(void told.push(...accounts));
  const place = (window: 'day' | 'month') => ({
    limitNanoUsd: 1,
    window,
    timeZone: 'UTC',
    hard: true,
    mode: 'strict' as const,
    unpriced: 'ceiling' as const,
    slot: book.slotOf('key:a', `budget:${window}:UTC`),
  });
  const requests = book.slotOf('key:a', 'requests');
  const [day, month] = [place('day'), place('month')];
  await book.fillNew(fill);
  book.keep('key:a', { scope: 'key:a', budgets: [month] });
  expect(place('month').slot).toBe(month.slot);
  expect(place('day').slot).not.toBe(day.slot);
  book.keep('key:a', undefined);
  expect(book.slotOf('key:a', 'requests')).toBe(requests);
  expect(place('month').slot).not.toBe(month.slot);
  await book.fillNew(fill);
  // The second of the day was given back before anybody filled it.
  expect(told.map(({ window }) => window)).toEqual(['day', 'month', 'month']);
});

test('what was given back is given out again only when nothing else is left and an hour has passed', () => {
  let nowMs = 0;
  const book = createSlotBook({ windows: 2, leases: 1, accounts: 1 }, () => nowMs);
  book.slotOf('key:a', 'requests');
  book.forget('key:a');
  expect(book.slotOf('key:b', 'requests')).toBe(1);
  expect(() => book.slotOf('key:c', 'requests')).toThrow(SlotsExhausted);
  nowMs = HOUR_MS;
  expect(book.slotOf('key:c', 'requests')).toBe(0);
  expect(() => book.slotOf('key:d', 'requests')).toThrow(SlotsExhausted);
});

test('what nobody ever used is given out again at once, and filled for whom it is now', async () => {
  const book = createSlotBook({ windows: 1, leases: 1, accounts: 1 }, () => 0);
  const kind = 'budget:day:UTC';
  book.slotOf('key:a', kind);
  book.forget('key:a', 'unused');
  const told: NewAccount[] = [];
  const fill = (accounts: readonly NewAccount[]) => Promise.resolve(void told.push(...accounts));
  await book.fillNew(fill);
  expect(told).toEqual([]);
  expect(book.slotOf('key:b', kind)).toBe(0);
  await book.fillNew(fill);
  expect(told).toMatchObject([{ slot: 0, scope: 'key:b', isReused: true }]);
});
