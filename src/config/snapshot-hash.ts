import { keyDigest } from '../core/key-digest.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * 16 hex characters that are equal exactly where the configuration is. Made with the pepper, since the configuration holds secrets and the
 * hash is public. List prices and the time of reading are left out: they change without the operator doing anything.
 */
export function hashOf({ models, ...content }: Omit<Snapshot, 'hash' | 'version'>): string {
  const configured = models.map(({ createdS: _createdS, targets, ...model }) => [
    model,
    targets.map(({ priceState: _priceState, ...target }) => target),
  ]);
  return keyDigest(content.pepper, canonicalJson([content, configured])).slice(0, 16);
}

/** JSON whose members stand in the order of their names, whatever the order in the file. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
