/** Roll-ups of the request log, and bodies that were asked to be kept. Times are epoch ms, UTC. */

/** Whom an exchange belongs to. Empty: to none of that kind. */
export interface UsageDimensions {
  key_id: string;
  principal: string;
  team: string;
  org: string;
  /** JSON list, sorted. */
  tags: string;
  model: string;
  provider: string;
}

export interface UsageCounts {
  requests: number;
  /** Refused by us before any attempt. */
  refused: number;
  /** Ended by a fault: the upstream's, ours, or a crash. */
  failed: number;
  attempts: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  nano_usd: number;
  /** The part of `nano_usd` that was charged without the provider's own count. */
  estimated_nano_usd: number;
  /** Sum over the exchanges. */
  total_ms: number;
}

export interface UsageTable extends UsageDimensions, UsageCounts {
  /** Beginning of the hour or day. */
  at_ms: number;
}

export interface EndUserUsageTable extends UsageTable {
  end_user: string;
}

export interface RecordedBodyTable {
  exchange_id: string;
  part: 'request' | 'response';
  at_ms: number;
  sealed: string;
  bytes: number;
}

export interface UsageTables {
  usage_hours: UsageTable;
  usage_days: UsageTable;
  end_user_days: EndUserUsageTable;
  recorded_bodies: RecordedBodyTable;
}
