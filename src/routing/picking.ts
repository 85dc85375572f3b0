import type { Pool, Tier } from './candidate.ts';
import type { LiveTargets } from './live.ts';
import type { RouteRequest } from './request.ts';
import type { Rota } from './rota.ts';

/**
 * One choice under way, as filters and strategies see it. A planner has a single one and fills it anew for every choice: choosing awaits nothing, and
 * what is made for every request is collected for every request.
 */
export interface Picking {
  readonly pool: Pool;
  readonly live: LiveTargets;
  /** [0, 1) */
  readonly random: () => number;
  request: RouteRequest;
  nowMs: number;
  /** No filter excludes the candidate at this index, and it was not tried yet. */
  readonly passes: (index: number) => boolean;
  /** What the request is expected to cost there, pico-USD; Infinity where nobody knows. */
  readonly costPicoUsd: (index: number) => number;
  readonly rota: Rota;
  /** Of each tier the best of the last draw, by index; -1: none. */
  readonly remembered: ReadonlyMap<Tier, Int32Array>;
  /** All indexes, in any order within their tier: for drawing without replacement. */
  readonly urn: Int32Array;
  /** The candidates drawn, and what is found of them. */
  readonly sample: Int32Array;
  readonly scores: Float64Array;
}
