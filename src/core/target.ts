import type { PriceOverride } from './price.ts';

/** How long each stage of an attempt may take. First byte and idle govern streams, total governs unary answers. */
export interface Timeouts {
  connectMs: number;
  firstByteMs: number;
  idleMs: number;
  totalMs: number;
}

export const DEFAULT_TIMEOUTS: Readonly<Timeouts> = Object.freeze({
  connectMs: 5_000,
  firstByteMs: 300_000,
  idleMs: 300_000,
  totalMs: 600_000,
});

/** One (provider, upstream model) that can serve a model. Plain data: it crosses threads inside the snapshot. */
export interface Target {
  /** `provider/upstreamModel`: how logs, facts and headers name it. */
  id: string;
  provider: string;
  /** The name sent upstream; `*` in a wildcard model's target stands for the rest of the asked name. */
  upstreamModel: string;
  weight: number;
  order: number;
  timeouts: Timeouts;
  price?: PriceOverride;
  /** Parameters set where the caller sent none, by their name in the target's own dialect. */
  defaultParams?: Record<string, unknown>;
  /** Top-level parameters taken out of what is sent, by their name in the target's own dialect. */
  dropParams?: readonly string[];
  /** Which requests it serves; see routing/filters.ts. */
  tags?: readonly string[];
  /** Where it runs: `eu-west-1`. */
  region?: string;
  /** What its model can do; absent: nobody knows. */
  capabilities?: readonly string[];
  /** Its model goes on where a last message of the assistant ends. */
  canContinue?: boolean;
}

/** Where an attempt goes: an endpoint of a provider with one of its credentials, ready to send. */
export interface Endpoint {
  /** Absolute base URL without a trailing slash, as the catalog or the operator wrote it. */
  baseUrl: string;
  /** Authentication and fixed headers of this endpoint, lower case names. Secret. */
  headers: Readonly<Record<string, string>>;
  weight: number;
  /** The address came over the API, not from the operator's file: it is checked at every connection. */
  outside?: true;
  /** A Unix socket instead of the base URL's address: the control plane and the demo provider of this process. */
  socketPath?: string;
}
