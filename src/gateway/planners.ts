/** The planner of every model, made once per snapshot and worker, when the first request comes. */
import type { Model, PricedTarget, SnapshotPlaces } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import type { PriceState } from '../core/price.ts';
import type { Limits, Rules } from '../core/rules.ts';
import type { Endpoint } from '../core/target.ts';
import { type LimitsReader, limitsInUse } from '../policy/limits-reader.ts';
import { type Candidate, type Pool, createPool } from '../routing/candidate.ts';
import type { LiveTargets } from '../routing/live.ts';
import { type Planner, createPlanner } from '../routing/planner.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import type { TargetStates } from '../routing/target-state.ts';
import type { Plane } from './plane.ts';

/** What of the worker every snapshot's planners read. */
export interface RoutingSources {
  targets: TargetStates;
  limits: LimitsReader;
  priceOf: Plane['priceOf'];
  /** [0, 1) */
  random: () => number;
}

/** What of the snapshot they need. */
export interface PlannerParts {
  places: SnapshotPlaces | undefined;
  endpointsOf: (target: PricedTarget) => readonly Endpoint[];
  rulesOf: (target: PricedTarget) => readonly Rules[];
}

export type PlannerOf = (resolved: ResolvedModel) => Planner;

/** Throws internal where main has given no place to a target. */
export function createPlanners(sources: RoutingSources, { places, endpointsOf, rulesOf }: PlannerParts): PlannerOf {
  const placeOf = (id: string): number => {
    const place = places?.targets[id];
    if (place === undefined) throw new GatewayError('internal', { cause: `no place in shared memory for ${id}` });
    return place;
  };
  const limitsOf = (target: PricedTarget): Limits | undefined => limitsIn(rulesOf(target));
  const rulesAt = new Map<number, readonly Rules[]>();
  const live: LiveTargets = { ...sources.targets, ...limitsInUse(sources.limits, (place) => rulesAt.get(place) ?? []) };
  const made = new WeakMap<readonly PricedTarget[], Planner>();
  const make = ({ name, model, targets }: ResolvedModel): Planner => {
    const pool = createPool({ name, targets }, { endpointsOf, placeOf, limitsOf });
    for (const { place, target } of pool.candidates) rulesAt.set(place, rulesOf(target));
    return createPlanner({ pool, strategy: strategyFor(model, pool), live, random: sources.random, priceOf: known(sources) });
  };
  return (resolved) => {
    const before = made.get(resolved.targets);
    if (before !== undefined) return before;
    const planner = make(resolved);
    made.set(resolved.targets, planner);
    return planner;
  };
}

/** Of one candidate all strategies think alike. */
function strategyFor({ routing }: Model, { candidates }: Pool): Model['routing']['strategy'] {
  return candidates.length < 2 ? 'weighted' : routing.strategy;
}

/** A price that only main knows is asked for, and counts from the next request on. */
function known({ priceOf }: RoutingSources): (candidate: Candidate) => PriceState | undefined {
  return ({ target }) => {
    const state = priceOf(target);
    return state instanceof Promise ? undefined : state;
  };
}

function limitsIn(rules: readonly Rules[]): Limits | undefined {
  const limits: Limits = {};
  for (const { requests, tokens, concurrent } of rules) {
    if (requests !== undefined) limits.rpm = Math.min(requests.perMinute, limits.rpm ?? Infinity);
    if (tokens !== undefined) limits.tpm = Math.min(tokens.perMinute, limits.tpm ?? Infinity);
    if (concurrent !== undefined) limits.concurrent = Math.min(concurrent.most, limits.concurrent ?? Infinity);
  }
  return Object.keys(limits).length === 0 ? undefined : limits;
}
