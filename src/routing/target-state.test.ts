import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { lock } from '../lib/shared-lock.ts';
import type { BreakerRules } from '../core/routing.ts';
import type { TargetObservation, TargetOutcome } from './live.ts';
import {
  LOCK_AT,
  type TargetMemory,
  clearPlace,
  createTargetMemory,
  ownerOf,
  reclaimTargets,
  targetViews,
} from './target-memory.ts';
import { type TargetStates, openTargetStates } from './target-state.ts';
import { createTargetsOverview } from './targets-overview.ts';

const RULES: BreakerRules = { failures: 3, failureShare: 0.5, windowMs: 60_000, openMs: 30_000 };
const T0 = 1_800_000_000_000;

const seen = (outcome: TargetOutcome, atMs: number, more: Partial<TargetObservation> = {}): TargetObservation => ({
  outcome,
  atMs,
  probe: false,
  ...more,
});

function open(workers = 2, places = 4): { memory: TargetMemory; all: TargetStates[] } {
  const memory = createTargetMemory({ places, workers }, T0 - 60_000);
  return { memory, all: Array.from({ length: workers }, (_, worker) => openTargetStates(memory, worker)) };
}

/** One attempt from beginning to end. */
function attempt(states: TargetStates, place: number, observation: TargetObservation): ReturnType<TargetStates['ended']> {
  return states.ended(states.began(place, observation.atMs), observation, RULES);
}

function trip(states: TargetStates, place = 0, atMs = T0): void {
  attempt(states, place, seen('throttled', atMs));
}

test('nothing is known of a place that nobody used', () => {
  const [states] = open().all as [TargetStates];
  expect(states.breaker(3, T0)).toBe('closed');
  expect([states.inFlight(3), states.openUntilMs(3), states.lastSentMs(3), states.waitingMs(3, T0)]).toEqual([0, 0, 0, 0]);
  expect([states.firstContentMs(3, T0), states.perTokenMs(3, T0)]).toEqual([undefined, undefined]);
});

test('faults count over all workers, and each knows that the breaker opened', () => {
  const [one, two] = open().all as [TargetStates, TargetStates];
  expect(attempt(one, 1, seen('fault', T0))).toBeUndefined();
  expect(attempt(two, 1, seen('fault', T0 + 1))).toBeUndefined();
  expect(attempt(one, 1, seen('fault', T0 + 2))).toBe('opened');
  for (const states of [one, two]) {
    expect(states.breaker(1, T0 + 3)).toBe('open');
    expect(states.openUntilMs(1)).toBe(T0 + 2 + RULES.openMs);
    expect(states.breaker(1, T0 + 2 + RULES.openMs)).toBe('probing');
    expect(states.breaker(0, T0 + 3)).toBe('closed');
  }
});

describe('the probe', () => {
  const half = T0 + RULES.openMs;

  test('is for one, in whichever worker; for the others it stays open', () => {
    const { memory, all } = open();
    const [one, two] = all as [TargetStates, TargetStates];
    trip(one);
    expect(one.claimProbe(0, half - 1, RULES)).toBe(false);
    expect(two.claimProbe(0, half, RULES)).toBe(true);
    expect(one.claimProbe(0, half, RULES)).toBe(false);
    expect(one.breaker(0, half)).toBe('open');
    expect(one.openUntilMs(0)).toBe(half + RULES.openMs);
    const { state } = createTargetsOverview(memory);
    expect([half - 1, half].map((atMs) => state(0, atMs))).toEqual(['open', 'probing']);
    expect(attempt(two, 0, seen('ok', half + 5, { probe: true }))).toBe('closed');
    expect([one.breaker(0, half + 6), one.openUntilMs(0), state(0, half + 6)]).toEqual(['closed', 0, 'closed']);
  });

  test('is free again when its worker dies, when it takes too long, and when it says nothing', () => {
    const { memory, all } = open();
    const [one, two] = all as [TargetStates, TargetStates];
    trip(one);
    two.claimProbe(0, half, RULES);
    reclaimTargets(targetViews(memory), 0);
    expect(one.claimProbe(0, half, RULES)).toBe(false);
    reclaimTargets(targetViews(memory), 1);
    expect(one.breaker(0, half)).toBe('probing');
    expect(one.claimProbe(0, half, RULES)).toBe(true);
    expect(two.claimProbe(0, half + RULES.openMs, RULES)).toBe(true);
    attempt(two, 0, seen('neutral', half + RULES.openMs, { probe: true }));
    expect(one.claimProbe(0, half + RULES.openMs, RULES)).toBe(true);
  });

  test('that took too long does not give up the next one', () => {
    const [one, two] = open().all as [TargetStates, TargetStates];
    trip(one);
    one.claimProbe(0, half, RULES);
    const slow = one.began(0, half);
    const later = half + RULES.openMs;
    expect(two.claimProbe(0, later, RULES)).toBe(true);
    one.ended(slow, seen('neutral', later + 1, { probe: true }), RULES);
    expect(one.claimProbe(0, later + 2, RULES)).toBe(false);
  });

  test('is claimed once by threads that ask at the same time', async () => {
    const [rivals, places] = [3, 2_000];
    const { memory, all } = open(rivals, places);
    for (let place = 0; place < places; place++) trip(all[0]!, place);
    const gate = new SharedArrayBuffer(4);
    const race = (worker: number): Worker =>
      new Worker(new URL('../../test/fixtures/probe-race.ts', import.meta.url), {
        workerData: { memory, worker, gate, rivals, places, nowMs: half, rules: RULES },
      });
    const threads = [0, 1, 2].map(race);
    const claimed = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0] as number[]));
    const inOrder = claimed.flat().sort((a, b) => a - b);
    expect(inOrder).toEqual(Array.from({ length: places }, (_, place) => place));
    expect(all[0]!.breaker(0, half)).toBe('closed');
    expect(all[0]!.breaker(1, half)).toBe('open');
    expect(all[0]!.inFlight(0)).toBe(0);
  });
});

describe('what is under way', () => {
  test('counts over all workers, once each, and a dead one has nothing left', () => {
    const { memory, all } = open();
    const [one, two] = all as [TargetStates, TargetStates];
    const first = one.began(2, T0);
    two.began(2, T0);
    expect(one.inFlight(2)).toBe(2);
    one.ended(first, seen('neutral', T0 + 1), RULES);
    one.ended(first, seen('neutral', T0 + 1), RULES);
    expect(one.inFlight(2)).toBe(1);
    reclaimTargets(targetViews(memory), 1);
    expect([one.inFlight(2), one.waitingMs(2, T0 + 50)]).toEqual([0, 0]);
  });

  test('waits in silence from the first one sent, or the last content', () => {
    const [one, two] = open().all as [TargetStates, TargetStates];
    const first = one.began(0, T0);
    const second = two.began(0, T0 + 300);
    expect(two.waitingMs(0, T0 + 400)).toBe(400);
    one.answered(first, T0 + 500);
    expect(two.waitingMs(0, T0 + 600)).toBe(100);
    one.ended(first, seen('ok', T0 + 900), RULES);
    // The end of a stream is no first content.
    expect(two.waitingMs(0, T0 + 1_000)).toBe(500);
    two.ended(second, seen('fault', T0 + 1_100), RULES);
    expect(two.waitingMs(0, T0 + 1_200)).toBe(0);
    expect(two.lastSentMs(0)).toBe(T0 + 300);
  });
});

describe('times', () => {
  test('are learned by one worker and known to all, until they are forgotten', () => {
    const [one, two] = open().all as [TargetStates, TargetStates];
    attempt(one, 0, seen('ok', T0, { firstContentMs: 200, streamedMs: 1_000, outputTokens: 100 }));
    expect([two.firstContentMs(0, T0), two.perTokenMs(0, T0)]).toEqual([200, 10]);
    expect(two.firstContentMs(0, T0 + 600_000)).toBeUndefined();
  });

  test('of a few tokens say nothing of the pace', () => {
    const [states] = open().all as [TargetStates];
    attempt(states, 0, seen('ok', T0, { firstContentMs: 200, streamedMs: 0, outputTokens: 3 }));
    expect(states.perTokenMs(0, T0)).toBeUndefined();
  });

  test('begin anew after an outage', () => {
    const [states] = open().all as [TargetStates];
    const half = T0 + RULES.openMs;
    attempt(states, 0, seen('ok', T0, { firstContentMs: 5_000, streamedMs: 1_000, outputTokens: 10 }));
    trip(states);
    states.claimProbe(0, half, RULES);
    attempt(states, 0, seen('ok', half, { firstContentMs: 100, probe: true }));
    expect([states.firstContentMs(0, half), states.perTokenMs(0, half)]).toEqual([100, undefined]);
  });
});

test('a worker that dies in its section leaves what was there, and the others go on', () => {
  const { memory, all } = open();
  const views = targetViews(memory);
  trip(all[0]!);
  lock(views.words, LOCK_AT, ownerOf(0));
  reclaimTargets(views, 0);
  expect(attempt(all[1]!, 0, seen('exhausted', T0 + 1))).toBeUndefined();
  expect(all[1]!.openUntilMs(0)).toBe(T0 + 1 + 600_000);
});

test('a place given to another target remembers nothing of the one before, and its neighbours all', () => {
  const { memory, all } = open();
  const [states] = all as [TargetStates];
  for (const place of [0, 1, 2]) {
    attempt(states, place, seen('ok', T0, { firstContentMs: 10 }));
    trip(states, place);
  }
  clearPlace(targetViews(memory), 1);
  expect([0, 1, 2].map((place) => states.breaker(place, T0 + 1))).toEqual(['open', 'closed', 'open']);
  expect([0, 1, 2].map((place) => states.firstContentMs(place, T0))).toEqual([10, undefined, 10]);
  expect([0, 1, 2].map((place) => states.lastSentMs(place))).toEqual([T0, 0, T0]);
});

test('in whatever order workers send, end and die: nothing is counted that is not under way, and one probe at a time', () => {
  const step = fc.record({
    worker: fc.nat({ max: 2 }),
    what: fc.constantFrom('send', 'send', 'end', 'end', 'answer', 'die'),
    outcome: fc.constantFrom<TargetOutcome>('ok', 'fault', 'throttled', 'neutral'),
    afterMs: fc.nat({ max: 20_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { memory, all } = open(3, 1);
      const views = targetViews(memory);
      const underWay = all.map((): { attempt: ReturnType<TargetStates['began']>; probe: boolean; sentMs: number }[] => []);
      let nowMs = T0;
      for (const { worker, what, outcome, afterMs } of steps) {
        nowMs += afterMs;
        const states = all[worker]!;
        const own = underWay[worker]!;
        if (what === 'send') {
          const probe = states.breaker(0, nowMs) === 'probing' && states.claimProbe(0, nowMs, RULES);
          own.push({ attempt: states.began(0, nowMs), probe, sentMs: nowMs });
        } else if (what === 'end') {
          const last = own.shift();
          if (last !== undefined) states.ended(last.attempt, seen(outcome, nowMs, { probe: last.probe }), RULES);
        } else if (what === 'answer') {
          if (own[0] !== undefined) states.answered(own[0].attempt, nowMs);
        } else {
          reclaimTargets(views, worker);
          own.length = 0;
        }
        expect(states.inFlight(0)).toBe(underWay.flat().length);
        const waits = underWay.flat().some(({ attempt }) => attempt.waits);
        if (!waits) expect(states.waitingMs(0, nowMs)).toBe(0);
        const probes = underWay.flat().filter(({ probe, sentMs }) => probe && nowMs < sentMs + RULES.openMs);
        expect(probes.length).toBeLessThanOrEqual(1);
      }
    }),
  );
});
