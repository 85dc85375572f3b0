import type { Endpoint } from '../core/target.ts';

/**
 * Candidates in the order they are tried: a weighted draw without replacement (Efraimidis and Spirakis, 2006: sort by random^(1/weight)).
 * Weight 0 comes last. `random` gives [0, 1).
 */
export function weightedOrder<T extends { weight: number }>(candidates: readonly T[], random: () => number): readonly T[] {
  if (candidates.length < 2) return candidates;
  return candidates
    .map((candidate) => ({ candidate, rank: candidate.weight > 0 ? Math.log(1 - random()) / candidate.weight : -Infinity }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ candidate }) => candidate);
}

/** Every (target, endpoint) pair in the order of trial: targets by weight, the endpoints of each by theirs. */
export function planRoutes<T extends { weight: number; provider: string }>(
  targets: readonly T[],
  endpointsOf: (target: T) => readonly Endpoint[],
  random: () => number,
): { target: T; endpoint: Endpoint }[] {
  const [only] = targets;
  // Most models have one target with one endpoint, and need no draw.
  if (only !== undefined && targets.length === 1) {
    const endpoints = endpointsOf(only);
    if (endpoints.length === 1) return [{ target: only, endpoint: endpoints[0]! }];
  }
  return weightedOrder(targets, random).flatMap((target) =>
    weightedOrder(endpointsOf(target), random).map((endpoint) => ({ target, endpoint })),
  );
}
