/**
 * Chooses where a request goes: one candidate at a time, and after a failure another one. It never puts all of them in order, so that a
 * thousand cost little more than ten.
 */
import type { ConsideredFact } from '../core/exchange.ts';
import type { PriceState } from '../core/price.ts';
import type { StrategyName } from '../core/routing.ts';
import type { Candidate, Pool, Tier } from './candidate.ts';
import { SAMPLE, lowestOfAll } from './draw.ts';
import { type Explanation, explainPicking } from './explain.ts';
import { type Filter, YIELDING, createFilters } from './filters.ts';
import type { LiveTargets } from './live.ts';
import type { Picking } from './picking.ts';
import { type Rates, expectedPicoUsd, ratesOf } from './rates.ts';
import type { RouteRequest } from './request.ts';
import { createRota } from './rota.ts';
import { pickSticky } from './sticky.ts';
import type { Strategy } from './strategies/strategy.ts';
import { STRATEGIES } from './strategies/table.ts';

export interface Planner {
  pool: Pool;
  /**
   * The candidate to try now; `excluded`: those where this request failed. Undefined: none is left, or, with `fallbackLeft`, none that another model should not
   * go before. Whoever sends to one whose breaker is half open claims the probe first, and else picks again.
   */
  pick: (request: RouteRequest, excluded: readonly Candidate[], nowMs: number) => Candidate | undefined;
  /** The same in short, for the record of every exchange: the first candidates of the pool, and what the choice knows of them. */
  consider: (request: RouteRequest, nowMs: number) => ConsideredFact[];
  /** What `pick` would go by. Changes nothing. */
  explain: (request: RouteRequest, excluded: readonly Candidate[], nowMs: number) => Explanation;
}

export interface PlannerSources {
  pool: Pool;
  strategy: StrategyName;
  live: LiveTargets;
  /** [0, 1) */
  random: () => number;
  /** The price in force where the pool's is out of date or was never resolved; undefined: not known yet. */
  priceOf?: (candidate: Candidate) => PriceState | undefined;
}

/** Of one model in one worker; holds whose turn it is, and prices that changed since the snapshot. */
export function createPlanner(sources: PlannerSources): Planner {
  const { pool, strategy: name } = sources;
  const strategy = STRATEGIES[name];
  const filters = createFilters(pool);
  const active: Filter[] = [];
  let tried: readonly Candidate[] = [];
  const passes = (index: number): boolean => {
    if (tried.length > 0 && tried.includes(pool.candidates[index]!)) return false;
    for (let at = 0; at < active.length; at++) if (!active[at]!.passes(index)) return false;
    return true;
  };
  const picking = createPicking(sources, passes);
  const choose = (tier: Tier): number => {
    if (tier.end - tier.start === 1) return passes(tier.start) ? tier.start : -1;
    const { stickyKey } = picking.request;
    return stickyKey === undefined ? strategy.pick(tier, picking) : pickSticky(tier, picking, stickyKey);
  };
  const pinnedIn = (place: number): number => {
    const index = pool.places.indexOf(place);
    return index !== -1 && passes(index) ? index : -1;
  };
  const begin = (request: RouteRequest, excluded: readonly Candidate[], nowMs: number): void => {
    picking.request = request;
    picking.nowMs = nowMs;
    tried = excluded;
    active.length = 0;
    for (const filter of filters) if (filter.begin(picking)) active.push(filter);
  };

  return {
    pool,
    pick: (request, excluded, nowMs) => {
      begin(request, excluded, nowMs);
      let index = request.pinned === undefined ? -1 : pinnedIn(request.pinned);
      if (index === -1) index = inTiers(pool, choose);
      for (let level = 1; index === -1 && request.fallbackLeft !== true && level < YIELDING.length; level++) {
        if (!letYield(active, level)) continue;
        // One tier after the other; within each the one that is back first, since the strategy's figures are those of better times.
        index = inTiers(pool, (tier) => lowestOfAll(tier, picking, openUntilMs));
      }
      if (index === -1) return undefined;
      picking.rota.served(index);
      return pool.candidates[index];
    },
    consider: (request, nowMs) => {
      begin(request, [], nowMs);
      return pool.candidates.slice(0, MOST_CONSIDERED).map((_, index) => considered(index, { picking, active, strategy }));
    },
    explain: (request, excluded, nowMs) => {
      begin(request, excluded, nowMs);
      return explainPicking(picking, { name, strategy, filters, excluded });
    },
  };
}

/** More would make the records of exchanges long. */
const MOST_CONSIDERED = 8;

interface Considering {
  picking: Picking;
  active: readonly Filter[];
  strategy: Strategy;
}

function considered(index: number, { picking, active, strategy }: Considering): ConsideredFact {
  const target = picking.pool.candidates[index]!.id;
  const excludedBy = active.find((filter) => !filter.passes(index))?.name;
  if (excludedBy !== undefined) return { target, excludedBy };
  const score = strategy.score(index, picking);
  return score === undefined ? { target } : { target, score: rounded(score) };
}

/** Three digits tell two scores apart as far as anybody cares. JSON has no infinity. */
function rounded(score: number): number {
  return Number.isFinite(score) ? Number(score.toPrecision(3)) : Number.MAX_SAFE_INTEGER;
}

function inTiers({ tiers }: Pool, choose: (tier: Tier) => number): number {
  for (const tier of tiers) {
    const index = choose(tier);
    if (index !== -1) return index;
  }
  return -1;
}

/** Takes out the filters that yield at this level; false: nothing changed. */
function letYield(active: Filter[], level: number): boolean {
  const before = active.length;
  for (let at = before - 1; at >= 0; at--) if (YIELDING[level]!.includes(active[at]!.name)) active.splice(at, 1);
  return active.length < before;
}

function openUntilMs(index: number, { pool, live }: Picking): number {
  return live.openUntilMs(pool.places[index]!);
}

const NO_REQUEST: RouteRequest = {
  inputTokens: 0,
  outputTokens: 0,
  needs: { tools: false, vision: false, jsonSchema: false },
  tags: [],
};

function createPicking({ pool, live, random, priceOf }: PlannerSources, passes: Picking['passes']): Picking {
  const size = pool.candidates.length;
  const rates = pool.candidates.map(({ target }) => ratesOf(target.priceState));
  /** Of a price that has run out: the one in force, else what was known last. */
  const renewed = (index: number): Rates => {
    const state = priceOf?.(pool.candidates[index]!);
    if (state !== undefined) rates[index] = ratesOf(state);
    return rates[index]!;
  };
  const picking: Picking = {
    pool,
    live,
    random,
    request: NO_REQUEST,
    nowMs: 0,
    passes,
    costPicoUsd: (index) => {
      const { request, nowMs } = picking;
      const known = rates[index]!;
      const own = nowMs < known.untilMs ? known : renewed(index);
      const cached =
        request.cachedAt !== undefined && request.cachedAt.place === pool.places[index] ? request.cachedAt.tokens : 0;
      return expectedPicoUsd(own, request, cached);
    },
    rota: createRota(pool, random),
    remembered: new Map(pool.tiers.map((tier) => [tier, new Int32Array(SAMPLE / 2).fill(-1)])),
    urn: Int32Array.from({ length: size }, (_, index) => index),
    sample: new Int32Array(SAMPLE),
    scores: new Float64Array(SAMPLE),
  };
  return picking;
}
