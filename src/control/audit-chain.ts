/**
 * The chain of the audit log: each row's hash is an HMAC over the hash before it and all of its own fields, under a key that only this installation can derive.
 *
 * What it proves: no row was changed, removed from the middle, inserted or reordered by somebody without the installation's secret. What it cannot: whoever holds
 * the secret can write another history, and the newest rows can be cut off. Against both stand checkpoints, kept elsewhere: a checkpoint that the log no longer
 * agrees with is the proof.
 */
import { createHmac, hkdfSync } from 'node:crypto';

import type { AuditHead, AuditRow } from '../store/ports/audit.ts';

const KEY_BYTES = 32;

/** `secret`: the installation's, hex. */
export function auditKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'hex'), '', 'signalbox audit/v1', KEY_BYTES));
}

export function chained(key: Buffer, head: AuditHead, row: Omit<AuditRow, 'seq' | 'prev' | 'hash'>): AuditRow {
  const linked = { ...row, seq: head.seq + 1, prev: head.hash };
  return { ...linked, hash: hashOf(key, linked) };
}

/** A list, because its order is its own: canonical without a rule for sorting. */
function hashOf(key: Buffer, row: Omit<AuditRow, 'hash'>): string {
  const { seq, atMs, actor, via, action, outcome, target, before, after, error, ip, requestId } = row;
  const fields = JSON.stringify([seq, atMs, actor, via, action, outcome, target, before, after, error, ip, requestId]);
  return createHmac('sha256', key).update(row.prev).update('\n').update(fields).digest('hex');
}

export interface ChainFault {
  seq: number;
  /** `gap`: rows before it are missing. `link`: it does not follow the row before it. `hash`: it is not as it was written. */
  fault: 'gap' | 'link' | 'hash' | 'checkpoint';
}

export interface ChainProof {
  rows: number;
  /** The last row: a checkpoint to keep elsewhere. */
  head: AuditHead;
  /** The first hundred. */
  faults: ChainFault[];
  /** Checkpoints that the log agrees with. */
  confirmed: number;
}

const MAX_FAULTS = 100;

/** Checks row after row as they come, oldest first. `checkpoints`: heads that were kept elsewhere. */
export function createChainCheck(
  key: Buffer,
  checkpoints: readonly AuditHead[],
): { take: (row: AuditRow) => void; end: () => ChainProof } {
  const expected = new Map(checkpoints.map(({ seq, hash }) => [seq, hash]));
  const proof: ChainProof = { rows: 0, head: { seq: 0, hash: '' }, faults: [], confirmed: 0 };
  const fault = (seq: number, kind: ChainFault['fault']): void => {
    if (proof.faults.length < MAX_FAULTS) proof.faults.push({ seq, fault: kind });
  };
  return {
    take(row) {
      if (row.seq !== proof.head.seq + 1) fault(row.seq, 'gap');
      else if (row.prev !== proof.head.hash) fault(row.seq, 'link');
      if (hashOf(key, row) !== row.hash) fault(row.seq, 'hash');
      if (expected.get(row.seq) === row.hash) {
        proof.confirmed += 1;
        expected.delete(row.seq);
      }
      proof.rows += 1;
      proof.head = { seq: row.seq, hash: row.hash };
    },
    end() {
      for (const seq of expected.keys()) fault(seq, 'checkpoint');
      return proof;
    },
  };
}

const BATCH_ROWS = 1_000;

/** Reads the whole log in batches. */
export async function proveChain(
  key: Buffer,
  read: (afterSeq: number, limit: number) => Promise<AuditRow[]>,
  checkpoints: readonly AuditHead[],
): Promise<ChainProof> {
  const check = createChainCheck(key, checkpoints);
  for (let after = 0; ;) {
    const rows = await read(after, BATCH_ROWS);
    for (const row of rows) check.take(row);
    after = rows.at(-1)?.seq ?? after;
    if (rows.length < BATCH_ROWS) return check.end();
  }
}
