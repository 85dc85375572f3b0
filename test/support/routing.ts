/** Pools and live state for tests and benches of routing: plain records, everything said in a line. */
import type { PricedTarget } from '../../src/config/snapshot.ts';
import type { Limits } from '../../src/core/rules.ts';
import type { PriceState } from '../../src/core/price.ts';
import { DEFAULT_TIMEOUTS, type Endpoint } from '../../src/core/target.ts';
import { type Pool, createPool } from '../../src/routing/candidate.ts';
import type { LiveTargets } from '../../src/routing/live.ts';
import type { RouteRequest } from '../../src/routing/request.ts';

/** What a target is, as far as it is not like the others, and how it is doing. Its place is its position. */
export interface FakeTarget extends Partial<PricedTarget> {
  endpoints?: number[];
  limits?: Limits;
  live?: Partial<FakeLive>;
}

export interface FakeLive {
  inFlight: number;
  breaker: 'closed' | 'open' | 'probing';
  openUntilMs: number;
  firstContentMs: number | undefined;
  perTokenMs: number | undefined;
  waitingMs: number;
  lastSentMs: number;
  requestsUsed: number;
  tokensUsed: number;
  concurrencyUsed: number;
}

export const NOW_MS = 1_795_000_000_000;

const AT_REST: FakeLive = {
  inFlight: 0,
  breaker: 'closed',
  openUntilMs: 0,
  firstContentMs: undefined,
  perTokenMs: undefined,
  waitingMs: 0,
  lastSentMs: NOW_MS,
  requestsUsed: 0,
  tokensUsed: 0,
  concurrencyUsed: 0,
};

export const REQUEST: RouteRequest = {
  inputTokens: 1_000,
  outputTokens: 100,
  needs: { tools: false, vision: false, jsonSchema: false },
  tags: [],
};

/** `perInput`, `perOutput`, `perCacheRead`: pico-USD per token. */
export function priced(perInput: number, perOutput: number, perCacheRead = perInput): PriceState {
  const price = { input: { picoUsd: perInput }, output: { picoUsd: perOutput }, cacheRead: { picoUsd: perCacheRead } };
  return { status: 'priced', price, source: 'config' };
}

/** Targets `p/a`, `p/b`, … ; the state of each may be changed while it is used. */
export function poolOf(targets: readonly FakeTarget[]): { pool: Pool; live: LiveTargets; states: FakeLive[] } {
  const states: FakeLive[] = [];
  const priceds = targets.map((target, position): PricedTarget => {
    const { endpoints: _endpoints, limits: _limits, live: _live, ...more } = target;
    const upstreamModel = nameOf(position);
    const own = { id: `p/${upstreamModel}`, provider: 'p', upstreamModel, weight: 1, order: 1, timeouts: DEFAULT_TIMEOUTS };
    return { ...own, priceState: { status: 'free' }, ...more };
  });
  const of = (target: PricedTarget): FakeTarget => targets[priceds.indexOf(target)]!;
  const pool = createPool(
    { name: 'm', targets: priceds },
    {
      endpointsOf: (target) => (of(target).endpoints ?? [1]).map(endpointOf),
      placeOf: (id) => {
        const place = states.length;
        const target = priceds.find((each) => id.split('#')[0] === each.id)!;
        states.push({ ...AT_REST, ...of(target).live });
        return place;
      },
      limitsOf: (target) => of(target).limits,
    },
  );
  return { pool, live: liveOf(states), states };
}

function nameOf(position: number): string {
  return position < 26 ? String.fromCodePoint(97 + position) : `t${position}`;
}

function endpointOf(weight: number): Endpoint {
  return { baseUrl: 'http://127.0.0.1', headers: {}, weight };
}

function liveOf(states: readonly FakeLive[]): LiveTargets {
  return {
    inFlight: (place) => states[place]!.inFlight,
    breaker: (place) => states[place]!.breaker,
    openUntilMs: (place) => states[place]!.openUntilMs,
    firstContentMs: (place) => states[place]!.firstContentMs,
    perTokenMs: (place) => states[place]!.perTokenMs,
    waitingMs: (place) => states[place]!.waitingMs,
    lastSentMs: (place) => states[place]!.lastSentMs,
    requestsUsed: (place) => states[place]!.requestsUsed,
    tokensUsed: (place) => states[place]!.tokensUsed,
    concurrencyUsed: (place) => states[place]!.concurrencyUsed,
  };
}

/** [0, 1), the same on every run (mulberry32, public domain). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
