/** How the requests of a model find their target: what an operator says of it, as the snapshot carries it. Plain data. */

export const STRATEGY_NAMES = [
  'weighted',
  'round_robin',
  'least_busy',
  'latency',
  'cost',
  'usage',
  'rate_limit_aware',
  'priority',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** Names under which other gateways' configurations ask for them. */
export const STRATEGY_ALIASES: Readonly<Record<string, StrategyName>> = {
  simple_shuffle: 'weighted',
  'simple-shuffle': 'weighted',
  'round-robin': 'round_robin',
  'least-busy': 'least_busy',
  latency_based: 'latency',
  'latency-based-routing': 'latency',
  cost_based: 'cost',
  'cost-based-routing': 'cost',
  usage_based: 'usage',
  'usage-based-routing': 'usage',
  'usage-based-routing-v2': 'usage',
  'rate-limit-aware': 'rate_limit_aware',
  priority_based: 'priority',
};

/** By its name or one of its other names; undefined: there is no such strategy. */
export function strategyNamed(name: string): StrategyName | undefined {
  const own = STRATEGY_NAMES.find((each) => each === name);
  if (own !== undefined) return own;
  return Object.hasOwn(STRATEGY_ALIASES, name) ? STRATEGY_ALIASES[name] : undefined;
}

/** When a target is left alone. */
export interface BreakerRules {
  /** So many faults in a row open it. */
  failures: number;
  /** Or this share of the attempts of the window, 0 to 1, once there were enough of them. */
  failureShare: number;
  /** How far back the share looks, ms. */
  windowMs: number;
  /** How long it stays open where the upstream does not say, ms. */
  openMs: number;
}

/** Why another model takes over, where the operator gave one for that cause; `general` takes what has no list of its own. */
export const FALLBACK_CAUSES = ['general', 'context_window', 'content_policy', 'rate_limit'] as const;
export type FallbackCause = (typeof FALLBACK_CAUSES)[number];
export type Fallbacks = Readonly<Partial<Record<FallbackCause, readonly string[]>>>;

/**
 * What keeps requests together. `session`: the caller's name of a conversation; `user`: the end user, else the key; `prefix`: how the prompt begins, so that the
 * provider's cache stays warm.
 */
export const STICKY_KINDS = ['session', 'user', 'prefix'] as const;
export type StickyKind = (typeof STICKY_KINDS)[number];

export interface ModelRouting {
  strategy: StrategyName;
  /** Attempts after the first one, over all targets of one model. */
  retries: number;
  /** No attempt begins later than this after the request came. */
  deadlineMs: number;
  breaker: BreakerRules;
  /** Names of models, in the order they are tried. */
  fallbacks: Fallbacks;
  /** The first that a request has decides. Empty: none. */
  sticky: readonly StickyKind[];
  /** A stream of plain text that breaks goes on at another target that can continue it. */
  continueOnFailure: boolean;
}

export const DEFAULT_ROUTING: Readonly<ModelRouting> = Object.freeze({
  strategy: 'weighted',
  retries: 2,
  deadlineMs: 600_000,
  breaker: Object.freeze({ failures: 5, failureShare: 0.5, windowMs: 60_000, openMs: 30_000 }),
  fallbacks: Object.freeze({}),
  sticky: Object.freeze([]),
  continueOnFailure: false,
});
