/**
 * The composition root of the main thread: configuration, prices, the folds of the facts, the demo provider. A file of its own beside build.ts, so
 * that no worker loads the schema, the price list and the log that only main needs.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { createDemoAgents } from './agents/demo/handler.ts';
import { boundsOf, factsOf } from './config/resolve.ts';
import { buildDesk } from './build-config.ts';
import type { Snapshot } from './config/snapshot.ts';
import { createEvents } from './control/events/events.ts';
import type { ExchangeFact } from './core/exchange.ts';
import { anthropicMessages } from './dialects/anthropic-messages/dialect.ts';
import { openaiChat } from './dialects/openai-chat/dialect.ts';
import { createIdSource } from './lib/ids.ts';
import { createPriceBook } from './ledger/price.ts';
import { DEMO_ORIGIN } from './providers/catalog/local.ts';
import { modelFacts } from './providers/models/facts.ts';
import { createDemoHandler } from './providers/demo/handler.ts';
import type { Control, ControlContext, Log } from './runtime/messages.ts';
import { createLog, logExchange } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';
import type { PostSpans, Traces } from './telemetry/trace.ts';
import { createTryProvider } from './try-provider.ts';
import { type AskWhole, createWayOut } from './upstream/way-out.ts';

const LOOP_RESOLUTION_MS = 20;
/** What a receiver of events says beside its status is of no interest. */
const RECEIVER_ANSWER_BYTES = 64 * 1024;
const COLLECTOR_ANSWER_BYTES = 64 * 1024;
const COLLECTOR_TIMEOUT_MS = 10_000;

/** What `runtime/messages.ts` calls Control, with all its parts. */
export async function buildControl(context: ControlContext): Promise<Control> {
  const prices = await createPriceBook({ nowMs: Date.now });
  let processLog = createLog({ level: 'info', format: 'auto' }, process.stderr);
  const log: Log = (level, fields, message) => processLog.logger[level](fields, message);
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loopDelay.enable();
  const metrics = createMetrics({
    version: context.version,
    workers: context.workers,
    mainLoopDelayP99Ms: () => takeLoopDelay(loopDelay),
    inflightBytes: () => context.workers().reduce((sum, worker) => sum + worker.inflightBytes, 0),
    journalLagBytes: context.journalLagBytes,
    store: context.storeState,
    targets: context.targets,
    agents: context.agentStates,
  });
  const wayOut = createWayOut(`signalbox/${context.version}`);
  const events = openEvents(wayOut, log);
  const traces = createTraceSwitch(wayOut.ask, log);
  const demoAgents = createDemoAgents({ baseUrl: `${DEMO_ORIGIN}/demo/agents`, newId: randomUUID });
  const demo = createDemoHandler({ dialects: { chat: openaiChat, messages: anthropicMessages }, nowMs: Date.now });

  return {
    log,
    config: buildDesk(context, prices, log),
    tryProvider: createTryProvider(wayOut.send, () => performance.now()),
    swapped({ telemetry, egress, events: eventSettings }) {
      processLog = createLog({ level: telemetry.logLevel, format: telemetry.logFormat }, process.stderr);
      wayOut.use(egress);
      traces.use(telemetry.otlp);
      events.use(eventSettings);
    },
    sink(fact, recovered) {
      if (fact.kind === 'event') events.observe(fact);
      if (fact.kind !== 'exchange') return;
      logExchange(processLog, fact, recovered);
      // What an earlier run left belongs into its own counters and traces, which are gone.
      if (recovered) return;
      metrics.observe(fact);
      traces.observe(fact);
    },
    metricsText: metrics.text,
    priceOf: (request) =>
      Promise.resolve({ ...prices.priceOf(request), bounds: boundsOf(factsOf(request, { prices, modelFacts })) }),
    extra: (request, response) => {
      if (request.url?.startsWith('/demo/') !== true) return false;
      if (!demoAgents(request, response)) demo(request, response);
      return true;
    },
    raise: events.raise,
    recentEvents: events.recent,
    ask: wayOut.ask,
    send: wayOut.send,
    async close() {
      await Promise.all([traces.close(), events.close()]);
      processLog.logger.flush();
    },
  };
}

function openEvents(wayOut: ReturnType<typeof createWayOut>, log: Log): ReturnType<typeof createEvents> {
  return createEvents({
    log,
    post: (url, headers, body, { timeoutMs }) =>
      wayOut.ask({ url, method: 'POST', headers, body, timeoutMs, maxBytes: RECEIVER_ANSWER_BYTES }),
    nowMs: Date.now,
    eventId: createIdSource(randomBytes).eventId,
    random: Math.random,
  });
}

/** p99 since the last scrape. The histogram holds the time between two samples, so an idle loop shows its resolution. */
function takeLoopDelay(histogram: ReturnType<typeof monitorEventLoopDelay>): number {
  const delayMs = Math.max(0, histogram.percentile(99) / 1e6 - LOOP_RESOLUTION_MS);
  histogram.reset();
  return delayMs;
}

interface TraceSwitch {
  use(otlp: Snapshot['telemetry']['otlp']): void;
  observe(fact: ExchangeFact): void;
  close(): Promise<void>;
}

/** Traces that follow the configuration: off, or to the collector it names now. */
function createTraceSwitch(ask: AskWhole, log: Log): TraceSwitch {
  let inUse = '';
  let traces: Promise<Traces | undefined> = Promise.resolve(undefined);
  let ready: Traces | undefined;
  const onDrop = (spans: number, why: string): void => log('warn', { spans, why }, 'spans were dropped');
  return {
    use(otlp) {
      const wanted = JSON.stringify(otlp ?? null);
      if (wanted === inUse) return;
      inUse = wanted;
      const before = traces;
      traces = (async () => {
        await (await before)?.close();
        ready = otlp === undefined ? undefined : await startTraces(otlp, createPost(ask), onDrop);
        return ready;
      })();
      traces.catch((error: unknown) => log('error', { error: String(error) }, 'traces cannot be sent'));
    },
    observe: (fact) => ready?.observe(fact),
    async close() {
      await (await traces)?.close();
    },
  };
}

/** OpenTelemetry is loaded only where somebody collects. */
async function startTraces(...parts: Parameters<CreateTraces>): Promise<Traces> {
  const { createTraces } = await import('./telemetry/trace.ts');
  return createTraces(...parts);
}

type CreateTraces = typeof import('./telemetry/trace.ts').createTraces;

/** The collector is reached like any upstream: through the egress, with its proxy and its authorities. */
function createPost(ask: AskWhole): PostSpans {
  return async (url, headers, body) => {
    const limits = { timeoutMs: COLLECTOR_TIMEOUT_MS, maxBytes: COLLECTOR_ANSWER_BYTES };
    const { status } = await ask({ url, method: 'POST', headers, body: Buffer.from(body), ...limits });
    return status;
  };
}
