/**
 * The health of one replica: `next(health, observation, rules)`, the only place where states are decided. Drawn in docs/agents.md.
 *
 * A probe is a GET and tells whether something is there; a call tells whether it works, and therefore has the last word for a minute.
 */
import type { AgentState, CallVerdict, StateReason } from '../core/agent.ts';

export interface Health {
  state: AgentState;
  reason?: StateReason;
  /** When it was last looked at or set, wall clock. */
  checkedAtMs?: number;
  /** Of the last probe that was answered. */
  latencyMs?: number;
  /** Probes in a row that found it well, or not. */
  goodProbes: number;
  badProbes: number;
  /** Calls in a row that did not get through, and from whom: two are enough to know. */
  hard: number;
  hardBy: readonly string[];
  /** Nobody could be reached: what a later probe can disprove, */
  unreachable?: true;
  /** unless a probe found it well all the while. */
  contradicted?: true;
  /** Calls in a row that failed there, and the message of the last one. */
  soft: number;
  softMessage?: number;
  /** The latest callers, newest first, at most two. */
  callers: readonly { id: string; atMs: number }[];
  succeededAtMs?: number;
  failedAtMs?: number;
  /** Calls worked while GET answered 5xx: its word is worth nothing until it answers otherwise. */
  getTellsNothing?: true;
  /** When the last trial of an Unhealthy one was let through. */
  trialAtMs?: number;
}

export type ProbeVerdict =
  /** 2xx in time. */
  | 'ok'
  | 'slow'
  /** 404 or 405. */
  | 'unverified'
  /** Any other status below 500, redirects included. */
  | 'refused'
  /** 5xx. */
  | 'failing'
  /** No connection, or no answer in time. */
  | 'unreachable';

export type Observation =
  | { kind: 'probe'; verdict: ProbeVerdict; atMs: number; latencyMs?: number }
  | { kind: 'call'; verdict: CallVerdict; unreachable?: boolean; caller: string; message?: number; atMs: number }
  /** Somebody says so. */
  | { kind: 'set'; state: AgentState; atMs: number }
  /** A trial is let through. */
  | { kind: 'trial'; atMs: number };

export interface HealthRules {
  unhealthyThreshold: number;
  healthyThreshold: number;
}

export const NEW: Health = Object.freeze({
  state: 'unknown',
  goodProbes: 0,
  badProbes: 0,
  hard: 0,
  hardBy: [],
  soft: 0,
  callers: [],
});

/** So long a real call outranks a probe. */
const CALL_COUNTS_MS = 60_000;
/** Calls in a row. */
const FAILURES = 3;
/** Stands among callers for the probe: it is a witness too. */
const PROBE = ' probe';

export function next(health: Health, seen: Observation, rules: HealthRules): Health {
  switch (seen.kind) {
    case 'set':
      return { ...NEW, state: seen.state, reason: 'operator', checkedAtMs: seen.atMs };
    case 'trial':
      return { ...health, trialAtMs: seen.atMs };
    case 'probe':
      return afterProbe(health, seen, rules);
    case 'call':
      return afterCall(health, seen);
  }
}

/** Whether an Unhealthy replica may be tried by one send. */
export function mayTry({ state, trialAtMs = -Infinity }: Health, atMs: number, intervalMs: number): boolean {
  return state === 'unhealthy' && atMs - trialAtMs >= intervalMs;
}

/** A trial was let through since then, and nothing has come of it yet. */
export function isBeingTried({ state, trialAtMs = -Infinity, failedAtMs = -Infinity }: Health, sinceMs: number): boolean {
  return state === 'unhealthy' && trialAtMs > sinceMs && failedAtMs < trialAtMs;
}

/** Best first; the state of an agent is that of its best replica. */
export function rankOf({ state, reason }: { state: AgentState; reason?: StateReason | undefined }): number {
  if (state === 'degraded') return reason === 'unverified' ? 1 : 2;
  return { healthy: 0, unknown: 3, unhealthy: 4, disabled: 5 }[state];
}

type Probe = Extract<Observation, { kind: 'probe' }>;
type Call = Extract<Observation, { kind: 'call' }>;

function afterProbe(health: Health, probe: Probe, rules: HealthRules): Health {
  const { atMs, verdict, latencyMs } = probe;
  const isBad = verdict === 'failing' || verdict === 'unreachable';
  const looked: Health = {
    ...health,
    checkedAtMs: atMs,
    ...(latencyMs !== undefined && { latencyMs }),
    goodProbes: isBad ? 0 : health.goodProbes + 1,
    badProbes: isBad ? health.badProbes + 1 : 0,
  };
  if (verdict !== 'failing' && verdict !== 'unreachable') delete looked.getTellsNothing;
  if (health.state === 'disabled') return looked;
  return isBad ? afterBadProbe(looked, probe, rules) : afterGoodProbe(looked, probe, rules);
}

function afterBadProbe(health: Health, { atMs, verdict }: Probe, { unhealthyThreshold }: HealthRules): Health {
  const witnessed = health.hard === 0 ? health : { ...health, hardBy: withCaller(health.hardBy, PROBE) };
  if (isRecent(health.succeededAtMs, atMs)) return witnessed;
  if (verdict === 'failing' && health.getTellsNothing === true) return to(witnessed, 'degraded', 'unverified');
  if (health.badProbes < unhealthyThreshold && health.state !== 'unknown') return witnessed;
  return to(witnessed, 'unhealthy', verdict === 'failing' ? 'errors' : 'unreachable');
}

function afterGoodProbe(health: Health, probe: Probe, { healthyThreshold }: Pick<HealthRules, 'healthyThreshold'>): Health {
  if (health.state === 'unhealthy' && health.goodProbes < healthyThreshold) return health;
  // Somebody serves its card while nobody reaches it: only a call can tell.
  if (health.unreachable === true && health.state !== 'unhealthy') return { ...health, contradicted: true };
  if (health.contradicted === true) return health;
  return afterAnswer(health.unreachable === true ? reached(health) : health, probe);
}

/** Something answers. Calls that failed a moment ago are not mended by that. */
function afterAnswer(health: Health, { atMs, verdict }: Probe): Health {
  if (isRecent(health.failedAtMs, atMs) && (health.hard >= FAILURES || health.soft >= FAILURES)) {
    return to(health, 'degraded', health.reason === 'slow' ? 'slow' : 'errors');
  }
  if (verdict === 'ok') return to(health, 'healthy');
  if (isRecent(health.succeededAtMs, atMs)) return health;
  return to(health, 'degraded', verdict === 'refused' ? 'errors' : verdict === 'slow' ? 'slow' : 'unverified');
}

/** It can be connected to, after all. */
function reached(health: Health): Health {
  const { unreachable: _, failedAtMs: __, ...rest } = health;
  return { ...rest, hard: 0, hardBy: [] };
}

function afterCall(health: Health, call: Call): Health {
  const { caller, atMs, verdict } = call;
  const callers = [
    { id: caller, atMs },
    ...health.callers.filter((each) => each.id !== caller && isRecent(each.atMs, atMs)).slice(0, 1),
  ];
  const called = { ...health, callers };
  if (verdict === 'ok') return afterSuccess(called, call);
  if (verdict === 'hard') return afterHard(called, call);
  if (verdict === 'none') return answered(called);
  return afterSoft(called, call);
}

function afterSuccess(health: Health, { atMs }: Call): Health {
  const { softMessage: _, failedAtMs: __, unreachable: ___, contradicted: ____, ...rest } = health;
  const wasMisjudged = health.state === 'unhealthy' && health.reason === 'errors' && health.badProbes > 0;
  const well: Health = { ...rest, hard: 0, hardBy: [], soft: 0, succeededAtMs: atMs };
  if (wasMisjudged) well.getTellsNothing = true;
  return health.state === 'disabled' ? well : to(well, 'healthy');
}

/** It did not get through. From one caller alone that could be the caller's own way, where others get through. */
function afterHard(health: Health, { caller, atMs, unreachable }: Call): Health {
  const { unreachable: _, ...rest } = health;
  const failed: Health = {
    ...rest,
    hard: health.hard + 1,
    hardBy: withCaller(health.hardBy, caller),
    failedAtMs: atMs,
    ...(unreachable === true && { unreachable }),
  };
  if (failed.hard < FAILURES || failed.state === 'disabled') return failed;
  if (failed.hardBy.length < 2 && failed.callers.length >= 2) return failed;
  return to(failed, 'unhealthy', unreachable === true ? 'unreachable' : 'errors');
}

/** Something answered, if only with an error. The same message failing again and again says something of the message. */
function afterSoft(health: Health, { atMs, message, verdict }: Call): Health {
  const isSame = message !== undefined && message === health.softMessage;
  const failed: Health = {
    ...health,
    hard: 0,
    hardBy: [],
    soft: isSame ? health.soft : health.soft + 1,
    failedAtMs: isSame && health.failedAtMs !== undefined ? health.failedAtMs : atMs,
    ...(message !== undefined && { softMessage: message }),
  };
  if (health.state === 'disabled') return failed;
  // A trial that times out found nobody.
  if (health.state === 'unhealthy') return verdict === 'slow' ? health : to(failed, 'degraded', 'errors');
  if (failed.soft < FAILURES) return failed;
  return to(failed, 'degraded', verdict === 'slow' ? 'slow' : 'errors');
}

/** The caller's own error, well answered: whoever answers is there. */
function answered(health: Health): Health {
  const there = { ...health, hard: 0, hardBy: [] };
  return health.state === 'unhealthy' ? to(there, 'degraded', 'unverified') : there;
}

function withCaller(known: readonly string[], caller: string): readonly string[] {
  return known.includes(caller) || known.length >= 2 ? known : [...known, caller];
}

function isRecent(thenMs: number | undefined, atMs: number): boolean {
  return thenMs !== undefined && atMs - thenMs < CALL_COUNTS_MS;
}

function to(health: Health, state: AgentState, reason?: StateReason): Health {
  const { reason: _, ...rest } = health;
  return { ...rest, state, ...(reason !== undefined && { reason }) };
}
