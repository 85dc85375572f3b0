/** Keys that descend from keys, and lists read to their end. */
import type { EntitiesPort, Entities, EntityKind, EntityQuery, Key } from '../../store/ports/entities.ts';

const PAGE = 500;

/** Every entity that the query finds. */
export async function allOf<Kind extends EntityKind>(
  entities: EntitiesPort,
  kind: Kind,
  query: Omit<EntityQuery, 'limit' | 'afterId'>,
): Promise<Entities[Kind][]> {
  const found: Entities[Kind][] = [];
  for (;;) {
    const page = await entities.list(kind, { ...query, limit: PAGE, ...(found.length > 0 && { afterId: found.at(-1)!.id }) });
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

/** These keys and all that descend from them, each once. */
export async function withDescendants(entities: EntitiesPort, keys: readonly Key[]): Promise<Key[]> {
  const found = new Map(keys.map((key) => [key.id, key]));
  for (const { id } of found.values()) {
    // A Map's walk takes in what is added behind.
    for (const child of await allOf(entities, 'key', { parent: id })) found.set(child.id, child);
  }
  return [...found.values()];
}
