/** Keys that will end, so that their end is told and what they take is given back. */
import type { KeyEntry } from '../core/directory.ts';

type Ending = Pick<KeyEntry, 'id' | 'name' | 'expiresAtMs'>;

export interface Expiries {
  /** A key of the store as it is now. */
  note: (key: Ending) => void;
  forget: (id: string) => void;
  /** What has ended since the last call: all of it, and which of it the store holds. Each is told once. */
  take: (nowMs: number, fileKeys: readonly Ending[]) => { ended: { id: string; name: string }[]; stored: string[] };
}

export function createExpiries(): Expiries {
  const stored = new Map<string, Ending & { expiresAtMs: number }>();
  let lastMs: number | undefined;
  return {
    note: (key) => {
      if (key.expiresAtMs === undefined) stored.delete(key.id);
      else stored.set(key.id, { id: key.id, name: key.name, expiresAtMs: key.expiresAtMs });
    },
    forget: (id) => void stored.delete(id),
    take: (nowMs, fileKeys) => {
      const sinceMs = lastMs ?? nowMs;
      lastMs = nowMs;
      const gone = [...stored.values()].filter(({ expiresAtMs }) => expiresAtMs <= nowMs);
      for (const { id } of gone) stored.delete(id);
      const inFile = fileKeys.filter(({ expiresAtMs = Infinity }) => expiresAtMs > sinceMs && expiresAtMs <= nowMs);
      return { ended: [...gone, ...inFile].map(({ id, name }) => ({ id, name })), stored: gone.map(({ id }) => id) };
    },
  };
}
