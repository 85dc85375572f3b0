/** People who sign on, and whom tokens stand for, on main. */
import { randomBytes } from 'node:crypto';

import type { Snapshot } from '../config/snapshot.ts';
import type { AuditTrail } from '../control/contract/audit.ts';
import type { DirectoryService } from '../control/directory/directory.ts';
import { type PeopleDesk, createPeopleDesk } from '../control/people/desk.ts';
import { createIdSource } from '../lib/ids.ts';
import type { Keyring } from '../lib/seal.ts';
import type { Store } from '../store/store.ts';
import { createFetch } from '../upstream/fetch.ts';
import { publicUrl } from './listen.ts';
import type { Control } from './messages.ts';

export interface PeopleOptions {
  control: Pick<Control, 'ask' | 'log'>;
  store: Store;
  directory: DirectoryService;
  ring: Keyring;
  /** The snapshot in force. */
  snapshot: () => Snapshot;
}

const ISSUER_TIMEOUT_MS = 10_000;
const ISSUER_ANSWER_BYTES = 1024 * 1024;

export function createPeople({ control, store, directory, ring, snapshot }: PeopleOptions): PeopleDesk {
  const { timedId } = createIdSource(randomBytes);
  const nowMs = Date.now;
  return createPeopleDesk({
    store,
    directory,
    audit: openAudit(store, snapshot),
    snapshot,
    publicUrl: () => snapshot().server.publicUrl ?? publicUrl(snapshot().server),
    fetchOut: (issuer) =>
      createFetch(control.ask, {
        timeoutMs: ISSUER_TIMEOUT_MS,
        maxBytes: ISSUER_ANSWER_BYTES,
        // What the issuer's document names elsewhere is not the operator's word.
        trustOf: (url) => (URL.parse(url)?.origin === URL.parse(issuer)?.origin ? 'operator' : 'outside'),
      }),
    ring,
    nowMs,
    random: randomBytes,
    newId: (prefix) => timedId(prefix, nowMs()),
    log: control.log,
  });
}

/** A writer of its own: several make one log. Loaded with the first person who is not yet known. */
function openAudit(store: Store, snapshot: () => Snapshot): () => Promise<AuditTrail> {
  let opened: Promise<AuditTrail> | undefined;
  return () => {
    opened ??= Promise.all([import('../control/audit-trail.ts'), import('../control/audit-chain.ts')]).then(([trail, chain]) =>
      trail.createAuditTrail({
        store: store.audit,
        key: chain.auditKey(snapshot().pepper),
        nowMs: Date.now,
        onCheckpoint: () => {},
      }),
    );
    return opened;
  };
}
