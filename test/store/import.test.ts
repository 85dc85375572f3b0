import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Fact } from '../../src/core/fact.ts';
import type { Scope } from '../../src/core/rules.ts';
import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import { NOON_MS, attemptFact, checkpointFact, exchangeFact, reserveFact } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

const THREAD = 'w0-b1';

/** Hands the facts over as one batch behind what was imported of that file. */
async function take(store: Store, facts: readonly Fact[], file = `${THREAD}-000000.jnl`): Promise<number> {
  const fromByte = (await store.facts.positions('n1'))[file] ?? 0;
  const batch = { node: 'n1', file, thread: THREAD, fromByte, toByte: fromByte + 100, facts };
  return (await store.facts.import(batch)).taken;
}

async function spent(store: Store, scope: Scope = 'key:ci', sinceMs = 0): Promise<number> {
  const [sum] = await store.ledger.spentSince([{ scope, sinceMs }]);
  return sum!;
}

forEachStore((kind, open) => {
  test('an exchange becomes a line of the log, an entry per attempt and money in every scope', async () => {
    const { store, query } = await open();
    const attempts = [
      attemptFact({ provider: 'first', target: 'first/x', status: 500, spend: { reservedNanoUsd: 5_000, nanoUsd: 0 } }),
      attemptFact({ startedAtMs: NOON_MS + 20 * 60_000 + 0.75 }),
    ];
    expect(await take(store, [reserveFact('ex_1'), exchangeFact('ex_1', { attempts })])).toBe(2);
    expect(await query('select state, nano_usd, at_ms from ledger_entries order by attempt')).toEqual([
      expect.objectContaining({ state: 'released' }),
      expect.objectContaining({ state: 'settled' }),
    ]);
    expect(await spent(store, 'team:team_a')).toBe(1_000);
    expect(await spent(store, 'provider:lab')).toBe(1_000);
    expect(await spent(store, 'provider:first')).toBe(0);
    // The window that pays is the one of the attempt's start.
    expect(await spent(store, 'key:ci', NOON_MS + 15 * 60_000)).toBe(1_000);
    expect(await spent(store, 'key:ci', NOON_MS + 30 * 60_000)).toBe(0);
    expect(await query('select id, team, input_tokens from request_log')).toMatchObject([{ id: 'ex_1', team: 'team_a' }]);
    expect(await query('select * from open_reservations')).toEqual([]);
    expect(await store.ledger.verify()).toMatchObject({ entries: 2, nanoUsd: 1_000, differences: [] });
  });

  test('a batch counts once, however often it comes; its facts count once, in whatever batch', async () => {
    const { store } = await open();
    const batch = { node: 'n1', file: 'a.jnl', thread: THREAD, fromByte: 0, toByte: 100, facts: [exchangeFact('ex_1')] };
    expect(await store.facts.import(batch)).toEqual({ taken: 1, position: 100 });
    expect(await store.facts.import(batch)).toEqual({ taken: 0, position: 100 });
    // A gap would lose what stands in it.
    const gap = { ...batch, fromByte: 200, toByte: 300, facts: [exchangeFact('ex_2')] };
    expect(await store.facts.import(gap)).toEqual({ taken: 0, position: 100 });
    const other = { ...batch, node: 'n2', facts: [exchangeFact('ex_3')] };
    expect(await store.facts.import(other)).toEqual({ taken: 1, position: 100 });
    expect(await take(store, [exchangeFact('ex_1'), reserveFact('ex_1'), exchangeFact('ex_4')], 'b.jnl')).toBe(1);
    expect(await spent(store)).toBe(3_000);
    expect(await store.facts.positions('n1')).toEqual({ 'a.jnl': 100, 'b.jnl': 100 });
    await store.facts.forget('n1', ['a.jnl']);
    expect(await store.facts.positions('n1')).toEqual({ 'b.jnl': 100 });
  });

  // Only PostgreSQL has several.
  if (kind === 'PostgreSQL')
    test('installations that share a store, and keys in it, do not stand in each other’s way', async () => {
      const { store, url } = await open();
      const other = await openStore(url);
      const keys = Array.from({ length: 150 }, (_, index) => `k${index}`);
      const importing = async ({ facts }: Store, node: string, order: readonly string[]): Promise<void> => {
        for (let batch = 0; batch < 15; batch++) {
          const exchanges = order.map((key) =>
            exchangeFact(`ex_${node}_${batch}_${key}`, {
              key,
              scopes: [`key:${key}`, 'org:o', `model:m-${key}`],
              model: `m-${key}`,
            }),
          );
          await facts.import({ node, file: 'a.jnl', thread: THREAD, fromByte: batch, toByte: batch + 1, facts: exchanges });
        }
      };
      await Promise.all([importing(store, 'n1', keys), importing(other, 'n2', keys.toReversed())]);
      expect(await spent(store, 'org:o')).toBe(2 * 15 * 150 * 1_000);
      await other.close();
    });

  test('a reservation whose exchange comes in a later batch is settled there', async () => {
    const { store, query } = await open();
    await take(store, [reserveFact('ex_1')]);
    await take(store, [checkpointFact('ex_1', 700)]);
    expect(await query('select exchange_id, checkpoint_nano_usd from open_reservations')).toHaveLength(1);
    expect(await spent(store)).toBe(0);
    await take(store, [exchangeFact('ex_1')]);
    expect(await query('select * from open_reservations')).toEqual([]);
    expect(await store.facts.expire('n1', { except: [] })).toBe(0);
    expect(await spent(store)).toBe(1_000);
  });

  test('what dies with its thread expires at the last checkpoint, or at its floor, and stands in the log as interrupted', async () => {
    const { store, query } = await open();
    await take(store, [reserveFact('ex_1'), checkpointFact('ex_1', 300)]);
    await take(store, [reserveFact('ex_2'), checkpointFact('ex_2', 700)]);
    await take(store, [
      checkpointFact('ex_2', 900),
      checkpointFact('ex_2', 800),
      reserveFact('ex_2', { attempt: 1, provider: 'other' }),
    ]);
    expect(await store.facts.expire('n1', { except: [THREAD] })).toBe(0);
    expect(await store.facts.expire('n2', { except: [] })).toBe(0);
    expect(await store.facts.expire('n1', { only: ['w1-b1'] })).toBe(0);
    expect(await store.facts.expire('n1', { only: [THREAD] })).toBe(3);
    expect(await store.facts.expire('n1', { except: [] })).toBe(0);
    expect(await spent(store)).toBe(400 + 900 + 400);
    expect(await query('select id, outcome, estimated, cost_nano_usd from request_log order by id')).toMatchObject([
      { id: 'ex_1', outcome: 'interrupted', estimated: 1 },
      { id: 'ex_2', outcome: 'interrupted', estimated: 1 },
    ]);
    // Its exchange's fact after all: it has ended, and ends once.
    expect(await take(store, [exchangeFact('ex_1')])).toBe(0);
    expect(await store.ledger.verify()).toMatchObject({ entries: 3, nanoUsd: 1_700, differences: [] });
  });

  test('money that is none is refused, and nothing of its batch is kept', async () => {
    const { store, query } = await open();
    for (const nanoUsd of [-1, 0.5, Number.NaN, 2 ** 60]) {
      const attempts = [attemptFact({ spend: { reservedNanoUsd: 0, nanoUsd } })];
      const batch = take(store, [exchangeFact('ex_1'), exchangeFact('ex_2', { attempts })]);
      await expect(batch).rejects.toMatchObject({ code: 'failed' });
    }
    expect(await query('select * from request_log')).toEqual([]);
    expect(await store.facts.positions('n1')).toEqual({});
  });

  test('texts that no database takes do not stop the import', async () => {
    const { store, query } = await open();
    await take(store, [exchangeFact('ex_1', { requestId: 'a\0b', endUser: 'x\0\n\ud800', askedModel: '\0' })]);
    expect(await query('select request_id from request_log')).toEqual([{ request_id: 'a b' }]);
  });

  test('counters that were tampered with are found, to the nano-dollar', async () => {
    const { store, query } = await open();
    await take(store, [
      exchangeFact('ex_1'),
      exchangeFact('ex_2', { attempts: [attemptFact({ startedAtMs: NOON_MS + 86_400_000 })] }),
    ]);
    await query("update spend_quarters set nano_usd = nano_usd + 1 where scope = 'org:org_a'").catch(() => undefined);
    const { differences } = await store.ledger.verify();
    expect(differences).toEqual([
      { scope: 'org:org_a', quarterMs: NOON_MS, countedNanoUsd: 1_001, recordedNanoUsd: 1_000 },
      { scope: 'org:org_a', quarterMs: NOON_MS + 86_400_000, countedNanoUsd: 1_001, recordedNanoUsd: 1_000 },
    ]);
  });

  test('whatever the order, the cuts and the repetitions: each attempt ends once, and counters are the sum of entries', async () => {
    const { store, query } = await open();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 5 }), fc.boolean(), async (batches, dies) => {
        const prefix = `ex_${++run}_`;
        for (const batch of batches)
          await take(
            store,
            batch.map((make) => make(prefix)),
            `w0-b${run}-0.jnl`,
          );
        if (dies) await store.facts.expire('n1', { except: [] });
        const facts = batches.flat().map((make) => make(prefix));
        const ended = new Set(
          facts.filter(({ kind }) => kind === 'exchange' || (dies && kind === 'reserve')).map(({ id }) => id),
        );
        const rows = await query(`select exchange_id from ledger_entries where exchange_id like '${prefix}%'`);
        expect(new Set(rows.map((row) => row['exchange_id']))).toEqual(ended);
        expect((await store.ledger.verify()).differences).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

/** One of three exchanges does something. */
const step = fc
  .tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('reserve', 'checkpoint', 'exchange'), fc.nat({ max: 3_600_000 }))
  .map(([name, kind, offset]) => (prefix: string): Fact => {
    const id = `${prefix}${name}`;
    if (kind === 'reserve') return reserveFact(id, { atMs: NOON_MS + offset });
    if (kind === 'checkpoint') return checkpointFact(id, offset);
    return exchangeFact(id, { attempts: [attemptFact({ startedAtMs: NOON_MS + offset })] });
  });
