/**
 * The life of one entry of the ledger, as a pure function: reserved, then ended exactly once by being settled, released or expired.
 *
 * Records may come twice, and an end may come before its reservation where journals are read again: applying a record a second time changes nothing, and the first
 * end is the end.
 */
import type { NanoUsd } from '../core/money.ts';

export type Entry =
  | { state: 'open'; reservedNanoUsd: NanoUsd; floorNanoUsd: NanoUsd; checkpointNanoUsd: NanoUsd }
  | { state: 'settled' | 'released' | 'expired'; nanoUsd: NanoUsd };

/** What a record says of an entry. `checkpoint`: what it has cost so far. `expire`: whoever would have ended it is dead. */
export type Move =
  | { type: 'reserve'; nanoUsd: NanoUsd; floorNanoUsd: NanoUsd }
  | { type: 'checkpoint'; nanoUsd: NanoUsd }
  | { type: 'settle'; nanoUsd: NanoUsd }
  | { type: 'release' }
  | { type: 'expire' };

/** The entry after the move; the very same one where the move says nothing new. */
export function nextEntry(entry: Entry | undefined, move: Move): Entry | undefined {
  if (entry === undefined) return BEGIN[move.type]?.(move as never);
  return entry.state === 'open' ? GO_ON[move.type](entry, move as never) : entry;
}

type Open = Extract<Entry, { state: 'open' }>;
type MoveOf<Type> = Extract<Move, { type: Type }>;

/** Without a reservation there is nothing to note, or to expire. */
const BEGIN: { [Type in Move['type']]?: (move: MoveOf<Type>) => Entry } = {
  reserve: ({ nanoUsd, floorNanoUsd }) => ({ state: 'open', reservedNanoUsd: nanoUsd, floorNanoUsd, checkpointNanoUsd: 0 }),
  settle: ({ nanoUsd }) => ({ state: 'settled', nanoUsd }),
  release: () => ({ state: 'released', nanoUsd: 0 }),
};

const GO_ON: { [Type in Move['type']]: (entry: Open, move: MoveOf<Type>) => Entry } = {
  reserve: (entry) => entry,
  // A later checkpoint says more, and one that is read again less.
  checkpoint: (entry, { nanoUsd }) => (nanoUsd > entry.checkpointNanoUsd ? { ...entry, checkpointNanoUsd: nanoUsd } : entry),
  settle: (_, { nanoUsd }) => ({ state: 'settled', nanoUsd }),
  release: () => ({ state: 'released', nanoUsd: 0 }),
  expire: ({ floorNanoUsd, checkpointNanoUsd }) => ({
    state: 'expired',
    nanoUsd: Math.max(floorNanoUsd, checkpointNanoUsd),
  }),
};
