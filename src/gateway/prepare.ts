import type { PricedTarget, Provider } from '../config/snapshot.ts';
import type { ChatRequest } from '../core/chat.ts';
import { GatewayError } from '../core/errors.ts';
import { ANTHROPIC_VERSION } from '../dialects/anthropic-messages/wire.ts';
import type { Dialect, JsonObject } from '../dialects/dialect.ts';
import { REQUEST_HEADERS, upstreamHeaders } from '../http/headers.ts';
import { formatTraceparent } from '../lib/ids.ts';
import { readString } from '../lib/json-scan.ts';
import { spliceMembers } from '../lib/json-splice.ts';
import { type ClientBody, parsedBody, streamOptions } from './body.ts';
import { CAP_NAMES } from '../ledger/request-shape.ts';
import { hopsIn } from './agents/hops.ts';
import { membersToContinue, requestToContinue } from './continuation.ts';
import type { Exchange } from './exchange.ts';
import { capName } from './spend-bound.ts';
import { chatDialect } from './surface.ts';
import { dropsThinking, membersWithoutThinking, requestWithoutThinking } from './thinking.ts';

/** What is sent to one target, and how its answer is to be read. */
export interface Prepared {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** The gateway, not the client, asked for usage: its chunk is taken out again. */
  stripUsage: boolean;
  /** The client asked for embeddings as base64, and reads nothing else. */
  base64: boolean;
  /** Absent: a relay. Present: the provider's dialect and the request in neutral form. */
  translation?: { dialect: Dialect; request: ChatRequest };
}

/**
 * The request for one target: the client's own bytes with the routing members set where the provider speaks the surface, else a translation.
 * Throws invalid_request, unsupported_parameter.
 */
export function prepare(exchange: Exchange, body: ClientBody, target: PricedTarget, spanId: string): Prepared {
  const { surface, line } = exchange;
  const provider = line.provider(target);
  const prepared = surface.isNative(provider)
    ? relayed(exchange, body, target, provider)
    : translated(exchange, body, target, provider);
  addTraceHeaders(exchange, prepared.headers, spanId);
  addHops(exchange, prepared.headers);
  return prepared;
}

function relayed(exchange: Exchange, body: ClientBody, target: PricedTarget, provider: Provider): Prepared {
  const { surface, request } = exchange;
  const asksUsage = surface.name === 'chat' && body.stream && !body.asksForUsage && provider.quirks.includeUsage !== false;
  const changes = relayChanges(body, target, provider, asksUsage);
  if (dropsThinking(exchange, provider)) Object.assign(changes, membersWithoutThinking(surface.name, body));
  const { continuation } = exchange;
  if (continuation?.resumed === true) Object.assign(changes, membersToContinue(continuation, body, provider.type));
  capRelay(changes, body, { name: capName(surface, provider), tokens: exchange.spend?.capTokens });
  const isChanged = Object.keys(changes).length > 0;
  return {
    path: surface.upstreamPath + request.query,
    headers: upstreamHeaders(request.headers, REQUEST_HEADERS[provider.dialect]),
    body: isChanged ? spliceMembers(body.bytes, body.scan, changes) : body.bytes,
    stripUsage: asksUsage,
    base64: surface.name === 'embeddings' && readString(body.bytes, body.scan.members.get('encoding_format')) === 'base64',
  };
}

type Changes = Record<string, string | undefined>;

/** The members a relayed body must differ in; none where it can go as it came. */
function relayChanges(body: ClientBody, target: PricedTarget, provider: Provider, asksUsage: boolean): Changes {
  const changes: Changes = {};
  if (body.model !== target.upstreamModel) changes['model'] = JSON.stringify(target.upstreamModel);
  if (asksUsage) changes['stream_options'] = JSON.stringify({ ...streamOptions(body.bytes, body.scan), include_usage: true });
  renameMembers(changes, body, provider.quirks.rename);
  shapeForTarget(changes, body, target);
  return changes;
}

/** The cap that a budget needs, in every place where the body has one; under the target's own name where it has none. */
function capRelay(changes: Changes, { scan }: ClientBody, cap: { name: string; tokens: number | undefined }): void {
  if (cap.tokens === undefined) return;
  const sent = CAP_NAMES.filter((name) => changes[name] ?? (scan.members.has(name) && !(name in changes)));
  for (const name of sent.length === 0 ? [cap.name] : sent) changes[name] = String(cap.tokens);
}

/** The operator's parameters, by their names there: after renaming, so that a renamed one counts as sent. */
function shapeForTarget(changes: Changes, body: ClientBody, target: PricedTarget): void {
  const { members } = body.scan;
  for (const [name, value] of Object.entries(target.defaultParams ?? {})) {
    if (!members.has(name) && changes[name] === undefined) changes[name] = JSON.stringify(value);
  }
  for (const name of target.dropParams ?? []) {
    if (members.has(name)) changes[name] = undefined;
    else delete changes[name];
  }
}

/** A parameter the provider calls by another name keeps its bytes under that name, unless the client sent both. */
function renameMembers(changes: Changes, body: ClientBody, rename: Readonly<Record<string, string>> = {}): void {
  for (const [ours, theirs] of Object.entries(rename)) {
    const span = body.scan.members.get(ours);
    if (span === undefined || body.scan.members.has(theirs)) continue;
    changes[theirs] = body.bytes.toString('utf8', span.valueStart, span.valueEnd);
    changes[ours] = undefined;
  }
}

function translated(exchange: Exchange, body: ClientBody, target: PricedTarget, provider: Provider): Prepared {
  const from = exchange.surface.dialect;
  const to = chatDialect(provider.dialect);
  if (from === undefined || to === undefined)
    throw new GatewayError('not_supported_here', { details: { provider: provider.name } });
  const decoded = from.request.decode(parsedBody(body), plainHeaders(exchange));
  const request = asItMayGo(exchange, provider, decoded);
  const capTokens = exchange.spend?.capTokens;
  if (capTokens !== undefined) request.maxOutputTokens = capTokens;
  const maxOutputTokens = exchange.resolved?.model.maxOutputTokens;
  const encoded = to.request.encode(request, {
    upstreamModel: target.upstreamModel,
    quirks: provider.quirks,
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    warn: (warning) => exchange.warnings.push(warning),
  });
  return {
    path: to.path,
    headers: {
      'content-type': 'application/json',
      ...(to.id === 'anthropic-messages' ? { 'anthropic-version': ANTHROPIC_VERSION } : {}),
    },
    body: Buffer.from(JSON.stringify(withTargetParams(encoded, target))),
    stripUsage: false,
    base64: false,
    translation: { dialect: to, request },
  };
}

function asItMayGo(exchange: Exchange, provider: Provider, decoded: ChatRequest): ChatRequest {
  const { continuation } = exchange;
  const request = dropsThinking(exchange, provider) ? requestWithoutThinking(decoded) : decoded;
  return continuation?.resumed === true ? requestToContinue(continuation, request) : request;
}

function withTargetParams(encoded: JsonObject, target: PricedTarget): JsonObject {
  const shaped = { ...target.defaultParams, ...encoded };
  for (const name of target.dropParams ?? []) delete shaped[name];
  return shaped;
}

function plainHeaders(exchange: Exchange): Record<string, string> {
  const entries = Object.entries(exchange.request.headers).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}

/** Where a provider is an agent itself, or a Signalbox with agents, the ring that it closes must be found. */
function addHops({ behind, request }: Exchange, headers: Record<string, string>): void {
  const hops = behind === undefined ? undefined : hopsIn(request.headers.baggage);
  if (hops !== undefined) headers['baggage'] = hops;
}

function addTraceHeaders(exchange: Exchange, headers: Record<string, string>, spanId: string): void {
  const { trace, plane } = exchange;
  if (trace.parentSpanId === undefined && !plane.tracing()) return;
  headers['traceparent'] = formatTraceparent({ traceId: trace.traceId, spanId, sampled: trace.sampled });
  if (trace.state !== undefined) headers['tracestate'] = trace.state;
}
