/** What was used, by whom: the request log, roll-ups of it, recorded bodies. */
import type { NanoUsd } from '../../core/money.ts';

/** What somebody may see: exchanges that belong to any of these. Ids; absent members name nobody. */
export interface Visible {
  keys?: readonly string[];
  principals?: readonly string[];
  teams?: readonly string[];
  orgs?: readonly string[];
}

export interface RequestQuery {
  /** Absent: everything. */
  within?: Visible;
  /** All must hold. */
  where?: {
    key?: string;
    principal?: string;
    team?: string;
    org?: string;
    endUser?: string;
    model?: string;
    provider?: string;
    /** An outcome of core/exchange.ts, or `interrupted`. */
    outcome?: string;
    status?: number;
    requestId?: string;
  };
  /** From there on, and before that. */
  sinceMs?: number;
  untilMs?: number;
  /** `next` of the page before: the log is read from the newest back. */
  after?: string;
  /** 1 to 1000. */
  limit: number;
}

/** A line of the request log. Members are absent where nothing is known. */
export interface RequestLine {
  id: string;
  atMs: number;
  requestId: string;
  surface: string;
  stream: boolean;
  key?: string;
  principal?: string;
  team?: string;
  org?: string;
  endUser?: string;
  model?: string;
  provider?: string;
  target?: string;
  /** 0: the process died first. */
  status: number;
  outcome: string;
  error?: string;
  inputTokens?: number;
  outputTokens?: number;
  cacheReadTokens?: number;
  costNanoUsd?: NanoUsd;
  estimated: boolean;
  firstByteMs?: number;
  totalMs: number;
}

export interface RequestPage {
  requests: RequestLine[];
  /** Hand it in as `after`. Absent: there is no more. */
  next?: string;
}

export interface RequestDetail extends RequestLine {
  /** The rest of the fact: attempts, warnings, usage, trace. */
  detail: Record<string, unknown>;
  /** Which bodies are kept. */
  bodies: ('request' | 'response')[];
}

export interface RecordedBody {
  part: 'request' | 'response';
  atMs: number;
  /** As lib/seal.ts makes it, for this exchange and part. */
  sealed: string;
  bytes: number;
}

export const USAGE_ENTITIES = ['key', 'principal', 'team', 'org', 'tag', 'model', 'provider', 'end_user'] as const;
export type UsageEntity = (typeof USAGE_ENTITIES)[number];

export interface ReportQuery {
  within?: Visible;
  /** Up to two. None: one row for all. */
  by: readonly UsageEntity[];
  /** One row per hour or day; absent: one for the whole time. Hours are not kept of end users. UTC. */
  every?: 'hour' | 'day';
  /** Rounded down to the hour; with end users, to the day. */
  sinceMs: number;
  untilMs: number;
  where?: Partial<Record<UsageEntity, readonly string[]>>;
  /** The dearest so many rows, or with `every` the earliest; 1 to 10,000. */
  limit: number;
}

export interface UsageSums {
  requests: number;
  refused: number;
  failed: number;
  attempts: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  reasoningTokens: number;
  nanoUsd: NanoUsd;
  /** The part of `nanoUsd` that was charged without the provider's own count. */
  estimatedNanoUsd: NanoUsd;
  /** Of all exchanges together. */
  totalMs: number;
}

/** Flat: a line of CSV. An entity is empty where an exchange belonged to none of that kind. With several tags it counts under each. */
export type ReportRow = UsageSums & { atMs?: number } & Partial<Record<UsageEntity, string>>;

export interface Report {
  rows: ReportRow[];
  /** There are more rows than the limit. */
  isCut: boolean;
}

/** How many days what is kept. */
export interface Retention {
  requestsDays: number;
  bodiesDays: number;
  hoursDays: number;
  daysDays: number;
  ledgerDays: number;
}

export interface UsagePort {
  requests(query: RequestQuery): Promise<RequestPage>;
  /** Undefined: there is none, or it may not be seen. */
  request(id: string, within?: Visible): Promise<RequestDetail | undefined>;
  bodies(id: string): Promise<RecordedBody[]>;
  report(query: ReportQuery): Promise<Report>;
  /** Gives up what is older, in small batches, for at most 20 s; answers how many rows that were. */
  retain(retention: Retention, nowMs: number): Promise<number>;
}
