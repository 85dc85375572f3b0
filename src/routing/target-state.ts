/**
 * How targets are doing, in memory that all workers share: what the planner reads before an attempt, and what the attempt leaves behind.
 *
 * Reading takes no lock. What an attempt has taught is written under one lock for all places, in a section of a microsecond at its end.
 */
import type { BreakerRules } from '../core/routing.ts';
import { lock, unlock } from '../lib/shared-lock.ts';
import { claimProbe, nextState } from './breaker.ts';
import { type Estimate, NOTHING, knownMs, learned } from './estimate.ts';
import type { LiveTargets, TargetObservation } from './live.ts';
import {
  CELL,
  COUNT,
  LOCK_AT,
  type Learned,
  type TargetMemory,
  type TargetViews,
  WORD,
  copyAt,
  countAt,
  countOf,
  ownerOf,
  readLearned,
  targetViews,
  wordAt,
  writeLearned,
} from './target-memory.ts';

/** One attempt under way. `ended` ends it once. */
export interface TargetAttempt {
  readonly place: number;
  readonly sentMs: number;
  /** It has had no content yet. */
  waits: boolean;
  open: boolean;
}

/** All of the port but what limits know; see `policy/target-usage.ts`. Times are wall clock, ms. */
export interface TargetStates extends Omit<Required<LiveTargets>, 'requestsUsed' | 'tokensUsed' | 'concurrencyUsed'> {
  /**
   * For whoever sends the one attempt that finds out whether a half-open breaker may close, right before `began`. False: somebody else does. True: its
   * observation says `probe`, and until then, but no longer than `openMs`, nobody else may.
   */
  claimProbe: (place: number, nowMs: number, rules: BreakerRules) => boolean;
  began: (place: number, nowMs: number) => TargetAttempt;
  /** Its first content is there. Of unary answers `ended` is enough. */
  answered: (attempt: TargetAttempt, nowMs: number) => void;
  /** What it did to the breaker, for events; undefined: nothing. */
  ended: (attempt: TargetAttempt, seen: TargetObservation, rules: BreakerRules) => 'opened' | 'closed' | undefined;
}

const TICK_MS = 100;
/** The pace of so few tokens is that of the network. */
const LEAST_TOKENS = 8;

/** `worker`: the number of this thread, from 0; one thread at a time has it. */
export function openTargetStates(memory: TargetMemory, worker: number): TargetStates {
  const thread: Thread = { views: targetViews(memory), worker };
  const { words } = thread.views;
  const read = readers(thread.views);
  return {
    ...read,
    claimProbe: (place, nowMs, rules) => {
      // So that refused ones do not even wait.
      if (read.breaker(place, nowMs) !== 'probing') return false;
      return section(thread, place, (before) => {
        const breaker = claimProbe(before.breaker, nowMs, rules);
        if (breaker === undefined) return false;
        Atomics.store(words, wordAt(place, WORD.probeBy), ownerOf(worker));
        writeLearned(thread.views, place, { ...before, breaker });
        return true;
      });
    },
    began: (place, nowMs) => {
      Atomics.store(words, wordAt(place, WORD.lastSent), ticksAt(memory.originMs, nowMs));
      if (countOf(thread.views, place, COUNT.waiting) === 0) Atomics.store(words, wordAt(place, WORD.silentSince), nowMs | 0);
      add(thread, place, { count: COUNT.waiting, by: 1 });
      add(thread, place, { count: COUNT.inFlight, by: 1 });
      return { place, sentMs: nowMs, waits: true, open: true };
    },
    answered: (attempt, nowMs) => answered(thread, attempt, nowMs),
    ended: (attempt, seen, rules) => {
      if (!attempt.open) return undefined;
      attempt.open = false;
      if (seen.outcome === 'ok') answered(thread, attempt, seen.atMs);
      if (attempt.waits) add(thread, attempt.place, { count: COUNT.waiting, by: -1 });
      add(thread, attempt.place, { count: COUNT.inFlight, by: -1 });
      return section(thread, attempt.place, (before) => teach(thread, attempt, { before, seen, rules }));
    },
  };
}

function readers(views: TargetViews): Omit<TargetStates, 'claimProbe' | 'began' | 'answered' | 'ended'> {
  const { words, cells, originMs } = views;
  const known = (place: number, nowMs: number, from: number): number | undefined => {
    for (;;) {
      const version = Atomics.load(words, wordAt(place, WORD.version));
      const at = copyAt(place, version) + from;
      const found = knownMs(cells[at]!, cells[at + 1]!, nowMs - cells[at + 2]!);
      if (Atomics.load(words, wordAt(place, WORD.version)) === version) return found;
    }
  };
  const openUntilMs = (place: number): number => {
    if (Atomics.load(words, wordAt(place, WORD.mayBeOpen)) === 0) return 0;
    for (;;) {
      const version = Atomics.load(words, wordAt(place, WORD.version));
      const at = copyAt(place, version);
      const isProbed = Atomics.load(words, wordAt(place, WORD.probeBy)) !== 0;
      const [opens, probed] = [cells[at + CELL.openUntil]!, cells[at + CELL.probeUntil]!];
      if (Atomics.load(words, wordAt(place, WORD.version)) === version) return isProbed ? Math.max(opens, probed) : opens;
    }
  };
  return {
    inFlight: (place) => countOf(views, place, COUNT.inFlight),
    breaker: (place, nowMs) => {
      const untilMs = openUntilMs(place);
      if (untilMs === 0) return 'closed';
      // One whose probe is under way is open to all others.
      return nowMs < untilMs ? 'open' : 'probing';
    },
    openUntilMs,
    firstContentMs: (place, nowMs) => known(place, nowMs, CELL.firstContent),
    perTokenMs: (place, nowMs) => known(place, nowMs, CELL.perToken),
    waitingMs: (place, nowMs) => {
      if (countOf(views, place, COUNT.waiting) === 0) return 0;
      return Math.max(0, (nowMs - Atomics.load(words, wordAt(place, WORD.silentSince))) | 0);
    },
    lastSentMs: (place) => {
      const ticks = Atomics.load(words, wordAt(place, WORD.lastSent));
      return ticks === 0 ? 0 : originMs + (ticks - 1) * TICK_MS;
    },
  };
}

interface Thread {
  views: TargetViews;
  worker: number;
}

function ticksAt(originMs: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - originMs) / TICK_MS)) + 1;
}

function section<Answer>({ views, worker }: Thread, place: number, work: (before: Learned) => Answer): Answer {
  lock(views.words, LOCK_AT, ownerOf(worker));
  try {
    return work(readLearned(views, place));
  } finally {
    unlock(views.words, LOCK_AT);
  }
}

/** In the worker's own column, which nobody else writes while it lives. */
function add({ views, worker }: Thread, place: number, { count, by }: { count: number; by: number }): void {
  const at = countAt(views, place, { worker, count });
  Atomics.store(views.counts, at, views.counts[at]! + by);
}

function answered(thread: Thread, attempt: TargetAttempt, nowMs: number): void {
  if (!attempt.waits) return;
  attempt.waits = false;
  Atomics.store(thread.views.words, wordAt(attempt.place, WORD.silentSince), nowMs | 0);
  add(thread, attempt.place, { count: COUNT.waiting, by: -1 });
}

interface Lesson {
  before: Learned;
  seen: TargetObservation;
  rules: BreakerRules;
}

function teach({ views }: Thread, attempt: TargetAttempt, { before, seen, rules }: Lesson): 'opened' | 'closed' | undefined {
  const { place } = attempt;
  // It took so long that another finds out instead: that one's claim is not ours to give up.
  if (seen.outcome === 'neutral' && before.breaker.probeUntilMs - rules.openMs > attempt.sentMs) return undefined;
  const breaker = nextState(before.breaker, seen, rules);
  const wasOpen = before.breaker.openUntilMs !== 0;
  const isOpen = breaker.openUntilMs !== 0;
  // How quick it was before an outage says nothing of how it is after it.
  const { firstContent, perToken } = wasOpen && !isOpen ? { firstContent: NOTHING, perToken: NOTHING } : before;
  const after = { breaker, firstContent: first(firstContent, seen), perToken: pace(perToken, seen) };
  if (breaker === before.breaker && after.firstContent === firstContent && after.perToken === perToken) return undefined;
  writeLearned(views, place, after);
  if (breaker.probeUntilMs === 0) Atomics.store(views.words, wordAt(place, WORD.probeBy), 0);
  if (wasOpen === isOpen) return undefined;
  return isOpen ? 'opened' : 'closed';
}

function first(before: Estimate, { firstContentMs, atMs }: TargetObservation): Estimate {
  return firstContentMs === undefined ? before : learned(before, firstContentMs, atMs);
}

function pace(before: Estimate, { streamedMs, outputTokens, atMs }: TargetObservation): Estimate {
  if (streamedMs === undefined || outputTokens === undefined || outputTokens < LEAST_TOKENS) return before;
  return learned(before, streamedMs / outputTokens, atMs);
}
