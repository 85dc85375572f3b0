import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createWheel, type Timed } from './wheel.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function timed(check: (self: Timed, nowMs: number) => void = () => {}) {
  const seen: number[] = [];
  const self: Timed & { seen: number[] } = {
    slot: -1,
    seen,
    check(nowMs) {
      seen.push(nowMs);
      check(self, nowMs);
    },
  };
  return self;
}

describe('the wheel', () => {
  test('asks everybody inside at every turn, and nobody who left', () => {
    const wheel = createWheel({ turnMs: 100, now: () => performance.now() });
    const [a, b, c] = [timed(), timed(), timed()];
    for (const each of [a, b, c]) wheel.join(each);
    wheel.join(a);
    vi.advanceTimersByTime(100);
    wheel.leave(a);
    wheel.leave(a);
    vi.advanceTimersByTime(100);
    expect([a.seen.length, b.seen.length, c.seen.length]).toEqual([1, 2, 2]);
  });

  test('one that leaves in its own check takes nobody with it', () => {
    const wheel = createWheel({ turnMs: 100, now: () => performance.now() });
    const leaver = timed((self) => wheel.leave(self));
    const others = Array.from({ length: 5 }, () => timed());
    wheel.join(others[0]!);
    wheel.join(leaver);
    for (const other of others.slice(1)) wheel.join(other);
    vi.advanceTimersByTime(200);
    expect(leaver.seen).toHaveLength(1);
    expect(others.map((other) => other.seen.length)).toEqual([2, 2, 2, 2, 2]);
  });

  test('stands still while empty and turns again for the next', () => {
    const wheel = createWheel({ turnMs: 100, now: () => performance.now() });
    const first = timed();
    wheel.join(first);
    wheel.leave(first);
    vi.advanceTimersByTime(200);
    expect(vi.getTimerCount()).toBe(0);
    wheel.join(first);
    vi.advanceTimersByTime(100);
    expect(first.seen).toHaveLength(1);
  });
});
