/** A map that forgets what was used longest ago. */
export interface Lru<K, V> {
  get: (key: K) => V | undefined;
  set: (key: K, value: V) => void;
  readonly size: number;
}

/** At most `maxEntries`; a Map's own order of insertion is the order of use. */
export function createLru<K, V>(maxEntries: number): Lru<K, V> {
  const entries = new Map<K, V>();
  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size <= maxEntries) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        return;
      }
    },
    get size() {
      return entries.size;
    },
  };
}
