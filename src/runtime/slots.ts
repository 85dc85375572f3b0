/**
 * Places in shared memory, by what they count for. Main gives them out; workers find them in the rules they are sent.
 *
 * Windows, leases and accounts are memories of their own, each numbered from 0. A place stays with its scope and kind until the scope is forgotten; one that was
 * given back waits at the end of the row, so that exchanges still under way do not count for a stranger.
 */
import type { Rules, Scope, SlotKind, SlotOf, WindowKind } from '../core/rules.ts';
import type { NewAccount } from '../ledger/fill-accounts.ts';

/** How many places each memory has. */
export interface SlotSpace {
  windows: number;
  leases: number;
  accounts: number;
}

/** Pages of memory that nobody counts in cost nothing. */
export const SLOT_SPACE: SlotSpace = { windows: 262_144, leases: 131_072, accounts: 131_072 };

export interface SlotBook {
  /** Throws SlotsExhausted where the memory has none left. */
  slotOf: SlotOf;
  /** The same, for an account that whoever asks fills himself. */
  ownSlotOf: SlotOf;
  /** Gives back all places of a scope that is gone. `unused`: no worker ever knew them, so they may be somebody else's at once. */
  forget: (scope: Scope, unused?: 'unused') => void;
  /** Gives back the accounts of a scope that these rules do not count in: what is spent meanwhile is not in them, so that a budget which comes back needs another. */
  keep: (scope: Scope, rules: Rules | undefined) => void;
  /** Accounts that nobody has filled yet: whoever puts rules in force does so first. Where filling them fails, they stay to be filled. */
  fillNew: (fill: (accounts: readonly NewAccount[]) => Promise<void>) => Promise<void>;
}

export class SlotsExhausted extends Error {
  constructor(memory: keyof SlotSpace) {
    super(`no place is left in shared memory for more ${memory === 'accounts' ? 'budgets' : 'limits'}`);
    this.name = 'SlotsExhausted';
  }
}

/** Longer than nearly every exchange lasts. */
const QUARANTINE_MS = 3_600_000;

interface Place {
  kind: SlotKind;
  slot: number;
}

interface Memory {
  name: keyof SlotSpace;
  size: number;
  next: number;
  /** Oldest first. */
  freed: { slot: number; atMs: number }[];
}

export function createSlotBook(space: SlotSpace, nowMs: () => number): SlotBook {
  const memories = {
    windows: memoryOf('windows', space),
    leases: memoryOf('leases', space),
    accounts: memoryOf('accounts', space),
  };
  const places = new Map<Scope, readonly Place[]>();
  const unfilled = new Map<number, NewAccount>();
  const slotOf: SlotOf = (scope, kind) => {
    const own = places.get(scope) ?? [];
    const known = own.find((place) => place.kind === kind);
    if (known !== undefined) return known.slot;
    const memory = memories[memoryFor(kind)];
    const isReused = memory.next === memory.size;
    const slot = take(memory, nowMs());
    places.set(scope, [...own, { kind, slot }]);
    if (memory === memories.accounts) unfilled.set(slot, { slot, scope, isReused, ...windowOf(kind) });
    return slot;
  };
  return {
    slotOf,
    ownSlotOf(scope, kind) {
      const slot = slotOf(scope, kind);
      if (memoryFor(kind) === 'accounts') unfilled.delete(slot);
      return slot;
    },
    forget(scope, unused) {
      const atMs = nowMs();
      for (const { kind, slot } of places.get(scope) ?? []) {
        const memory = memories[memoryFor(kind)];
        if (unused === undefined) memory.freed.push({ slot, atMs });
        else memory.freed.unshift({ slot, atMs: -Infinity });
        if (memory === memories.accounts) unfilled.delete(slot);
      }
      places.delete(scope);
    },
    keep(scope, rules) {
      const used = new Set(rules?.budgets.map(({ slot }) => slot));
      const isLeft = ({ kind, slot }: Place): boolean => memoryFor(kind) === 'accounts' && !used.has(slot);
      const own = places.get(scope) ?? [];
      for (const { slot } of own.filter(isLeft)) {
        memories.accounts.freed.push({ slot, atMs: nowMs() });
        unfilled.delete(slot);
      }
      if (own.some(isLeft))
        places.set(
          scope,
          own.filter((place) => !isLeft(place)),
        );
    },
    async fillNew(fill) {
      const fresh = [...unfilled.values()];
      if (fresh.length === 0) return;
      await fill(fresh);
      for (const { slot } of fresh) unfilled.delete(slot);
    },
  };
}

function memoryOf(name: keyof SlotSpace, space: SlotSpace): Memory {
  return { name, size: space[name], next: 0, freed: [] };
}

/** `budget:<window>:<zone>` */
function windowOf(kind: SlotKind): Pick<NewAccount, 'window' | 'timeZone'> {
  const [, window = '', ...zone] = kind.split(':');
  return { window: window as WindowKind, timeZone: zone.join(':') };
}

function memoryFor(kind: SlotKind): keyof SlotSpace {
  if (kind === 'requests' || kind === 'tokens') return 'windows';
  return kind === 'concurrent' ? 'leases' : 'accounts';
}

function take(memory: Memory, nowMs: number): number {
  if (memory.next < memory.size) return memory.next++;
  const oldest = memory.freed[0];
  if (oldest === undefined || oldest.atMs > nowMs - QUARANTINE_MS) throw new SlotsExhausted(memory.name);
  memory.freed.shift();
  return oldest.slot;
}
