/** Ways to prove who one is to the control plane. */
import { timingSafeEqual } from 'node:crypto';

import type { Snapshot } from '../config/snapshot.ts';
import { keyDigest } from '../core/key-digest.ts';
import type { Identify } from './mount.ts';

const BEARER = /^bearer +(\S+) *$/i;

/** What `Authorization: Bearer …` carries. */
function bearerOf(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

/**
 * The admin key, or a management token of a person. `personOf` knows a token by its digest, and answers only for tokens and people that are good at that
 * moment.
 */
export function identifyByBearer(parts: {
  snapshot: () => Pick<Snapshot, 'pepper' | 'adminKeyDigest'>;
  personOf: (tokenDigest: string) => ReturnType<Identify>;
}): Identify {
  return ({ headers }) => {
    const presented = bearerOf(headers.authorization);
    // Another scheme, or none at all, may be another way.
    if (presented === undefined) return headers.authorization === undefined ? undefined : null;
    const { pepper, adminKeyDigest } = parts.snapshot();
    const digest = keyDigest(pepper, presented);
    if (timingSafeEqual(Buffer.from(digest), Buffer.from(adminKeyDigest))) return { actor: { kind: 'root' }, via: 'admin_key' };
    return parts.personOf(digest);
  };
}
