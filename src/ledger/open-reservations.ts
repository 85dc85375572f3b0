/**
 * Reservations that no exchange has ended yet, folded from the facts of every thread: what a dead one leaves behind is charged to the accounts of shared memory
 * as the store will charge it in the ledger.
 */
import type { ExchangeFact } from '../core/exchange.ts';
import type { CheckpointFact, Fact, ReserveFact } from '../core/fact.ts';
import type { Charge } from './accounts-overview.ts';
import { type Entry, type Move, nextEntry } from './state.ts';

export interface OpenReservations {
  /** Facts in the order of their thread. */
  observe(fact: Fact, thread: string): void;
  /** The thread is gone and all that it journaled has been observed: what its open reservations cost. */
  expire(thread: string): Charge[];
}

interface Attempt {
  entry: Entry;
  holds: NonNullable<ReserveFact['holds']>;
}

/** Attempts of exchanges under way, by the exchange's id and their number. */
type Exchanges = Map<string, Map<number, Attempt>>;

export function createOpenReservations(): OpenReservations {
  const threads = new Map<string, Exchanges>();
  return {
    observe(fact, thread) {
      let exchanges = threads.get(thread);
      if (fact.kind === 'reserve') {
        // What no budget counts need not be given back.
        if (fact.holds === undefined || fact.holds.length === 0) return;
        if (exchanges === undefined) threads.set(thread, (exchanges = new Map()));
        open(exchanges, fact, fact.holds);
      } else if (exchanges !== undefined && fact.kind === 'checkpoint') checkpoint(exchanges, fact);
      else if (exchanges !== undefined && fact.kind === 'exchange') end(exchanges, fact);
    },
    expire(thread) {
      const left = threads.get(thread) ?? new Map<string, Map<number, Attempt>>();
      threads.delete(thread);
      return [...left.values()].flatMap((attempts) => [...attempts.values()].flatMap(chargesOf));
    },
  };
}

function open(exchanges: Exchanges, fact: ReserveFact, holds: Attempt['holds']): void {
  const entry = nextEntry(undefined, { type: 'reserve', nanoUsd: fact.nanoUsd, floorNanoUsd: fact.floorNanoUsd });
  const attempts = exchanges.get(fact.id) ?? new Map<number, Attempt>();
  exchanges.set(fact.id, attempts);
  if (entry !== undefined && !attempts.has(fact.attempt)) attempts.set(fact.attempt, { entry, holds });
}

function checkpoint(exchanges: Exchanges, { id, attempt, nanoUsd }: CheckpointFact): void {
  move(exchanges.get(id)?.get(attempt), { type: 'checkpoint', nanoUsd });
}

/** With its exchange every attempt has ended, each as the exchange says: by a charge or by none. */
function end(exchanges: Exchanges, { id }: ExchangeFact): void {
  exchanges.delete(id);
}

function move(attempt: Attempt | undefined, step: Move): void {
  if (attempt !== undefined) attempt.entry = nextEntry(attempt.entry, step) ?? attempt.entry;
}

function chargesOf(attempt: Attempt): Charge[] {
  move(attempt, { type: 'expire' });
  const { entry, holds } = attempt;
  if (entry.state === 'open') return [];
  return holds.map(({ slot, windowStartMs }) => ({ slot, windowStartMs, nanoUsd: entry.nanoUsd }));
}
