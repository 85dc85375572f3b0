import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type BreakerState, CLOSED, claimProbe, nextState, phaseOf } from './breaker.ts';
import type { BreakerRules } from '../core/routing.ts';
import type { TargetObservation, TargetOutcome } from './live.ts';

const RULES: BreakerRules = { failures: 5, failureShare: 0.5, windowMs: 60_000, openMs: 30_000 };
const T0 = 1_800_000_000_000;

const seen = (outcome: TargetOutcome, atMs: number, more: Partial<TargetObservation> = {}): TargetObservation => ({
  outcome,
  atMs,
  probe: false,
  ...more,
});

/** One attempt each second. */
function after(outcomes: readonly TargetOutcome[], from: BreakerState = CLOSED, startMs = T0): BreakerState {
  return outcomes.reduce((state, outcome, at) => nextState(state, seen(outcome, startMs + at * 1_000), RULES), from);
}

const many = (outcome: TargetOutcome, times: number): TargetOutcome[] => Array.from({ length: times }, () => outcome);

describe('opens', () => {
  test.each<[string, TargetOutcome[], 'closed' | 'open']>([
    ['not at four faults in a row', many('fault', 4), 'closed'],
    ['at five', many('fault', 5), 'open'],
    ['not where content came between', [...many('fault', 4), 'ok', ...many('fault', 4)], 'closed'],
    ['at half of ten', ['ok', 'fault', 'ok', 'fault', 'ok', 'fault', 'ok', 'fault', 'ok', 'fault'], 'open'],
    ['not at a third', ['ok', 'ok', 'fault', 'ok', 'ok', 'fault', 'ok', 'ok', 'fault', 'ok', 'ok', 'fault'], 'closed'],
    ['never for what callers do', many('neutral', 100), 'closed'],
    ['at once where the provider asks for a pause', ['throttled'], 'open'],
    ['at once where the account is used up', ['exhausted'], 'open'],
    ['at once where the credential is refused', ['misconfigured'], 'open'],
  ])('%s', (_, outcomes, phase) => {
    expect(phaseOf(after(outcomes), T0 + outcomes.length * 1_000)).toBe(phase);
  });

  test.each<[TargetOutcome, Partial<TargetObservation>, number]>([
    ['throttled', { retryAfterMs: 7_000 }, 7_000],
    ['throttled', {}, 30_000],
    ['throttled', { retryAfterMs: 86_400_000 }, 600_000],
    ['exhausted', {}, 600_000],
    ['misconfigured', {}, 30_000],
  ])('%s %j for %i ms', (outcome, more, openMs) => {
    expect(nextState(CLOSED, seen(outcome, T0, more), RULES).openUntilMs).toBe(T0 + openMs);
  });

  test('for no shorter than it was told before', () => {
    const exhausted = nextState(CLOSED, seen('exhausted', T0), RULES);
    expect(nextState(exhausted, seen('throttled', T0 + 1, { retryAfterMs: 1_000 }), RULES).openUntilMs).toBe(T0 + 600_000);
  });

  test('not for faults of long ago', () => {
    const before = after(['fault', 'ok', 'fault', 'ok', 'fault', 'ok', 'fault', 'ok']);
    const later = after(['fault', 'ok', 'fault', 'ok'], before, T0 + 200_000);
    expect(phaseOf(later, T0 + 210_000)).toBe('closed');
  });
});

describe('finds out', () => {
  const open = after(many('fault', 5));
  const at = open.openUntilMs;

  test('after its time, by one attempt', () => {
    expect(claimProbe(open, at - 1, RULES)).toBeUndefined();
    const claimed = claimProbe(open, at, RULES)!;
    expect(phaseOf(claimed, at)).toBe('probing');
    expect(claimProbe(claimed, at + 1, RULES)).toBeUndefined();
    // Whoever found out never told.
    expect(claimProbe(claimed, at + RULES.openMs, RULES)).toBeDefined();
  });

  test('that content closes it, and a fault opens it again', () => {
    const claimed = claimProbe(open, at, RULES)!;
    expect(phaseOf(nextState(claimed, seen('ok', at + 5, { probe: true }), RULES), at + 5)).toBe('closed');
    expect(nextState(claimed, seen('fault', at + 5, { probe: true }), RULES).openUntilMs).toBe(at + 5 + RULES.openMs);
  });

  test('that a caller who left says nothing, and another may try', () => {
    const claimed = claimProbe(open, at, RULES)!;
    const left = nextState(claimed, seen('neutral', at + 5, { probe: true }), RULES);
    expect(claimProbe(left, at + 6, RULES)).toBeDefined();
  });

  test('nothing from attempts that were sent before', () => {
    expect(nextState(open, seen('ok', at - 100), RULES)).toBe(open);
    expect(nextState(open, seen('fault', at - 100), RULES)).toBe(open);
  });
});

const OUTCOMES: TargetOutcome[] = ['ok', 'fault', 'throttled', 'exhausted', 'misconfigured', 'neutral'];

test('whatever happens, in whatever order of the clock: it is never open for longer than ten minutes, and never probed twice at once', () => {
  const step = fc.record({
    outcome: fc.constantFrom(...OUTCOMES),
    afterMs: fc.integer({ min: -5_000, max: 700_000 }),
    claims: fc.boolean(),
    retryAfterMs: fc.integer({ min: 0, max: 1e9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state: BreakerState = CLOSED;
      let nowMs = T0;
      for (const { outcome, afterMs, claims, retryAfterMs } of steps) {
        nowMs += afterMs;
        const claimed = claims ? claimProbe(state, nowMs, RULES) : undefined;
        if (claimed !== undefined) expect(claimProbe(claimed, nowMs, RULES)).toBeUndefined();
        const before = state.openUntilMs;
        state = nextState(claimed ?? state, seen(outcome, nowMs, { retryAfterMs, probe: claimed !== undefined }), RULES);
        expect(state.openUntilMs).toBeLessThanOrEqual(Math.max(before, nowMs + 600_000));
      }
    }),
  );
});

test('ten days at one fault in a hundred never exclude a target', () => {
  let state: BreakerState = CLOSED;
  for (let at = 0; at < 864_000; at += 2) {
    state = nextState(state, seen(at % 200 === 0 ? 'fault' : 'ok', T0 + at * 1_000), RULES);
    if (state.openUntilMs !== 0) expect.unreachable(`opened after ${at} s`);
  }
  expect(phaseOf(state, T0 + 864_000_000)).toBe('closed');
});
