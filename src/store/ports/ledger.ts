/** The record of money: what was spent, and the proof that the counters say so. */
import type { NanoUsd } from '../../core/money.ts';
import type { Scope } from '../../core/rules.ts';

export interface SpendQuery {
  scope: Scope;
  /** Beginning of a window; a multiple of a quarter of an hour. 0: all there ever was. */
  sinceMs: number;
}

/** A counter that is not the sum of its records. */
export interface LedgerDifference {
  scope: string;
  /** Beginning of the quarter of an hour. */
  quarterMs: number;
  countedNanoUsd: NanoUsd;
  recordedNanoUsd: NanoUsd;
}

export interface LedgerProof {
  entries: number;
  counters: number;
  /** Sum of all records. */
  nanoUsd: NanoUsd;
  /** Nothing before this instant can be proven: its records were given up by retention. */
  sinceMs: number;
  /** The first hundred. */
  differences: LedgerDifference[];
}

export interface LedgerPort {
  /** In the order of the queries. */
  spentSince(queries: readonly SpendQuery[]): Promise<NanoUsd[]>;
  /** Recomputes all counters from the records and compares, exactly. */
  verify(): Promise<LedgerProof>;
}
