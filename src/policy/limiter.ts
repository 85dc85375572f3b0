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
import { change, sumAt, take, waitMs } from './windows.ts';

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
  const now = (): number => Math.max(0, Math.floor(nowMs() - memory.originMs));
  return {
    acquire: (demands) => section(views, worker, demands, () => acquire(views, worker, { demands, nowMs: now() })),
    settle(grants, tokens) {
      const ends = endingOf(grants, ({ what, amount }) => (what === 'tokens' && tokens !== undefined ? tokens - amount : 0));
      endAll(views, worker, { ends, now });
    },
    refund(grants) {
      const ends = endingOf(grants, ({ what, amount }) => (what === 'concurrent' ? 0 : -amount));
      endAll(views, worker, { ends, now });
    },
  };
}

/**
 * Notes the windows that may change, so that main can mend them should this thread die in between. The clock is read inside, so that what waits for the lock
 * is not taken for older than it is.
 */
function section<Result>(views: LimitsViews, worker: number, slots: readonly Demand[], work: () => Result): Result {
  const { words } = views;
  if (slots.length > MAX_NOTED) throw new RangeError(`${slots.length} limits of one exchange`);
  lock(words, LOCK_AT, ownerOf(worker));
  try {
    let noted = 0;
    for (const { what, slot } of slots) if (what !== 'concurrent') words[NOTE_AT + noted++] = slot;
    Atomics.store(words, NOTED_AT, noted);
    return work();
  } finally {
    Atomics.store(words, NOTED_AT, 0);
    unlock(words, LOCK_AT);
  }
}

function acquire(
  views: LimitsViews,
  worker: number,
  { demands, nowMs }: { demands: readonly Demand[]; nowMs: number },
): Acquired {
  let refused: Extract<Acquired, { ok: false }> | undefined;
  for (const demand of demands) {
    const used = usedNow(views, demand, nowMs);
    if (used + demand.amount <= demand.most) continue;
    const refusal = refusalOf(views, demand, { used, nowMs });
    if (refused === undefined || refusal.retryAfterMs > refused.refusal.retryAfterMs)
      refused = { ok: false, refused: demand, refusal };
  }
  if (refused !== undefined) return refused;
  return { ok: true, grant: { taken: demands.map((demand) => takeOne(views, worker, { demand, nowMs })), open: true } };
}

function usedNow({ windows, leases }: LimitsViews, { what, slot }: Demand, nowMs: number): number {
  return what === 'concurrent' ? leased(leases, slot) : sumAt(windows, slot, nowMs);
}

function refusalOf({ windows }: LimitsViews, demand: Demand, { used, nowMs }: { used: number; nowMs: number }): Refusal {
  const { what, slot, amount, most } = demand;
  const isWindow = what !== 'concurrent';
  const retryAfterMs = isWindow ? waitMs(windows, slot, { target: most - amount, nowMs }) : LEASE_RETRY_MS;
  return {
    used,
    retryAfterMs: amount > most ? Infinity : retryAfterMs,
    resetMs: isWindow ? waitMs(windows, slot, { target: 0, nowMs }) : Infinity,
  };
}

function takeOne(views: LimitsViews, worker: number, { demand, nowMs }: { demand: Demand; nowMs: number }): Taken {
  const { scope, what, slot, amount, most } = demand;
  if (what === 'concurrent') lease(views.leases, slot, worker);
  const tick = what === 'concurrent' ? 0 : take(views.windows, slot, { amount, nowMs });
  return { scope, what, slot, amount, most, tick, used: usedNow(views, demand, nowMs) };
}

type Ending = Taken & { by: number };

/** Ends these grants; what of them still has to be changed, and by how much. */
function endingOf(grants: readonly Grant[], by: (taken: Taken) => number): Ending[] {
  const ends: Ending[] = [];
  for (const grant of grants) {
    if (!grant.open) continue;
    grant.open = false;
    for (const taken of grant.taken) {
      const difference = by(taken);
      if (taken.what === 'concurrent' || difference !== 0) ends.push({ ...taken, by: difference });
    }
  }
  return ends;
}

function endAll(views: LimitsViews, worker: number, { ends, now }: { ends: readonly Ending[]; now: () => number }): void {
  if (ends.length === 0) return;
  section(views, worker, ends, () => {
    const nowMs = now();
    for (const { what, slot, tick, by } of ends) {
      if (what === 'concurrent') giveBack(views.leases, slot, worker);
      else {
        sumAt(views.windows, slot, nowMs);
        change(views.windows, slot, { tick, amount: by });
      }
    }
  });
}
