/** Targets as main sees them: for metrics, and for taking back what the dead and the departed left. */
import {
  type TargetMemory,
  CELL,
  COUNT,
  WORD,
  clearPlace,
  copyAt,
  countOf,
  reclaimTargets,
  targetViews,
  wordAt,
} from './target-memory.ts';

export interface TargetsOverview {
  /** Of its breaker; `probing` from the end of its open time until an attempt has found out. */
  state: (place: number, nowMs: number) => 'closed' | 'probing' | 'open';
  /** Attempts under way, over all workers. */
  inFlight: (place: number) => number;
  /** Only after the thread is gone, and before its number is given to another. */
  reclaim: (worker: number) => void;
  /** Before another target has it. Only where nothing is under way, nor will be. */
  clear: (place: number) => void;
}

export function createTargetsOverview(memory: TargetMemory): TargetsOverview {
  const views = targetViews(memory);
  const { words, cells } = views;
  return {
    state: (place, nowMs) => {
      if (Atomics.load(words, wordAt(place, WORD.mayBeOpen)) === 0) return 'closed';
      const openUntilMs = cells[copyAt(place, Atomics.load(words, wordAt(place, WORD.version))) + CELL.openUntil]!;
      if (openUntilMs === 0) return 'closed';
      return nowMs < openUntilMs ? 'open' : 'probing';
    },
    inFlight: (place) => countOf(views, place, COUNT.inFlight),
    reclaim: (worker) => reclaimTargets(views, worker),
    clear: (place) => clearPlace(views, place),
  };
}
