/** One entry of the configuration at a time, as the data plane wants it: catalog rows, credentials and defaults filled in. */
import type { KeyEntry } from '../core/directory.ts';
import { keyDigest } from '../core/key-digest.ts';
import type { ModelBounds, PriceOverride, PriceState } from '../core/price.ts';
import type { ProviderRow } from '../core/provider-row.ts';
import type { Quirks } from '../core/quirks.ts';
import type { SlotOf } from '../core/rules.ts';
import type { Endpoint, Timeouts } from '../core/target.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import { resolveRouting, resolveTargetRouting } from './resolve-routing.ts';
import { placedRules, wantedRules } from './resolve-rules.ts';
import type { Config, ModelConfig, ProviderConfig, TargetConfig } from './schema.ts';
import type { Model, PricedTarget, Provider } from './snapshot.ts';
import { toCidr } from './values.ts';

/** What is known of models beyond the file; handed in. */
export interface ModelKnowledge {
  prices: {
    priceOf: (query: ModelQuery) => PriceState;
    contextWindowOf: (query: ModelQuery) => number | undefined;
  };
  modelFacts: (priceProvider: string | undefined, upstreamModel: string) => ModelFacts | undefined;
}

export interface ModelFacts {
  contextWindow?: number;
  maxOutputTokens?: number;
  capabilities?: readonly string[];
}

export interface ModelQuery {
  priceProvider?: string | undefined;
  providerApiUrl: string;
  upstreamModel: string;
  override?: PriceOverride | undefined;
}

const NO_CREDENTIAL = 'none';

export function resolveProvider(name: string, config: ProviderConfig, row: ProviderRow): Provider {
  return {
    name,
    type: row.id,
    dialect: row.dialect,
    endpoints: endpointsOf(config, row),
    quirks: { ...row.quirks, ...quirksOf(config.quirks ?? {}) },
    speaks: row.speaks,
    ...(config.health_check !== undefined && { healthCheck: healthCheckOf(config.health_check) }),
    ...(row.priceProvider !== undefined && { priceProvider: row.priceProvider }),
  };
}

function healthCheckOf({
  interval_s,
  timeout_s,
  path,
}: NonNullable<ProviderConfig['health_check']>): NonNullable<Provider['healthCheck']> {
  return { intervalMs: interval_s * 1000, timeoutMs: timeout_s * 1000, path };
}

function endpointsOf(config: ProviderConfig, row: ProviderRow): Endpoint[] {
  const headers = { ...row.fixedHeaders, ...lowerCaseNames(config.headers ?? {}) };
  const endpoint = (baseUrl: string | undefined, credential: string | undefined, weight: number): Endpoint => ({
    baseUrl: (baseUrl ?? row.baseUrl ?? '').replace(/\/+$/, ''),
    headers: { ...headers, ...credentialHeader(credential, row) },
    weight,
  });
  if (config.endpoints !== undefined) {
    return config.endpoints.map((each) =>
      endpoint(each.base_url ?? config.base_url, each.api_key ?? config.api_key, each.weight),
    );
  }
  const credentials = config.api_keys ?? [config.api_key];
  return credentials.map((credential) => endpoint(config.base_url, credential, 1));
}

function credentialHeader(credential: string | undefined, { auth }: ProviderRow): Record<string, string> {
  if (credential === undefined || credential === NO_CREDENTIAL || auth === 'none') return {};
  return { [auth.header]: `${auth.prefix}${credential}` };
}

function lowerCaseNames(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function quirksOf(config: NonNullable<ProviderConfig['quirks']>): Quirks {
  const { include_usage, reasoning_field, ...same } = config;
  return {
    ...same,
    ...(include_usage !== undefined && { includeUsage: include_usage }),
    ...(reasoning_field !== undefined && { reasoningField: reasoning_field }),
  };
}

/** `createdS` is when this configuration was read: the file does not say more. */
export function resolveModel(
  config: ModelConfig,
  providers: Record<string, Provider>,
  known: ModelKnowledge,
  createdS: number,
): Model {
  const targets = config.targets.map((target) =>
    withFacts(resolveTarget(target, providers[target.provider]!, known), {
      ...factsOf(queryOf(target, providers[target.provider]!), known),
      ...configuredFacts(config),
      ...configuredFacts(target),
    }),
  );
  const facts = factsForAll(config.targets.map((target) => factsOf(queryOf(target, providers[target.provider]!), known)));
  const contextWindow = config.context_window ?? facts.contextWindow;
  const maxOutputTokens = config.max_output_tokens ?? facts.maxOutputTokens;
  const capabilities = config.capabilities ?? facts.capabilities;
  return {
    name: config.name,
    ...(config.name.endsWith('*') && { wildcardPrefix: config.name.slice(0, -1) }),
    targets,
    routing: resolveRouting(config),
    ...(config.aliases !== undefined && { aliases: config.aliases }),
    ...(config.record_bodies && { recordBodies: true as const }),
    ...(contextWindow !== undefined && { contextWindow }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(capabilities !== undefined && { capabilities: [...capabilities] }),
    createdS,
  };
}

/** What the lists know of a model. */
export function factsOf(query: ModelQuery, { prices, modelFacts }: ModelKnowledge): ModelFacts {
  const contextWindow = prices.contextWindowOf(query);
  return { ...modelFacts(query.priceProvider, query.upstreamModel), ...(contextWindow !== undefined && { contextWindow }) };
}

interface ConfiguredFacts {
  context_window?: number;
  max_output_tokens?: number;
  capabilities?: string[];
}

function configuredFacts({ context_window, max_output_tokens, capabilities }: ConfiguredFacts): ModelFacts {
  return {
    ...(context_window !== undefined && { contextWindow: context_window }),
    ...(max_output_tokens !== undefined && { maxOutputTokens: max_output_tokens }),
    ...(capabilities !== undefined && { capabilities }),
  };
}

/** The part of what is known that bounds a cost. */
export function boundsOf({ contextWindow, maxOutputTokens, capabilities }: ModelFacts): ModelBounds {
  return {
    ...(contextWindow !== undefined && { contextWindow }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(capabilities !== undefined && { reasons: capabilities.includes('reasoning') }),
  };
}

function withFacts(target: PricedTarget, facts: ModelFacts): PricedTarget {
  const bounds = boundsOf(facts);
  return {
    ...target,
    ...(facts.capabilities !== undefined && { capabilities: facts.capabilities }),
    ...(Object.keys(bounds).length > 0 && { bounds }),
  };
}

/** What holds whichever target is chosen: the smallest limits, and the capabilities of all. */
function factsForAll(targets: ModelFacts[]): ModelFacts {
  const smallest = (values: (number | undefined)[]) => Math.min(...values.filter((value) => value !== undefined));
  const contextWindow = smallest(targets.map((facts) => facts.contextWindow));
  const maxOutputTokens = smallest(targets.map((facts) => facts.maxOutputTokens));
  const [first, ...others] = targets.map((facts) => facts.capabilities);
  const isKnown = first !== undefined && others.every((capabilities) => capabilities !== undefined);
  return {
    ...(Number.isFinite(contextWindow) && { contextWindow }),
    ...(Number.isFinite(maxOutputTokens) && { maxOutputTokens }),
    ...(isKnown && { capabilities: first.filter((word) => others.every((capabilities) => capabilities.includes(word))) }),
  };
}

function resolveTarget(config: TargetConfig, provider: Provider, { prices }: ModelKnowledge): PricedTarget {
  const isLazy = config.model === '*' && config.price === undefined;
  return {
    id: `${config.provider}/${config.model}`,
    provider: config.provider,
    upstreamModel: config.model,
    weight: config.weight,
    ...resolveTargetRouting(config),
    timeouts: timeoutsOf(config.timeouts),
    ...(config.price !== undefined && { price: config.price }),
    ...(config.params !== undefined && { defaultParams: config.params }),
    ...(config.drop_params !== undefined && { dropParams: config.drop_params }),
    priceState: isLazy ? { status: 'lazy' } : prices.priceOf(queryOf(config, provider)),
  };
}

function timeoutsOf(config: TargetConfig['timeouts']): Timeouts {
  if (config === undefined) return { ...DEFAULT_TIMEOUTS };
  const { connect_ms, first_byte_ms, idle_ms, total_ms } = config;
  return { connectMs: connect_ms, firstByteMs: first_byte_ms, idleMs: idle_ms, totalMs: total_ms };
}

function queryOf(target: TargetConfig, provider: Provider): ModelQuery {
  return {
    priceProvider: provider.priceProvider,
    providerApiUrl: provider.endpoints[0]!.baseUrl,
    upstreamModel: target.model,
    override: target.price,
  };
}

export function resolveKey(
  config: Config['keys'][number],
  { pepper, slotOf, timeZone }: { pepper: string; slotOf: SlotOf; timeZone: string },
): KeyEntry {
  const rules = placedRules(`key:${config.name}`, wantedRules(config, timeZone), slotOf);
  return {
    id: config.name,
    name: config.name,
    digests: [{ digest: keyDigest(pepper, config.key) }],
    models: config.models,
    agents: config.agents,
    tags: config.tags,
    blocked: config.blocked,
    ...(config.expires_at !== undefined && { expiresAtMs: Date.parse(config.expires_at) }),
    ...(config.ips !== undefined && { ips: config.ips.map(toCidr) }),
    ...(config.user !== undefined && { principal: config.user }),
    ...(config.team !== undefined && { team: config.team }),
    ...(config.priority !== 'normal' && { priority: config.priority }),
    ...(config.record_bodies && { recordBodies: true }),
    ...(rules !== undefined && { rules }),
  };
}
