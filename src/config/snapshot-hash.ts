import { keyDigest } from '../core/key-digest.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * 16 hex characters that are equal exactly where the configuration is. Made with the pepper, since the configuration holds secrets and the
 * hash is public. List prices, the time of reading and places in shared memory are left out: they change without the operator doing anything.
 */
export function hashOf({ models, keys, rules, ...content }: Omit<Snapshot, 'hash' | 'version'>): string {
  const configured = models.map(({ createdS: _createdS, targets, ...model }) => [
    model,
    targets.map(({ priceState: _priceState, ...target }) => target),
  ]);
  return keyDigest(content.pepper, canonicalJson([content, configured, placeless(keys), placeless(rules)])).slice(0, 16);
}

/** Without places in shared memory, which differ from one process to the next. */
function placeless(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member: unknown) => (key === 'slot' ? undefined : member)));
}

/** JSON whose members stand in the order of their names, whatever the order in the file. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (key, member: unknown) =>
    key === 'slot'
      ? undefined
      : typeof member === 'object' && member !== null && !Array.isArray(member)
        ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
        : member,
  );
}
