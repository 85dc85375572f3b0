import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { LOCK_WORDS, heldBy, lock } from '../lib/shared-lock.ts';
import { addReserved, noteAccount, sealNote, viewsOf } from './accounts-memory.ts';
import { createAccountsOverview } from './accounts-overview.ts';
import { type Demand, type Hold, openAccounts } from './accounts.ts';

const demand = (slot: number, limitNanoUsd: number, windowStartMs = 1_000): Demand => ({ slot, windowStartMs, limitNanoUsd });
const exactly = (nanoUsd: number) => ({ wantNanoUsd: nanoUsd, leastNanoUsd: nanoUsd });

test('reserves in all accounts or in none', () => {
  const overview = createAccountsOverview(4, 2);
  const accounts = openAccounts(overview.memory, 0);
  expect(accounts.reserve([demand(0, 100), demand(1, 40)], exactly(50))).toEqual({
    ok: false,
    demand: 1,
    bySpent: true,
    spentNanoUsd: 0,
    reservedNanoUsd: 0,
  });
  expect(overview.read(0)).toMatchObject({ reservedNanoUsd: 0 });
  const { holds } = accounts.reserve([demand(0, 100), demand(1, 50)], exactly(50)) as { holds: Hold[] };
  expect(holds).toEqual([
    { slot: 0, windowStartMs: 1_000, nanoUsd: 50 },
    { slot: 1, windowStartMs: 1_000, nanoUsd: 50 },
  ]);
  expect(accounts.settle(holds, 20)).toEqual([
    { before: 0, after: 20 },
    { before: 0, after: 20 },
  ]);
  expect(overview.read(1)).toEqual({ windowStartMs: 1_000, spentNanoUsd: 20, reservedNanoUsd: 0 });
});

test('grants what fits, from the least on, and says whether spending or reserving stands in the way', () => {
  const overview = createAccountsOverview(2, 1);
  const accounts = openAccounts(overview.memory, 0);
  const first = accounts.reserve([demand(0, 100)], { wantNanoUsd: 70, leastNanoUsd: 10 });
  expect(first).toMatchObject({ ok: true, grantedNanoUsd: 70 });
  const second = accounts.reserve([demand(0, 100)], { wantNanoUsd: 70, leastNanoUsd: 10 });
  expect(second).toMatchObject({ ok: true, grantedNanoUsd: 30 });
  expect(accounts.reserve([demand(0, 100)], exactly(1))).toMatchObject({ ok: false, bySpent: false, reservedNanoUsd: 100 });
  accounts.settle((first as { holds: Hold[] }).holds, 70);
  expect(accounts.reserve([demand(0, 100)], exactly(31))).toMatchObject({ ok: false, bySpent: true, spentNanoUsd: 70 });
  expect(accounts.reserve([demand(0, 100)], exactly(30))).toMatchObject({ ok: false, bySpent: false });
});

test('a lowered limit holds for the next one, a raised one too', () => {
  const accounts = openAccounts(createAccountsOverview(1, 1).memory, 0);
  expect(accounts.reserve([demand(0, 100)], exactly(60)).ok).toBe(true);
  expect(accounts.reserve([demand(0, 60)], exactly(1)).ok).toBe(false);
  expect(accounts.reserve([demand(0, 61)], exactly(1)).ok).toBe(true);
});

test('a new window begins at zero, and what the old one held ends with it', () => {
  const overview = createAccountsOverview(1, 2);
  const [one, two] = [openAccounts(overview.memory, 0), openAccounts(overview.memory, 1)];
  const old = one.reserve([demand(0, 100, 1_000)], exactly(100)) as { holds: Hold[] };
  expect(two.reserve([demand(0, 100, 2_000)], exactly(60)).ok).toBe(true);
  expect(one.settle(old.holds, 100)).toEqual([undefined]);
  expect(overview.read(0)).toEqual({ windowStartMs: 2_000, spentNanoUsd: 0, reservedNanoUsd: 60 });
  // A clock that went back opens nothing again.
  const late = one.reserve([demand(0, 100, 1_000)], exactly(40));
  expect(late).toMatchObject({ ok: true, holds: [{ windowStartMs: 2_000 }] });
  expect(one.reserve([demand(0, 100, 1_000)], exactly(1)).ok).toBe(false);
});

test('load fills an account of which others know nothing yet', async () => {
  const overview = createAccountsOverview(2, 1);
  const accounts = openAccounts(overview.memory, 0);
  accounts.reserve([demand(1, 100, 5_000)], exactly(50));
  await overview.load(1, 1_000, 90);
  expect(overview.read(1)).toEqual({ windowStartMs: 1_000, spentNanoUsd: 90, reservedNanoUsd: 0 });
  expect(accounts.reserve([demand(1, 100)], exactly(11)).ok).toBe(false);
  expect(await overview.takeOver(0)).toEqual([]);
});

test('what a dead worker held stays reserved until it is given back, while its slot lives on', async () => {
  const overview = createAccountsOverview(3, 2);
  const dead = openAccounts(overview.memory, 1);
  const { holds } = dead.reserve([demand(0, 100), demand(2, 100)], exactly(30)) as { holds: Hold[] };
  dead.reserve([demand(2, 100)], exactly(5));
  const held = await overview.takeOver(1);
  expect(held).toEqual([
    { slot: 0, windowStartMs: 1_000, nanoUsd: 30 },
    { slot: 2, windowStartMs: 1_000, nanoUsd: 35 },
  ]);
  const next = openAccounts(overview.memory, 1);
  expect(next.reserve([demand(0, 100)], exactly(71)).ok).toBe(false);
  expect(next.reserve([demand(0, 100)], exactly(70)).ok).toBe(true);
  await overview.giveBack(held, [{ ...holds[0]!, nanoUsd: 12 }]);
  expect(overview.read(0)).toMatchObject({ spentNanoUsd: 12, reservedNanoUsd: 70 });
  expect(overview.read(2)).toMatchObject({ spentNanoUsd: 0, reservedNanoUsd: 0 });
});

test('a section that its thread did not live to end is undone', () => {
  const overview = createAccountsOverview(2, 2);
  const accounts = openAccounts(overview.memory, 0);
  accounts.reserve([demand(0, 100)], exactly(10));
  const views = viewsOf(overview.memory);
  lock(views.words, 0, 2);
  noteAccount(views, 0, { slot: 0, worker: 1 });
  noteAccount(views, 1, { slot: 1, worker: 1 });
  sealNote(views, 2, 1);
  addReserved(views, 0, 50);
  overview.repair(0);
  expect(heldBy(views.words, 0)).toBe(2);
  overview.repair(1);
  expect(heldBy(views.words, 0)).toBe(0);
  expect(overview.read(0)).toEqual({ windowStartMs: 1_000, spentNanoUsd: 0, reservedNanoUsd: 10 });
  expect(LOCK_WORDS).toBe(2);
});

const race = (memory: object, worker: number, gate: SharedArrayBuffer, more: object): Worker =>
  new Worker(new URL('../../test/fixtures/accounts-race.ts', import.meta.url), { workerData: { memory, worker, gate, ...more } });

test('threads that reserve at the same time never get more than the limit together, nor less', async () => {
  const overview = createAccountsOverview(3, 2);
  const gate = new SharedArrayBuffer(4);
  const threads = [0, 1].map((worker) => race(overview.memory, worker, gate, { rounds: 60_000, limit: 500_000, settles: false }));
  const granted = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0] as number));
  expect(granted.reduce((sum, each) => sum + each, 0)).toBe(50_000);
  expect([0, 1, 2].map((slot) => overview.read(slot).reservedNanoUsd)).toEqual([500_000, 500_000, 500_000]);
});

test('threads ended at any moment leave accounts that agree, and a lock that opens', async () => {
  for (let round = 0; round < 5; round++) {
    const overview = createAccountsOverview(3, 2);
    const gate = new SharedArrayBuffer(4);
    const options = { rounds: 1e9, limit: Number.MAX_SAFE_INTEGER, settles: true };
    const [victim, survivor] = [0, 1].map((worker) => race(overview.memory, worker, gate, options)) as [Worker, Worker];
    await Promise.all([once(victim, 'online'), once(survivor, 'online')]);
    while (overview.read(0).spentNanoUsd === 0) await delay(1);
    await delay(round * 3);
    await victim.terminate();
    overview.repair(0);
    const held = await overview.takeOver(0);
    await overview.giveBack(held, []);
    await delay(20);
    await survivor.terminate();
    overview.repair(1);
    await overview.giveBack(await overview.takeOver(1), []);
    const [first, ...others] = [0, 1, 2].map((slot) => overview.read(slot));
    expect(first!.reservedNanoUsd).toBe(0);
    expect(first!.spentNanoUsd % 7).toBe(0);
    expect(first!.spentNanoUsd).toBeGreaterThan(0);
    for (const other of others) expect(other).toEqual(first);
  }
});

/** What the accounts ought to hold, by arithmetic on a list. */
type Step =
  | { do: 'reserve'; worker: number; slots: number[]; nanoUsd: number }
  | { do: 'settle'; which: number; nanoUsd: number }
  | { do: 'die'; worker: number }
  | { do: 'later' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      worker: fc.nat(2),
      slots: fc.uniqueArray(fc.nat(3), { minLength: 1 }),
      nanoUsd: fc.nat(60),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(30), nanoUsd: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), worker: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'later' as const }) },
);

test('spent and reserved are the sums of what was done, and never more than the limit', async () => {
  const LIMIT = 150;
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 60 }), async (script) => {
      const overview = createAccountsOverview(4, 3);
      let workers = [0, 1, 2].map((worker) => openAccounts(overview.memory, worker));
      let open: { worker: number; holds: Hold[] }[] = [];
      let spent = [0, 0, 0, 0];
      let windowStartMs = 1_000;
      const inWindow = (hold: Hold): boolean => hold.windowStartMs === windowStartMs;
      for (const step of script) {
        if (step.do === 'reserve') {
          const wants = step.slots.map((slot) => demand(slot, LIMIT, windowStartMs));
          const reserved = workers[step.worker]!.reserve(wants, exactly(step.nanoUsd));
          if (reserved.ok) open.push({ worker: step.worker, holds: reserved.holds });
        } else if (step.do === 'settle' && open.length > 0) {
          const [{ worker, holds }] = open.splice(step.which % open.length, 1) as [(typeof open)[number]];
          const cost = Math.min(step.nanoUsd, holds[0]!.nanoUsd);
          workers[worker]!.settle(holds, cost);
          for (const hold of holds) if (inWindow(hold)) spent[hold.slot]! += cost;
        } else if (step.do === 'die') {
          overview.repair(step.worker);
          const held = await overview.takeOver(step.worker);
          const mine = open.filter(({ worker }) => worker === step.worker);
          await overview.giveBack(
            held,
            mine.flatMap(({ holds }) => holds.map((hold) => ({ ...hold, nanoUsd: 1 * Math.sign(hold.nanoUsd) }))),
          );
          for (const hold of mine.flatMap(({ holds }) => holds)) if (inWindow(hold)) spent[hold.slot]! += Math.sign(hold.nanoUsd);
          open = open.filter(({ worker }) => worker !== step.worker);
          workers = workers.with(step.worker, openAccounts(overview.memory, step.worker));
        } else if (step.do === 'later') {
          windowStartMs += 1_000;
          spent = [0, 0, 0, 0];
        }
        for (let slot = 0; slot < 4; slot++) {
          const account = overview.read(slot);
          if (account.windowStartMs !== windowStartMs) continue;
          const reserved = open.flatMap(({ holds }) => holds).filter((hold) => hold.slot === slot && inWindow(hold));
          expect(account.reservedNanoUsd).toBe(reserved.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0));
          expect(account.spentNanoUsd).toBe(spent[slot]);
          expect(account.spentNanoUsd + account.reservedNanoUsd).toBeLessThanOrEqual(LIMIT);
        }
      }
    }),
    { numRuns: 150 },
  );
});
