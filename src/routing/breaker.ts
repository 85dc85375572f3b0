/**
 * When a target is left alone: a circuit breaker as one pure function of what was and what an attempt has shown. All of its state is numbers, so that it can lie in memory
 * that all workers share.
 *
 * Closed → open after so many faults in a row, or at that share of faults in the window → after its time one attempt may find out → closed, or open again.
 */
import type { BreakerRules } from '../core/routing.ts';
import type { TargetObservation } from './live.ts';

export interface BreakerState {
  /** Faults since the last content. */
  inARow: number;
  /** Where the present half of the window begins, wall clock, ms; what was counted in it, and in the half before. */
  halfStartMs: number;
  attempts: number;
  faults: number;
  attemptsBefore: number;
  faultsBefore: number;
  /** 0: closed. */
  openUntilMs: number;
  /** Until when the one who finds out may take; 0: nobody does. */
  probeUntilMs: number;
}

export const CLOSED: Readonly<BreakerState> = Object.freeze({
  inARow: 0,
  halfStartMs: 0,
  attempts: 0,
  faults: 0,
  attemptsBefore: 0,
  faultsBefore: 0,
  openUntilMs: 0,
  probeUntilMs: 0,
});

/** A share of fewer attempts says nothing. */
const ENOUGH_ATTEMPTS = 10;
/** A used-up account, and the most that a Retry-After is believed. */
const LONG_MS = 600_000;

export function phaseOf({ openUntilMs }: BreakerState, nowMs: number): 'closed' | 'open' | 'probing' {
  if (openUntilMs === 0) return 'closed';
  return nowMs < openUntilMs ? 'open' : 'probing';
}

/** For whoever wants to find out; undefined: it is not time, or somebody does already. One that never tells is no longer waited for after `openMs`. */
export function claimProbe(state: BreakerState, nowMs: number, { openMs }: BreakerRules): BreakerState | undefined {
  if (phaseOf(state, nowMs) !== 'probing' || nowMs < state.probeUntilMs) return undefined;
  return { ...state, probeUntilMs: nowMs + openMs };
}

/** After an attempt. One that was sent before the breaker opened neither closes it nor opens it for longer. */
export function nextState(state: BreakerState, seen: TargetObservation, rules: BreakerRules): BreakerState {
  const isClosed = state.openUntilMs === 0;
  if (seen.outcome === 'neutral') return seen.probe ? { ...state, probeUntilMs: 0 } : state;
  const forced = forcedMs(seen, rules);
  if (forced !== undefined) return opened(state, Math.max(state.openUntilMs, seen.atMs + forced));
  if (!isClosed && !seen.probe) return state;
  if (!isClosed) return seen.outcome === 'ok' ? { ...CLOSED, halfStartMs: seen.atMs } : opened(state, seen.atMs + rules.openMs);
  const counted = count(state, seen, rules);
  return isTooMuch(counted, seen.atMs, rules) ? opened(counted, seen.atMs + rules.openMs) : counted;
}

/** What needs no second sign: the next attempt would be answered alike. */
function forcedMs({ outcome, retryAfterMs }: TargetObservation, { openMs }: BreakerRules): number | undefined {
  if (outcome === 'throttled') return Math.min(retryAfterMs ?? openMs, LONG_MS);
  if (outcome === 'exhausted') return LONG_MS;
  return outcome === 'misconfigured' ? openMs : undefined;
}

function opened(state: BreakerState, untilMs: number): BreakerState {
  return { ...CLOSED, halfStartMs: state.halfStartMs, openUntilMs: untilMs };
}

function count(state: BreakerState, { outcome, atMs }: TargetObservation, rules: BreakerRules): BreakerState {
  const { attempts, faults, ...same } = turned(state, atMs, rules);
  const fault = outcome === 'fault' ? 1 : 0;
  return { ...same, attempts: attempts + 1, faults: faults + fault, inARow: fault * (state.inARow + 1) };
}

/** The halves of the window move on with the clock; one that goes back begins anew. */
function turned(state: BreakerState, atMs: number, { windowMs }: BreakerRules): BreakerState {
  const half = windowMs / 2;
  const age = atMs - state.halfStartMs;
  if (age >= 0 && age < half) return state;
  const isNext = age >= half && age < windowMs;
  const { attempts, faults } = isNext ? state : CLOSED;
  return {
    ...state,
    halfStartMs: isNext ? state.halfStartMs + half : atMs,
    attempts: 0,
    faults: 0,
    attemptsBefore: attempts,
    faultsBefore: faults,
  };
}

/** The half before counts by as much of it as the window still covers. */
function isTooMuch(state: BreakerState, atMs: number, { failures, failureShare, windowMs }: BreakerRules): boolean {
  if (state.inARow >= failures) return true;
  const covered = 1 - (atMs - state.halfStartMs) / (windowMs / 2);
  const attempts = state.attempts + covered * state.attemptsBefore;
  const faults = state.faults + covered * state.faultsBefore;
  return attempts >= ENOUGH_ATTEMPTS && faults >= attempts * failureShare;
}
