/** Everything that a journal holds. Plain JSON, imported idempotently. */
import type { TaskRecord } from './agent.ts';
import type { ExchangeFact } from './exchange.ts';
import type { NanoUsd } from './money.ts';
import type { Scope } from './rules.ts';

/**
 * Money set aside for one attempt, journaled before it is dispatched. Ends exactly once: the exchange's own fact settles or releases it; where none ever comes
 * (the process died), it expires at `floorNanoUsd`, or at the last checkpoint if that is more, flagged as estimated.
 */
export interface ReserveFact {
  kind: 'reserve';
  /** The exchange's id; with `attempt` unique. */
  id: string;
  attempt: number;
  /** The window that pays is the one of this instant. */
  atMs: number;
  nanoUsd: NanoUsd;
  /** What the attempt costs at least once it was dispatched: its input; all of it where output can be hidden. */
  floorNanoUsd: NanoUsd;
  scopes: readonly Scope[];
  /** For the request log of an exchange that never ended. */
  requestId: string;
  worker: number;
  surface: string;
  stream: boolean;
  key?: string;
  model?: string;
  provider: string;
  target: string;
  /** Accounts of shared memory and what was taken from each, so that a dead worker's share can be given back. */
  holds?: readonly { slot: number; windowStartMs: number }[];
}

/** How far a stream has come; about once a second. A later one replaces an earlier one. */
export interface CheckpointFact {
  kind: 'checkpoint';
  id: string;
  attempt: number;
  atMs: number;
  nanoUsd: NanoUsd;
}

/** All that operators can be told of. */
export const EVENT_TYPES = [
  'budget.soft_exceeded',
  'budget.exceeded',
  'budget.threshold',
  'limit.exceeded',
  'key.created',
  'key.rotated',
  'key.blocked',
  'key.expired',
  'target.failing',
  'store.down',
  'store.up',
  'agent.state',
  /** An agent shows another card, with other places or another security: it waits for the operator. */
  'agent.card_changed',
  /** A push notification of an agent never reached its client. */
  'agent.push_failed',
  /** A guard would have stopped an answer that it saw only after it was sent. */
  'guard.flagged',
  /** A guard did not answer, or not in its own form. */
  'guard.failing',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Something an operator wants to hear of; goes to the log and to the webhook. Raised at most once a minute per type and scope by each worker. */
export interface EventFact {
  kind: 'event';
  id: string;
  atMs: number;
  type: EventType;
  scope?: Scope;
  /** Numbers and short words, no secrets. */
  details: Readonly<Record<string, string | number | boolean>>;
}

/** Tells the operator that something happened. `details`: numbers and short words, no secrets, nothing that a client chose freely. */
export type Raise = (type: EventType, scope: Scope | undefined, details: EventFact['details']) => void;

/** A body of an exchange whose key has them recorded. Sealed by whoever writes the fact: no journal ever holds a body that can be read. */
export interface BodyFact {
  kind: 'body';
  /** The exchange's id; with `part` unique. */
  id: string;
  atMs: number;
  part: 'request' | 'response';
  /** As lib/seal.ts makes it, for this exchange and part. */
  sealed: string;
  /** Of the whole body, before it was cut to what a record may hold. */
  bytes: number;
}

/**
 * Whose a task is, where it lives and how it stands. Written before the client hears of the task, and again with a later state; of several the one updated last holds, but
 * for whose it is and where it lives, which the one created first says; in whatever order they are imported.
 */
export interface AgentTaskFact {
  kind: 'agent_task';
  /** Of the exchange that learnt it. */
  id: string;
  atMs: number;
  record: TaskRecord;
}

export type Fact = ExchangeFact | ReserveFact | CheckpointFact | EventFact | BodyFact | AgentTaskFact;
