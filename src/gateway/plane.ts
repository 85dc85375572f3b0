import type { PricedTarget } from '../config/snapshot.ts';
import type { Fact, Raise } from '../core/fact.ts';
import type { Accounts } from '../ledger/accounts.ts';
import type { Estimator } from '../ledger/estimate.ts';
import type { WindowOf } from '../ledger/window.ts';
import type { PriceState } from '../core/price.ts';
import type { EndUsers } from '../policy/end-users.ts';
import type { Limiter } from '../policy/limiter.ts';
import type { HistoryOf } from '../policy/token-history.ts';
import type { Pins } from '../routing/pins.ts';
import type { RetryBudgets } from '../routing/retry-budget.ts';
import type { TargetStates } from '../routing/target-state.ts';
import type { WarmPrompts } from '../routing/warm-prompts.ts';
import type { Dispatched, UpstreamRequest } from '../upstream/types.ts';
import type { Wheel } from '../upstream/wheel.ts';
import type { AgentSide } from './agents/side.ts';
import type { Exchange } from './exchange.ts';
import type { Line } from './line.ts';

/** What every exchange of a worker shares, handed in by the composition root. */
export interface Plane {
  worker: number;
  agents: AgentSide;
  /** The line of the newest snapshot. */
  line: () => Line;
  wheel: Wheel;
  send: (request: UpstreamRequest) => Dispatched;
  /** The price of a target, wildcards filled in; a promise only where the main thread must look it up first. */
  priceOf: (target: PricedTarget) => PriceState | Promise<PriceState>;
  limiter: Limiter;
  /** How targets are doing. */
  targets: TargetStates;
  retries: RetryBudgets;
  pins: Pins;
  warmPrompts: WarmPrompts;
  historyOf: HistoryOf;
  endUsers: EndUsers;
  /** Too many facts wait for a store that is down. */
  storeIsBehind: () => boolean;
  /** For the store, which cannot open it. */
  sealBody: (whose: { id: string; part: 'request' | 'response' }, text: string) => string;
  /** Budgets. */
  accounts: Accounts;
  windowOf: WindowOf;
  estimator: Estimator;
  record: (fact: Fact) => void;
  /** What was recorded so far is written, and synced where that is asked for, before it returns, or before its promise resolves. Throws store_down where it cannot be. */
  commit: () => void | Promise<void>;
  /** Records an event, at most one a minute for each type and scope. */
  raise: Raise;
  /** Counts exchanges under way, for drain and metrics. */
  began: (exchange: Exchange) => void;
  ended: (exchange: Exchange) => void;
  /** Whether a trace without a caller's verdict is sampled. */
  sample: () => boolean;
  /** Upstreams get `traceparent` where the client sent one, or where this process exports traces. */
  tracing: () => boolean;
  nowMs: () => number;
  exchangeId: (nowMs: number) => string;
  /** [0, 1) */
  random: () => number;
  traceId: () => string;
  spanId: () => string;
}
