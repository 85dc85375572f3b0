import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Budget, Rules, Scope, SlotKind } from '../core/rules.ts';
import { createEndUserMemory, placeMarks } from './end-user-memory.ts';
import { type EndUserPlacesParts, type EndUserRules, createEndUserPlaces } from './end-user-places.ts';
import { createEndUsers } from './end-users.ts';

const budget: Budget = { limitNanoUsd: 1e9, window: 'day', timeZone: 'UTC', hard: true, mode: 'strict', unpriced: 'ceiling' };

/** Main and two workers over one memory, with a clock of the test. */
function setUp(rules: EndUserRules) {
  const clock = { ms: 1_000_000 };
  const now = (): number => clock.ms;
  const memory = createEndUserMemory(0);
  const slots = new Map<string, number>();
  const leases = new Map<number, number>();
  const reserved = new Map<number, number>();
  const filled: [Scope, string][] = [];
  const store = { down: false };
  let questions = 0;
  const parts: EndUserPlacesParts = {
    marks: placeMarks(memory, now),
    slotOf(scope: Scope, kind: SlotKind) {
      const name = `${scope} ${kind}`;
      if (!slots.has(name)) slots.set(name, slots.size);
      return slots.get(name)!;
    },
    leased: (slot) => leases.get(slot) ?? 0,
    reserved: (slot) => reserved.get(slot) ?? 0,
    async fill(_slot, scope, { window }) {
      await Promise.resolve();
      if (store.down) throw new Error('down');
      filled.push([scope, window]);
    },
    nowMs: now,
  };
  const places = createEndUserPlaces(parts, rules);
  const ask = (endUser: string) => {
    questions++;
    return places.placeOf(endUser);
  };
  const workers = [0, 1].map(() => createEndUsers({ marks: placeMarks(memory, now), ask, nowMs: now }));
  const of = async (worker: number, endUser: string, settings = rules): Promise<Rules> =>
    workers[worker]!.rulesOf(endUser, settings);
  return { clock, leases, reserved, filled, store, places, of, questions: () => questions };
}

test('every worker finds an end user at the same place, and asks once', async () => {
  const { of, questions } = setUp({ maxLive: 5, limits: { rpm: 3 }, budgets: [budget] });
  const [one, two, other] = [await of(0, 'ann'), await of(1, 'ann'), await of(0, 'bob')];
  expect(two).toEqual(one);
  expect(await of(0, 'ann')).toBe(one);
  expect(questions()).toBe(3);
  expect(one).toMatchObject({
    scope: 'end_user:ann',
    requests: { perMinute: 3 },
    concurrent: { most: Infinity },
    budgets: [budget],
  });
  expect(other.requests!.slot).not.toBe(one.requests!.slot);
});

test('beyond the most that may be live, all share one place; who was silent for a minute makes room', async () => {
  const { of, clock, leases, questions, filled } = setUp({ maxLive: 2, limits: { concurrent: 4 }, budgets: [budget] });
  const ann = await of(0, 'ann');
  await of(0, 'bob');
  expect((await of(1, 'eve')).scope).toBe('end_user:other');
  const asked = questions();
  for (let each = 0; each < 50; each++) expect((await of(1, 'eve')).scope).toBe('end_user:other');
  expect(questions()).toBe(asked);
  // A worker that has not met him yet finds him all the same.
  expect((await of(1, 'ann')).scope).toBe('end_user:ann');
  clock.ms += 61_000;
  await of(1, 'bob');
  expect((await of(1, 'eve')).scope).toBe('end_user:other');
  leases.set(ann.concurrent!.slot, 1);
  clock.ms += 5_000;
  expect((await of(1, 'eve')).scope).toBe('end_user:other');
  leases.clear();
  clock.ms += 5_000;
  const eve = await of(1, 'eve');
  expect([eve.scope, eve.concurrent!.slot]).toEqual(['end_user:eve', ann.concurrent!.slot]);
  expect((await of(0, 'ann')).scope).toBe('end_user:other');
  expect(filled.map(([scope]) => scope)).toEqual(['end_user:ann', 'end_user:bob', 'end_user:other', 'end_user:eve']);
});

test('a place in which money is still reserved is given to nobody else', async () => {
  const { of, clock, reserved } = setUp({ maxLive: 1, limits: {}, budgets: [budget] });
  const ann = await of(0, 'ann');
  const { slot } = ann.budgets[0]!;
  reserved.set(slot, 5);
  clock.ms += 70_000;
  expect((await of(0, 'bob')).scope).toBe('end_user:other');
  reserved.clear();
  clock.ms += 5_000;
  expect((await of(0, 'bob')).budgets).toMatchObject([{ slot }]);
});

test('many who share the common place at once fill it once', async () => {
  const { of, filled, store } = setUp({ maxLive: 0, limits: {}, budgets: [budget] });
  store.down = true;
  const refused = await Promise.allSettled([of(0, 'ann'), of(1, 'bob')]);
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  store.down = false;
  await Promise.all([of(0, 'ann'), of(0, 'bob'), of(1, 'eve')]);
  expect(filled).toEqual([['end_user:other', 'day']]);
});

test('an end user who is called like the common place has none of his own', async () => {
  const { of, clock } = setUp({ maxLive: 1, limits: { rpm: 3 }, budgets: [budget] });
  const named = await of(0, 'other');
  expect((await of(0, 'ann')).scope).toBe('end_user:ann');
  clock.ms += 2_000;
  expect(await of(1, 'bob')).toEqual(named);
  expect(named.scope).toBe('end_user:other');
});

test('a past that cannot be told refuses, and is asked for again', async () => {
  const { of, store, filled } = setUp({ maxLive: 2, limits: {}, budgets: [budget] });
  store.down = true;
  await expect(of(0, 'ann')).rejects.toThrow('down');
  await expect(of(1, 'ann')).rejects.toThrow('down');
  store.down = false;
  expect((await of(1, 'ann')).scope).toBe('end_user:ann');
  expect(filled).toEqual([['end_user:ann', 'day']]);
});

test('a new configuration holds at once: what it adds is filled first, who is beyond it shares', async () => {
  const before: EndUserRules = { maxLive: 2, limits: { rpm: 1 }, budgets: [] };
  const { of, places, filled } = setUp(before);
  const [ann, bob] = [await of(0, 'ann', before), await of(0, 'bob', before)];
  const after: EndUserRules = { maxLive: 1, limits: { tpm: 5 }, budgets: [budget] };
  places.configure(after);
  const now = await of(0, 'ann', after);
  expect(now).toMatchObject({ scope: 'end_user:ann', tokens: { perMinute: 5 }, concurrent: ann.concurrent });
  expect(now.requests).toBeUndefined();
  expect((await of(0, 'bob', after)).scope).toBe('end_user:other');
  expect(bob.scope).toBe('end_user:bob');
  expect(filled.map(([scope]) => scope)).toEqual(['end_user:ann', 'end_user:other']);
});

test('no two end users who are in use share a place, and whoever has one has it in every worker, whoever comes in whatever order', async () => {
  const step = fc.record({
    worker: fc.nat(1),
    endUser: fc.nat(7),
    afterMs: fc.oneof(fc.nat(2_000), fc.integer({ min: 50_000, max: 70_000 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { of, clock } = setUp({ maxLive: 3, limits: {}, budgets: [] });
      /** Place → who used it last, and when. */
      const used = new Map<number, { scope: Scope; atMs: number }>();
      for (const { worker, endUser, afterMs } of steps) {
        clock.ms += afterMs;
        const { scope, concurrent } = await of(worker, String(endUser));
        const own = [...used.values()].find((each) => each.scope === `end_user:${endUser}`);
        if (own !== undefined && clock.ms - own.atMs < 60_000) expect(scope).toBe(own.scope);
        if (scope === 'end_user:other') continue;
        expect(scope).toBe(`end_user:${endUser}`);
        const before = used.get(concurrent!.slot);
        if (before !== undefined && before.scope !== scope) expect(clock.ms - before.atMs).toBeGreaterThan(60_000);
        used.set(concurrent!.slot, { scope, atMs: clock.ms });
      }
      expect(used.size).toBeLessThanOrEqual(3);
    }),
    { numRuns: 200 },
  );
});
