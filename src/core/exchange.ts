/**
 * What the data plane records of an exchange: plain JSON, written once, imported idempotently by its `id`. It settles or releases what its attempts
 * had reserved.
 * No field ever holds a body, a prompt, a credential or a header the client chose freely.
 */
import type { AgentCallFact } from './agent.ts';
import type { ErrorCode } from './errors.ts';
import type { NanoUsd } from './money.ts';
import type { StrategyName } from './routing.ts';
import type { Scope } from './rules.ts';
import type { Usage } from './usage.ts';
import type { Warning } from './chat.ts';

/** How an exchange ended. */
export type Outcome =
  /** Whole answer delivered. */
  | 'ok'
  /** Refused by us: before any attempt, or by a guard that saw the answer. */
  | 'refused'
  /** The upstream answered an error, in its status or in its stream. */
  | 'upstream_error'
  /** The upstream stopped before its terminal event. */
  | 'upstream_incomplete'
  /** The client left first. */
  | 'client_gone'
  /** Ours. */
  | 'internal_error';

export interface AttemptFact {
  target: string;
  provider: string;
  upstreamModel: string;
  startedAtMs: number;
  /** Upstream status; absent where none arrived. */
  status?: number;
  error?: ErrorCode;
  /** Milliseconds from the start of the attempt to its response headers, to its first content byte, and to its end. */
  headersMs?: number;
  firstByteMs?: number;
  totalMs: number;
  /** Span id sent upstream in `traceparent`. */
  spanId: string;
  /** Absent: it was never dispatched. */
  spend?: AttemptSpend;
}

/** Why the exchange went where it went, as far as there was a choice. */
export interface RoutingFact {
  strategy: StrategyName;
  /** At the first choice, in the order of the tiers; of large pools the first ones. */
  considered: ConsideredFact[];
  /** How many there were. */
  candidates: number;
  /** The request's own key decided, or what it refers to. */
  by?: 'sticky' | 'pinned';
  /** Models that were asked before the one that answered. */
  fellFrom?: string[];
  /** Targets without room in their limits, or that no budget paid for. */
  passedOver?: number;
  /** Its stream broke off, and another target went on. */
  continued?: true;
}

export interface ConsideredFact {
  target: string;
  /** The filter that excluded it. */
  excludedBy?: string;
  /** What the strategy compared; absent: not known. */
  score?: number;
}

/** What an attempt moved in the ledger. The window that pays is the one of `startedAtMs`. */
export interface AttemptSpend {
  reservedNanoUsd: NanoUsd;
  /** What it is charged; 0 where the upstream refused it or nothing was delivered. */
  nanoUsd: NanoUsd;
  /** Charged without the provider's own count. */
  estimated?: true;
  /** Its usage, where it is not the exchange's. */
  inputTokens?: number;
  outputTokens?: number;
}

/** What a guard said of a request or an answer. */
export interface GuardFact {
  name: string;
  stage: 'request' | 'response';
  /** `failed`: it did not answer in time or in its own form; what then happened its `on_failure` says. `observed`: asked only after the answer was sent. */
  verdict: 'allow' | 'block' | 'replace' | 'failed' | 'observed';
  ms: number;
}

/** `cost` is absent where no usage is known; `unpriced` says that usage is known and no price is. */
export interface ExchangeFact {
  kind: 'exchange';
  /** Ours: unique, ordered by time. */
  id: string;
  /** The one that the client sees and may have chosen. */
  requestId: string;
  worker: number;
  atMs: number;
  surface: string;
  /** The client's address, seen through trusted proxies; for the log, never for labels. */
  clientIp?: string;
  stream: boolean;
  /** The key's id. */
  key?: string;
  /** All that its money belongs to: key, principal, team, org, tags, model, provider, end user. */
  scopes?: readonly Scope[];
  /** As the client names its own user; cut to 128 characters. */
  endUser?: string;
  /** The model as asked, only if it is configured (exact or wildcard): facts feed labels. */
  model?: string;
  /** The model as the client wrote it, cut to 128 characters; for the log, never for labels. */
  askedModel?: string;
  provider?: string;
  target?: string;
  /** As the upstream names the model it used. */
  upstreamModel?: string;
  status: number;
  outcome: Outcome;
  error?: ErrorCode;
  /** One sentence for the log; our words or the provider's with secrets removed. */
  errorMessage?: string;
  finish?: string;
  usage?: Usage;
  /** Usage counted by us because the provider gave none. */
  estimated?: boolean;
  costNanoUsd?: number;
  unpriced?: boolean;
  attempts: AttemptFact[];
  /** It was a call to an agent. */
  agentCall?: AgentCallFact;
  /** It was the chat behind the agent of this name, which is a model: what it cost the agent has cost. */
  behindAgent?: string;
  routing?: RoutingFact | undefined;
  /** In the order they were asked. */
  guards?: GuardFact[];
  warnings: Warning[];
  requestBytes: number;
  responseBytes: number;
  /** Milliseconds from the request's first byte to the first byte of the answer, and to its end. */
  firstByteMs?: number;
  totalMs: number;
  /** Time that was Signalbox's own: neither waiting for the client nor for the upstream. */
  overheadMs: number;
  /** W3C trace: ours is `spanId` under `parentSpanId` where the client sent one. `sampled` follows the client's flag or the ratio. */
  trace?: { traceId: string; spanId: string; parentSpanId?: string; sampled: boolean };
}
