import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  WINDOW_MS,
  WORDS_PER_WINDOW,
  type Windows,
  changeBucket,
  mendWindow,
  sumAt,
  take,
  waitMs,
  windowsAt,
} from './windows.ts';

const newWindows = (count = 1): Windows => windowsAt(new SharedArrayBuffer(count * WORDS_PER_WINDOW * 4), 0, count);

/** Takes where it fits; answers the bucket, or undefined. */
function tryTake(windows: Windows, slot: number, { amount, nowMs, most }: { amount: number; nowMs: number; most: number }) {
  if (sumAt(windows, slot, nowMs) + amount > most) return undefined;
  return take(windows, slot, { amount, nowMs });
}

describe('a sliding window', () => {
  test('N at once are in, the next one waits exactly 60 s', () => {
    const windows = newWindows();
    const nowMs = 1_000_123;
    for (let each = 0; each < 600; each++) expect(tryTake(windows, 0, { amount: 1, nowMs, most: 600 })).toBeDefined();
    expect(tryTake(windows, 0, { amount: 1, nowMs, most: 600 })).toBeUndefined();
    expect(waitMs(windows, 0, { target: 599, nowMs })).toBe(WINDOW_MS);
    expect(tryTake(windows, 0, { amount: 1, nowMs: nowMs + WINDOW_MS - 1, most: 600 })).toBeUndefined();
    for (let each = 0; each < 600; each++) {
      expect(tryTake(windows, 0, { amount: 1, nowMs: nowMs + WINDOW_MS, most: 600 })).toBeDefined();
    }
  });

  test('slots do not know each other, and a long silence empties them', () => {
    const windows = newWindows(3);
    take(windows, 1, { amount: 2 ** 30, nowMs: 5 });
    expect([0, 1, 2].map((slot) => sumAt(windows, slot, 10))).toEqual([0, 2 ** 30, 0]);
    expect(sumAt(windows, 1, 10_000_000)).toBe(0);
  });

  test('amounts stay within 32 bits, however often they are corrected', () => {
    const windows = newWindows();
    const tick = take(windows, 0, { amount: 2 ** 31 - 1, nowMs: 100 });
    changeBucket(windows, 0, { tick, amount: 2 ** 31 - 1 });
    take(windows, 0, { amount: 1_000, nowMs: 600 });
    expect(sumAt(windows, 0, 600)).toBe(2 ** 31 - 1);
    expect(sumAt(windows, 0, 100 + WINDOW_MS)).toBe(0);
  });

  test('a correction goes to the bucket it was taken from, and leaves with it', () => {
    const windows = newWindows();
    sumAt(windows, 0, 1_000);
    const tick = take(windows, 0, { amount: 10, nowMs: 1_000 });
    sumAt(windows, 0, 31_000);
    take(windows, 0, { amount: 1, nowMs: 31_000 });
    changeBucket(windows, 0, { tick, amount: 490 });
    expect(sumAt(windows, 0, 60_999)).toBe(501);
    expect(waitMs(windows, 0, { target: 100, nowMs: 60_999 })).toBe(1);
    expect(sumAt(windows, 0, 61_000)).toBe(1);
    changeBucket(windows, 0, { tick, amount: -5 });
    sumAt(windows, 0, 61_500);
    changeBucket(windows, 0, { tick, amount: 490 });
    expect(sumAt(windows, 0, 61_500)).toBe(1);
  });

  test('a thread whose look at the clock is older never lets anything leave too early', () => {
    const windows = newWindows();
    sumAt(windows, 0, 10_250);
    take(windows, 0, { amount: 1, nowMs: 10_250 });
    expect(sumAt(windows, 0, 10_240)).toBe(1);
    take(windows, 0, { amount: 1, nowMs: 10_240 });
    expect(sumAt(windows, 0, 70_249)).toBe(2);
    expect(sumAt(windows, 0, 70_250)).toBe(0);
  });

  test('a sum that its thread did not live to write is made again', () => {
    const windows = newWindows(2);
    take(windows, 1, { amount: 7, nowMs: 300 });
    windows.words[WORDS_PER_WINDOW + 1] = 3;
    mendWindow(windows, 1);
    expect(sumAt(windows, 1, 400)).toBe(7);
    mendWindow(windows, 0);
    expect(sumAt(windows, 0, 400)).toBe(0);
  });
});

type Step = { afterMs: number } & ({ do: 'take'; amount: number } | { do: 'change'; which: number; by: number });
const pause = fc.oneof(
  { weight: 5, arbitrary: fc.nat(400) },
  { weight: 2, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(70_000) },
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ afterMs: pause, do: fc.constant('take' as const), amount: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      afterMs: pause,
      do: fc.constant('change' as const),
      which: fc.nat(40),
      by: fc.integer({ min: -9, max: 9 }),
    }),
  },
);
const script = fc.tuple(fc.nat(1_000_000), fc.array(steps, { maxLength: 120 }));

/** Every taking with its time, and nothing else: what is true by definition. */
interface Event {
  atMs: number;
  amount: number;
  tick: number;
}

describe('against a list of all that was taken', () => {
  test('never more than the limit in any 60 s; what is refused is refused by at most 60.25 s; the wait is exact', () => {
    const most = 20;
    fc.assert(
      fc.property(script, ([startMs, list]) => {
        const windows = newWindows();
        const events: Event[] = [];
        const within = (nowMs: number, backMs: number): number =>
          events.filter(({ atMs }) => atMs > nowMs - backMs).reduce((sum, { amount }) => sum + amount, 0);
        let nowMs = startMs;
        for (const step of list) {
          nowMs += step.afterMs;
          if (step.do === 'change') continue;
          const { amount } = step;
          const tick = tryTake(windows, 0, { amount, nowMs, most });
          if (tick !== undefined) {
            events.push({ atMs: nowMs, amount, tick });
            expect(within(nowMs, WINDOW_MS)).toBeLessThanOrEqual(most);
          } else {
            expect(within(nowMs, WINDOW_MS + 250) + amount).toBeGreaterThan(most);
            const wait = waitMs(windows, 0, { target: most - amount, nowMs });
            expect(wait).toBeGreaterThan(0);
            expect(wait).toBeLessThanOrEqual(WINDOW_MS);
            const copy: Windows = windowsAt(windows.words.buffer.slice(0) as SharedArrayBuffer, 0, 1);
            expect(sumAt(copy, 0, nowMs + wait - 1) + amount).toBeGreaterThan(most);
            expect(sumAt(copy, 0, nowMs + wait) + amount).toBeLessThanOrEqual(most);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('the sum is that of the buckets whose last taking is younger than 60 s, corrections included', () => {
    fc.assert(
      fc.property(script, ([startMs, list]) => {
        const windows = newWindows();
        const events: Event[] = [];
        const leavesAt = (tick: number): number =>
          Math.max(...events.filter((each) => each.tick === tick).map(({ atMs }) => atMs)) + WINDOW_MS;
        const amountOf = (tick: number): number =>
          events.filter((each) => each.tick === tick).reduce((sum, { amount }) => sum + amount, 0);
        let nowMs = startMs;
        for (const step of list) {
          nowMs += step.afterMs;
          sumAt(windows, 0, nowMs);
          if (step.do === 'take')
            events.push({ atMs: nowMs, amount: step.amount, tick: take(windows, 0, { amount: step.amount, nowMs }) });
          else {
            const event = events[step.which % Math.max(1, events.length)];
            if (event !== undefined && leavesAt(event.tick) > nowMs) {
              const by = Math.max(step.by, -amountOf(event.tick));
              changeBucket(windows, 0, { tick: event.tick, amount: by });
              event.amount += by;
            }
          }
          const ticks = [...new Set(events.map(({ tick }) => tick))];
          const expected = ticks.filter((tick) => leavesAt(tick) > nowMs).reduce((sum, tick) => sum + amountOf(tick), 0);
          expect(sumAt(windows, 0, nowMs)).toBe(expected);
        }
      }),
      { numRuns: 500 },
    );
  });
});
