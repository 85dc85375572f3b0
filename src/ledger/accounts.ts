/** A worker's hands on the accounts: reserve in all of an exchange's budgets or in none, and settle what was reserved. */
import type { NanoUsd } from '../core/money.ts';
import { lock, unlock } from '../lib/shared-lock.ts';
import * as memory from './accounts-memory.ts';
import type { AccountsMemory, Views } from './accounts-memory.ts';

/** One budget that must have room. Slots of one list are different. */
export interface Demand {
  slot: number;
  /** Beginning of the present window. */
  windowStartMs: number;
  /** Infinity: counted and never refused. */
  limitNanoUsd: NanoUsd;
}

/** What an exchange holds in an account, until it settles. */
export interface Hold {
  slot: number;
  windowStartMs: number;
  nanoUsd: NanoUsd;
}

export type Reserved =
  | { ok: true; grantedNanoUsd: NanoUsd; holds: Hold[] }
  /** `demand`: whose budget had no room. `bySpent`: no room even if all that is only reserved came back. */
  | { ok: false; demand: number; bySpent: boolean; spentNanoUsd: NanoUsd; reservedNanoUsd: NanoUsd };

export interface Ask {
  /** As much as is wanted. */
  wantNanoUsd: NanoUsd;
  /** Less than that is of no use. */
  leastNanoUsd: NanoUsd;
}

/** What a settlement made of an account: its sum before and after; undefined where its window has passed. */
export type Change = { before: NanoUsd; after: NanoUsd } | undefined;

export interface Accounts {
  /** In one section: the same amount, between least and want, in every account, or nothing in any. */
  reserve(demands: readonly Demand[], ask: Ask): Reserved;
  /** Gives back what is held and charges `nanoUsd` to each account. In the order of the holds. */
  settle(holds: readonly Hold[], nanoUsd: NanoUsd): Change[];
  read(slot: number): { windowStartMs: number; spentNanoUsd: NanoUsd; reservedNanoUsd: NanoUsd };
}

/** `worker`: the slot of the thread, from 0; one thread at a time has it. */
export function openAccounts(shared: AccountsMemory, worker: number): Accounts {
  const views = memory.viewsOf(shared);
  const owner = worker + 1;
  return {
    reserve(demands, ask) {
      if (demands.length === 0) return { ok: true, grantedNanoUsd: ask.wantNanoUsd, holds: [] };
      if (demands.length > memory.MAX_HOLDS) throw new RangeError(`${demands.length} budgets of one exchange`);
      lock(views.words, memory.LOCK_AT, owner);
      try {
        return reserve(views, worker, demands, ask);
      } finally {
        unlock(views.words, memory.LOCK_AT);
      }
    },
    settle(holds, nanoUsd) {
      if (holds.length === 0) return [];
      lock(views.words, memory.LOCK_AT, owner);
      try {
        return settle(views, worker, holds, nanoUsd);
      } finally {
        unlock(views.words, memory.LOCK_AT);
      }
    },
    read: (slot) => ({
      windowStartMs: memory.startOf(views, slot),
      spentNanoUsd: memory.spentOf(views, slot),
      reservedNanoUsd: memory.reservedOf(views, slot),
    }),
  };
}

function reserve(views: Views, worker: number, demands: readonly Demand[], { wantNanoUsd, leastNanoUsd }: Ask): Reserved {
  let room = wantNanoUsd;
  let tightest = -1;
  let spentOut = -1;
  for (let index = 0; index < demands.length; index++) {
    const { slot, windowStartMs, limitNanoUsd } = demands[index]!;
    memory.enterWindow(views, slot, windowStartMs);
    const spent = memory.spentOf(views, slot);
    const left = limitNanoUsd - spent - memory.reservedOf(views, slot);
    if (left < room) [room, tightest] = [left, index];
    if (spentOut === -1 && limitNanoUsd - spent < leastNanoUsd) spentOut = index;
  }
  const refused = spentOut === -1 ? tightest : spentOut;
  if (refused !== -1 && (spentOut !== -1 || room < leastNanoUsd)) {
    const { slot } = demands[refused]!;
    const spentNanoUsd = memory.spentOf(views, slot);
    return {
      ok: false,
      demand: refused,
      bySpent: spentOut !== -1,
      spentNanoUsd,
      reservedNanoUsd: memory.reservedOf(views, slot),
    };
  }
  const holds = demands.map(({ slot }) => ({ slot, windowStartMs: memory.startOf(views, slot), nanoUsd: room }));
  changeAll(views, worker, holds, 0);
  return { ok: true, grantedNanoUsd: room, holds };
}

function settle(views: Views, worker: number, holds: readonly Hold[], nanoUsd: NanoUsd): Change[] {
  const changes: Change[] = [];
  const back: Hold[] = [];
  for (const { slot, windowStartMs, nanoUsd: held } of holds) {
    // An account whose window has passed counts for another one: what this exchange held there ended with it.
    const isPresent = memory.startOf(views, slot) === windowStartMs;
    const before = memory.spentOf(views, slot);
    changes.push(isPresent ? { before, after: before } : undefined);
    if (isPresent) back.push({ slot, windowStartMs, nanoUsd: -held });
  }
  changeAll(views, worker, back, nanoUsd);
  for (let index = 0; index < changes.length; index++) {
    const change = changes[index];
    if (change !== undefined) change.after = memory.spentOf(views, holds[index]!.slot);
  }
  return changes;
}

/** Adds to what is reserved, and to what is spent, in all of these accounts; a thread that dies in between has changed none. */
function changeAll(views: Views, worker: number, changes: readonly Hold[], spentNanoUsd: NanoUsd): void {
  for (let index = 0; index < changes.length; index++) memory.noteAccount(views, index, { slot: changes[index]!.slot, worker });
  memory.sealNote(views, changes.length, worker);
  for (const change of changes) {
    memory.addReserved(views, change.slot, change.nanoUsd);
    memory.addShare(views, worker, change);
    memory.addSpent(views, change.slot, spentNanoUsd);
  }
  memory.dropNote(views);
}
