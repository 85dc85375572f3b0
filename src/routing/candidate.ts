/**
 * What the planner chooses among: every target at each endpoint of its provider, compiled once per snapshot and model. Columns stand in typed arrays,
 * because a pool may have a thousand candidates and a choice takes microseconds.
 */
import type { PricedTarget } from '../config/snapshot.ts';
import type { Limits } from '../core/rules.ts';
import type { Endpoint } from '../core/target.ts';
import { hashText } from './hash.ts';

export interface Candidate {
  /** The target's id where its provider has one endpoint, else `…#2` for the second and so on. */
  id: string;
  target: PricedTarget;
  endpoint: Endpoint;
  /** Its place in shared memory. */
  place: number;
  /** The target's weight; of several endpoints each has its share of it. */
  weight: number;
  order: number;
  tags: readonly string[];
  region?: string;
  /** Absent: nobody knows. */
  capabilities?: readonly string[];
  contextWindow?: number;
  limits?: Limits;
}

/** Candidates that stand before all later ones: of one order, or those without weight, which come when nothing else is left. */
export interface Tier {
  order: number;
  /** From this index of the pool up to that one, not included. */
  start: number;
  end: number;
  /** Sums of the weights up to each candidate, for draws; absent where all weigh the same. */
  sums?: Float64Array;
}

/** The candidates of one model. Never changes. */
export interface Pool {
  model: string;
  /** Tier after tier. */
  candidates: readonly Candidate[];
  tiers: readonly Tier[];
  /** By the index of the candidate, as all columns. */
  places: Int32Array;
  /** Weight in draws: 1 for all of a tier without weight. */
  shares: Float64Array;
  /** Hash of the id. */
  identities: Uint32Array;
  limited: Uint8Array;
}

export interface PoolSources {
  endpointsOf: (target: PricedTarget) => readonly Endpoint[];
  /** Of a candidate by its configured id (that of a wildcard's target has the star in it): the same place over reloads. */
  placeOf: (configuredId: string) => number;
  limitsOf?: (target: PricedTarget) => Limits | undefined;
}

/** `model`: as resolved, wildcards filled in. */
export function createPool(model: { name: string; targets: readonly PricedTarget[] }, sources: PoolSources): Pool {
  const candidates = model.targets.flatMap((target) => atEndpoints(target, sources)).sort(byTier);
  const tiers = tiersOf(candidates);
  const shares = Float64Array.from(candidates, ({ weight }) => (weight > 0 ? weight : 1));
  for (const tier of tiers) {
    const sums = sumsOf(shares.subarray(tier.start, tier.end));
    if (sums !== undefined) tier.sums = sums;
  }
  return {
    model: model.name,
    candidates,
    tiers,
    places: Int32Array.from(candidates, ({ place }) => place),
    shares,
    identities: Uint32Array.from(candidates, ({ id }) => hashText(id)),
    limited: Uint8Array.from(candidates, ({ limits }) => (limits === undefined ? 0 : 1)),
  };
}

/** `endpoint`: index among those of the provider. */
export function candidateId(targetId: string, endpoint: number): string {
  return endpoint === 0 ? targetId : `${targetId}#${endpoint + 1}`;
}

function atEndpoints(target: PricedTarget, { endpointsOf, placeOf, limitsOf }: PoolSources): Candidate[] {
  const endpoints = endpointsOf(target);
  const total = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  const known = knownOf(target, limitsOf?.(target));
  return endpoints.map((endpoint, index) => {
    const share = total > 0 ? endpoint.weight / total : 1 / endpoints.length;
    const place = placeOf(candidateId(target.configuredId ?? target.id, index));
    return Object.assign({ id: candidateId(target.id, index), target, endpoint, place, weight: target.weight * share }, known);
  });
}

type Known = Omit<Candidate, 'id' | 'target' | 'endpoint' | 'place' | 'weight'>;

function knownOf({ order, tags, region, capabilities, bounds }: PricedTarget, limits: Limits | undefined): Known {
  return {
    order,
    tags: tags ?? [],
    ...(region !== undefined && { region }),
    ...(capabilities !== undefined && { capabilities }),
    ...(bounds?.contextWindow !== undefined && { contextWindow: bounds.contextWindow }),
    ...(limits !== undefined && { limits }),
  };
}

function byTier(a: Candidate, b: Candidate): number {
  return Number(a.weight === 0) - Number(b.weight === 0) || a.order - b.order;
}

function tiersOf(candidates: readonly Candidate[]): Tier[] {
  const tiers: Tier[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const last = tiers.at(-1);
    if (last === undefined || byTier(candidates[last.start]!, candidate) !== 0) {
      tiers.push({ order: candidate.order, start: index, end: index + 1 });
    } else last.end = index + 1;
  }
  return tiers;
}

function sumsOf(shares: Float64Array): Float64Array | undefined {
  if (shares.every((share) => share === shares[0])) return undefined;
  let sum = 0;
  return shares.map((share) => (sum += share));
}
