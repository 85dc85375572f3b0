/** What crosses between main and the store's thread; plain data. */
import type { Retention } from '../store/ports/usage.ts';
import type { JournalPosition } from './journal.ts';
import type { LogLevel } from './messages.ts';
import type { StoreAnswer, StoreCall } from './store-rpc.ts';

/** `workerData` of the store's thread. */
export interface StoreBoot {
  /** What `openStore` takes. */
  url: string;
  /** The data directory's name in a store that several share. */
  node: string;
  journalDir: string;
  /** Threads `w{worker}-{boot}` that write at this moment: a store's thread that replaces a dead one does not expire what they hold. */
  alive: readonly string[];
  retention: Retention;
}

export type ToStore =
  | StoreCall
  | { type: 'position'; position: JournalPosition }
  /** Main has read that segment whole. */
  | { type: 'left'; file: string }
  | { type: 'gone'; thread: string }
  | { type: 'retention'; retention: Retention }
  /** Imports what is announced, if it can, and closes. */
  | { type: 'close' };

export type FromStore =
  | StoreAnswer
  /** Open, and all that earlier runs left is imported. */
  | { type: 'ready'; migrated: readonly string[]; facts: number; expired: number }
  | { type: 'unusable'; message: string }
  | { type: 'health'; up: boolean; reason?: string }
  /** Bytes of facts that are not yet in the store. */
  | { type: 'lag'; bytes: number }
  | { type: 'log'; level: LogLevel; fields: Record<string, unknown>; message: string }
  | { type: 'closed' };
