import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Fact } from '../../src/core/fact.ts';
import { markRead } from '../../src/runtime/journal-files.ts';
import { type JournalImport, createJournalImport } from '../../src/runtime/journal-import.ts';
import { type Journal, type JournalPosition, createJournal } from '../../src/runtime/journal.ts';
import { type Store, StoreError } from '../../src/store/store.ts';
import { attemptFact, checkpointFact, exchangeFact, reserveFact } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

let dir = '';
let logged: string[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'signalbox-journals-'));
  logged = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function importOf(store: Pick<Store, 'facts'>, chunkBytes = 4_096): JournalImport {
  return createJournalImport({ store, node: 'n', dir, chunkBytes, log: (_level, _fields, message) => logged.push(message) });
}

async function all(journals: JournalImport): Promise<void> {
  while (await journals.step());
}

/** A worker's journal; the last position it announced is kept. */
function journalOf(boot: string, segmentBytes?: number): Journal & { announced: JournalPosition[] } {
  const announced: JournalPosition[] = [];
  const journal = createJournal({
    dir,
    worker: 0,
    boot,
    announce: (position) => announced.push(position),
    onTrouble: () => undefined,
    onRecovered: () => undefined,
    onLost: () => undefined,
    ...(segmentBytes !== undefined && { segmentBytes }),
  });
  return { ...journal, announced };
}

function write(journal: Journal, facts: readonly Fact[]): void {
  for (const fact of facts) {
    journal.append(fact);
    journal.flush();
  }
}

const exchanges = (from: number, count: number): Fact[] =>
  Array.from({ length: count }, (_, index) => exchangeFact(`ex_${String(from + index).padStart(5, '0')}`));

async function spent(store: Store): Promise<number> {
  return (await store.ledger.spentSince([{ scope: 'key:ci', sinceMs: 0 }]))[0]!;
}

forEachStore((_, open) => {
  test('live segments are imported as they are announced; a full one goes when main has read it, too', async () => {
    const { store } = await open();
    const journals = importOf(store);
    await journals.open([]);
    const journal = journalOf('b', 20_000);
    write(journal, exchanges(0, 60));
    journal.close();
    for (const position of journal.announced) journals.announce(position);
    expect(journals.lagBytes()).toBeGreaterThan(40_000);
    await all(journals);
    expect(journals.lagBytes()).toBe(0);
    expect(await spent(store)).toBe(60_000);
    const files = readdirSync(dir);
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      markRead(dir, file);
      journals.left(file);
    }
    await all(journals);
    expect(readdirSync(dir)).toEqual([]);
    expect(await store.facts.positions('n')).toEqual({});
  });

  test('another import takes over in the middle of a segment: each fact once, the torn tail dropped', async () => {
    const { store } = await open();
    const journal = journalOf('b');
    write(journal, [...exchanges(0, 40), reserveFact('ex_open'), checkpointFact('ex_open', 777)]);
    const first = importOf(store);
    await first.open([]);
    // Some steps, and then it is gone.
    for (let step = 0; step < 3; step++) await first.step();
    appendFileSync(join(dir, 'w0-b-000000.jnl'), Buffer.from([1, 0, 0, 0, 9, 9]));
    const second = importOf(store);
    await second.open([]);
    await all(second);
    expect(await spent(store)).toBe(40_000 + 777);
    expect(second.counts().expired).toBe(1);
    expect(logged).toEqual(['the tail of a journal segment was torn; the store has what stands before it']);
    expect(await store.usage.request('ex_open')).toMatchObject({ outcome: 'interrupted', costNanoUsd: 777, estimated: true });
    expect((await store.ledger.verify()).differences).toEqual([]);
    const third = importOf(store);
    await third.open([]);
    await all(third);
    expect(third.counts()).toEqual({ facts: 0, expired: 0 });
  });

  test('threads that live are not expired by an import that takes over; those that die later are', async () => {
    const { store } = await open();
    const journal = journalOf('alive');
    write(journal, [reserveFact('ex_1')]);
    const journals = importOf(store);
    await journals.open(['w0-alive']);
    await all(journals);
    expect(await spent(store)).toBe(0);
    write(journal, [reserveFact('ex_2'), exchangeFact('ex_1')]);
    journals.gone('w0-alive');
    await all(journals);
    expect(await spent(store)).toBe(1_000 + 400);
    expect(journals.counts().expired).toBe(1);
  });

  test('what a thread had reserved expires also where its journal was wholly in before it was found dead', async () => {
    const { store } = await open();
    const journals = importOf(store);
    await journals.open([]);
    const journal = journalOf('b');
    write(journal, [reserveFact('ex_1')]);
    journal.close();
    for (const position of journal.announced) journals.announce(position);
    for (const file of readdirSync(dir)) {
      markRead(dir, file);
      journals.left(file);
    }
    await all(journals);
    expect(readdirSync(dir)).toEqual([]);
    expect(await spent(store)).toBe(0);
    journals.gone('w0-b');
    await all(journals);
    expect(await spent(store)).toBe(400);
  });

  test('a fact that the store refuses is set aside aloud, and those around it are taken', async () => {
    const { store } = await open();
    const bad = exchangeFact('ex_bad', { attempts: [attemptFact({ spend: { reservedNanoUsd: 0, nanoUsd: 0.5 } })] });
    write(journalOf('b'), [...exchanges(0, 3), bad, ...exchanges(3, 3)]);
    const journals = importOf(store, 1_000_000);
    await journals.open([]);
    await all(journals);
    expect(await spent(store)).toBe(6_000);
    expect(readFileSync(join(dir, 'set-aside.jsonl'), 'utf8').trim()).toBe(JSON.stringify(bad));
    expect(logged).toEqual(['the store refused a fact; it lies in set-aside.jsonl']);
  });

  test('what the store cannot take for a reason of its own waits, and nothing is set aside', async () => {
    const { store, query } = await open();
    write(journalOf('b'), exchanges(0, 5));
    const journals = importOf(store);
    await journals.open([]);
    await query('alter table request_log rename to elsewhere');
    await expect(all(journals)).rejects.toMatchObject({ code: 'failed' });
    expect(readdirSync(dir)).toEqual(['w0-b-000000.jnl']);
    await query('alter table elsewhere rename to request_log');
    await all(journals);
    expect(await spent(store)).toBe(5_000);
    expect(logged).toEqual([]);
  });

  test('a store that is down at any moment, or loses its answers, loses and doubles nothing', async () => {
    const { store } = await open();
    let calls = 0;
    /** Every second call fails before it does anything, every third one after. */
    const flaky: Store['facts'] = {
      ...store.facts,
      import: async (batch) => {
        calls++;
        if (calls % 2 === 0) throw new StoreError('store_down', 'before');
        const imported = await store.facts.import(batch);
        if (calls % 3 === 0) throw new StoreError('store_down', 'after');
        return imported;
      },
    };
    write(journalOf('b'), [...exchanges(0, 100), reserveFact('ex_open')]);
    const journals = importOf({ facts: flaky });
    await journals.open([]);
    for (let more = true; more;) more = await journals.step().catch(() => true);
    expect(calls).toBeGreaterThan(20);
    expect(await spent(store)).toBe(100_000 + 400);
    expect(await store.ledger.verify()).toMatchObject({ entries: 101, differences: [] });
  });
});
