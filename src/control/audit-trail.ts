/** Writes the audit log: one row after another, each chained to the last, also where several processes write into one store. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { AuditHead, AuditPort, AuditRow } from '../store/ports/audit.ts';
import { StoreError } from '../store/store.ts';
import { chained } from './audit-chain.ts';
import type { Actor } from './contract/actor.ts';
import type { AuditTrail } from './contract/audit.ts';

export interface AuditTrailParts {
  store: Pick<AuditPort, 'head' | 'append'>;
  key: Buffer;
  nowMs: () => number;
  /** A row's number and hash, for a place that whoever can change the store cannot. */
  onCheckpoint: (head: AuditHead) => void;
}

export interface RunningAuditTrail extends AuditTrail {
  /** Tells the last row, if it was not told yet. Call it once an hour, and at the end. */
  checkpoint(): void;
}

const ROWS_PER_CHECKPOINT = 1_000;
/** So many others may write in between before we give up. */
const TRIES = 40;

type Unchained = Omit<AuditRow, 'seq' | 'prev' | 'hash'>;

export function createAuditTrail({ store, key, nowMs, onCheckpoint }: AuditTrailParts): RunningAuditTrail {
  let head: AuditHead | undefined;
  let told = 0;
  let last: Promise<unknown> = Promise.resolve();

  const checkpoint = (): void => {
    if (head === undefined || head.seq === told) return;
    told = head.seq;
    onCheckpoint(head);
  };
  const write = async (row: Unchained): Promise<void> => {
    for (let tries = 1; ; tries++) {
      const from = (head ??= await store.head());
      const next = chained(key, from, row);
      try {
        await store.append(next);
        head = { seq: next.seq, hash: next.hash };
        if (head.seq % ROWS_PER_CHECKPOINT === 0) checkpoint();
        return;
      } catch (error) {
        // Also after a failure that may have come too late to hinder the writing.
        head = undefined;
        if (!(error instanceof StoreError && error.code === 'conflict')) throw error;
        // Whatever it is that always conflicts: for whoever acts, the log cannot be written.
        if (tries === TRIES) throw new StoreError('store_down', 'the audit log cannot be written', error);
        await sleep(tries);
      }
    }
  };
  const append = (row: Unchained): Promise<void> => {
    const written = last.then(() => write(row));
    last = written.catch(() => undefined);
    return written;
  };

  return {
    checkpoint,
    begin: async ({ actor, via, action, ip, requestId, target }) => {
      const common = { actor: nameOf(actor), via, action, ip, requestId };
      const nothing = { before: null, after: null, error: null };
      await append({ ...common, ...nothing, atMs: nowMs(), outcome: 'begun', target: target ?? null });
      return {
        done: ({ target, before, after }) =>
          append({ ...common, ...nothing, atMs: nowMs(), outcome: 'done', target, before: jsonOf(before), after: jsonOf(after) }),
        failed: (code) =>
          append({ ...common, ...nothing, atMs: nowMs(), outcome: 'failed', target: target ?? null, error: code }),
      };
    },
  };
}

function nameOf(actor: Actor): string {
  return actor.kind === 'user' ? actor.id : actor.kind;
}

/** Views of the API have no secrets; should one ever get a field of such a name, it stays out of the log. */
const SECRET = /^(key|token|secret|password|digest|hash|api_key|credential|authorization)s?$/i;

function jsonOf(value: object | undefined): string | null {
  if (value === undefined) return null;
  return JSON.stringify(value, (name, inner: unknown) => (SECRET.test(name) && typeof inner === 'string' ? '[removed]' : inner));
}
