/**
 * Budgets as all workers see them at once: for every account what its present window has spent and what is reserved in it, in shared memory.
 *
 * An account is four numbers: the beginning of its window, spent, reserved, and one to spare. Beside it every worker has a column with its own share of what is
 * reserved, so that all that a dead worker held can be found, whether it was journaled or not. Everything changes under one lock, in sections of a
 * microsecond (`lib/shared-lock`).
 *
 * A thread can be ended inside its section. Before it changes anything it writes down what was there (the undo note); main puts that back.
 *
 * Integers in doubles: nano-USD are exact up to 2^53, nine million dollars.
 */
import type { NanoUsd } from '../core/money.ts';

/** Plain data; crosses threads in `workerData`. */
export interface AccountsMemory {
  buffer: SharedArrayBuffer;
  accounts: number;
  workers: number;
}

/** Indices into `Views.words`. */
export const LOCK_AT = 0;
/** Accounts in the undo note; 0: nothing is to be undone. */
const NOTED_AT = 2;
const NOTE_OWNER_AT = 3;
const WORDS = 16;

const CELL = 4;
const START = 0;
const SPENT = 1;
const RESERVED = 2;

const NOTE = 5;
/** An exchange has some ten scopes with at most eight budgets each. */
export const MAX_HOLDS = 256;

export interface Views {
  words: Int32Array;
  note: Float64Array;
  cells: Float64Array;
  /** Column after column: each worker's share of what is reserved. */
  shares: Float64Array;
  accounts: number;
  workers: number;
}

/** Zeroed. Pages that nobody touches cost nothing. */
export function createAccountsMemory(accounts: number, workers: number): AccountsMemory {
  const words = WORDS * Int32Array.BYTES_PER_ELEMENT;
  const numbers = MAX_HOLDS * NOTE + accounts * CELL + accounts * workers;
  return { buffer: new SharedArrayBuffer(words + numbers * Float64Array.BYTES_PER_ELEMENT), accounts, workers };
}

export function viewsOf({ buffer, accounts, workers }: AccountsMemory): Views {
  let offset = WORDS * Int32Array.BYTES_PER_ELEMENT;
  const numbers = (length: number): Float64Array => {
    const view = new Float64Array(buffer, offset, length);
    offset += view.byteLength;
    return view;
  };
  const words = new Int32Array(buffer, 0, WORDS);
  return {
    words,
    note: numbers(MAX_HOLDS * NOTE),
    cells: numbers(accounts * CELL),
    shares: numbers(accounts * workers),
    accounts,
    workers,
  };
}

// All that follows runs inside a section.

export function startOf(views: Views, slot: number): number {
  return views.cells[slot * CELL + START]!;
}

export function spentOf(views: Views, slot: number): NanoUsd {
  return views.cells[slot * CELL + SPENT]!;
}

export function reservedOf(views: Views, slot: number): NanoUsd {
  return views.cells[slot * CELL + RESERVED]!;
}

/**
 * Puts the account into the window that begins at `startMs`, unless it stands in that one or a later one: a window that has passed is never opened again,
 * whatever the clock does. Answers the beginning of the account's window. What is reserved in the old one ends there.
 */
export function enterWindow(views: Views, slot: number, startMs: number): number {
  const present = startOf(views, slot);
  if (present >= startMs) return present;
  clearAccount(views, slot);
  // Last: a thread that dies before it leaves an account which the next one clears again.
  views.cells[slot * CELL + START] = startMs;
  return startMs;
}

function clearAccount(views: Views, slot: number): void {
  const { cells, shares, accounts, workers } = views;
  cells[slot * CELL + SPENT] = 0;
  cells[slot * CELL + RESERVED] = 0;
  for (let worker = 0; worker < workers; worker++) shares[worker * accounts + slot] = 0;
}

export function setAccount(views: Views, slot: number, { startMs, spent }: { startMs: number; spent: NanoUsd }): void {
  clearAccount(views, slot);
  views.cells[slot * CELL + SPENT] = spent;
  views.cells[slot * CELL + START] = startMs;
}

/** Never below 0, and never beyond what a double counts exactly. */
function bounded(nanoUsd: number): NanoUsd {
  return Math.min(Math.max(0, nanoUsd), Number.MAX_SAFE_INTEGER);
}

export function addSpent(views: Views, slot: number, nanoUsd: number): void {
  const at = slot * CELL + SPENT;
  views.cells[at] = bounded(views.cells[at]! + nanoUsd);
}

export function addReserved(views: Views, slot: number, nanoUsd: number): void {
  const at = slot * CELL + RESERVED;
  views.cells[at] = bounded(views.cells[at]! + nanoUsd);
}

export function addShare(views: Views, worker: number, { slot, nanoUsd }: { slot: number; nanoUsd: number }): void {
  const at = worker * views.accounts + slot;
  views.shares[at] = bounded(views.shares[at]! + nanoUsd);
}

/** The worker's share of an account, taken out of its column; the account's sum still holds it. */
export function takeShare(views: Views, worker: number, slot: number): NanoUsd {
  const at = worker * views.accounts + slot;
  const share = views.shares[at]!;
  if (share !== 0) views.shares[at] = 0;
  return share;
}

/** Writes down one account as it is, before `sealNote`. */
export function noteAccount(views: Views, index: number, { slot, worker }: { slot: number; worker: number }): void {
  const { note, cells, shares, accounts } = views;
  const at = index * NOTE;
  note[at] = slot;
  note[at + 1] = cells[slot * CELL + START]!;
  note[at + 2] = cells[slot * CELL + SPENT]!;
  note[at + 3] = cells[slot * CELL + RESERVED]!;
  note[at + 4] = shares[worker * accounts + slot]!;
}

/** From here on until `dropNote`, a thread that dies leaves everything as it was noted. */
export function sealNote(views: Views, count: number, worker: number): void {
  Atomics.store(views.words, NOTE_OWNER_AT, worker);
  Atomics.store(views.words, NOTED_AT, count);
}

export function dropNote(views: Views): void {
  Atomics.store(views.words, NOTED_AT, 0);
}

/** Puts back what a section had begun to change; nothing where it had not or was through. */
export function undo(views: Views): void {
  const { words, note, cells, shares, accounts } = views;
  const worker = Atomics.load(words, NOTE_OWNER_AT);
  for (let index = Atomics.load(words, NOTED_AT) - 1; index >= 0; index--) {
    const at = index * NOTE;
    const slot = note[at]!;
    cells[slot * CELL + START] = note[at + 1]!;
    cells[slot * CELL + SPENT] = note[at + 2]!;
    cells[slot * CELL + RESERVED] = note[at + 3]!;
    shares[worker * accounts + slot] = note[at + 4]!;
  }
  dropNote(views);
}
