/** After a failed attempt: how long to wait, and whether there may be another. Pure, so that the simulator asks the same functions. */
import { FAILURES, type FailureKind } from './failure.ts';

/** Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anything up to a bound that doubles. */
const FIRST_BACKOFF_MS = 50;
const MOST_BACKOFF_MS = 2_000;
/** A caller waits no longer than this for a target that asks for patience; a longer Retry-After is told to him instead. */
const MOST_WAIT_MS = 5_000;

export interface Failed {
  kind: FailureKind;
  /** The upstream's own word. */
  retryAfterMs?: number | undefined;
}

/**
 * Before the attempt that follows so many others at the same target, ms; undefined: it asked for more than a caller waits. `random`: [0, 1). Another target needs no
 * wait: whatever overloads the one is not its doing.
 */
export function waitMs({ kind, retryAfterMs = 0 }: Failed, attempts: number, random: number): number | undefined {
  if (kind === 'stale' || kind === 'signature') return 0;
  if (retryAfterMs > MOST_WAIT_MS) return undefined;
  const jitter = random * Math.min(MOST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (attempts - 1));
  return retryAfterMs + jitter;
}

/** Whether the exchange may go on at all. */
export function mayGoOn(kind: FailureKind): boolean {
  return FAILURES[kind].retry !== 'never';
}

/** Whether it may come back to the target where that happened, once no other is left. */
export function mayComeBack(kind: FailureKind): boolean {
  const { retry, final } = FAILURES[kind];
  return retry !== 'never' && final !== true;
}

/** Attempts that nobody received add no load: they count neither against `retries` nor against the budget of retries. */
export function countsAsRetry(kind: FailureKind, undelivered: boolean): boolean {
  return !undelivered && kind !== 'inexpressible' && kind !== 'signature';
}
