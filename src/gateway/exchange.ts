import type { PricedTarget } from '../config/snapshot.ts';
import type { AgentView } from '../core/agent.ts';
import type { Warning } from '../core/chat.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { AttemptFact, ExchangeFact, GuardFact, Outcome, RoutingFact } from '../core/exchange.ts';
import type { PriceState } from '../core/price.ts';
import type { Rules, Scope } from '../core/rules.ts';
import type { Usage } from '../core/usage.ts';
import type { EdgeRequest } from '../http/edge.ts';
import { parseTraceparent } from '../lib/ids.ts';
import { costNanoUsd } from '../ledger/cost.ts';
import type { Candidate } from '../routing/candidate.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import { agentCallFact } from './agents/fact.ts';
import type { AgentWork } from './agents/call.ts';
import type { Admission } from './admit.ts';
import type { Recording } from './bodies.ts';
import type { Continuation } from './continuation.ts';
import type { Line } from './line.ts';
import type { Plane } from './plane.ts';
import type { OpenSpend } from './spend.ts';
import type { RelayableRefusal } from './refused-relay.ts';
import type { Surface } from './surface.ts';

/** One call on its way through: what is known of it so far. It ends as one fact. */
export interface Exchange {
  /** Ours, ordered by time; the request's own id is the client's to choose. */
  readonly id: string;
  readonly plane: Plane;
  readonly line: Line;
  readonly surface: Surface;
  readonly request: EdgeRequest;
  readonly atMs: number;
  readonly trace: NonNullable<ExchangeFact['trace']> & { state?: string };
  readonly attempts: AttemptFact[];
  readonly warnings: Warning[];
  /** Verdicts, in their order. */
  guards?: GuardFact[];
  stream: boolean;
  caller?: Caller;
  /** What its limits gave it, until its end. */
  admission?: Admission;
  /** As the client names him. */
  endUser?: string | undefined;
  /** What holds for him, and his scope; none where nobody is named, or nothing holds. */
  endUserRules?: readonly Rules[];
  askedModel?: string;
  /** It is a call to an agent. */
  agentWork?: AgentWork;
  /** It is the chat behind an agent that is a model. */
  behind?: BehindAgent;
  resolved?: ResolvedModel;
  /** Bodies that are to be kept. */
  recording?: Recording;
  /** Where the last attempt went. */
  candidate?: Candidate;
  /** Absent: there was no choice. */
  routing?: RoutingFact;
  /** Of how its prompt begins, where that matters. */
  promptKey?: number;
  /** No attempt begins later, wall clock. */
  deadlineAtMs?: number;
  /** The provider that answers now takes no thinking of another one: it is left out of the conversation. */
  withoutThinking?: boolean;
  /** Present: a stream that breaks may go on at another target. */
  continuation?: Continuation | undefined;
  /** The last refusal of a provider that may be shown as it came. */
  relayable?: RelayableRefusal;
  /** The target whose answer the client gets. */
  target?: PricedTarget;
  usage?: Usage;
  /** Its provider told no usage, or not all: what it is charged is our estimate. */
  estimated?: boolean;
  /** Money of the attempt under way, or of the last one. */
  spend?: OpenSpend | undefined;
  finish?: string;
  upstreamModel?: string;
  cost?: Cost;
  requestBytes: number;
  responseBytes: number;
  /** Milliseconds spent waiting for the client's body and for the upstream, so far. */
  waitedMs: number;
  firstByteAt?: number;
  status: number;
  outcome: Outcome;
  failure?: GatewayError;
  /** Why we ended it ourselves: takes the place of what the cut looks like. */
  cut?: GatewayError;
  /** Set once the client has left. */
  gone: boolean;
  /** Ends the attempt under way, whose own line then learns of it; replaced by each new one. */
  abort: () => void;
  /** Ends and books the last attempt where nobody reads its answer any more. */
  abandon: (error: GatewayError) => void;
}

/** Whose chat it is that nobody asked for by himself. Its caller was counted as the agent's. */
export interface BehindAgent {
  view: AgentView;
  /** As the agent's caller named him. */
  endUser: string | undefined;
}

/** `unpriced` and an amount exclude each other; free is the amount 0. */
export type Cost = { nanoUsd: number } | { unpriced: true };

export function beginExchange(plane: Plane, surface: Surface, request: EdgeRequest): Exchange {
  const atMs = plane.nowMs() - (performance.now() - request.startedAt);
  const exchange: Exchange = {
    id: plane.exchangeId(atMs),
    plane,
    line: plane.line(),
    surface,
    request,
    atMs,
    trace: traceOf(plane, request),
    attempts: [],
    warnings: [],
    stream: false,
    requestBytes: 0,
    responseBytes: 0,
    waitedMs: 0,
    status: 0,
    outcome: 'refused',
    gone: false,
    abort: () => {},
    abandon: () => {},
  };
  plane.began(exchange);
  return exchange;
}

function traceOf(plane: Plane, request: EdgeRequest): Exchange['trace'] {
  const parent = parseTraceparent(request.headers.traceparent as string | undefined);
  const spanId = plane.spanId();
  if (parent === undefined) return { traceId: plane.traceId(), spanId, sampled: plane.sample() };
  const state = request.headers.tracestate;
  return {
    traceId: parent.traceId,
    spanId,
    parentSpanId: parent.spanId,
    sampled: parent.sampled,
    ...(typeof state === 'string' ? { state } : {}),
  };
}

/** Ends an exchange that is under way: its client gets the error in its stream, or as a status. */
export function cut(exchange: Exchange, error: GatewayError): void {
  exchange.cut = error;
  exchange.abort();
}

/** What an attempt that failed had left of its answer says nothing of the next one's. */
export function forgetAnswer(exchange: Exchange): void {
  exchange.warnings.length = 0;
  if (exchange.attempts.length === 0) return;
  exchange.responseBytes = 0;
  delete exchange.usage;
  delete exchange.estimated;
  delete exchange.finish;
  delete exchange.upstreamModel;
  delete exchange.relayable;
  if (exchange.continuation?.resumed !== true) delete exchange.firstByteAt;
}

/** What the answer cost, at the price that was in force when it was sent. */
export function priceUsage(exchange: Exchange): void {
  const { usage, spend } = exchange;
  const cost = spend === undefined ? undefined : costOf(usage, spend.priceState);
  if (cost !== undefined) exchange.cost = cost;
}

/** Usage that no price covers is `unpriced`; no usage, no statement. */
function costOf(usage: Usage | undefined, state: PriceState): Cost | undefined {
  if (usage === undefined) return undefined;
  if (state.status === 'free') return { nanoUsd: 0 };
  return state.status === 'priced' ? { nanoUsd: costNanoUsd(usage, state.price) } : { unpriced: true };
}

/** Notes a failure, once; the first one is the cause, what follows is its echo. */
export function noteFailure(exchange: Exchange, thrown: unknown, outcome?: Outcome): GatewayError {
  const error = exchange.cut ?? toGatewayError(thrown);
  if (exchange.failure !== undefined) return error;
  exchange.failure = error;
  exchange.outcome = outcome ?? outcomeOf(exchange, error);
  exchange.status = error.status;
  return error;
}

function outcomeOf(exchange: Exchange, error: GatewayError): Outcome {
  if (exchange.gone || error.code === 'client_gone') return 'client_gone';
  if (error.code === 'internal') return 'internal_error';
  if (error.code === 'guard_blocked' || error.code === 'guard_unavailable') return 'refused';
  if (error.code === 'upstream_incomplete') return 'upstream_incomplete';
  return exchange.attempts.length === 0 ? 'refused' : 'upstream_error';
}

/** A fact that outgrows its frame in the journal would be lost, and its cost with it: nothing in it may be as long as a client or a provider likes. */
const MAX_WARNINGS = 32;
const MAX_WORD_LENGTH = 128;

function shortened({ param, reason }: Warning): Warning {
  return { param: param.slice(0, MAX_WORD_LENGTH), reason: reason.slice(0, 2 * MAX_WORD_LENGTH) };
}

/** The exchange as it is recorded, once it is over. */
export function factOf(exchange: Exchange): ExchangeFact {
  const { request } = exchange;
  const totalMs = performance.now() - request.startedAt;
  return {
    kind: 'exchange',
    id: exchange.id,
    requestId: request.id,
    worker: exchange.plane.worker,
    atMs: exchange.atMs,
    surface: exchange.surface.name,
    clientIp: request.clientIp,
    stream: exchange.stream,
    status: exchange.status,
    outcome: exchange.outcome,
    attempts: exchange.attempts,
    warnings: exchange.warnings.slice(0, MAX_WARNINGS).map(shortened),
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    totalMs,
    overheadMs: Math.max(0, totalMs - exchange.waitedMs),
    ...present({
      key: exchange.caller?.key.id,
      scopes: scopesOf(exchange),
      endUser: exchange.endUser,
      model: exchange.resolved?.model.name ?? (exchange.agentWork && `a2a/${exchange.agentWork.view.name}`),
      askedModel: exchange.askedModel?.slice(0, MAX_WORD_LENGTH),
      provider: exchange.target?.provider,
      target: exchange.target?.id,
      upstreamModel: exchange.upstreamModel,
      firstByteMs: exchange.firstByteAt === undefined ? undefined : exchange.firstByteAt - request.startedAt,
      finish: exchange.finish?.slice(0, MAX_WORD_LENGTH),
      usage: exchange.usage,
      estimated: exchange.estimated,
      guards: exchange.guards,
      routing: exchange.routing,
      trace: tracePart(exchange.trace),
    }),
    ...(exchange.agentWork !== undefined && { agentCall: agentCallFact(exchange.agentWork) }),
    ...(exchange.behind !== undefined && { behindAgent: exchange.behind.view.name }),
    ...moneyPart(exchange.cost),
    ...failurePart(exchange),
  };
}

/** All that the money of an exchange belongs to, as far as it is known; absent before anybody was authenticated. */
export function scopesOf(exchange: Exchange, target = exchange.target): readonly Scope[] | undefined {
  const { caller, resolved } = exchange;
  if (caller === undefined) return undefined;
  const agent = exchange.agentWork?.view.name ?? exchange.behind?.view.name;
  return [
    ...caller.scopes,
    ...endUserScopes(exchange),
    ...(resolved === undefined ? [] : [`model:${resolved.model.name}` as const]),
    ...(agent === undefined ? [] : [`agent:${agent}` as const]),
    ...(target === undefined ? [] : [`provider:${target.provider}` as const]),
  ];
}

/** All that share the common place share a scope. */
function endUserScopes({ endUser, endUserRules }: Exchange): Scope[] {
  if (endUser === undefined) return [];
  return endUserRules === undefined ? [`end_user:${endUser}`] : endUserRules.map(({ scope }) => scope);
}

/** Without `tracestate`, which is the client's own word. */
function tracePart({ traceId, spanId, parentSpanId, sampled }: Exchange['trace']): ExchangeFact['trace'] {
  return { traceId, spanId, sampled, ...(parentSpanId === undefined ? {} : { parentSpanId }) };
}

function moneyPart(cost: Cost | undefined): Pick<ExchangeFact, 'costNanoUsd' | 'unpriced'> {
  if (cost === undefined) return {};
  return 'nanoUsd' in cost ? { costNanoUsd: cost.nanoUsd } : { unpriced: true };
}

const MAX_MESSAGE_LENGTH = 500;

function failurePart({ failure, line }: Exchange): Pick<ExchangeFact, 'error' | 'errorMessage'> {
  if (failure === undefined) return {};
  return { error: failure.code, errorMessage: line.redact(failure.message).slice(0, MAX_MESSAGE_LENGTH) };
}

/** What is undefined has no place in JSON, and JSON is all that a fact becomes; taking it out here cost a microsecond. */
function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return members;
}
