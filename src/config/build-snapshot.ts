/** The checked configuration as the snapshot that workers run on. */
import type { KeyEntry } from '../core/directory.ts';
import { keyDigest } from '../core/key-digest.ts';
import type { Rules, ScopeKind, SlotOf } from '../core/rules.ts';
import type { Catalog } from './catalog-port.ts';
import type { LoadedConfig } from './load.ts';
import { resolveAgent } from './resolve-agents.ts';
import { resolveGuard } from './resolve-guard.ts';
import { resolveEndUsers, resolveKeptBack } from './resolve-limits.ts';
import { resolveStore } from './resolve-store.ts';
import { resolveKey, resolveModel, resolveProvider } from './resolve.ts';
import type { ModelKnowledge } from './resolve.ts';
import { withGroups } from './resolve-routing.ts';
import { resolvePeople } from './resolve-people.ts';
import { placedRules, wantedRules } from './resolve-rules.ts';
import type { RulesConfig } from './schema-rules.ts';
import type { Config } from './schema.ts';
import { hashOf } from './snapshot-hash.ts';
import type { EgressSettings, Model, Provider, ServerSettings, Snapshot, SnapshotRules, TelemetrySettings } from './snapshot.ts';
import { toCidr } from './values.ts';

export interface SnapshotParts extends ModelKnowledge {
  catalog: Catalog;
  /** The installation's secret, hex. */
  pepper: string;
  nowMs: number;
  version: number;
  slotOf: SlotOf;
  /** What this machine has: `process.platform`, `os.availableParallelism()`. */
  platform: string;
  cores: number;
  /** Used where the file has no `admin.key`. */
  mintedAdminKeyDigest?: string;
  /** Providers whose addresses came over the API. */
  apiProviders?: ReadonlySet<string>;
  /** Keys beside those of the file. */
  mintedKeys?: readonly KeyEntry[];
}

const MAX_AUTO_WORKERS = 8;

/** `loaded` has passed every check: nothing here can fail. */
export function buildSnapshot({ settings, pems }: Pick<LoadedConfig, 'settings' | 'pems'>, parts: SnapshotParts): Snapshot {
  const providers = providersOf(settings, parts);
  const content: Omit<Snapshot, 'hash' | 'version'> = {
    server: serverOf(settings.server, pems.tls, parts),
    providers,
    models: byPrecedence(modelsOf(settings, providers, parts)),
    agents: settings.agents.map((agent) => resolveAgent(agent, { slotOf: parts.slotOf, timeZone: settings.ledger.time_zone })),
    keys: [
      ...settings.keys.map((key) => resolveKey(key, { ...parts, timeZone: settings.ledger.time_zone })),
      ...(parts.mintedKeys ?? []),
    ],
    rules: rulesOf(settings, parts.slotOf),
    keptBack: resolveKeptBack(settings.priorities),
    endUsers: resolveEndUsers(settings.end_users),
    adminKeyDigest:
      settings.admin.key === undefined ? (parts.mintedAdminKeyDigest ?? '') : keyDigest(parts.pepper, settings.admin.key),
    pepper: parts.pepper,
    egress: egressOf(settings.egress, pems),
    guards: settings.guards.map(resolveGuard),
    ...eventsOf(settings.events),
    ...resolvePeople(settings),
    telemetry: telemetryOf(settings.telemetry),
    store: resolveStore(settings.store),
    ledger: { sync: settings.ledger.sync },
  };
  return { version: parts.version, hash: hashOf(content), ...content };
}

function modelsOf({ models }: Config, providers: Record<string, Provider>, parts: SnapshotParts): Model[] {
  const createdS = Math.floor(parts.nowMs / 1000);
  const members = new Map(models.flatMap(({ name, models: group }) => (group === undefined ? [] : [[name, group] as const])));
  return withGroups(
    models.map((model) => resolveModel(model, providers, parts, createdS)),
    members,
  );
}

function providersOf(settings: Config, { catalog, apiProviders }: SnapshotParts): Record<string, Provider> {
  return Object.fromEntries(
    Object.entries(settings.providers).map(([name, config]) => {
      const provider = resolveProvider(name, config, catalog.row(config.type ?? name)!);
      return [name, apiProviders?.has(name) === true ? fromOutside(provider) : provider];
    }),
  );
}

function fromOutside(provider: Provider): Provider {
  return { ...provider, endpoints: provider.endpoints.map((endpoint) => ({ ...endpoint, outside: true })) };
}

/** Exact names first, then wildcards, the longest prefix first; `sort` keeps the order of the file among equals. */
function byPrecedence(models: Model[]): Model[] {
  const rank = ({ wildcardPrefix }: Model) => (wildcardPrefix === undefined ? Infinity : wildcardPrefix.length);
  return models.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
}

function rulesOf({ models, providers, tags, ledger }: Config, slotOf: SlotOf): SnapshotRules {
  const targets = models.flatMap((model) =>
    model.targets.map((target) => [`${target.provider}/${target.model}`, target] as const),
  );
  const placed = (kind: ScopeKind, entries: Iterable<readonly [string, RulesConfig]>): Record<string, Rules> =>
    Object.fromEntries(
      [...entries].flatMap(([name, config]) => {
        const rules = placedRules(`${kind}:${name}`, wantedRules(config, ledger.time_zone), slotOf);
        return rules === undefined ? [] : [[name, rules]];
      }),
    );
  return {
    models: placed(
      'model',
      models.map((model) => [model.name, model] as const),
    ),
    targets: placed('target', targets),
    providers: placed('provider', Object.entries(providers)),
    tags: placed('tag', Object.entries(tags)),
  };
}

function serverOf(config: Config['server'], tls: ServerSettings['tls'], { platform, cores }: SnapshotParts): ServerSettings {
  const wanted = config.workers === 'auto' ? Math.min(cores, MAX_AUTO_WORKERS) : config.workers;
  return {
    host: config.host,
    port: config.port,
    // SO_REUSEPORT spreads connections over listeners on Linux only.
    workers: platform === 'linux' ? Math.max(1, wanted) : 1,
    ...(config.public_url !== undefined && { publicUrl: config.public_url.replace(/\/+$/, '') }),
    maxBodyBytes: config.max_body_bytes,
    maxHeaderBytes: config.max_header_bytes,
    maxInflightBytes: config.max_inflight_bytes,
    headersTimeoutMs: config.headers_timeout_ms,
    bodyTimeoutMs: config.body_timeout_ms,
    keepAliveTimeoutMs: config.keep_alive_timeout_ms,
    drainS: config.drain_s,
    trustedProxies: config.trusted_proxies.map(toCidr),
    ...(config.cors !== undefined && { cors: { origins: config.cors.origins, maxAgeS: config.cors.max_age_s } }),
    ...(tls !== undefined && { tls }),
  };
}

function egressOf(config: Config['egress'], pems: LoadedConfig['pems']): EgressSettings {
  return {
    allowPrivate: config.allow_private.map(toCidr),
    ...(config.proxy !== undefined && { proxy: { url: config.proxy.url, noProxy: config.proxy.no_proxy } }),
    ...(pems.ca !== undefined && { ca: pems.ca }),
    clientCertificates: pems.clientCertificates,
  };
}

function eventsOf({ webhook }: Config['events']): Pick<Snapshot, 'events'> {
  if (webhook === undefined) return {};
  const { url, secret, types, timeout_ms } = webhook;
  return { events: { url, secret, ...(types !== undefined && { types }), timeoutMs: timeout_ms } };
}

function telemetryOf({ otlp, log }: Config['telemetry']): TelemetrySettings {
  return {
    ...(otlp !== undefined && {
      otlp: {
        endpoint: otlp.endpoint.replace(/\/+$/, ''),
        headers: otlp.headers,
        serviceName: otlp.service_name,
        sampleRatio: otlp.sample_ratio,
      },
    }),
    logLevel: log.level,
    logFormat: log.format,
  };
}
