/**
 * The snapshot: the immutable, validated configuration that the data plane runs on, swapped whole.
 *
 * Plain data, because it crosses threads by structured clone. Everything that can be resolved once (catalog rows, secrets, digests, defaults)
 * is resolved here, on the main thread; workers only index it.
 */
import type { AgentConfig } from '../core/agent.ts';
import type { DialectId } from '../core/dialect-id.ts';
import type { KeyEntry } from '../core/directory.ts';
import type { PeopleRules } from '../core/person.ts';
import type { Quirks } from '../core/quirks.ts';
import type { ModelRouting } from '../core/routing.ts';
import type { Endpoint, Target } from '../core/target.ts';
import type { ModelBounds, PriceState } from '../core/price.ts';
import type { Budget, Limits, Rules } from '../core/rules.ts';

export interface Snapshot {
  /** Counts up with every swap in this process. */
  version: number;
  /** SHA-256 (hex, 16 characters) of the resolved configuration, secrets included as digests: equal hashes, equal behaviour. */
  hash: string;
  server: ServerSettings;
  providers: Record<string, Provider>;
  /** Exact names first, then wildcards by falling prefix length; order is the file's within a group. */
  models: Model[];
  /** Those of the file; the API's stand beside them in the registry, which tells the workers of all. */
  agents: AgentConfig[];
  /** Those of the file and of the first run; the store's come by the directory. */
  keys: KeyEntry[];
  rules: SnapshotRules;
  /** By the caller's class: part of the limits of models, targets and providers that it may not use, 0 to 1. */
  keptBack: Readonly<Record<'high' | 'normal' | 'low', number>>;
  endUsers: EndUserSettings;
  /** HMAC(pepper, SHA-256(admin key)), hex. */
  adminKeyDigest: string;
  /** Secret of this installation, hex; digests of keys are made with it. */
  pepper: string;
  egress: EgressSettings;
  /** In the order they are asked. */
  guards: GuardSettings[];
  events?: EventSettings;
  jwt?: JwtSettings;
  oidc?: OidcSettings;
  telemetry: TelemetrySettings;
  store: StoreSettings;
  ledger: LedgerSettings;
  /** Given by main as it comes into force; absent before. */
  places?: SnapshotPlaces;
}

/** Where routing's shared memory keeps what is known of each; the same over reloads, and in all workers. */
export interface SnapshotPlaces {
  /** By the id of the candidate as configured: `lab/gpt-4o`, at the second endpoint of its provider `lab/gpt-4o#2`, of a wildcard `lab/*`. */
  targets: Record<string, number>;
  /** By the model's name as configured. */
  models: Record<string, number>;
}

export interface LedgerSettings {
  /** When the journal goes to the disk; see `ledger.sync`. */
  sync: 'off' | 'interval' | 'always';
}

/** Where events go, beside the log. */
export interface EventSettings {
  url: string;
  secret: string;
  /** Absent: all. */
  types?: string[];
  timeoutMs: number;
}

/** Whose tokens stand for keys. */
export interface JwtSettings {
  /** Exactly as tokens name it. */
  issuer: string;
  audience: string[];
  /** Absent: as the issuer's discovery document says. */
  jwksUrl?: string;
  /** Asymmetric ones only. */
  algorithms: string[];
  models: string[];
  people: PeopleRules;
}

/** How people sign on. */
export interface OidcSettings {
  issuer: string;
  clientId: string;
  /** Absent: a public client. */
  clientSecret?: string;
  /** With `openid`. */
  scopes: string[];
  people: PeopleRules;
}

/** A service of the operator's that judges requests and answers. */
export interface GuardSettings {
  name: string;
  url: string;
  secret: string;
  stages: ('request' | 'response')[];
  /** Absent: all. */
  models?: string[];
  /** Names or ids; absent: all. */
  keys?: string[];
  timeoutMs: number;
  onFailure: 'block' | 'allow';
  /** Streams are held until they are whole and judged; else they are judged after they were sent. */
  holdsStreams: boolean;
}

/** Those behind the keys. */
export interface EndUserSettings {
  /** Lower case. */
  header?: string;
  /** What holds for each of them; they get their places in shared memory as they come. */
  rules?: { maxLive: number; limits: Limits; budgets: readonly Budget[] };
}

/** Limits and budgets of what exchanges choose; those of callers come with them. */
export interface SnapshotRules {
  /** By the model's name as configured: `lab/*` counts all that it serves. */
  models: Record<string, Rules>;
  /** By the target's id as configured. */
  targets: Record<string, Rules>;
  providers: Record<string, Rules>;
  tags: Record<string, Rules>;
}

export interface ServerSettings {
  host: string;
  port: number;
  workers: number;
  publicUrl?: string;
  maxBodyBytes: number;
  maxHeaderBytes: number;
  /** Bytes of bodies and held answers over all workers; past it new work is refused. */
  maxInflightBytes: number;
  headersTimeoutMs: number;
  bodyTimeoutMs: number;
  keepAliveTimeoutMs: number;
  drainS: number;
  /** CIDR ranges whose X-Forwarded-For is believed. */
  trustedProxies: string[];
  cors?: { origins: string[]; maxAgeS: number };
  tls?: { cert: string; key: string };
}

export interface Provider {
  name: string;
  /** Catalog row id, or `openai-compatible`. */
  type: string;
  dialect: DialectId;
  /** Every combination of base URL and credential of this entry, at least one. */
  endpoints: Endpoint[];
  quirks: Quirks;
  /** Which surfaces beside chat it speaks natively. */
  speaks: { responses: boolean; embeddings: boolean; countTokens: boolean };
  /** Absent: it is not asked how it is. */
  healthCheck?: { intervalMs: number; timeoutMs: number; path: string };
  /** The id under which the price list knows it. */
  priceProvider?: string;
}

export interface Model {
  name: string;
  /** `lab/` for `lab/*`; absent: an exact name. */
  wildcardPrefix?: string;
  /** Bodies of all its exchanges are kept. */
  recordBodies?: true;
  /** Other names of the same model: grants, limits and reports know only `name`. */
  aliases?: string[];
  targets: PricedTarget[];
  routing: ModelRouting;
  /** Shown in /v1/models, where known. */
  contextWindow?: number;
  maxOutputTokens?: number;
  capabilities?: string[];
  createdS: number;
}

export interface PricedTarget extends Target {
  /** Of a wildcard's target, once the star is filled in: the id it is configured under. */
  configuredId?: string;
  /** Resolved when the snapshot is built; for a wildcard's target resolved per upstream model on first use (workers ask main). */
  priceState: PriceState | { status: 'lazy' };
  /** What bounds the cost of a call, as far as it is known; a model's own settings before the lists. */
  bounds?: ModelBounds;
}

export interface EgressSettings {
  /** CIDR ranges that addresses from outside the operator's file may reach although private. */
  allowPrivate: string[];
  proxy?: { url: string; noProxy: string[] };
  /** PEM text of extra certificate authorities. */
  ca?: string;
  /** PEM text, by origin. */
  clientCertificates: { origin: string; cert: string; key: string }[];
}

export interface StoreSettings {
  /** `postgres://…` or the path of an SQLite file; absent: `store.db` in the data directory. */
  url?: string;
  /** What happens to calls under a hard budget while more than `maxJournalBytes` of facts wait for the store. */
  onDown: 'refuse' | 'allow';
  maxJournalBytes: number;
  retention: RetentionSettings;
}

/** How many days what is kept. */
export interface RetentionSettings {
  requestsDays: number;
  bodiesDays: number;
  hoursDays: number;
  daysDays: number;
  ledgerDays: number;
}

export interface TelemetrySettings {
  otlp?: { endpoint: string; headers: Record<string, string>; serviceName: string; sampleRatio: number };
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  logFormat: 'auto' | 'json' | 'pretty';
}
