/**
 * What choosing a target costs a worker: `node bench/planner.ts`. CPU of this thread by the kernel's account, best of several rounds; the baseline of the
 * same run is a plain uniform draw, `candidates[Math.floor(Math.random() * n)]`. Fails above 3 µs for 10 targets or 30 µs for 1,000.
 */
import { createPlanner } from '../src/routing/planner.ts';
import type { LiveTargets } from '../src/routing/live.ts';
import { STRATEGY_NAMES } from '../src/core/routing.ts';
import { type FakeTarget, NOW_MS, REQUEST, poolOf, priced, seeded } from '../test/support/routing.ts';

const ROUNDS = 3;
const ROUND_US = 80_000;
const BATCH = 500;
const MOST_US: Readonly<Record<number, number>> = { 10: 3, 1_000: 30 };

/** Live state as the product keeps it: shared memory, one word or double for each figure. */
function sharedLive(targets: readonly FakeTarget[]): LiveTargets {
  const words = new Int32Array(new SharedArrayBuffer(targets.length * 16));
  const doubles = new Float64Array(new SharedArrayBuffer(targets.length * 32));
  for (const [place, { live }] of targets.entries()) {
    words[place * 4] = live?.inFlight ?? 0;
    words[place * 4 + 1] = live?.breaker === 'open' ? 1 : 0;
    doubles[place * 4] = live?.firstContentMs ?? 0;
    doubles[place * 4 + 1] = live?.perTokenMs ?? 0;
    doubles[place * 4 + 2] = live?.requestsUsed ?? 0;
    doubles[place * 4 + 3] = live?.tokensUsed ?? 0;
  }
  return {
    inFlight: (place) => Atomics.load(words, place * 4),
    breaker: (place) => (Atomics.load(words, place * 4 + 1) === 0 ? 'closed' : 'open'),
    openUntilMs: (place) => Atomics.load(words, place * 4 + 2),
    firstContentMs: (place) => doubles[place * 4],
    perTokenMs: (place) => doubles[place * 4 + 1],
    lastSentMs: (place) => doubles[place * 4 + 1]!,
    requestsUsed: (place) => doubles[place * 4 + 2]!,
    tokensUsed: (place) => doubles[place * 4 + 3]!,
    concurrencyUsed: () => 0,
  };
}

/** The best round, µs of CPU per call. Rounds are as long as they must be: some kernels keep their account by ticks of several ms. */
function usPerCall(work: () => unknown): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    let calls = 0;
    let usedUs = 0;
    for (const before = process.threadCpuUsage(); usedUs < ROUND_US; usedUs = since(before)) {
      for (let call = 0; call < BATCH; call++) if (work() === undefined) throw new Error('nothing was chosen');
      calls += BATCH;
    }
    best = Math.min(best, usedUs / calls);
  }
  return best;
}

function since(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

const TAGS = ['default', 'paid', 'batch'];

/** As a large model of a large operator: weights, limits, prices, tags; `open`: part of the breakers that are. */
function targetsOf(size: number, open: number): FakeTarget[] {
  const random = seeded(size);
  return Array.from({ length: size }, () => ({
    weight: 1 + Math.floor(random() * 5),
    tags: [TAGS[Math.floor(random() * 3)]!],
    region: random() < 0.5 ? 'eu-west-1' : 'us-east-1',
    capabilities: ['tools'],
    bounds: { contextWindow: 128_000 },
    limits: { rpm: 1_000, tpm: 1_000_000 },
    priceState: priced(Math.floor(random() * 5_000_000), Math.floor(random() * 20_000_000)),
    live: {
      inFlight: Math.floor(random() * 4),
      breaker: random() < open ? ('open' as const) : ('closed' as const),
      firstContentMs: 200 + random() * 800,
      perTokenMs: 5 + random() * 30,
      requestsUsed: random() * 0.9,
      tokensUsed: random() * 0.9,
    },
  }));
}

const REQUESTS = {
  plain: { ...REQUEST, tags: ['default'] },
  'all filters': {
    ...REQUEST,
    tags: ['paid'],
    region: 'eu',
    needs: { tools: true, vision: false, jsonSchema: false },
    inputTokens: 90_000,
  },
  sticky: { ...REQUEST, stickyKey: 0x5bd1e995 },
};

let failed = false;
for (const [size, open] of [
  [10, 0],
  [10, 0.5],
  [1_000, 0],
  [1_000, 0.5],
] as const) {
  const targets = targetsOf(size, open);
  const { pool } = poolOf(targets);
  const live = sharedLive(targets);
  const draw = usPerCall(() => pool.candidates[Math.floor(Math.random() * pool.candidates.length)]);
  console.log(
    `${size} targets, ${open * 100} % of breakers open; µs per choice, × a uniform draw of ${(draw * 1_000).toFixed(0)} ns`,
  );
  for (const name of STRATEGY_NAMES) {
    const planner = createPlanner({ pool, strategy: name, live, random: Math.random });
    const cells = Object.entries(REQUESTS).map(([what, request]) => {
      const us = usPerCall(() => planner.pick(request, [], NOW_MS));
      failed ||= us > MOST_US[size]!;
      return `${what} ${us.toFixed(2).padStart(6)} (${(us / draw).toFixed(0)} ×)`;
    });
    console.log(`  ${name.padEnd(18)} ${cells.join('   ')}`);
  }
}
if (failed) {
  console.error('too slow');
  process.exitCode = 1;
}
