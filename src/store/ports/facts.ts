/** The way of facts into the store: batches of a journal's records, each exactly once. */
import type { Fact } from '../../core/fact.ts';

/** Records of one segment in their order, and the bytes that they stand in. */
export interface ImportBatch {
  /** Which installation's data directory the segment lies in; segments of one name may exist in several. */
  node: string;
  /** Segment's file name, `w{worker}-{boot}-{segment}.jnl`. */
  file: string;
  /** Thread that wrote it, `w{worker}-{boot}`. */
  thread: string;
  fromByte: number;
  toByte: number;
  facts: readonly Fact[];
}

export interface Imported {
  /** How many facts were new. */
  taken: number;
  /** Where the segment's position stands now. */
  position: number;
}

export interface FactsPort {
  /** Up to which byte each segment of that node is imported, by file name. */
  positions(node: string): Promise<Record<string, number>>;
  /**
   * Request log, ledger, counters and roll-ups take the facts, in one transaction with the position. A batch that does not begin where the segment's position
   * stands is not taken.
   */
  import(batch: ImportBatch): Promise<Imported>;
  /** Reservations of these threads that nothing has ended are charged, as estimated; answers how many. `except`: all threads of the node but these. */
  expire(node: string, threads: { only: readonly string[] } | { except: readonly string[] }): Promise<number>;
  /** What is committed survives a loss of power from here on. */
  durable(): Promise<void>;
  /** Forgets the positions of segments that are gone. */
  forget(node: string, files: readonly string[]): Promise<void>;
  /** Writes something, to know whether it can. */
  probe(): Promise<void>;
}
