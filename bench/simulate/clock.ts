/** A virtual clock: what is due next happens next, at once. */

export interface Clock {
  /** Milliseconds. */
  now: () => number;
  at: (ms: number, run: () => void) => void;
  /** Until nothing is due any more. */
  run: () => void;
}

/** A binary heap by time; of the same instant, in the order they were asked for. */
export function createClock(startMs: number): Clock {
  const heap: { ms: number; turn: number; run: () => void }[] = [];
  let nowMs = startMs;
  let turns = 0;
  const isBefore = (a: number, b: number): boolean => {
    const [one, other] = [heap[a]!, heap[b]!];
    return one.ms < other.ms || (one.ms === other.ms && one.turn < other.turn);
  };
  const swap = (a: number, b: number): void => {
    const one = heap[a]!;
    heap[a] = heap[b]!;
    heap[b] = one;
  };
  const rise = (from: number): void => {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!isBefore(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  };
  const sink = (): void => {
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && isBefore(left, least)) least = left;
      if (right < heap.length && isBefore(right, least)) least = right;
      if (least === at) return;
      swap(at, least);
      at = least;
    }
  };
  return {
    now: () => nowMs,
    at: (ms, run) => {
      heap.push({ ms: Math.max(ms, nowMs), turn: turns++, run });
      rise(heap.length - 1);
    },
    run: () => {
      while (heap.length > 0) {
        const next = heap[0]!;
        const last = heap.pop()!;
        if (heap.length > 0) {
          heap[0] = last;
          sink();
        }
        nowMs = next.ms;
        next.run();
      }
    },
  };
}
