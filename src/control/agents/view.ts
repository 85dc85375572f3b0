/** Agents as the API shows them; snake_case, the seed's names where it has them. No secret is ever in it. */
import * as z from 'zod';

import type { CardSkill } from '../../agents/card.ts';
import { type AgentEntry, effectiveStateOf, interfacesOf, lastCheckOf, stateOf } from '../../agents/entry.ts';
import type { RegistryStats } from '../../agents/stats.ts';
import { isSecretHeader } from '../../config/check-secrets.ts';
import {
  AGENT_PROVIDERS,
  AGENT_STATES,
  STATE_REASONS,
  TASK_SCOPES,
  type TaskRecord,
  isAvailable,
  isConversation,
} from '../../core/agent.ts';
import type { NanoUsd } from '../../core/money.ts';
import type { DeadLetter } from '../../store/ports/pushes.ts';
import { isoOf, isoTime, usd, usdOf } from '../contract/fields.ts';
import { budgetViewOf, commonView } from '../routes/entity-fields.ts';
import { HIDDEN } from './secrets.ts';

const state = z.enum(AGENT_STATES);
const reason = z.enum(STATE_REASONS).nullable().describe('Why it is in its state; null where that needs no reason.');
const words = z.array(z.string());

const skill = z.object({ id: z.string(), name: z.string(), description: z.string().optional(), tags: words, examples: words });

const replica = z.object({
  id: z.string(),
  url: z.string(),
  weight: z.number(),
  drain: z.boolean(),
  state,
  reason,
  last_health_check: isoTime.nullable(),
  latency_ms: z.number().nullable().describe('Of the last probe that was answered.'),
  consecutive_failures: z
    .int()
    .describe('Probes in a row that found it bad, or calls that did not get through, whichever are more.'),
});

/** What whoever may call it sees. */
const callerFields = {
  name: z.string(),
  provider: z.enum(Object.keys(AGENT_PROVIDERS) as [keyof typeof AGENT_PROVIDERS]),
  enabled: z.boolean(),
  state: state.describe('Of its best replica.'),
  reason,
  effective_state: state.describe('What callers meet: `disabled` where it is not enabled.'),
  available: z.boolean(),
  description: z.string().nullable(),
  tags: words,
  skills: z.array(skill).describe('As its card says.'),
  streaming: z.boolean(),
  a2a_url: z.string().describe('Where it is called.'),
  last_health_check: isoTime.nullable(),
};

const operatorFields = {
  origin: z.enum(['file', 'api', 'demo']),
  version: z.int().nullable().describe('For `If-Match`; null: the file is its home.'),
  url: z.string(),
  model: z.string().nullable().describe('The model that it is; null: it lives at its `url`.'),
  instructions: z.string().nullable(),
  card_url: z.string().nullable(),
  replicas: z.array(replica),
  interfaces: z.array(z.object({ url: z.string(), binding: z.string(), version: z.string() })).describe('Those that are called.'),
  protocol: z.enum(['auto', '1.0', '0.3']),
  binding: z.enum(['auto', 'jsonrpc', 'http_json']),
  capabilities: z
    .object({
      streaming: z.boolean(),
      push_notifications: z.boolean(),
      task_cancellation: z.boolean(),
      multi_turn: z.boolean(),
      file_attachments: z.boolean(),
      max_input_length: z.int().optional(),
      input_types: words,
      output_types: words,
    })
    .describe('Streaming and push notifications as its card says; of the others `false` is what its configuration refuses.'),
  headers: z.record(z.string(), z.string()).describe('Values that look like credentials are not shown.'),
  has_credential: z.boolean(),
  forward_headers: words,
  timeout_ms: z.int(),
  idle_timeout_ms: z.int(),
  allow_origins: words,
  card_keys: words,
  health: z.object({
    mode: z.enum(['auto', 'card', 'url', 'off']),
    url: z.string().optional(),
    interval_s: z.number(),
    timeout_ms: z.int(),
    slow_ms: z.int(),
    unhealthy_threshold: z.int(),
    healthy_threshold: z.int(),
  }),
  task_scope: z.enum(TASK_SCOPES),
  fail_open: z.boolean(),
  rate_limit_rpm: z.int().nullable(),
  limits: commonView.limits,
  budgets: commonView.budgets,
  cost_per_request: usd.nullable(),
  invocation_count: z.int().describe('Sends that it answered.'),
  total_cost: usd,
  card: z
    .object({
      url: z.string(),
      version: z.string().nullable(),
      hash: z.string(),
      fetched_at: isoTime,
      signature: z.enum(['none', 'valid', 'invalid', 'unverified']),
    })
    .nullable(),
  card_problem: z.string().nullable().describe('Why what it showed as its card at the last look cannot be used.'),
  card_changed: z.boolean().describe('It shows another card, with other places or another security, which waits to be adopted.'),
  created_at: isoTime,
};

/** Callers see the first part only. */
export const agentView = z.object({ ...callerFields, ...z.object(operatorFields).partial().shape });
export type AgentShown = z.output<typeof agentView>;

export interface Shown {
  /** `https://gateway`. */
  baseUrl: string;
  /** Of the store's row; undefined: the file is its home. */
  version?: number | undefined;
}

export function callerView(entry: AgentEntry, { baseUrl }: Pick<Shown, 'baseUrl'>): AgentShown {
  const { config, card } = entry;
  const { state, reason } = stateOf(entry);
  const effective = effectiveStateOf(entry);
  const lastCheck = lastCheckOf(entry);
  return {
    name: config.name,
    provider: config.provider,
    enabled: config.enabled,
    state,
    reason: reason ?? null,
    effective_state: effective,
    available: isAvailable(effective),
    description: config.description ?? card?.facts.description ?? null,
    tags: [...config.tags],
    skills: (card?.facts.skills ?? []).map(skillView),
    streaming: card?.facts.streaming ?? config.capabilities.streaming,
    a2a_url: `${baseUrl}/a2a/${encodeURIComponent(config.name)}`,
    last_health_check: lastCheck === undefined ? null : isoOf(lastCheck),
  };
}

function skillView({ id, name, description, tags, examples }: CardSkill): z.output<typeof skill> {
  return { id, name, ...(description !== undefined && { description }), tags: [...tags], examples: [...examples] };
}

export function operatorView(entry: AgentEntry, shown: Shown): AgentShown {
  const { config, card, pendingCard } = entry;
  return {
    ...callerView(entry, shown),
    origin: config.socketPath === undefined ? entry.origin : 'demo',
    version: shown.version ?? null,
    url: config.url,
    model: config.model?.name ?? null,
    instructions: config.model?.instructions ?? null,
    card_url: config.cardUrl ?? null,
    replicas: [...entry.replicas.values()].map(replicaView),
    interfaces: interfacesOf(config, config.replicas[0]!.url, card).map(({ url, binding, version }) => ({
      url,
      binding,
      version,
    })),
    protocol: config.protocol,
    binding: config.binding,
    capabilities: capabilitiesShown(entry),
    headers: Object.fromEntries(
      Object.entries(config.headers).flatMap(([name, value]) =>
        name === 'authorization' ? [] : [[name, isSecretHeader(name) ? HIDDEN : value]],
      ),
    ),
    has_credential: Object.keys(config.headers).some(isSecretHeader),
    forward_headers: [...config.forwardHeaders],
    timeout_ms: config.timeoutMs,
    idle_timeout_ms: config.idleTimeoutMs,
    allow_origins: [...config.allowOrigins],
    card_keys: [...config.cardKeys],
    health: healthShown(config),
    task_scope: config.taskScope,
    fail_open: config.failOpen,
    ...rulesShown(config),
    cost_per_request: config.costPerRequestNanoUsd === undefined ? null : usdOf(config.costPerRequestNanoUsd),
    invocation_count: entry.invocationCount,
    total_cost: usdOf(entry.totalCostNanoUsd),
    card:
      card === undefined
        ? null
        : {
            url: card.url,
            version: card.facts.version ?? null,
            hash: card.facts.hash,
            fetched_at: isoOf(card.fetchedAtMs),
            signature: card.signature,
          },
    card_problem: entry.cardProblem ?? null,
    card_changed: pendingCard !== undefined,
    created_at: isoOf(entry.registeredAtMs),
  };
}

/** What is shown may be written back: it refuses nothing that was not refused. */
function capabilitiesShown({ config: { capabilities, refuses }, card }: AgentEntry): AgentShown['capabilities'] & object {
  const { maxInputLength, inputTypes, outputTypes } = capabilities;
  return {
    streaming: card?.facts.streaming ?? capabilities.streaming,
    push_notifications: card?.facts.pushNotifications ?? capabilities.pushNotifications,
    task_cancellation: refuses.cancel !== true,
    multi_turn: refuses.followUps !== true,
    file_attachments: refuses.files !== true,
    ...(maxInputLength !== undefined && { max_input_length: maxInputLength }),
    input_types: [...inputTypes],
    output_types: [...outputTypes],
  };
}

function healthShown({ health }: AgentEntry['config']): AgentShown['health'] & object {
  return {
    mode: health.mode,
    ...(health.url !== undefined && { url: health.url }),
    interval_s: health.intervalMs / 1_000,
    timeout_ms: health.timeoutMs,
    slow_ms: health.slowMs,
    unhealthy_threshold: health.unhealthyThreshold,
    healthy_threshold: health.healthyThreshold,
  };
}

function rulesShown({ rules }: AgentEntry['config']): Pick<AgentShown, 'rate_limit_rpm' | 'limits' | 'budgets'> {
  const { requests, concurrent, budgets = [] } = rules ?? {};
  return {
    rate_limit_rpm: requests?.perMinute ?? null,
    limits: {
      ...(requests !== undefined && { rpm: requests.perMinute }),
      ...(concurrent !== undefined && { concurrent: concurrent.most }),
    },
    budgets: budgets.map(budgetViewOf),
  };
}

function replicaView({ config, health }: ReturnType<AgentEntry['replicas']['get']> & object): z.output<typeof replica> {
  return {
    id: config.id,
    url: config.url,
    weight: config.weight,
    drain: config.drain,
    state: health.state,
    reason: health.reason ?? null,
    last_health_check: health.checkedAtMs === undefined ? null : isoOf(health.checkedAtMs),
    latency_ms: health.latencyMs === undefined ? null : Math.round(health.latencyMs),
    consecutive_failures: Math.max(health.badProbes, health.hard),
  };
}

export const statsView = z
  .object({
    total_agents: z.int(),
    enabled_agents: z.int(),
    healthy_agents: z.int(),
    degraded_agents: z.int(),
    unhealthy_agents: z.int(),
    disabled_agents: z.int(),
    unknown_agents: z.int(),
    total_invocations: z.int(),
    total_cost: usd,
  })
  .describe('States are counted raw: an agent that is not enabled keeps its own.');

export function statsShown(stats: RegistryStats): z.output<typeof statsView> {
  return {
    total_agents: stats.totalAgents,
    enabled_agents: stats.enabledAgents,
    healthy_agents: stats.healthyAgents,
    degraded_agents: stats.degradedAgents,
    unhealthy_agents: stats.unhealthyAgents,
    disabled_agents: stats.disabledAgents,
    unknown_agents: stats.unknownAgents,
    total_invocations: stats.totalInvocations,
    total_cost: usdOf(stats.totalCostNanoUsd),
  };
}

export const agentStatsView = z.object({
  name: z.string(),
  state,
  reason,
  effective_state: state,
  last_health_check: isoTime.nullable(),
  invocation_count: z.int(),
  total_cost: usd,
  replicas: z.array(replica),
});

export function agentStatsShown(entry: AgentEntry): z.output<typeof agentStatsView> {
  const { state, reason } = stateOf(entry);
  const lastCheck = lastCheckOf(entry);
  return {
    name: entry.config.name,
    state,
    reason: reason ?? null,
    effective_state: effectiveStateOf(entry),
    last_health_check: lastCheck === undefined ? null : isoOf(lastCheck),
    invocation_count: entry.invocationCount,
    total_cost: usdOf(entry.totalCostNanoUsd),
    replicas: [...entry.replicas.values()].map(replicaView),
  };
}

export const deadPushView = z.object({
  task_id: z.string(),
  push_id: z.string().describe('The place that the agent posted to.'),
  owner: z.string().describe('`principal:` or `key:` and its id.'),
  received_at: isoTime,
  tries: z.int(),
  reason: z.string().describe('`status 410`, `timeout`, `unreachable`, `address` (it leads inside), `tries` or `sealed`.'),
});

export function deadPushShown({ task, push, owner, seq, tries, reason: why }: DeadLetter): z.output<typeof deadPushView> {
  return { task_id: task ?? '', push_id: push, owner, received_at: isoOf(Math.floor(seq / 1_000)), tries, reason: why };
}

export const taskView = z.object({
  id: z.string().nullable().describe('null: a conversation in which no task was made.'),
  context_id: z.string().nullable(),
  replica: z.string(),
  owner: z.string().describe('`principal:` or `key:` and its id.'),
  end_user: z.string().nullable(),
  state: z.string(),
  cost: usd.describe('What its sends were charged so far, as far as that is in the store, which is a moment behind.'),
  created_at: isoTime,
  updated_at: isoTime,
});

export function taskShown(
  { task, context, replica: at, owner, endUser, state: now, createdAtMs, updatedAtMs }: TaskRecord,
  costs: ReadonlyMap<string, NanoUsd>,
): z.output<typeof taskView> {
  return {
    id: isConversation(task) ? null : task,
    context_id: context ?? null,
    replica: at,
    owner,
    end_user: endUser ?? null,
    state: now,
    cost: usdOf(costs.get(task) ?? 0),
    created_at: isoOf(createdAtMs),
    updated_at: isoOf(updatedAtMs),
  };
}
