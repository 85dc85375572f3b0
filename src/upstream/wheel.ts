/** Something with deadlines. `slot` belongs to the wheel: its place there, −1 while outside. */
export interface Timed {
  slot: number;
  /** Called at every turn while inside, with the wheel's clock; may leave. */
  check(nowMs: number): void;
}

/**
 * One interval for all deadlines of a worker, instead of timers per request and per chunk: whoever sees a chunk sets a flag, the next turn
 * reads it. A deadline fires 0 to `turnMs` late, never early.
 */
export interface Wheel {
  /** Monotonic milliseconds. */
  now(): number;
  join(timed: Timed): void;
  /** Idempotent. */
  leave(timed: Timed): void;
}

export interface WheelOptions {
  turnMs: number;
  now: () => number;
}

export function createWheel(options: WheelOptions): Wheel {
  const inside: Timed[] = [];
  let interval: NodeJS.Timeout | undefined;

  const turn = (): void => {
    const nowMs = options.now();
    // Backwards, because leaving moves the last one into the gap.
    for (let index = inside.length - 1; index >= 0; index--) inside[index]?.check(nowMs);
    if (inside.length === 0) {
      clearInterval(interval);
      interval = undefined;
    }
  };

  return {
    now: options.now,
    join(timed) {
      if (timed.slot !== -1) return;
      timed.slot = inside.push(timed) - 1;
      interval ??= setInterval(turn, options.turnMs).unref();
    },
    leave(timed) {
      const { slot } = timed;
      if (slot === -1) return;
      timed.slot = -1;
      const last = inside.pop();
      if (last === undefined || last === timed) return;
      inside[slot] = last;
      last.slot = slot;
    },
  };
}
