/**
 * The health of one replica: `next(health, observation, rules)`, the only place where states are decided. Drawn in docs/agents.md.
 *
 * A probe is a GET and tells whether something is there; a call tells whether it works, and therefore has the last word for a minute.
 */
import { type AgentState, type CallVerdict, type StateReason, isReachable } from '../core/agent.ts';

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
  /** A probe found it gone too, while calls did not get through: the next one that finds it well has seen it come back. */
  confirmed?: true;
  /** Calls in a row that failed there, and the message of the last one. */
  soft: number;
  softMessage?: number;
  /** The latest callers, newest first, at most two. */
  callers: readonly { id: string; atMs: number }[];
  /** The last call that it worked for, or whose own error it told. */
  answeredAtMs?: number;
  failedAtMs?: number;
  /** Calls worked while GET was answered with 5xx, or not in time: its word is worth nothing until it is answered otherwise. */
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
  /** There is a connection, but no answer in time. */
  | 'silent'
  /** No connection. */
  | 'unreachable';

/** What takes it out of service, and the reason that is told. */
const BAD: Partial<Record<ProbeVerdict, StateReason>> = { failing: 'errors', silent: 'slow', unreachable: 'unreachable' };

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
/** So long calls that did not get through are believed rather than a GET that does: somebody else may serve its card. */
const CALLS_OUTRANK_MS = 600_000;
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

/** Enough calls did not get through, but all of them were of one caller where others get through: a look would tell. */
export function wantsLook({ state, hard, confirmed }: Health): boolean {
  return hard === FAILURES && state !== 'unhealthy' && confirmed !== true;
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
  const reason = BAD[verdict];
  const isBad = reason !== undefined;
  const looked: Health = {
    ...health,
    checkedAtMs: atMs,
    ...(latencyMs !== undefined && { latencyMs }),
    goodProbes: isBad ? 0 : health.goodProbes + 1,
    badProbes: isBad ? health.badProbes + 1 : 0,
  };
  if (!isBad) delete looked.getTellsNothing;
  if (health.state === 'disabled') return looked;
  return isBad ? afterBadProbe(looked, { ...probe, reason }, rules) : afterGoodProbe(looked, probe, rules);
}

function afterBadProbe(
  health: Health,
  { atMs, reason }: Probe & { reason: StateReason },
  { unhealthyThreshold }: HealthRules,
): Health {
  const confirmed = health.hard === 0 ? health : confirm(health);
  if (isKnownToBeGone(confirmed)) return to(confirmed, 'unhealthy', reason);
  if (isRecent(health.answeredAtMs, atMs)) return confirmed;
  if (reason !== 'unreachable' && health.getTellsNothing === true) return to(confirmed, 'degraded', 'unverified');
  if (health.badProbes < unhealthyThreshold && health.state !== 'unknown') return confirmed;
  return to(confirmed, 'unhealthy', reason);
}

function confirm(health: Health): Health {
  return { ...health, hardBy: withCaller(health.hardBy, PROBE), confirmed: true };
}

function afterGoodProbe(health: Health, probe: Probe, { healthyThreshold }: Pick<HealthRules, 'healthyThreshold'>): Health {
  const { state, hard, confirmed, failedAtMs = -Infinity } = health;
  if (state === 'unhealthy' && health.goodProbes < healthyThreshold) return health;
  if (hard === 0) return afterAnswer(health, probe);
  const isBack = confirmed === true || probe.atMs - failedAtMs >= CALLS_OUTRANK_MS;
  if (isBack) return afterAnswer(reached(health), probe);
  return state === 'unhealthy' ? health : afterAnswer(health, probe);
}

/** Something answers. Calls that failed a moment ago are not mended by that. */
function afterAnswer(health: Health, { atMs, verdict }: Probe): Health {
  if (isRecent(health.failedAtMs, atMs) && (health.hard >= FAILURES || health.soft >= FAILURES)) {
    return to(health, 'degraded', health.reason === 'slow' ? 'slow' : 'errors');
  }
  if (verdict === 'ok') return to(health, 'healthy');
  if (isRecent(health.answeredAtMs, atMs) && health.state !== 'unhealthy') return health;
  return to(health, 'degraded', verdict === 'refused' ? 'errors' : verdict === 'slow' ? 'slow' : 'unverified');
}

/** Whatever did not get through, it can be reached now. */
function reached(health: Health): Health {
  if (health.hard === 0) return health;
  const { confirmed: _, failedAtMs: __, ...rest } = health;
  return { ...rest, hard: 0, hardBy: [] };
}

function afterCall(health: Health, call: Call): Health {
  const { caller, atMs, verdict } = call;
  const callers = [
    { id: caller, atMs },
    ...health.callers.filter((each) => each.id !== caller && isRecent(each.atMs, atMs)).slice(0, 1),
  ];
  const called = { ...health, callers };
  // What somebody has said since then is the newer word.
  if (health.reason === 'operator' && atMs < (health.checkedAtMs ?? 0)) return called;
  if (verdict === 'hard') return afterHard(called, call);
  // It was there; since then calls did not get through.
  if (health.hard > 0 && atMs < health.failedAtMs!) return called;
  if (verdict === 'ok') return afterSuccess(called, call);
  if (verdict === 'none') return answered(called, call);
  return afterSoft(called, call);
}

function afterSuccess(health: Health, { atMs }: Call): Health {
  const { softMessage: _, failedAtMs: __, ...rest } = reached(health);
  const wasMisjudged = health.state === 'unhealthy' && isReachable(health.reason) && health.badProbes > 0;
  const well: Health = { ...rest, soft: 0, answeredAtMs: atMs };
  if (wasMisjudged) well.getTellsNothing = true;
  return health.state === 'disabled' ? well : to(well, 'healthy');
}

/** It did not get through. From one caller alone that could be the caller's own way, where others get through. */
function afterHard(health: Health, { caller, atMs, unreachable }: Call): Health {
  const failed: Health = {
    ...health,
    hard: health.hard + 1,
    hardBy: withCaller(health.hardBy, caller),
    failedAtMs: atMs,
  };
  if (failed.state === 'disabled' || !isKnownToBeGone(failed)) return failed;
  return to(failed, 'unhealthy', unreachable === true ? 'unreachable' : 'errors');
}

function isKnownToBeGone({ hard, hardBy, callers }: Health): boolean {
  return hard >= FAILURES && (hardBy.length >= 2 || callers.length < 2);
}

/** Something answered, if only with an error. The same message failing again and again says something of the message. */
function afterSoft(health: Health, { atMs, message, verdict }: Call): Health {
  const isSame = message !== undefined && message === health.softMessage;
  const failed: Health = {
    ...(verdict === 'slow' ? { ...health, hard: 0, hardBy: [] } : reached(health)),
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
function answered(health: Health, { atMs }: Call): Health {
  const there = { ...reached(health), answeredAtMs: atMs };
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
