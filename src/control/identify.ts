/** Ways to prove who one is to the control plane. */
import { timingSafeEqual } from 'node:crypto';

import type { Snapshot } from '../config/snapshot.ts';
import { keyDigest } from '../core/key-digest.ts';
import { isManagementToken } from '../core/key-format.ts';
import type { EntitiesPort } from '../store/ports/entities.ts';
import { loadActor } from './actor.ts';
import type { Identity } from './contract/actor.ts';
import { type Identify, isOfAgents } from './mount.ts';

/** As the relay of the workers names it (gateway/control-relay.ts). */
const AGENT_GRANTS_HEADER = 'x-signalbox-agent-grants';
const BEARER = /^bearer +(\S+) *$/i;

function bearerOf(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

/** What `Authorization: Bearer …` carries: the admin key, or a management token of a person. A key for models proves nothing here. */
export function identifyByBearer(parts: {
  snapshot: () => Pick<Snapshot, 'pepper' | 'adminKeyDigest'>;
  entities: Pick<EntitiesPort, 'byDigest' | 'get' | 'membershipsOf'>;
  nowMs: () => number;
}): Identify {
  return ({ headers }) => {
    const presented = bearerOf(headers.authorization);
    // Another scheme is tried and proves nothing; no header at all may be another way.
    if (presented === undefined) return headers.authorization === undefined ? undefined : null;
    const { pepper, adminKeyDigest } = parts.snapshot();
    const digest = keyDigest(pepper, presented);
    if (timingSafeEqual(Buffer.from(digest), Buffer.from(adminKeyDigest))) return { actor: { kind: 'root' }, via: 'admin_key' };
    // Mistyped and made-up ones do not get as far as the store.
    return isManagementToken(presented) ? identifyByToken(parts.entities, digest, parts.nowMs()) : null;
  };
}

/** What a worker has found out of a virtual key; only it can set that header, and only where agents are listed. */
export const identifyByGrants: Identify = ({ path, headers }) => {
  const told = headers[AGENT_GRANTS_HEADER];
  if (typeof told !== 'string' || !isOfAgents(path)) return undefined;
  const { key, grants } = JSON.parse(told) as { key: string; grants: string[][] };
  return { actor: { kind: 'caller', key, grants }, via: 'key' };
};

async function identifyByToken(
  entities: Pick<EntitiesPort, 'byDigest' | 'get' | 'membershipsOf'>,
  digest: string,
  nowMs: number,
): Promise<Identity | null> {
  const token = await entities.byDigest(digest);
  if (token?.kind !== 'token' || (token.expiresAtMs !== undefined && nowMs >= token.expiresAtMs)) return null;
  const actor = await loadActor(entities, token.principal);
  return actor === undefined ? null : { actor, via: 'token' };
}
