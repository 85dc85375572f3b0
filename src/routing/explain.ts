/** The plan for a request in full: every candidate, what each filter says of it, its score, and the order in which they would probably be tried. */
import type { StrategyName } from '../core/routing.ts';
import type { Candidate, Pool } from './candidate.ts';
import { type Filter, type FilterName, YIELDING } from './filters.ts';
import type { Picking } from './picking.ts';
import { distance } from './sticky.ts';
import type { Strategy } from './strategies/strategy.ts';

export interface Verdict {
  filter: FilterName;
  passes: boolean;
  /** A clause about the candidate. */
  because?: string;
}

export interface ExplainedCandidate {
  id: string;
  order: number;
  weight: number;
  verdicts: Verdict[];
  /** This request has failed there. */
  tried: boolean;
  /** What the strategy compares; absent: not known. */
  score?: number;
  /** Of this request, as far as it can be expected. Absent: unpriced. */
  costNanoUsd?: number;
  /** 1: probably the first. Absent: it will not be tried. Draws and explorations may come otherwise. */
  rank?: number;
}

export interface Explanation {
  strategy: StrategyName;
  /** What scores are. */
  unit: string;
  /** The key of the request decides among those of a tier, not the strategy. */
  sticky: boolean;
  /** What it refers to is stored at this candidate. */
  pinned?: string;
  /** What this request would cost more at the cheapest other candidate than where its prompt is cached. */
  leavingNanoUsd?: number;
  candidates: ExplainedCandidate[];
}

export interface Explained {
  name: StrategyName;
  strategy: Strategy;
  filters: readonly Filter[];
  excluded: readonly Candidate[];
}

interface Ranked {
  explained: ExplainedCandidate;
  index: number;
  /** How much must yield before it is tried: index of YIELDING. Infinity: nothing helps. */
  level: number;
}

export function explainPicking(picking: Picking, explained: Explained): Explanation {
  const { pool, request } = picking;
  const { name, strategy, filters } = explained;
  const concerned = new Set(filters.filter((filter) => filter.begin(picking)));
  const all = pool.candidates.map((candidate, index): Ranked => {
    const verdicts = filters.map((filter) => verdictOf(filter, index, concerned.has(filter)));
    const tried = explained.excluded.includes(candidate);
    const level = tried ? Infinity : levelOf(verdicts);
    return { index, level, explained: { ...numbersOf(candidate, index, picking, strategy), verdicts, tried } };
  });
  rank(all, picking, strategy);
  const pinned = pool.candidates.find(({ place }) => place === request.pinned)?.id;
  const leavingNanoUsd = priceOfLeaving(all, pool, picking);
  return {
    strategy: name,
    unit: strategy.unit,
    sticky: request.stickyKey !== undefined,
    ...(pinned !== undefined && { pinned }),
    ...(leavingNanoUsd !== undefined && { leavingNanoUsd }),
    candidates: all.map((each) => each.explained),
  };
}

/** Which filter excludes the candidate that comes nearest to being tried; undefined: one may be tried, or all were. */
export function obstacleOf({ candidates }: Explanation): FilterName | undefined {
  const untried = candidates.filter(({ tried }) => !tried).map(({ verdicts }) => ({ level: levelOf(verdicts), verdicts }));
  const [nearest] = untried.toSorted((a, b) => a.level - b.level);
  if (nearest === undefined || nearest.level === 0) return undefined;
  const weaker = YIELDING[nearest.level - 1];
  const decisive = nearest.verdicts.filter(({ passes }) => !passes);
  if (weaker === undefined) return decisive.find(({ filter }) => !YIELDING.at(-1)!.includes(filter))?.filter;
  return decisive.find(({ filter }) => !weaker.includes(filter))?.filter;
}

function verdictOf(filter: Filter, index: number, concerned: boolean): Verdict {
  if (!concerned || filter.passes(index)) return { filter: filter.name, passes: true };
  return { filter: filter.name, passes: false, because: filter.because(index) };
}

function levelOf(verdicts: readonly Verdict[]): number {
  const failed = verdicts.filter(({ passes }) => !passes);
  const level = YIELDING.findIndex((yielding) => failed.every(({ filter }) => yielding.includes(filter)));
  return level === -1 ? Infinity : level;
}

function numbersOf(
  candidate: Candidate,
  index: number,
  picking: Picking,
  strategy: Strategy,
): Omit<ExplainedCandidate, 'verdicts' | 'tried'> {
  const score = strategy.score(index, picking);
  const costPicoUsd = picking.costPicoUsd(index);
  return {
    id: candidate.id,
    order: candidate.order,
    weight: candidate.weight,
    ...(score !== undefined && { score }),
    ...(costPicoUsd !== Infinity && { costNanoUsd: Math.round(costPicoUsd / 1_000) }),
  };
}

/** In the order of the planner: what needs the least to yield, tier by tier, then by key or score, or by who is back first. */
function rank(all: readonly Ranked[], picking: Picking, strategy: Strategy): void {
  const { pool, request, live } = picking;
  const tierOf = (index: number): number => pool.tiers.findIndex(({ end }) => index < end);
  const within = ({ index, level, explained: { score } }: Ranked): number => {
    if (level === 0 && pool.places[index] === request.pinned) return -Infinity;
    if (level > 0) return live.openUntilMs(pool.places[index]!);
    if (request.stickyKey !== undefined) return distance(pool, index, request.stickyKey);
    if (score === undefined) return Infinity;
    return strategy.highestFirst === true ? -score : score;
  };
  const eligible = all
    .filter(({ level }) => level === 0 || (level < YIELDING.length && request.fallbackLeft !== true))
    .map((each) => ({ each, tier: tierOf(each.index), key: within(each) }))
    .sort((a, b) => a.each.level - b.each.level || a.tier - b.tier || compare(a.key, b.key));
  for (const [position, { each }] of eligible.entries()) each.explained.rank = position + 1;
}

/** Infinity is no number to subtract. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function priceOfLeaving(all: readonly Ranked[], { places }: Pool, { request }: Picking): number | undefined {
  if (request.cachedAt === undefined) return undefined;
  const warm = all.find(({ index }) => places[index] === request.cachedAt!.place)?.explained.costNanoUsd;
  const others = all
    .filter(({ index, level }) => level === 0 && places[index] !== request.cachedAt!.place)
    .flatMap(({ explained: { costNanoUsd } }) => (costNanoUsd === undefined ? [] : [costNanoUsd]));
  return warm === undefined || others.length === 0 ? undefined : Math.min(...others) - warm;
}
