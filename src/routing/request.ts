import type { Candidate } from './candidate.ts';

/** What the planner must know of a request. Plain values, so that the simulator makes them too. */
export interface RouteRequest {
  /** Counted or estimated. */
  inputTokens: number;
  /** Expected. */
  outputTokens: number;
  /** The caller's own bound. */
  maxOutputTokens?: number;
  needs: { tools: boolean; vision: boolean; jsonSchema: boolean };
  tags: readonly string[];
  /** Tags of the key that asks, as far as targets carry them: a candidate must carry one of them whatever else is asked. */
  boundTags?: readonly string[];
  /** Where it must be served: `eu` is also any `eu-…`. */
  region?: string;
  /** Whether the caller may use a candidate at all; absent: all of them. */
  mayUse?: (candidate: Candidate) => boolean;
  /** Requests of the same key go to the same candidate as long as it serves; 32 bits, see sticky.ts. */
  stickyKey?: number;
  /** The place whose provider still has so much of this prompt in its cache. */
  cachedAt?: { place: number; tokens: number };
  /** Where what it refers to is stored: first choice as long as it may be chosen at all. */
  pinned?: number;
  /** Another model stands ready: open breakers, exhausted limits and missing abilities then exclude even the last candidate. */
  fallbackLeft?: boolean;
}
