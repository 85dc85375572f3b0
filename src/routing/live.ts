/**
 * What the planner knows of its candidates at this moment: a port, so that the product reads shared memory and the simulator its own.
 *
 * Every candidate (a target at one endpoint) has a place that outlives reloads and is the same in all workers.
 */

/** Of one place. Times are wall clock, ms. */
export interface LiveTargets {
  /** Attempts under way, over all workers. */
  inFlight(place: number): number;
  /** `probing`: the open time is over and one attempt may find out; whoever sends it claims it first. */
  breaker(place: number, nowMs: number): 'closed' | 'open' | 'probing';
  /** Until when an open breaker stays open; 0 while it is closed. */
  openUntilMs(place: number): number;
  /** Smoothed time to the first content, ms, drawn towards nothing known as it ages; undefined: not known, or forgotten. */
  firstContentMs(place: number, nowMs: number): number | undefined;
  /** Smoothed time per output token behind the first content, ms; undefined: not known. */
  perTokenMs(place: number, nowMs: number): number | undefined;
  /**
   * For how long attempts have waited there for their first content without any of them getting it, ms; 0: none waits. It tells a target that hangs
   * before its timeouts do. Where it is not kept, nothing is concluded from silence.
   */
  waitingMs?(place: number, nowMs: number): number;
  /** Wall clock of the last attempt sent there, ms; 0: never. */
  lastSentMs(place: number): number;
  /** Share of the target's own limits in use, 0 to 1 each; 0 where there is no limit. */
  requestsUsed(place: number, nowMs: number): number;
  tokensUsed(place: number, nowMs: number): number;
  concurrencyUsed(place: number): number;
}

/** How an attempt ended, as far as it says something of its target. */
export type TargetOutcome =
  /** Content came. */
  | 'ok'
  /** The upstream failed: 5xx, broken or unreadable answers, no connection, no answer in time. */
  | 'fault'
  /** 429 or an overload: opens for as long as Retry-After says. */
  | 'throttled'
  /** Our account there is used up (402, insufficient_quota): opens for ten minutes. */
  | 'exhausted'
  /** Credential or model name are refused (401, 403, 404): opens like a fault, since the next attempt fails likewise. */
  | 'misconfigured'
  /** Says nothing of the target: the caller's own mistake, a caller that left. */
  | 'neutral';

/** What the end of an attempt teaches. */
export interface TargetObservation {
  outcome: TargetOutcome;
  atMs: number;
  /** The upstream's own word. */
  retryAfterMs?: number;
  /** From dispatch to the first content, ms; of unary answers the whole time. */
  firstContentMs?: number;
  /** From the first content to the end, ms, and the tokens that came in it; streams only. */
  streamedMs?: number;
  outputTokens?: number;
  /** The attempt had claimed the probe of a half-open breaker. */
  probe: boolean;
}
