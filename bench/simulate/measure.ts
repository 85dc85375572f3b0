/** What a run shows, second by second, beside an oracle that knows every provider's state. */
import type { Simulated } from './models.ts';
import type { Scenario } from './scenario.ts';

export interface Figures {
  requests: number;
  /** Of the requests for which anybody had capacity. */
  success: number;
  latencyMs: number;
  /** Mean latency over that of the best provider at each moment, after the warm-up. */
  latencyVsOracle: number;
  costVsOracle: number;
  /** From the begin and from the end of the outage until all is as well as it can be, s; the longer of the two. */
  settledAfterS: number;
  /** Probes of one target under way at once, at most. */
  probesPerPeriod: number;
  /** Attempts beyond the first, over all requests. */
  retryShare: number;
  /** Seconds in which a target was left alone that had been well for long, over all target seconds. */
  healthyExcluded: number;
}

export interface Measure {
  /** Whether anybody could have served it; what the best one would take and cost. */
  arrived: (nowMs: number, tokens: { input: number; output: number }) => Arrival;
  ended: (arrival: Arrival, result: { ok: boolean; latencyMs: number; costUsd: number; attempts: number }) => void;
  probeSent: (place: number) => void;
  probeEnded: (place: number) => void;
  /** Once a second. */
  look: (nowMs: number) => void;
  figures: () => Figures;
}

export interface Arrival {
  second: number;
  bestMs: number | undefined;
  bestUsd: number | undefined;
}

interface Second {
  served: number;
  failed: number;
  latencyMs: number;
  bestMs: number;
}

/** The oracle looks anew so often. */
const TICK_MS = 100;
/** What counts as well again: within a quarter of the best, over three seconds, without a failure. */
const WELL = 1.25;
const WELL_FOR_S = 3;

export function createMeasure(scenario: Scenario, { upstreams, states, breaker }: Simulated, originMs: number): Measure {
  const seconds: Second[] = [];
  const sums = { requests: 0, feasible: 0, served: 0, latencyMs: 0, warmMs: 0, bestMs: 0, usd: 0, bestUsd: 0, attempts: 0 };
  const probes = new Map<number, number>();
  const wellSince = upstreams.map(() => originMs);
  let mostProbes = 0;
  let excluded = 0;
  let looked = 0;
  let tick = -1;
  let quickest: number | undefined;
  let cheapest: number | undefined;
  const consult = (nowMs: number): void => {
    const now = Math.floor((nowMs - originMs) / TICK_MS);
    if (now === tick) return;
    tick = now;
    quickest = bestOf(upstreams, (upstream) => upstream.expectedMs(nowMs, scenario.output_tokens));
    cheapest = bestOf(upstreams, (upstream) => {
      const { input, output } = upstream.priceAt(nowMs);
      return upstream.expectedMs(nowMs, 1) === undefined
        ? undefined
        : input * scenario.input_tokens + output * scenario.output_tokens;
    });
  };
  return {
    arrived: (nowMs, { input, output }) => {
      consult(nowMs);
      const price = cheapest === undefined ? undefined : upstreams[cheapest]!.priceAt(nowMs);
      return {
        second: Math.floor((nowMs - originMs) / 1000),
        bestMs: quickest === undefined ? undefined : upstreams[quickest]!.expectedMs(nowMs, output),
        bestUsd: price === undefined ? undefined : (price.input * input + price.output * output) / 1e6,
      };
    },
    ended: ({ second, bestMs, bestUsd }, { ok, latencyMs, costUsd, attempts }) => {
      const own = (seconds[second] ??= { served: 0, failed: 0, latencyMs: 0, bestMs: 0 });
      sums.requests += 1;
      sums.attempts += attempts;
      if (bestMs !== undefined) sums.feasible += 1;
      if (!ok) own.failed += bestMs === undefined ? 0 : 1;
      if (!ok || bestMs === undefined) return;
      own.served += 1;
      own.latencyMs += latencyMs;
      own.bestMs += bestMs;
      sums.served += 1;
      sums.latencyMs += latencyMs;
      if (second < scenario.warm_up_s) return;
      sums.warmMs += latencyMs;
      sums.bestMs += bestMs;
      sums.usd += costUsd;
      sums.bestUsd += bestUsd ?? 0;
    },
    probeSent: (place) => {
      const now = (probes.get(place) ?? 0) + 1;
      probes.set(place, now);
      mostProbes = Math.max(mostProbes, now);
    },
    probeEnded: (place) => void probes.set(place, (probes.get(place) ?? 1) - 1),
    look: (nowMs) => {
      for (const [place, upstream] of upstreams.entries()) {
        if (!upstream.isHealthy(nowMs)) wellSince[place] = nowMs;
        if (nowMs - wellSince[place]! < 2 * breaker.openMs) continue;
        looked += 1;
        // One that waits for its probe is not excluded: the next request to come its way finds out.
        if (states.breaker(place, nowMs) === 'open') excluded += 1;
      }
    },
    figures: () => ({
      requests: sums.requests,
      success: sums.feasible === 0 ? 1 : sums.served / sums.feasible,
      latencyMs: sums.latencyMs / Math.max(1, sums.served),
      latencyVsOracle: sums.warmMs / Math.max(1, sums.bestMs),
      costVsOracle: sums.usd / Math.max(Number.MIN_VALUE, sums.bestUsd),
      settledAfterS: settledAfter(seconds, scenario),
      probesPerPeriod: mostProbes,
      retryShare: sums.attempts / Math.max(1, sums.requests) - 1,
      healthyExcluded: excluded / Math.max(1, looked),
    }),
  };
}

function bestOf<Each>(all: readonly Each[], scoreOf: (each: Each) => number | undefined): number | undefined {
  let best: number | undefined;
  let least = Infinity;
  for (const [at, each] of all.entries()) {
    const score = scoreOf(each) ?? Infinity;
    if (score >= least) continue;
    least = score;
    best = at;
  }
  return best;
}

function settledAfter(seconds: readonly (Second | undefined)[], { outage }: Scenario): number {
  if (outage === undefined) return 0;
  return Math.max(...[outage.from_s, outage.to_s].map((from) => firstWell(seconds, Math.ceil(from)) - from));
}

function firstWell(seconds: readonly (Second | undefined)[], from: number): number {
  for (let second = from; second + WELL_FOR_S <= seconds.length; second++) {
    const span = seconds.slice(second, second + WELL_FOR_S);
    const sum = (read: (each: Second) => number): number =>
      span.reduce((total, each) => total + (each === undefined ? 0 : read(each)), 0);
    if (sum(({ failed }) => failed) === 0 && sum(({ latencyMs }) => latencyMs) <= WELL * sum(({ bestMs }) => bestMs))
      return second;
  }
  return Infinity;
}
