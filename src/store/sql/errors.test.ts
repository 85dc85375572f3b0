import { expect, test } from 'vitest';

import { StoreError } from '../store.ts';
import { asStoreError } from './errors.ts';

function errorWith(message: string, members: object = {}): Error {
  return Object.assign(new Error(message), members);
}

test.each<[string, unknown, string]>([
  ['SQLite busy', errorWith('database is locked', { errcode: 5 }), 'store_down'],
  ['SQLite busy, extended', errorWith('x', { errcode: 261 }), 'store_down'],
  ['SQLite full', errorWith('database or disk is full', { errcode: 13 }), 'store_down'],
  ['SQLite unique', errorWith('x', { errcode: 2067 }), 'conflict'],
  ['SQLite, a mistake of ours', errorWith('no such table', { errcode: 1 }), 'failed'],
  ['SQLite, closed', errorWith('database is not open', { code: 'ERR_INVALID_STATE' }), 'store_down'],
  ['PostgreSQL, shut down', errorWith('x', { code: '57P01' }), 'store_down'],
  ['PostgreSQL, a statement that took too long', errorWith('x', { code: '57014' }), 'store_down'],
  ['PostgreSQL, deadlock', errorWith('x', { code: '40P01' }), 'store_down'],
  ['PostgreSQL unique', errorWith('x', { code: '23505' }), 'conflict'],
  ['PostgreSQL, a value out of range', errorWith('x', { code: '22003' }), 'failed'],
  ['refused', errorWith('connect ECONNREFUSED', { code: 'ECONNREFUSED' }), 'store_down'],
  ['silence', errorWith('Query read timeout'), 'store_down'],
  ['cut', errorWith('Connection terminated unexpectedly'), 'store_down'],
  ['closing', errorWith('driver has already been destroyed'), 'store_down'],
  ['a mistake of ours', new TypeError('connection is not a function'), 'failed'],
  ['money that is none', new RangeError('not an amount of money: 0.5'), 'failed'],
])('%s', (_, error, code) => {
  const known = asStoreError(error);
  expect(known.code).toBe(code);
  expect(asStoreError(known)).toBe(known);
  expect(known).toBeInstanceOf(StoreError);
});
