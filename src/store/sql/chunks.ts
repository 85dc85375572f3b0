/** Values in one list: below the number of parameters that every database takes. */
export const VALUES = 500;

/** Consecutive pieces of at most `size`. */
export function* chunksOf<Item>(items: readonly Item[], size: number): Generator<Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
