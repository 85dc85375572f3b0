/** Main's hands on the accounts: filling new ones, and taking back what dead workers held. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { NanoUsd } from '../core/money.ts';
import { heldBy, tryLock, unlock } from '../lib/shared-lock.ts';
import * as memory from './accounts-memory.ts';
import type { AccountsMemory, Views } from './accounts-memory.ts';
import type { Hold } from './accounts.ts';

/** What a charge to an account is: an expired reservation of a dead worker. */
export type Charge = Hold;

export interface AccountsOverview {
  readonly memory: AccountsMemory;
  /** A new account's past: what was spent since its window began. Before the rules that use it are in force; nothing may be reserved in it yet. */
  load(slot: number, windowStartMs: number, spentNanoUsd: NanoUsd): Promise<void>;
  /** The thread is gone: mends the section it died in, if it did, and lets the others go on. At once, before anything else. */
  repair(worker: number): void;
  /** All that the dead worker had reserved; from here on its slot may be given to another thread. It stays reserved until `giveBack`. */
  takeOver(worker: number): Promise<Hold[]>;
  /** Ends what was taken over, and charges what its journal says was dispatched. */
  giveBack(held: readonly Hold[], charges: readonly Charge[]): Promise<void>;
  read(slot: number): { windowStartMs: number; spentNanoUsd: NanoUsd; reservedNanoUsd: NanoUsd };
}

/** As owner of the lock; no worker has that number. */
const MAIN = 1_000;
const NAP_MS = 1;

export function createAccountsOverview(accounts: number, workers: number): AccountsOverview {
  const shared = memory.createAccountsMemory(accounts, workers);
  const views = memory.viewsOf(shared);
  return {
    memory: shared,
    load: (slot, startMs, spent) => section(views, () => memory.setAccount(views, slot, { startMs, spent })),
    repair(worker) {
      if (heldBy(views.words, memory.LOCK_AT) !== worker + 1) return;
      memory.undo(views);
      unlock(views.words, memory.LOCK_AT);
    },
    takeOver: (worker) => section(views, () => sharesOf(views, worker)),
    giveBack: (held, charges) =>
      section(views, () => {
        for (const { slot, windowStartMs, nanoUsd } of held) {
          if (memory.startOf(views, slot) === windowStartMs) memory.addReserved(views, slot, -nanoUsd);
        }
        for (const { slot, windowStartMs, nanoUsd } of charges) {
          if (memory.startOf(views, slot) === windowStartMs) memory.addSpent(views, slot, nanoUsd);
        }
      }),
    read: (slot) => ({
      windowStartMs: memory.startOf(views, slot),
      spentNanoUsd: memory.spentOf(views, slot),
      reservedNanoUsd: memory.reservedOf(views, slot),
    }),
  };
}

/** Main never sleeps in the lock: who holds it may be a dead thread, and only main, once it learns of the death, can free it. */
async function section<Result>(views: Views, work: () => Result): Promise<Result> {
  while (!tryLock(views.words, memory.LOCK_AT, MAIN)) await sleep(NAP_MS);
  try {
    return work();
  } finally {
    unlock(views.words, memory.LOCK_AT);
  }
}

function sharesOf(views: Views, worker: number): Hold[] {
  const held: Hold[] = [];
  for (let slot = 0; slot < views.accounts; slot++) {
    const nanoUsd = memory.takeShare(views, worker, slot);
    if (nanoUsd !== 0) held.push({ slot, windowStartMs: memory.startOf(views, slot), nanoUsd });
  }
  return held;
}
