/**
 * State that all workers see at once: shared memory behind a port.
 *
 * Every worker owns one slot and is its only writer, so that a dead worker's share is taken back by zeroing its slot, and no lock is
 * ever held. A sum over all slots is exact enough for a limit: whoever asks adds first and sums then, so two workers may both be
 * refused at the brink, never both be admitted over it.
 */

import { type AccountsMemory } from '../ledger/accounts-memory.ts';
import { type AccountsOverview, createAccountsOverview } from '../ledger/accounts-overview.ts';
import { type Accounts, openAccounts } from '../ledger/accounts.ts';
import { type EndUserMemory, type PlaceMarks, createEndUserMemory, placeMarks } from '../policy/end-user-memory.ts';
import { leased } from '../policy/leases.ts';
import { type Limiter, openLimiter } from '../policy/limiter.ts';
import { type LimitsMemory, createLimitsMemory, limitsViews, reclaimLimits } from '../policy/limits-memory.ts';
import { type LimitsReader, openLimitsReader } from '../policy/limits-reader.ts';
import {
  type RetryBudgets,
  type RetryMemory,
  clearRetries,
  createRetryMemory,
  openRetryBudgets,
} from '../routing/retry-budget.ts';
import { type PinMemory, type Pins, createPinMemory, openPins } from '../routing/pins.ts';
import { type TargetMemory, createTargetMemory } from '../routing/target-memory.ts';
import { type TargetStates, openTargetStates } from '../routing/target-state.ts';
import { type TargetsOverview, createTargetsOverview } from '../routing/targets-overview.ts';
import { PLACE_SPACE } from './place-book.ts';
import { SLOT_SPACE } from './slots.ts';

/** 16 words = one cache line of 64 bytes per slot, against false sharing. */
const SLOT_WORDS = 16;
const HEADER_WORDS = 16;
const KIB = 1024;

const HEADER = { maxInflightKib: 0, storeIsBehind: 1 } as const;
const SLOT = { generation: 0, inflightKib: 1, exchanges: 2, loopDelayP99Us: 3, heartbeatS: 4 } as const;

/** Plain data; crosses threads in `workerData`. */
export interface SharedMemory {
  buffer: SharedArrayBuffer;
  slots: number;
  /** Wall clock at creation, ms: times in the memory count from here, to fit 32 bits. */
  epochMs: number;
  accounts: AccountsMemory;
  limits: LimitsMemory;
  endUsers: EndUserMemory;
  targets: TargetMemory;
  retries: RetryMemory;
  pins: PinMemory;
}

/** A worker's view. */
export interface SharedState {
  /** Budgets. */
  readonly accounts: Accounts;
  /** Requests, tokens and calls at once. */
  readonly limiter: Limiter;
  /** How much of them is used, for the choice of a target. */
  readonly limits: LimitsReader;
  readonly endUsers: PlaceMarks;
  /** Breakers, times and attempts under way, by the places of the snapshot. */
  readonly targets: TargetStates;
  readonly retries: RetryBudgets;
  /** Where stored responses are. */
  readonly pins: Pins;
  /** So many facts wait for a store that is down that calls under a hard budget must be refused. */
  storeIsBehind(): boolean;
  /** False: the process would hold more than its budget of bytes; nothing was reserved. */
  reserveBytes(bytes: number): boolean;
  /** Exactly what was reserved, in one or several pieces. */
  releaseBytes(bytes: number): void;
  exchangeStarted(): void;
  exchangeEnded(): void;
  /** Once a second or so: the worker's loop turns, with this delay since the last beat. */
  beat(nowMs: number, loopDelayP99Ms: number): void;
}

export interface SlotReading {
  generation: number;
  inflightBytes: number;
  exchanges: number;
  loopDelayP99Ms: number;
  heartbeatAgeMs: number;
}

/** Main's view. */
export interface SharedOverview {
  readonly memory: SharedMemory;
  readonly accounts: AccountsOverview;
  readonly endUsers: PlaceMarks;
  readonly targets: TargetsOverview;
  /** For what main finds out itself. */
  readonly targetStates: TargetStates;
  /** The place is another model's from now on. */
  clearRetries(place: number): void;
  /** How many hold a lease of this slot. */
  leased(slot: number): number;
  setMaxInflightBytes(bytes: number): void;
  setStoreIsBehind(isBehind: boolean): void;
  /** Takes back all that a dead worker held, but for money, which its journal decides on; answers the slot's new generation. Only after the thread is gone. */
  reclaim(worker: number): number;
  read(worker: number, nowMs: number): SlotReading;
}

/** Zeroed memory for that many workers; no limit on bytes in flight until one is set. */
export function createSharedOverview(slots: number, nowMs: number): SharedOverview {
  const buffer = new SharedArrayBuffer((HEADER_WORDS + slots * SLOT_WORDS) * Int32Array.BYTES_PER_ELEMENT);
  const accounts = createAccountsOverview(SLOT_SPACE.accounts, slots);
  const { windows, leases } = SLOT_SPACE;
  const limits = createLimitsMemory({ windows, leases, workers: slots }, threadsClockMs());
  const limitsSeen = limitsViews(limits);
  const endUsers = createEndUserMemory(threadsClockMs());
  // The last column is main's, for its health checks.
  const targetMemory = createTargetMemory({ places: PLACE_SPACE.targets, workers: slots + 1 }, nowMs);
  const targets = createTargetsOverview(targetMemory);
  const retries = createRetryMemory(PLACE_SPACE.models, nowMs);
  const own = { buffer, slots, epochMs: nowMs };
  const memory: SharedMemory = {
    ...own,
    accounts: accounts.memory,
    limits,
    endUsers,
    targets: targetMemory,
    retries,
    pins: createPinMemory(),
  };
  const words = new Int32Array(buffer);
  const load = (worker: number, field: number): number => Atomics.load(words, at(worker, field));
  Atomics.store(words, HEADER.maxInflightKib, 2 ** 31 - 1);
  return {
    memory,
    accounts,
    endUsers: placeMarks(endUsers, threadsClockMs),
    targets,
    targetStates: openTargetStates(targetMemory, slots),
    clearRetries: (place) => clearRetries(retries, place),
    leased: (slot) => leased(limitsSeen.leases, slot),
    setMaxInflightBytes: (bytes) => {
      Atomics.store(words, HEADER.maxInflightKib, Math.ceil(bytes / KIB));
    },
    setStoreIsBehind: (isBehind) => {
      Atomics.store(words, HEADER.storeIsBehind, isBehind ? 1 : 0);
    },
    reclaim: (worker) => {
      accounts.repair(worker);
      reclaimLimits(limitsSeen, worker);
      targets.reclaim(worker);
      for (let field = SLOT.generation + 1; field < SLOT_WORDS; field++) Atomics.store(words, at(worker, field), 0);
      return Atomics.add(words, at(worker, SLOT.generation), 1) + 1;
    },
    read: (worker, nowMs) => ({
      generation: load(worker, SLOT.generation),
      inflightBytes: load(worker, SLOT.inflightKib) * KIB,
      exchanges: load(worker, SLOT.exchanges),
      loopDelayP99Ms: load(worker, SLOT.loopDelayP99Us) / 1000,
      heartbeatAgeMs: Math.max(0, nowMs - memory.epochMs - load(worker, SLOT.heartbeatS) * 1000),
    }),
  };
}

/** The view of one worker. Counts are kept exactly in the thread and published in KiB, since 32 bits do not hold bytes. */
export function openSharedState(memory: SharedMemory, worker: number): SharedState {
  const words = new Int32Array(memory.buffer);
  let bytes = 0;
  let exchanges = 0;
  const publish = (field: number, value: number): void => {
    Atomics.store(words, at(worker, field), value);
  };
  const setBytes = (next: number): void => {
    bytes = Math.max(0, next);
    publish(SLOT.inflightKib, Math.ceil(bytes / KIB));
  };
  return {
    accounts: openAccounts(memory.accounts, worker),
    endUsers: placeMarks(memory.endUsers, threadsClockMs),
    limiter: openLimiter(memory.limits, worker, threadsClockMs),
    limits: openLimitsReader(memory.limits, threadsClockMs),
    targets: openTargetStates(memory.targets, worker),
    retries: openRetryBudgets(memory.retries),
    pins: openPins(memory.pins),
    storeIsBehind: () => Atomics.load(words, HEADER.storeIsBehind) === 1,
    reserveBytes: (wanted) => {
      setBytes(bytes + wanted);
      if (totalKib(words, memory.slots) <= Atomics.load(words, HEADER.maxInflightKib)) return true;
      setBytes(bytes - wanted);
      return false;
    },
    releaseBytes: (held) => setBytes(bytes - held),
    exchangeStarted: () => publish(SLOT.exchanges, ++exchanges),
    exchangeEnded: () => publish(SLOT.exchanges, --exchanges),
    beat: (nowMs, loopDelayP99Ms) => {
      publish(SLOT.loopDelayP99Us, Math.round(loopDelayP99Ms * 1000));
      publish(SLOT.heartbeatS, Math.floor((nowMs - memory.epochMs) / 1000));
    },
  };
}

/** Milliseconds of the one clock that all threads read alike and nobody sets: `performance.now()` counts in each from its own beginning. */
function threadsClockMs(): number {
  const [s, ns] = process.hrtime();
  return s * 1000 + ns / 1e6;
}

function at(worker: number, field: number): number {
  return HEADER_WORDS + worker * SLOT_WORDS + field;
}

function totalKib(words: Int32Array, slots: number): number {
  let total = 0;
  for (let worker = 0; worker < slots; worker++) total += Atomics.load(words, at(worker, SLOT.inflightKib));
  return total;
}
