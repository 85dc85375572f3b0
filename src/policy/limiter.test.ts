import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { heldBy, lock } from '../lib/shared-lock.ts';
import { leased } from './leases.ts';
import { type Acquired, type Counted, type Demand, type Grant, type Limiter, openLimiter } from './limiter.ts';
import {
  type LimitsMemory,
  LOCK_AT,
  NOTED_AT,
  NOTE_AT,
  createLimitsMemory,
  limitsViews,
  reclaimLimits,
} from './limits-memory.ts';
import { WORDS_PER_WINDOW, sumAt } from './windows.ts';

const SPACE = { windows: 8, leases: 4, workers: 4 };

function setUp(workers = 1): { memory: LimitsMemory; limiters: Limiter[]; clock: { nowMs: number } } {
  const memory = createLimitsMemory(SPACE, 5_000);
  const clock = { nowMs: 105_000 };
  const limiters = Array.from({ length: workers }, (_, worker) => openLimiter(memory, worker, () => clock.nowMs));
  return { memory, limiters, clock };
}

const demand = (what: Counted, slot: number, most: number, amount = 1): Demand => ({
  scope: `key:${slot}`,
  what,
  slot,
  amount,
  most,
});
const admitted = (limiter: Limiter, ...demands: Demand[]): Grant => {
  const acquired = limiter.acquire(demands) as Acquired;
  if (!acquired.ok) throw new Error(`refused by ${acquired.refused.scope}`);
  return acquired.grant;
};
const refused = (limiter: Limiter, ...demands: Demand[]): Extract<Acquired, { ok: false }> => {
  const acquired = limiter.acquire(demands) as Acquired;
  if (acquired.ok) throw new Error('admitted');
  return acquired;
};

describe('admission', () => {
  test('everything or nothing', () => {
    const { memory, limiters } = setUp();
    const [limiter] = limiters as [Limiter];
    admitted(limiter, demand('requests', 1, 1));
    for (const full of [demand('requests', 1, 1), demand('tokens', 3, 10, 11), demand('concurrent', 1, 0)]) {
      expect(refused(limiter, demand('requests', 0, 5), demand('concurrent', 0, 5), full).refused).toBe(full);
    }
    const { words, windows, leases } = limitsViews(memory);
    expect([0, 3].map((slot) => sumAt(windows, slot, 100_000))).toEqual([0, 0]);
    expect([leased(leases, 0), words[NOTED_AT], heldBy(words, LOCK_AT)]).toEqual([0, 0, 0]);
  });

  test('tells what was used with it, and of several refusals the longest wait', () => {
    const { limiters, clock } = setUp();
    const [limiter] = limiters as [Limiter];
    expect(admitted(limiter, demand('requests', 0, 2), demand('tokens', 1, 100, 60)).taken.map(({ used }) => used)).toEqual([
      1, 60,
    ]);
    clock.nowMs += 10_000;
    expect(admitted(limiter, demand('requests', 0, 2)).taken[0]!.used).toBe(2);
    clock.nowMs += 10_000;
    const [requests, tokens] = [demand('requests', 0, 1), demand('tokens', 1, 100, 41)];
    expect(refused(limiter, tokens, requests)).toMatchObject({
      refused: requests,
      refusal: { used: 2, retryAfterMs: 50_000, resetMs: 50_000 },
    });
    expect(refused(limiter, tokens)).toMatchObject({ refused: tokens, refusal: { used: 60, retryAfterMs: 40_000 } });
    expect(refused(limiter, demand('tokens', 1, 100, 101)).refusal.retryAfterMs).toBe(Infinity);
    expect(refused(limiter, demand('concurrent', 0, 0)).refusal.retryAfterMs).toBe(Infinity);
  });

  test('a refund takes everything back, once', () => {
    const { memory, limiters } = setUp();
    const [limiter] = limiters as [Limiter];
    const wants = [demand('requests', 0, 1), demand('tokens', 1, 100, 100), demand('concurrent', 2, 1)];
    const other = admitted(limiter, demand('requests', 5, 9), demand('concurrent', 2, 9));
    for (let round = 0; round < 3; round++) {
      const grant = admitted(limiter, ...wants.with(2, demand('concurrent', 2, 2)));
      limiter.refund([grant]);
      limiter.refund([grant]);
      limiter.settle([grant], 50);
    }
    const { windows, leases } = limitsViews(memory);
    expect([sumAt(windows, 0, 100_000), sumAt(windows, 1, 100_000), leased(leases, 2)]).toEqual([0, 0, 1]);
    limiter.settle([other]);
    expect([sumAt(windows, 5, 100_000), leased(leases, 2)]).toEqual([1, 0]);
  });

  test('leases may come back before the rest, once', () => {
    const { memory, limiters } = setUp();
    const [limiter] = limiters as [Limiter];
    const { windows, leases } = limitsViews(memory);
    const other = admitted(limiter, demand('concurrent', 2, 9));
    const grant = admitted(limiter, demand('tokens', 1, 100, 60), demand('concurrent', 2, 9));
    limiter.release([grant]);
    limiter.release([grant]);
    expect([leased(leases, 2), sumAt(windows, 1, 100_000)]).toEqual([1, 60]);
    limiter.settle([grant], 10);
    limiter.release([grant]);
    expect([leased(leases, 2), sumAt(windows, 1, 100_000)]).toEqual([1, 10]);
    limiter.release([other]);
    limiter.refund([other]);
    expect(leased(leases, 2)).toBe(0);
  });

  test('settling corrects tokens, in both directions, and what is overdrawn stays so until it slides', () => {
    const { limiters, clock } = setUp();
    const [limiter] = limiters as [Limiter];
    const small = admitted(limiter, demand('tokens', 0, 100, 80));
    limiter.settle([small], 20);
    const large = admitted(limiter, demand('tokens', 0, 100, 80));
    limiter.settle([large], 1_000);
    clock.nowMs += 30_000;
    expect(refused(limiter, demand('tokens', 0, 100, 1))).toMatchObject({
      refusal: { used: 1_020, retryAfterMs: 30_000, resetMs: 30_000 },
    });
    clock.nowMs += 30_000;
    expect(admitted(limiter, demand('tokens', 0, 100, 100)).taken[0]!.used).toBe(100);
  });

  test('where nobody knows the tokens, the estimate stays', () => {
    const { limiters } = setUp();
    const [limiter] = limiters as [Limiter];
    limiter.settle([admitted(limiter, demand('tokens', 0, 100, 80))], undefined);
    expect(refused(limiter, demand('tokens', 0, 100, 21)).refusal.used).toBe(80);
  });
});

describe('a thread that dies', () => {
  test('gives its leases back and nobody else’s', () => {
    const { memory, limiters } = setUp(2);
    const [one, two] = limiters as [Limiter, Limiter];
    for (let each = 0; each < 3; each++) admitted(one, demand('concurrent', 3, 9));
    const grant = admitted(two, demand('concurrent', 3, 9));
    const views = limitsViews(memory);
    reclaimLimits(views, 0);
    expect(leased(views.leases, 3)).toBe(1);
    two.settle([grant]);
    expect(leased(views.leases, 3)).toBe(0);
  });

  test('inside its section: the window is whole again, the lock opens, and only in its own name', () => {
    const { memory, limiters } = setUp(2);
    const [one] = limiters as [Limiter];
    admitted(one, demand('requests', 2, 9), demand('requests', 4, 9));
    const views = limitsViews(memory);
    lock(views.words, LOCK_AT, 2);
    views.words[NOTE_AT] = 2;
    views.words[NOTE_AT + 1] = 4;
    Atomics.store(views.words, NOTED_AT, 2);
    views.windows.words[4 * WORDS_PER_WINDOW + 1] = 0;
    reclaimLimits(views, 0);
    expect(heldBy(views.words, LOCK_AT)).toBe(2);
    reclaimLimits(views, 1);
    expect([heldBy(views.words, LOCK_AT), views.words[NOTED_AT]]).toEqual([0, 0]);
    expect(refused(one, demand('requests', 4, 1)).refusal.used).toBe(1);
  });
});

/** Threads of a busy machine. */
const SLOW = { timeout: 15_000, interval: 5 };

interface RaceOptions {
  demands: Demand[];
  rounds: number;
  settles: boolean;
}

function race(memory: LimitsMemory, options: RaceOptions): { threads: Worker[]; underWay: Int32Array } {
  const gate = new SharedArrayBuffer(4);
  const underWay = new SharedArrayBuffer(4);
  const threads = Array.from({ length: memory.workers }, (_, worker) => {
    const workerData = { memory, worker, gate, underWay, ...options };
    return new Worker(new URL('../../test/fixtures/limits-race.ts', import.meta.url), { workerData });
  });
  return { threads, underWay: new Int32Array(underWay) };
}

type Told = { admitted: number; mostAtOnce: number };
const told = (threads: Worker[]): Promise<Told[]> =>
  Promise.all(threads.map(async (each) => (await once(each, 'message'))[0] as Told));

describe('four threads at once', () => {
  test('are admitted N times together in a window, not once more and not once less', async () => {
    const memory = createLimitsMemory(SPACE, 0);
    const demands = [demand('requests', 0, 1e9), demand('requests', 1, 40_000), demand('tokens', 2, 1e9, 3)];
    const { threads } = race(memory, { demands, rounds: 30_000, settles: false });
    const answers = await told(threads);
    expect(answers.reduce((sum, each) => sum + each.admitted, 0)).toBe(40_000);
    const { windows } = limitsViews(memory);
    expect([0, 1, 2].map((slot) => sumAt(windows, slot, 1_000))).toEqual([40_000, 40_000, 120_000]);
  });

  test('never hold more than N leases together, and hold none in the end', async () => {
    const memory = createLimitsMemory(SPACE, 0);
    const { threads } = race(memory, { demands: [demand('concurrent', 0, 2)], rounds: 100_000, settles: true });
    const answers = await told(threads);
    expect(Math.max(...answers.map(({ mostAtOnce }) => mostAtOnce))).toBeLessThanOrEqual(2);
    expect(answers.reduce((sum, each) => sum + each.admitted, 0)).toBeGreaterThan(100_000);
    expect(leased(limitsViews(memory).leases, 0)).toBe(0);
  });

  test('may be ended at any moment: sums agree, leases come back, the others go on', async () => {
    for (let round = 0; round < 4; round++) {
      const memory = createLimitsMemory(SPACE, 0);
      const views = limitsViews(memory);
      const demands = [demand('requests', 0, 2 ** 30), demand('concurrent', 0, 1e9), demand('requests', 1, 2 ** 30)];
      const { threads, underWay } = race(memory, { demands, rounds: 1e9, settles: false });
      await expect.poll(() => Atomics.load(underWay, 0), SLOW).toBeGreaterThan(1_000);
      await delay(round * 3);
      for (const [worker, thread] of threads.entries()) {
        await thread.terminate();
        reclaimLimits(views, worker);
        const before = Atomics.load(underWay, 0);
        if (worker < 3) await expect.poll(() => Atomics.load(underWay, 0), SLOW).toBeGreaterThan(before);
      }
      expect([heldBy(views.words, LOCK_AT), leased(views.leases, 0)]).toEqual([0, 0]);
      const [first, second] = [sumAt(views.windows, 0, 1_000), sumAt(views.windows, 1, 1_000)];
      // Of each death, one taking may be half done: taken in the first window and not in the second, or in neither's sum of admissions.
      expect(first - second).toBeGreaterThanOrEqual(0);
      expect(first - second).toBeLessThanOrEqual(4);
      expect(second - Atomics.load(underWay, 0)).toBeGreaterThanOrEqual(0);
      expect(second - Atomics.load(underWay, 0)).toBeLessThanOrEqual(4);
    }
  });
});

/** The same by arithmetic on lists. */
type Step = { afterMs: number; worker: number } & (
  | { do: 'acquire'; wants: { what: Counted; slot: number; most: number; amount: number }[] }
  | { do: 'settle' | 'refund'; which: number; tokens: number }
  | { do: 'die' }
);
const want = fc.record({
  what: fc.constantFrom('requests' as const, 'tokens' as const, 'concurrent' as const),
  slot: fc.nat(1),
  most: fc.integer({ min: 0, max: 12 }),
  amount: fc.integer({ min: 1, max: 5 }),
});
const common = { afterMs: fc.oneof(fc.nat(500), fc.nat(30_000)), worker: fc.nat(2) };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('acquire' as const),
      wants: fc.uniqueArray(want, { minLength: 1, maxLength: 4, selector: ({ what, slot }) => `${what}${slot}` }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...common,
      do: fc.constantFrom('settle' as const, 'refund' as const),
      which: fc.nat(30),
      tokens: fc.nat(9),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...common, do: fc.constant('die' as const) }) },
);

test('admits what the arithmetic admits', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { memory, limiters, clock } = setUp(3);
      const open: { worker: number; grant: Grant }[] = [];
      const key = (what: Counted, slot: number): string => `${what}${slot}`;
      /** Window → bucket → what stands in it and when it leaves. */
      const counted = new Map<string, Map<number, { amount: number; leavesAtMs: number }>>();
      const held = new Map<string, number>();
      // Requests and tokens share the numbering of windows.
      const slotOf = ({ what, slot }: { what: Counted; slot: number }): number => (what === 'tokens' ? slot + 2 : slot);
      const usedOf = (what: Counted, slot: number): number =>
        what === 'concurrent'
          ? (held.get(key(what, slot)) ?? 0)
          : [...(counted.get(key(what, slot))?.values() ?? [])]
              .filter(({ leavesAtMs }) => leavesAtMs > clock.nowMs)
              .reduce((sum, { amount }) => sum + amount, 0);
      const end = (grant: Grant, tokens: (taken: Grant['taken'][number]) => number): void => {
        for (const taken of grant.taken) {
          const name = key(taken.what, taken.slot);
          if (taken.what === 'concurrent') held.set(name, held.get(name)! - 1);
          else {
            const bucket = counted.get(name)!.get(taken.tick)!;
            if (bucket.leavesAtMs > clock.nowMs) bucket.amount = Math.max(0, bucket.amount + tokens(taken));
          }
        }
      };
      for (const each of steps) {
        clock.nowMs += each.afterMs;
        const limiter = limiters[each.worker]!;
        if (each.do === 'acquire') {
          const demands = each.wants.map((one) =>
            demand(one.what, slotOf(one), one.most, one.what === 'concurrent' ? 1 : one.amount),
          );
          const fits = demands.every(({ what, slot, amount, most }) => usedOf(what, slot) + amount <= most);
          const acquired = limiter.acquire(demands) as Acquired;
          expect(acquired.ok).toBe(fits);
          if (!acquired.ok) continue;
          open.push({ worker: each.worker, grant: acquired.grant });
          for (const { what, slot, amount, tick, used } of acquired.grant.taken) {
            const name = key(what, slot);
            if (what === 'concurrent') held.set(name, (held.get(name) ?? 0) + 1);
            else {
              const buckets = counted.get(name) ?? new Map<number, { amount: number; leavesAtMs: number }>();
              buckets.set(tick, { amount: (buckets.get(tick)?.amount ?? 0) + amount, leavesAtMs: clock.nowMs + 60_000 });
              counted.set(name, buckets);
            }
            expect(used).toBe(usedOf(what, slot));
          }
        } else if (each.do === 'die') {
          reclaimLimits(limitsViews(memory), each.worker);
          for (const dead of open.filter(({ worker }) => worker === each.worker)) {
            end({ ...dead.grant, taken: dead.grant.taken.filter(({ what }) => what === 'concurrent') }, () => 0);
            open.splice(open.indexOf(dead), 1);
          }
        } else if (open.length > 0) {
          const [ended] = open.splice(each.which % open.length, 1) as [(typeof open)[number]];
          const owner = limiters[ended.worker]!;
          if (each.do === 'refund') {
            owner.refund([ended.grant]);
            end(ended.grant, ({ amount }) => -amount);
          } else {
            owner.settle([ended.grant], each.tokens);
            end(ended.grant, ({ what, amount }) => (what === 'tokens' ? each.tokens - amount : 0));
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});
