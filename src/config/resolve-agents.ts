/** An agent as it was written, as the registry wants it: credentials as headers, defaults and places filled in. */
import type { AgentCapabilities, AgentConfig, ReplicaConfig } from '../core/agent.ts';
import { MODEL_AGENTS_URL } from '../core/agent-behind.ts';
import type { SlotOf } from '../core/rules.ts';
import { placedRules, wantedRules } from './resolve-rules.ts';
import type { AgentSettings } from './schema-agent.ts';

const NANO_PER_USD = 1_000_000_000;
const WELL_KNOWN = /\/\.well-known\/agent(-card)?\.json$/;

export interface AgentParts {
  slotOf: SlotOf;
  timeZone?: string;
}

/** `settings` has passed all checks. */
export function resolveAgent(settings: AgentSettings, { slotOf, timeZone }: AgentParts): AgentConfig {
  const { limits, rate_limit_rpm: rpm, budget, budgets } = settings;
  const wanted = wantedRules(
    {
      ...((limits !== undefined || rpm !== undefined) && { limits: { ...(rpm !== undefined && { rpm }), ...limits } }),
      ...(budget !== undefined && { budget }),
      ...(budgets !== undefined && { budgets }),
    },
    timeZone,
  );
  const rules = placedRules(`agent:${settings.name}`, wanted, slotOf);
  const { health, capabilities = {} } = settings;
  return {
    name: settings.name,
    provider: settings.provider,
    ...placeOf(settings),
    ...spokenTo(settings),
    headers: headersOf(settings),
    forwardHeaders: settings.forward_headers.map((name) => name.toLowerCase()),
    timeoutMs: settings.timeout_ms,
    idleTimeoutMs: settings.idle_timeout_ms,
    enabled: settings.enabled,
    ...(settings.description !== undefined && { description: settings.description }),
    capabilities: { ...capabilitiesOf(capabilities), ...(settings.model !== undefined && ownCapabilities(capabilities)) },
    refuses: refusalsOf(capabilities),
    ...(settings.cost_per_request !== undefined && {
      costPerRequestNanoUsd: Math.round(settings.cost_per_request * NANO_PER_USD),
    }),
    tags: [...new Set(settings.tags)],
    taskScope: settings.task_scope,
    failOpen: settings.fail_open,
    allowOrigins: settings.allow_origins,
    cardKeys: settings.card_keys,
    health: {
      mode: health.mode,
      ...(health.url !== undefined && { url: health.url }),
      intervalMs: health.interval_s * 1_000,
      timeoutMs: health.timeout_ms,
      slowMs: health.slow_ms,
      unhealthyThreshold: health.unhealthy_threshold,
      healthyThreshold: health.healthy_threshold,
    },
    ...(rules !== undefined && { rules }),
    ...modelOf(settings),
  };
}

function spokenTo({ model, protocol, binding }: AgentSettings): Pick<AgentConfig, 'protocol' | 'binding'> {
  return model === undefined ? { protocol, binding } : { protocol: '1.0', binding: 'jsonrpc' };
}

function modelOf({ model, instructions, skills = [] }: AgentSettings): Pick<AgentConfig, 'model'> {
  if (model === undefined) return {};
  return { model: { name: model, ...(instructions !== undefined && { instructions }), skills } };
}

/** LangGraph serves many agents at one place; which one is meant stands in the path, and in the query of the card's URL. */
function placeOf({
  name,
  model,
  url,
  card_url,
  replicas,
  provider,
  provider_config,
}: AgentSettings): Pick<AgentConfig, 'url' | 'cardUrl' | 'replicas'> {
  if (model !== undefined) {
    const here = `${MODEL_AGENTS_URL}/${name}`;
    return { url: here, replicas: [{ id: '0', url: here, weight: 1, drain: false }] };
  }
  const base = trimmed(url ?? (card_url === undefined ? replicas![0]!.url : baseOfCard(card_url)));
  const assistant = provider === 'langgraph' ? provider_config?.assistant_id : undefined;
  const at = (place: string): string =>
    assistant === undefined ? place : `${trimmed(place)}/a2a/${encodeURIComponent(assistant)}`;
  const cardUrl =
    card_url ??
    (assistant === undefined ? undefined : `${base}/.well-known/agent-card.json?assistant_id=${encodeURIComponent(assistant)}`);
  const found = replicasIn({ url, card_url, replicas }).map((each) => Object.assign({}, each, { url: at(each.url) }));
  return { url: at(url ?? base), ...(cardUrl !== undefined && { cardUrl }), replicas: found };
}

/** As they were written; one that is not named is `0`. */
export function replicasIn({
  url,
  card_url,
  replicas,
}: {
  [Member in 'url' | 'card_url' | 'replicas']?: AgentSettings[Member] | undefined;
}): ReplicaConfig[] {
  return replicas ?? [{ id: '0', url: url ?? trimmed(baseOfCard(card_url!)), weight: 1, drain: false }];
}

function baseOfCard(cardUrl: string): string {
  const url = new URL(cardUrl);
  url.search = '';
  return url.href.replace(WELL_KNOWN, '');
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, '');
}

function headersOf({ headers, api_key }: AgentSettings): Record<string, string> {
  const written = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return Object.fromEntries([
    ...written,
    ...(api_key === undefined || api_key === 'none' ? [] : [['authorization', `Bearer ${api_key}`]]),
  ]);
}

type CapabilitySettings = Partial<NonNullable<AgentSettings['capabilities']>>;

/** What somebody wrote that it cannot do: silence refuses nothing. */
function refusalsOf({ task_cancellation, multi_turn, file_attachments }: CapabilitySettings): AgentConfig['refuses'] {
  return {
    ...(task_cancellation === false && { cancel: true }),
    ...(multi_turn === false && { followUps: true }),
    ...(file_attachments === false && { files: true }),
  };
}

/** What a model can do as an agent, but for what its operator takes away. */
function ownCapabilities(settings: CapabilitySettings): Partial<AgentCapabilities> {
  return {
    streaming: true,
    pushNotifications: false,
    taskCancellation: settings.task_cancellation !== false,
    fileAttachments: settings.file_attachments !== false,
  };
}

/** The seed's defaults. */
function capabilitiesOf(settings: CapabilitySettings): AgentCapabilities {
  const { streaming, push_notifications, task_cancellation, multi_turn, file_attachments, max_input_length } = settings;
  return {
    streaming: streaming === true,
    pushNotifications: push_notifications === true,
    taskCancellation: task_cancellation === true,
    multiTurn: multi_turn !== false,
    fileAttachments: file_attachments === true,
    ...(max_input_length !== undefined && { maxInputLength: max_input_length }),
    inputTypes: settings.input_types ?? [],
    outputTypes: settings.output_types ?? [],
  };
}
