/** The product's own planner, breakers, limiter and budget of retries, over the simulated providers and the virtual clock. */
import type { PricedTarget } from '../../src/config/snapshot.ts';
import type { PriceState } from '../../src/core/price.ts';
import type { BreakerRules, StrategyName } from '../../src/core/routing.ts';
import { DEFAULT_ROUTING } from '../../src/core/routing.ts';
import type { Rules } from '../../src/core/rules.ts';
import { DEFAULT_TIMEOUTS } from '../../src/core/target.ts';
import { type Limiter, openLimiter } from '../../src/policy/limiter.ts';
import { createLimitsMemory } from '../../src/policy/limits-memory.ts';
import { limitsInUse, openLimitsReader } from '../../src/policy/limits-reader.ts';
import { createPool } from '../../src/routing/candidate.ts';
import { type Planner, createPlanner } from '../../src/routing/planner.ts';
import { type RetryBudgets, createRetryMemory, openRetryBudgets } from '../../src/routing/retry-budget.ts';
import { createTargetMemory } from '../../src/routing/target-memory.ts';
import { type TargetStates, openTargetStates } from '../../src/routing/target-state.ts';
import { type Chance, createChance } from './chance.ts';
import type { Clock } from './clock.ts';
import type { Scenario, TargetSpec } from './scenario.ts';
import { type Upstream, createUpstream } from './world.ts';

export interface SimulatedModel {
  /** Of its budget of retries. */
  place: number;
  planner: Planner;
}

export interface Simulated {
  /** The one that is asked for, then the one that takes over. */
  models: SimulatedModel[];
  /** By place. */
  upstreams: Upstream[];
  rules: (Rules | undefined)[];
  states: TargetStates;
  retries: RetryBudgets;
  limiter: Limiter;
  breaker: BreakerRules;
}

const PICO_PER_USD_PER_MTOK = 1e6;

export function assemble(
  scenario: Scenario,
  strategy: StrategyName,
  { clock, chance }: { clock: Clock; chance: Chance },
): Simulated {
  const originMs = clock.now();
  const specs = [expand(scenario.targets, scenario.seed), expand(scenario.fallback, scenario.seed + 1)];
  const all = specs.flat();
  const upstreams = all.map((spec) => createUpstream(spec, { chance, timeoutMs: scenario.timeout_ms, originMs }));
  const states = openTargetStates(createTargetMemory({ places: all.length, workers: 1 }, originMs), 0);
  const limits = createLimitsMemory({ windows: all.length, leases: 1, workers: 1 }, originMs);
  const rules = all.map(({ limit_rpm, name }, slot): Rules | undefined =>
    limit_rpm === undefined ? undefined : { scope: `target:${name}`, requests: { slot, perMinute: limit_rpm }, budgets: [] },
  );
  const reader = openLimitsReader(limits, clock.now);
  const live = { ...states, ...limitsInUse(reader, (place) => (rules[place] === undefined ? [] : [rules[place]])) };
  let place = 0;
  const models = specs
    .filter((each) => each.length > 0)
    .map((own, at): SimulatedModel => {
      const first = place;
      place += own.length;
      const pool = createPool(
        { name: `model-${at}`, targets: own.map((spec) => targetOf(spec)) },
        {
          endpointsOf: () => [{ baseUrl: 'http://simulated', headers: {}, weight: 1 }],
          placeOf: (id) => first + own.findIndex(({ name }) => id === `p/${name}`),
          limitsOf: ({ upstreamModel }) => {
            const rpm = own.find(({ name }) => name === upstreamModel)?.limit_rpm;
            return rpm === undefined ? undefined : { rpm };
          },
        },
      );
      const priceOf = (candidate: { place: number }): PriceState =>
        priceState(upstreams[candidate.place]!.priceAt(clock.now()), clock.now());
      return { place: at, planner: createPlanner({ pool, strategy, live, random: chance.uniform, priceOf }) };
    });
  return {
    models,
    upstreams,
    rules,
    states,
    retries: openRetryBudgets(createRetryMemory(2, originMs)),
    limiter: openLimiter(limits, 0, clock.now),
    breaker: breakerOf(scenario),
  };
}

function breakerOf({ breaker }: Scenario): BreakerRules {
  const { failures, failureShare, windowMs, openMs } = DEFAULT_ROUTING.breaker;
  return {
    failures: breaker.failures ?? failures,
    failureShare: breaker.failure_share ?? failureShare,
    windowMs: (breaker.window_s ?? windowMs / 1000) * 1000,
    openMs: (breaker.open_s ?? openMs / 1000) * 1000,
  };
}

/** `count` of a kind become so many, each a little slower or quicker and dearer or cheaper than the others. */
function expand(specs: readonly TargetSpec[], seed: number): TargetSpec[] {
  const chance = createChance(seed);
  return specs.flatMap((spec) =>
    Array.from({ length: spec.count }, (_, at) => {
      const factor = 1 + spec.spread * chance.uniform();
      const first_ms = { p50: spec.first_ms.p50 * factor, p99: spec.first_ms.p99 * factor };
      const price = { input: spec.price.input * factor, output: spec.price.output * factor };
      const name = spec.count === 1 ? spec.name : `${spec.name}-${at}`;
      return { ...spec, count: 1, name, first_ms, per_token_ms: spec.per_token_ms * factor, price };
    }),
  );
}

function targetOf({ name, weight, order, price, prices }: TargetSpec): PricedTarget {
  const own = { id: `p/${name}`, provider: 'p', upstreamModel: name, weight, order, timeouts: DEFAULT_TIMEOUTS };
  // One whose price changes is looked up each time, as those of wildcards are.
  return { ...own, priceState: prices.length === 0 ? priceState(price) : { status: 'lazy' } };
}

function priceState({ input, output }: { input: number; output: number }, changesAtMs?: number): PriceState {
  const price = { input: { picoUsd: input * PICO_PER_USD_PER_MTOK }, output: { picoUsd: output * PICO_PER_USD_PER_MTOK } };
  return { status: 'priced', price, source: 'config', ...(changesAtMs !== undefined && { changesAtMs }) };
}
