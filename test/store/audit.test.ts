import { expect, test } from 'vitest';

import type { AuditRow } from '../../src/store/ports/audit.ts';
import { forEachStore } from '../support/stores.ts';

function row(seq: number, more: Partial<AuditRow> = {}): AuditRow {
  const nothing = { target: null, before: null, after: null, error: null };
  const who = { actor: 'root', via: 'admin_key', ip: '192.0.2.1', requestId: `req_${seq}` };
  return {
    seq,
    atMs: 1_000 * seq,
    ...who,
    action: 'key.create',
    outcome: 'done',
    ...nothing,
    prev: '',
    hash: `h${seq}`,
    ...more,
  };
}

forEachStore((_, open) => {
  test('rows come back as they were written, newest first for readers and oldest first for the proof', async () => {
    const { store } = await open();
    expect(await store.audit.head()).toEqual({ seq: 0, hash: '' });
    const odd = row(2, {
      target: 'key:%_\'";--',
      before: '{"a":"ü \\u0001"}',
      after: '{}',
      outcome: 'failed',
      error: 'conflict',
    });
    for (const each of [row(1), odd, row(3, { actor: 'usr_1', outcome: 'begun' })]) await store.audit.append(each);
    expect(await store.audit.head()).toEqual({ seq: 3, hash: 'h3' });
    expect(await store.audit.after(0, 2)).toEqual([row(1), odd]);
    expect(await store.audit.after(2, 2)).toEqual([row(3, { actor: 'usr_1', outcome: 'begun' })]);
    const seqs = async (query: object): Promise<number[]> =>
      (await store.audit.list({ limit: 10, ...query })).map(({ seq }) => seq);
    expect(await seqs({})).toEqual([3, 2, 1]);
    expect(await seqs({ limit: 1, beforeSeq: 3 })).toEqual([2]);
    expect(await seqs({ actor: 'usr_1' })).toEqual([3]);
    expect(await seqs({ target: odd.target })).toEqual([2]);
    expect(await seqs({ target: 'key:%' })).toEqual([]);
    expect(await seqs({ outcome: 'failed' })).toEqual([2]);
    expect(await seqs({ sinceMs: 2_000, untilMs: 3_000 })).toEqual([2]);
    expect(await seqs({ action: "key.create' or 1=1 --" })).toEqual([]);
  });

  test('a number is given once', async () => {
    const { store } = await open();
    await store.audit.append(row(1));
    await expect(store.audit.append(row(1))).rejects.toMatchObject({ code: 'conflict' });
  });
});
