/**
 * What limits cost a worker: CPU of its thread for each exchange, taken and ended, and what rivals add. `node bench/limits.ts`.
 * The baseline of the same run is a plain counter in a Map, which could neither be shared nor slide.
 */
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import type { Rules } from '../src/core/rules.ts';
import type { Usage } from '../src/core/usage.ts';
import { demandsOf } from '../src/policy/demands.ts';
import { type Acquired, type Limiter, openLimiter } from '../src/policy/limiter.ts';
import { type LimitsMemory, createLimitsMemory } from '../src/policy/limits-memory.ts';
import { createTokenHistory, expectedTokens, learnTokens } from '../src/policy/token-history.ts';

const CALLS = 200_000;
const ROUNDS = 5;
const KEYS = 1_000;
const WINDOWS = 131_072;

/** A key with all three limits in a team with two, as they stand behind most callers; a model and a target with one each. */
function rulesOf(index: number): { caller: Rules[]; model: Rules[]; target: Rules[] } {
  const most = 1e9;
  const at = index * 8;
  const window = (slot: number) => ({ slot, perMinute: most });
  return {
    caller: [
      { scope: `key:${index}`, requests: window(at), tokens: window(at + 1), concurrent: { slot: at, most }, budgets: [] },
      { scope: 'team:t', requests: window(WINDOWS - 1), concurrent: { slot: WINDOWS - 1, most }, budgets: [] },
    ],
    model: [{ scope: 'model:m', requests: window(WINDOWS - 2), budgets: [] }],
    target: [{ scope: 'target:t', requests: window(WINDOWS - 3), budgets: [] }],
  };
}

type RulesOf = ReturnType<typeof rulesOf>;

const ALL = Array.from({ length: KEYS }, (_, index) => rulesOf(index));
/** The least that is usual: requests and tokens of the key. */
const FEW: RulesOf[] = ALL.map(({ caller: [key] }) => ({
  caller: [{ scope: key!.scope, requests: key!.requests!, tokens: key!.tokens!, budgets: [] }],
  model: [],
  target: [],
}));
const historyOf = createTokenHistory();
const usage = { inputTokens: 900, cacheReadTokens: 100, outputTokens: 300 } as Usage;

type Granted = Extract<Acquired, { ok: true }>;

/** As the gateway does it: before the body, after it, for the attempt, and at the end. */
function exchange(limiter: Limiter, { caller, model, target }: RulesOf): void {
  const grants = [(limiter.acquire(demandsOf(caller, { call: true })) as Granted).grant];
  const history = historyOf(caller[0]!.scope, 'm');
  const tokens = expectedTokens(history, { requestBytes: 4_000, maxOutputTokens: 1_000, answers: true });
  grants.push(
    (limiter.acquire([...demandsOf(model, { call: true, tokens }), ...demandsOf(caller, { tokens })]) as Granted).grant,
  );
  const last = demandsOf(target, { call: true, tokens });
  if (last.length > 0) grants.push((limiter.acquire(last) as Granted).grant);
  limiter.settle(grants, 1_100);
  learnTokens(history, 4_000, usage);
}

const pick = (rules: readonly RulesOf[], call: number): RulesOf => rules[(call * 7) % KEYS]!;

/** CPU of this thread in microseconds per call; the best of several rounds. */
function usPerCall(work: (call: number) => void): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.threadCpuUsage();
    for (let call = 0; call < CALLS; call++) work(call);
    const { user, system } = process.threadCpuUsage(before);
    best = Math.min(best, (user + system) / CALLS);
  }
  return best;
}

function clock(): number {
  const [s, ns] = process.hrtime();
  return s * 1000 + ns / 1e6;
}

async function rivals(memory: LimitsMemory, threads: number): Promise<number[]> {
  const workers = Array.from(
    { length: threads },
    (_, worker) => new Worker(new URL(import.meta.url), { workerData: { memory, worker } }),
  );
  return Promise.all(
    workers.map((worker) => new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject))),
  );
}

if (isMainThread) {
  const memory = createLimitsMemory({ windows: WINDOWS, leases: WINDOWS, workers: 4 }, clock());
  const limiter = openLimiter(memory, 0, clock);
  const counters = new Map<string, number>();
  const few = usPerCall((call) => exchange(limiter, pick(FEW, call)));
  const all = usPerCall((call) => exchange(limiter, pick(ALL, call)));
  const plain = usPerCall((call) => {
    for (const rules of Object.values(pick(ALL, call))) {
      for (const { scope } of rules) counters.set(scope, (counters.get(scope) ?? 0) + 1);
    }
  });
  console.log(`${KEYS} keys; µs of CPU per exchange, from the first look to the last correction`);
  console.log(`2 limits ${few.toFixed(2)}, 8 limits ${all.toFixed(2)}, a plain counter for each scope ${plain.toFixed(2)}`);
  for (const threads of [2, 4]) {
    const each = await rivals(memory, threads);
    console.log(`8 limits, ${threads} threads that do nothing else: ${each.map((us) => us.toFixed(2)).join(', ')}`);
  }
} else {
  const { memory, worker } = workerData as { memory: LimitsMemory; worker: number };
  const limiter = openLimiter(memory, worker, clock);
  parentPort!.postMessage(usPerCall((call) => exchange(limiter, pick(ALL, call))));
}
