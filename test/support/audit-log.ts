/** An audit log as it could be, and every way to change one byte of it. */
import { chained, createChainCheck } from '../../src/control/audit-chain.ts';
import type { AuditRow } from '../../src/store/ports/audit.ts';

export function auditLog(key: Buffer, rows: number): AuditRow[] {
  const log: AuditRow[] = [];
  for (let index = 0; index < rows; index++) {
    const { seq = 0, hash = '' } = log.at(-1) ?? {};
    const row = {
      atMs: 1_800_000_000_000 + index,
      actor: index % 3 === 0 ? 'root' : `usr_${index}`,
      via: 'token',
      action: 'key.update',
      outcome: 'done' as const,
      target: `key:key_${index}`,
      before: index % 2 === 0 ? null : JSON.stringify({ blocked: false }),
      after: JSON.stringify({ name: `k${index}`, blocked: true }),
      error: null,
      ip: '192.0.2.1',
      requestId: `req_${index}`,
    };
    log.push(chained(key, { seq, hash }, row));
  }
  return log;
}

/** Changes one byte in `stride` of every row, as the bytes it is stored in; `missed`: rows in which a change was not found. */
export function flipBytes(key: Buffer, log: readonly AuditRow[], stride: number): { flips: number; missed: number[] } {
  let flips = 0;
  const missed: number[] = [];
  for (const [index, row] of log.entries()) {
    for (const forged of flipped(row, stride, index)) {
      flips += 1;
      if (!isFound(key, log, { index, forged })) missed.push(row.seq);
    }
  }
  return { flips, missed };
}

/** The row between its neighbours, as the check of the whole log would come upon it. */
function isFound(key: Buffer, log: readonly AuditRow[], { index, forged }: { index: number; forged: AuditRow }): boolean {
  const check = createChainCheck(key, []);
  const before = log.slice(Math.max(0, index - 1), index);
  for (const each of [...before, forged, ...log.slice(index + 1, index + 2)]) check.take(each);
  // The first of the three follows nothing.
  return check.end().faults.some(({ seq, fault }) => fault !== 'gap' || seq !== before[0]?.seq);
}

function* flipped(row: AuditRow, stride: number, from: number): Generator<AuditRow> {
  let at = 0;
  for (const [field, value] of Object.entries(row)) {
    if (value === null) continue;
    const bytes = Buffer.from(String(value));
    for (let index = 0; index < bytes.length; index++) {
      if (at++ % stride !== from % stride) continue;
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      const text = changed.toString('latin1');
      yield { ...row, [field]: typeof value === 'number' ? Number(text) : text };
    }
  }
}
