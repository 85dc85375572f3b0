/** Admission to limits: everything that an exchange needs, or nothing. */
import type { Scope } from '../core/rules.ts';
import { lock, unlock } from '../lib/shared-lock.ts';
import { giveBack, lease, leased } from './leases.ts';
import {
  type LimitsMemory,
  type LimitsViews,
  LOCK_AT,
  MAX_NOTED,
  NOTED_AT,
  NOTE_AT,
  limitsViews,
  ownerOf,
} from './limits-memory.ts';
import { changeBucket, sumAt, sumOf, take, waitMs } from './windows.ts';

export type Counted = 'requests' | 'tokens' | 'concurrent';

/** What is wanted of one limit. */
export interface Demand {
  scope: Scope;
  what: Counted;
  slot: number;
  /** Leases are taken one at a time. */
  amount: number;
  /** The sum that must not be passed; for a lower class less than the limit. */
  most: number;
}

export interface Taken extends Demand {
  /** The bucket it was taken from. */
  tick: number;
  /** The sum with it. */
  used: number;
}

/** What was admitted together, until it ends by `settle` or `refund`; either ends it once. */
export interface Grant {
  readonly taken: readonly Taken[];
  open: boolean;
  /** Leases are out; they may come back before the rest is known. */
  leased: boolean;
}

export type Acquired =
  | { ok: true; grant: Grant }
  /** Of several that refuse, the one to wait for longest. */
  | { ok: false; refused: Demand; refusal: Refusal };

export interface Refusal {
  used: number;
  /** Until the same would be admitted if nobody else came; Infinity: never. */
  retryAfterMs: number;
  /** Until nothing is used any more, if nobody else comes; Infinity: nobody knows. */
  resetMs: number;
}

/** A promise only where the limits are not in this process. */
export interface Limiter {
  acquire(demands: readonly Demand[]): Acquired | Promise<Acquired>;
  /** Leases come back; the rest stays until `settle`. */
  release(grants: readonly Grant[]): void;
  /** The end of what was admitted: leases come back, tokens become what they turned out to be; undefined: they stay as they were estimated. */
  settle(grants: readonly Grant[], tokens?: number): void;
  /** As if it had never been admitted. */
  refund(grants: readonly Grant[]): void;
}

/** When a lease comes free nobody knows. */
const LEASE_RETRY_MS = 1_000;

/** `nowMs`: the clock of all threads, monotonic. `worker`: the slot of this thread, from 0; one thread at a time has it. */
export function openLimiter(memory: LimitsMemory, worker: number, nowMs: () => number): Limiter {
  const views = limitsViews(memory);
  const thread: Thread = { views, worker, nowMs: () => Math.max(0, Math.floor(nowMs() - memory.originMs)) };
  return {
    acquire(demands) {
      enter(thread);
      try {
        return acquire(thread, demands);
      } finally {
        leave(thread);
      }
    },
    release: (grants) => change(thread, grants, () => 0),
    settle(grants, tokens) {
      change(thread, grants, (taken) => (tokens !== undefined && taken.what === 'tokens' ? tokens - taken.amount : 0));
      close(grants);
    },
    refund(grants) {
      change(thread, grants, ({ amount }) => -amount);
      close(grants);
    },
  };
}

interface Thread {
  views: LimitsViews;
  worker: number;
  nowMs: () => number;
}

function enter({ views, worker }: Thread): void {
  lock(views.words, LOCK_AT, ownerOf(worker));
}

function leave({ views }: Thread): void {
  Atomics.store(views.words, NOTED_AT, 0);
  unlock(views.words, LOCK_AT);
}

/** Notes a window before it may change, so that main can mend it should this thread die in between. */
function note({ views: { words } }: Thread, slot: number): void {
  const noted = words[NOTED_AT]!;
  if (noted === MAX_NOTED) throw new RangeError('too many limits of one exchange');
  words[NOTE_AT + noted] = slot;
  Atomics.store(words, NOTED_AT, noted + 1);
}

/** The clock is read inside the section, so that what waits for the lock is not taken for older than it is. */
function acquire(thread: Thread, demands: readonly Demand[]): Acquired {
  const nowMs = thread.nowMs();
  let refused: Extract<Acquired, { ok: false }> | undefined;
  for (const demand of demands) {
    const used = usedNow(thread, demand, nowMs);
    if (used + demand.amount <= demand.most) continue;
    const refusal = refusalOf(thread, demand, { used, nowMs });
    if (refused === undefined || refusal.retryAfterMs > refused.refusal.retryAfterMs)
      refused = { ok: false, refused: demand, refusal };
  }
  if (refused !== undefined) return refused;
  const taken: Taken[] = [];
  for (const demand of demands) taken.push(takeOne(thread, demand, nowMs));
  return { ok: true, grant: { taken, open: true, leased: demands.some(({ what }) => what === 'concurrent') } };
}

function usedNow(thread: Thread, { what, slot }: Demand, nowMs: number): number {
  if (what === 'concurrent') return leased(thread.views.leases, slot);
  note(thread, slot);
  return sumAt(thread.views.windows, slot, nowMs);
}

function refusalOf({ views: { windows } }: Thread, demand: Demand, { used, nowMs }: { used: number; nowMs: number }): Refusal {
  const { what, slot, amount, most } = demand;
  const isWindow = what !== 'concurrent';
  const retryAfterMs = isWindow ? waitMs(windows, slot, { target: most - amount, nowMs }) : LEASE_RETRY_MS;
  return {
    used,
    retryAfterMs: amount > most ? Infinity : retryAfterMs,
    resetMs: isWindow ? waitMs(windows, slot, { target: 0, nowMs }) : Infinity,
  };
}

function takeOne({ views, worker }: Thread, { scope, what, slot, amount, most }: Demand, nowMs: number): Taken {
  if (what === 'concurrent') {
    lease(views.leases, slot, worker);
    return { scope, what, slot, amount, most, tick: 0, used: leased(views.leases, slot) };
  }
  const tick = take(views.windows, slot, { amount, nowMs });
  return { scope, what, slot, amount, most, tick, used: sumOf(views.windows, slot) };
}

/** Leases of these grants come back, and windows change by what `by` says: of grants that are open, and once. */
function change(thread: Thread, grants: readonly Grant[], by: (taken: Taken) => number): void {
  const changed: Taken[] = [];
  const amounts: number[] = [];
  for (const grant of grants) {
    if (!grant.open) continue;
    for (const taken of grant.taken) {
      const amount = taken.what === 'concurrent' ? Number(grant.leased) : by(taken);
      if (amount === 0) continue;
      changed.push(taken);
      amounts.push(amount);
    }
    grant.leased = false;
  }
  if (changed.length > 0) changeAll(thread, changed, amounts);
}

function close(grants: readonly Grant[]): void {
  for (const grant of grants) grant.open = false;
}

function changeAll(thread: Thread, changed: readonly Taken[], amounts: readonly number[]): void {
  const { leases, windows } = thread.views;
  enter(thread);
  try {
    const nowMs = thread.nowMs();
    for (const [index, { what, slot, tick }] of changed.entries()) {
      if (what === 'concurrent') giveBack(leases, slot, thread.worker);
      else {
        note(thread, slot);
        sumAt(windows, slot, nowMs);
        changeBucket(windows, slot, { tick, amount: amounts[index]! });
      }
    }
  } finally {
    leave(thread);
  }
}
