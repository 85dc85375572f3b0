import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { AgentState } from '../core/agent.ts';
import type { AttemptFact, ExchangeFact } from '../core/exchange.ts';
import type { Usage } from '../core/usage.ts';

/** What main knows beside the facts, read at scrape time. */
export interface Gauges {
  version: string;
  workers: () => { worker: number; inflight: number; loopDelayP99Ms: number }[];
  mainLoopDelayP99Ms: () => number;
  inflightBytes: () => number;
  journalLagBytes: () => number;
  store: () => { isUp: boolean; lagBytes: number };
  targets: () => { target: string; state: 'closed' | 'probing' | 'open'; inflight: number }[];
  agents: () => { agent: string; state: AgentState }[];
}

const STATE_VALUES = { closed: 0, probing: 1, open: 2 };
const AGENT_STATE_VALUES = { healthy: 0, degraded: 1, unhealthy: 2, disabled: 3, unknown: 4 } as const;

export interface Metrics {
  observe: (fact: ExchangeFact) => void;
  /** The Prometheus text exposition. */
  text: () => Promise<string>;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];

/**
 * Metrics are a fold of the facts: what a scrape says, the journal can prove. Label values come from the configuration or from
 * closed lists of ours, never from a request, so that nobody can grow them.
 */
export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  const series = createSeries(registry);
  registerGauges(registry, gauges);
  return {
    observe: (fact) => observe(series, fact),
    text: () => registry.metrics(),
  };
}

type Series = ReturnType<typeof createSeries>;

function createSeries(registry: Registry) {
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <T extends string>(name: string, help: string, labelNames: T[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers });
  return {
    requests: counter('signalbox_requests_total', 'Exchanges, by how they ended', [
      'surface',
      'model',
      'provider',
      'key',
      'outcome',
      'status',
    ]),
    errors: counter('signalbox_errors_total', 'Exchanges that failed, by error code', ['surface', 'model', 'provider', 'code']),
    tokens: counter('signalbox_tokens_total', 'Tokens by kind; input includes cache, output includes reasoning', [
      'model',
      'provider',
      'key',
      'kind',
    ]),
    cost: counter('signalbox_cost_usd_total', 'Cost of priced exchanges in USD', ['model', 'provider', 'key']),
    unpriced: counter('signalbox_unpriced_total', 'Exchanges with usage but no known price', ['model', 'provider']),
    attempts: counter('signalbox_upstream_attempts_total', 'Attempts by what came back', ['provider', 'result']),
    firstByte: histogram(
      'signalbox_first_byte_seconds',
      'From the request to the first byte of the answer',
      ['surface', 'model', 'provider'],
      SECONDS,
    ),
    total: histogram(
      'signalbox_request_seconds',
      'From the request to the end of the answer',
      ['surface', 'model', 'provider'],
      SECONDS,
    ),
    overhead: histogram('signalbox_overhead_seconds', "Signalbox's own time in an exchange", ['surface'], OVERHEAD_SECONDS),
  };
}

function observe(series: Series, fact: ExchangeFact): void {
  const { surface, outcome } = fact;
  const [model, provider, key] = [fact.model ?? '', fact.provider ?? '', fact.key ?? ''];
  series.requests.inc({ surface, model, provider, key, outcome, status: String(fact.status) });
  if (fact.error !== undefined) series.errors.inc({ surface, model, provider, code: fact.error });
  if (fact.usage !== undefined) observeTokens(series, fact.usage, { model, provider, key });
  if (fact.costNanoUsd !== undefined) series.cost.inc({ model, provider, key }, fact.costNanoUsd / 1e9);
  if (fact.unpriced === true) series.unpriced.inc({ model, provider });
  for (const attempt of fact.attempts) series.attempts.inc({ provider: attempt.provider, result: resultOf(attempt) });
  if (fact.firstByteMs !== undefined) series.firstByte.observe({ surface, model, provider }, fact.firstByteMs / 1000);
  series.total.observe({ surface, model, provider }, fact.totalMs / 1000);
  series.overhead.observe({ surface }, fact.overheadMs / 1000);
}

const TOKEN_KINDS: readonly (readonly [string, keyof Usage])[] = [
  ['input', 'inputTokens'],
  ['output', 'outputTokens'],
  ['cache_read', 'cacheReadTokens'],
  ['cache_write', 'cacheWriteTokens'],
  ['reasoning', 'reasoningTokens'],
];

function observeTokens(series: Series, usage: Usage, labels: { model: string; provider: string; key: string }): void {
  for (const [kind, member] of TOKEN_KINDS) {
    if (usage[member] > 0) series.tokens.inc({ ...labels, kind }, usage[member]);
  }
}

/** A status class, or our code where no status came. */
function resultOf(attempt: AttemptFact): string {
  if (attempt.status !== undefined) return `${Math.trunc(attempt.status / 100)}xx`;
  return attempt.error ?? 'none';
}

function registerGauges(registry: Registry, gauges: Gauges): void {
  const gauge = <T extends string>(
    name: string,
    help: string,
    labelNames: T[],
    read: (set: (labels: Record<T, string>, value: number) => void) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        read((labels, value) => this.set(labels, value));
      },
    });
  gauge('signalbox_build_info', 'Always 1; the labels tell what runs', ['version', 'node'], (set) =>
    set({ version: gauges.version, node: process.version }, 1),
  );
  gauge('signalbox_inflight_exchanges', 'Exchanges under way', ['worker'], (set) => {
    for (const each of gauges.workers()) set({ worker: String(each.worker) }, each.inflight);
  });
  gauge('signalbox_loop_delay_p99_seconds', 'Event-loop delay of a thread, p99 of the last interval', ['thread'], (set) => {
    set({ thread: 'main' }, gauges.mainLoopDelayP99Ms() / 1000);
    for (const each of gauges.workers()) set({ thread: `worker-${each.worker}` }, each.loopDelayP99Ms / 1000);
  });
  gauge('signalbox_inflight_bytes', 'Bytes of bodies held by all workers', [], (set) => set({}, gauges.inflightBytes()));
  gauge('signalbox_journal_lag_bytes', 'Bytes of facts written and not yet read', [], (set) => set({}, gauges.journalLagBytes()));
  gauge('signalbox_store_up', 'Whether the store can be written', [], (set) => set({}, gauges.store().isUp ? 1 : 0));
  gauge('signalbox_store_lag_bytes', 'Bytes of facts written and not yet in the store', [], (set) =>
    set({}, gauges.store().lagBytes),
  );
  gauge('signalbox_target_state', 'Circuit breaker of a target: 0 closed, 1 probing, 2 open', ['target'], (set) => {
    for (const { target, state } of gauges.targets()) set({ target }, STATE_VALUES[state]);
  });
  gauge('signalbox_target_inflight', 'Attempts under way at a target', ['target'], (set) => {
    for (const { target, inflight } of gauges.targets()) set({ target }, inflight);
  });
  gauge(
    'signalbox_agent_state',
    'State that callers of an agent meet: 0 healthy, 1 degraded, 2 unhealthy, 3 disabled, 4 unknown',
    ['agent'],
    (set) => {
      for (const { agent, state } of gauges.agents()) set({ agent }, AGENT_STATE_VALUES[state]);
    },
  );
  gauge('process_resident_memory_bytes', 'Resident memory of the process', [], (set) => set({}, process.memoryUsage.rss()));
  gauge('process_start_time_seconds', 'Start of the process since the epoch', [], (set) =>
    set({}, Math.round(performance.timeOrigin / 1000)),
  );
}
