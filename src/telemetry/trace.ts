import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

import type { AttemptFact, ExchangeFact } from '../core/exchange.ts';
import { formatUsd } from '../core/money.ts';

export interface TraceSettings {
  endpoint: string;
  headers: Record<string, string>;
  serviceName: string;
}

/** How spans leave the process; the composition root hands in the egress. Resolves to the HTTP status. */
export type PostSpans = (url: string, headers: Record<string, string>, body: Uint8Array) => Promise<number>;

export interface Traces {
  observe: (fact: ExchangeFact) => void;
  flush: () => Promise<void>;
  close: () => Promise<void>;
}

const MAX_BATCH = 512;
const MAX_QUEUE = 4096;
const FLUSH_MS = 2_000;

/**
 * Spans are made from facts, after the exchange, off the data plane: one SERVER span per exchange and one CLIENT span per attempt, with the GenAI
 * semantic conventions' attributes (gen_ai.*, in their state of 2026: development). The ids were drawn by the worker, which sent them upstream in `traceparent`.
 *
 * Sends OTLP/HTTP protobuf to `{endpoint}/v1/traces`. When the collector is away, at most 4,096 spans wait; older ones are dropped and counted in `onDrop`.
 */
export async function createTraces(
  settings: TraceSettings,
  post: PostSpans,
  onDrop: (spans: number, why: string) => void,
): Promise<Traces> {
  // Loaded only where traces are configured: 30 ms and 6 MB that nobody else pays.
  const [{ ProtobufTraceSerializer }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/otlp-transformer'),
    import('@opentelemetry/resources'),
  ]);
  const resource = resourceFromAttributes({ 'service.name': settings.serviceName });
  const url = `${settings.endpoint.replace(/\/$/, '')}/v1/traces`;
  const send = sender(
    ProtobufTraceSerializer,
    (body) => post(url, { ...settings.headers, 'content-type': 'application/x-protobuf' }, body),
    onDrop,
  );
  let queue: ReadableSpan[] = [];
  let sending: Promise<void> = Promise.resolve();

  const flush = (): Promise<void> => {
    const batch = queue;
    queue = [];
    if (batch.length > 0) sending = sending.then(() => send(batch));
    return sending;
  };
  const timer = setInterval(() => void flush(), FLUSH_MS).unref();
  return {
    observe(fact) {
      if (fact.trace === undefined || !fact.trace.sampled) return;
      if (queue.length >= MAX_QUEUE) return onDrop(1 + fact.attempts.length, 'the queue is full');
      queue.push(...spansOf(fact, resource));
      if (queue.length >= MAX_BATCH) void flush();
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

function sender(
  serializer: ISerializer<ReadableSpan[], unknown>,
  post: (body: Uint8Array) => Promise<number>,
  onDrop: (spans: number, why: string) => void,
): (batch: ReadableSpan[]) => Promise<void> {
  return async (batch) => {
    try {
      const body = serializer.serializeRequest(batch);
      const status = body === undefined ? 0 : await post(body);
      if (status < 200 || status > 299) onDrop(batch.length, `the collector answered ${status}`);
    } catch (error) {
      onDrop(batch.length, error instanceof Error ? error.message : 'the collector could not be reached');
    }
  };
}

/** The semantic conventions' operation of a surface. */
const OPERATION: Record<string, string> = {
  chat: 'chat',
  messages: 'chat',
  responses: 'chat',
  embeddings: 'embeddings',
  count_tokens: 'count_tokens',
};

function spansOf(fact: ExchangeFact, resource: Resource): ReadableSpan[] {
  const trace = fact.trace!;
  const operation = OPERATION[fact.surface] ?? fact.surface;
  const name = fact.model === undefined ? operation : `${operation} ${fact.model}`;
  const server = span(resource, {
    name,
    kind: SpanKind.SERVER,
    spanId: trace.spanId,
    traceId: trace.traceId,
    ...(trace.parentSpanId === undefined ? {} : { parentSpanId: trace.parentSpanId }),
    startMs: fact.atMs,
    durationMs: fact.totalMs,
    error: fact.error,
    attributes: { ...genAi(fact, operation), ...ours(fact), 'http.response.status_code': fact.status },
  });
  return [server, ...fact.attempts.map((attempt) => attemptSpan(fact, attempt, operation, resource))];
}

function attemptSpan(fact: ExchangeFact, attempt: AttemptFact, operation: string, resource: Resource): ReadableSpan {
  return span(resource, {
    name: `${operation} ${attempt.upstreamModel}`,
    kind: SpanKind.CLIENT,
    spanId: attempt.spanId,
    traceId: fact.trace!.traceId,
    parentSpanId: fact.trace!.spanId,
    startMs: attempt.startedAtMs,
    durationMs: attempt.totalMs,
    error: attempt.error,
    attributes: {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': attempt.provider,
      'gen_ai.request.model': attempt.upstreamModel,
      'http.response.status_code': attempt.status,
    },
  });
}

function genAi(fact: ExchangeFact, operation: string): Record<string, unknown> {
  return {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': fact.provider,
    'gen_ai.request.model': fact.askedModel,
    'gen_ai.response.model': fact.upstreamModel,
    'gen_ai.response.finish_reasons': fact.finish === undefined ? undefined : [fact.finish],
    'gen_ai.usage.input_tokens': fact.usage?.inputTokens,
    'gen_ai.usage.output_tokens': fact.usage?.outputTokens,
    'gen_ai.usage.cache_read.input_tokens': fact.usage?.cacheReadTokens,
    'gen_ai.usage.cache_creation.input_tokens': fact.usage?.cacheWriteTokens,
  };
}

function ours(fact: ExchangeFact): Record<string, unknown> {
  return {
    'signalbox.request_id': fact.requestId,
    'signalbox.key': fact.key,
    'signalbox.outcome': fact.outcome,
    'signalbox.overhead_ms': fact.overheadMs,
    'signalbox.first_byte_ms': fact.firstByteMs,
    'signalbox.cost_usd': fact.costNanoUsd === undefined ? undefined : formatUsd(fact.costNanoUsd),
  };
}

interface SpanShape {
  name: string;
  kind: SpanKind;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  startMs: number;
  durationMs: number;
  error: string | undefined;
  attributes: Record<string, unknown>;
}

function span(resource: Resource, shape: SpanShape): ReadableSpan {
  const { traceId, spanId, parentSpanId } = shape;
  const context = (id: string) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
  const attributes = { ...shape.attributes, ...(shape.error === undefined ? {} : { 'error.type': shape.error }) };
  return {
    name: shape.name,
    kind: shape.kind,
    spanContext: () => context(spanId),
    ...(parentSpanId === undefined ? {} : { parentSpanContext: context(parentSpanId) }),
    startTime: hrTime(shape.startMs),
    endTime: hrTime(shape.startMs + shape.durationMs),
    duration: hrTime(shape.durationMs),
    status: { code: shape.error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: Object.fromEntries(
      Object.entries(attributes).filter(([, value]) => value !== undefined),
    ) as ReadableSpan['attributes'],
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'signalbox' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
