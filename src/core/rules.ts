/**
 * What an operator allows a scope: how often, how many tokens, how many at once, and how much money.
 *
 * A scope is `kind:id`: `key:ci`, `user:usr_…`, `service:svc_…`, `team:team_…`, `org:org_…`, `model:gpt-4o`, `target:lab/gpt-4o-mini`,
 * `provider:openai`, `tag:batch`, `end_user:42`. Every movement of money belongs to all scopes of its exchange, whether they have rules or not.
 */
import type { NanoUsd } from './money.ts';

export type ScopeKind =
  | 'key'
  | 'user'
  | 'service'
  | 'team'
  | 'org'
  | 'model'
  | 'target'
  | 'provider'
  | 'tag'
  | 'end_user'
  | 'agent'
  /** Of events only. */
  | 'guard';
export type Scope = `${ScopeKind}:${string}`;

/** As the operator writes them: `rpm` and `tpm` hold in any 60 s, `concurrent` at any instant. */
export interface Limits {
  rpm?: number;
  tpm?: number;
  concurrent?: number;
}

export type WindowKind = 'hour' | 'day' | 'week' | 'month' | 'total';

/**
 * A budget. `hard`: refuses; else only an event is raised. `strict`: reserves the upper bound of every exchange. `stepped`: streams of models
 * without hidden output reserve in steps, and may overspend by one step each.
 */
export interface Budget {
  limitNanoUsd: NanoUsd;
  window: WindowKind;
  /** IANA name; windows begin at its midnights. Weeks begin on Monday. */
  timeZone: string;
  hard: boolean;
  mode: 'strict' | 'stepped';
  /** What a hard budget does with a model that nobody has priced. */
  unpriced: 'ceiling' | 'block' | 'allow';
}

/** What one place in shared memory counts. */
export type SlotKind = 'requests' | 'tokens' | 'concurrent' | `budget:${WindowKind}:${string}`;

/** The place of a scope for that kind, the same one as long as the process lives. */
export type SlotOf = (scope: Scope, kind: SlotKind) => number;

/** Rules as the data plane enforces them: with the places in shared memory that count for them. Plain data. */
export interface Rules {
  scope: Scope;
  /** At most that many in any 60 s. `slot`: a sliding window of shared memory. */
  requests?: { slot: number; perMinute: number };
  tokens?: { slot: number; perMinute: number };
  /** `slot`: a counter of leases per worker. */
  concurrent?: { slot: number; most: number };
  /** `slot`: an account of shared memory. */
  budgets: readonly (Budget & { slot: number })[];
}
