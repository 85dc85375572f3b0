import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import type { AuditHead, AuditRow } from '../store/ports/audit.ts';
import { openStore } from '../store/sql/open.ts';
import { StoreError } from '../store/store.ts';
import { auditLog, flipBytes } from '../../test/support/audit-log.ts';
import { auditKey, chained, createChainCheck, proveChain } from './audit-chain.ts';
import { createAuditTrail } from './audit-trail.ts';
import type { AuditedAction } from './contract/audit.ts';

const SECRET = '5a'.repeat(32);
const KEY = auditKey(SECRET);
const ACTION: AuditedAction = {
  actor: { kind: 'root' },
  via: 'admin_key',
  action: 'key.create',
  ip: '192.0.2.1',
  requestId: 'req_1',
};

function faultsOf(rows: readonly AuditRow[], checkpoints: readonly AuditHead[] = []): string[] {
  const check = createChainCheck(KEY, checkpoints);
  for (const row of rows) check.take(row);
  return check.end().faults.map(({ seq, fault }) => `${seq} ${fault}`);
}

describe('the chain', () => {
  const log = auditLog(KEY, 50);

  test('a log as it was written has no fault', () => {
    expect(faultsOf(log)).toEqual([]);
    expect(faultsOf([])).toEqual([]);
  });

  test('rows cut out, swapped, doubled or added are found', () => {
    expect(faultsOf(log.toSpliced(10, 1))).toContain('12 gap');
    expect(faultsOf([...log.slice(0, 10), log[11]!, log[10]!, ...log.slice(12)])).not.toEqual([]);
    expect(faultsOf(log.toSpliced(10, 0, log[9]!))).not.toEqual([]);
    const forged = chained(randomBytes(32), { seq: 50, hash: log.at(-1)!.hash }, log[0]!);
    expect(faultsOf([...log, forged])).toEqual(['51 hash']);
    expect(faultsOf(log.slice(5))).toContain('6 gap');
  });

  test('a tail cut off shows only against a checkpoint; so does a history written anew', () => {
    const checkpoint = { seq: 40, hash: log[39]!.hash };
    expect(faultsOf(log.slice(0, 30))).toEqual([]);
    expect(faultsOf(log.slice(0, 30), [checkpoint])).toEqual(['40 checkpoint']);
    expect(faultsOf(log, [checkpoint])).toEqual([]);
    expect(faultsOf(log, [{ seq: 40, hash: 'ab'.repeat(32) }])).toEqual(['40 checkpoint']);
  });

  test('the key is this installation’s and this purpose’s', () => {
    expect(auditKey(SECRET)).not.toEqual(auditKey('5b'.repeat(32)));
    expect(auditKey(SECRET).toString('hex')).not.toBe(SECRET);
  });
});

test('a byte changed anywhere in a log of 1,000 rows is found (one in seven of them; test/long changes each)', () => {
  const { flips, missed } = flipBytes(KEY, auditLog(KEY, 1_000), 7);
  expect(missed).toEqual([]);
  expect(flips).toBeGreaterThan(30_000);
});

describe('the trail', () => {
  test('an action stands in the log before it is taken, and what came of it after', async () => {
    const store = await openStore(':memory:');
    const trail = createAuditTrail({ store: store.audit, key: KEY, nowMs: () => 5, onCheckpoint: () => undefined });
    const entry = await trail.begin({ ...ACTION, target: 'key:key_1' });
    expect(await store.audit.list({ limit: 10 })).toMatchObject([
      { seq: 1, outcome: 'begun', target: 'key:key_1', actor: 'root' },
    ]);
    await entry.done({
      target: 'key:key_1',
      before: { name: 'a' },
      after: { name: 'b', key: 'sk-sb-secret', nested: { token: 'x' } },
    });
    const [done] = await store.audit.list({ limit: 1 });
    expect(done).toMatchObject({ seq: 2, outcome: 'done', before: '{"name":"a"}' });
    expect(done!.after).toBe('{"name":"b","key":"[removed]","nested":{"token":"[removed]"}}');
    await (await trail.begin(ACTION)).failed('conflict');
    expect(await store.audit.list({ limit: 1 })).toMatchObject([{ seq: 4, outcome: 'failed', error: 'conflict' }]);
    expect(await proveChain(KEY, (seq, limit) => store.audit.after(seq, limit), [])).toMatchObject({ rows: 4, faults: [] });
    await store.close();
  });

  test('several writers of one log make one chain', async () => {
    const store = await openStore(':memory:');
    const trails = [1, 2, 3].map(() =>
      createAuditTrail({ store: store.audit, key: KEY, nowMs: Date.now, onCheckpoint: () => undefined }),
    );
    await Promise.all(
      trails.flatMap((trail) => [1, 2, 3, 4, 5].map(async () => (await trail.begin(ACTION)).done({ target: 'x' }))),
    );
    expect(await proveChain(KEY, (seq, limit) => store.audit.after(seq, limit), [])).toMatchObject({ rows: 30, faults: [] });
    await store.close();
  });

  test('a log that cannot be written refuses the action, and goes on when it can again', async () => {
    const store = await openStore(':memory:');
    let down = true;
    const append = (row: AuditRow): Promise<void> =>
      down ? Promise.reject(new StoreError('store_down', 'no')) : store.audit.append(row);
    const trail = createAuditTrail({
      store: { ...store.audit, append },
      key: KEY,
      nowMs: Date.now,
      onCheckpoint: () => undefined,
    });
    await expect(trail.begin(ACTION)).rejects.toMatchObject({ code: 'store_down' });
    down = false;
    await trail.begin(ACTION);
    expect(await proveChain(KEY, (seq, limit) => store.audit.after(seq, limit), [])).toMatchObject({ rows: 1, faults: [] });
    await store.close();
  });

  test('a checkpoint every thousand rows, and when asked, but never twice', async () => {
    const heads: AuditHead[] = [];
    let head: AuditHead = { seq: 998, hash: 'aa' };
    const store = {
      head: () => Promise.resolve(head),
      append: ({ seq, hash }: AuditRow) => Promise.resolve(void (head = { seq, hash })),
    };
    const trail = createAuditTrail({ store, key: KEY, nowMs: Date.now, onCheckpoint: (at) => heads.push(at) });
    trail.checkpoint();
    for (let round = 0; round < 3; round++) await trail.begin(ACTION);
    expect(heads.map(({ seq }) => seq)).toEqual([1000]);
    trail.checkpoint();
    trail.checkpoint();
    expect(heads.map(({ seq }) => seq)).toEqual([1000, 1001]);
  });
});
