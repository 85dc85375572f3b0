/** One agent in the registry, and what others are shown of it. */
import {
  type AgentConfig,
  type AgentInterface,
  type AgentState,
  type AgentView,
  type ReplicaConfig,
  type ReplicaView,
  type StateReason,
} from '../core/agent.ts';
import type { NanoUsd } from '../core/money.ts';
import { type AgentCardFacts, placeInterfaces } from './card.ts';
import { type Health, NEW, rankOf } from './state.ts';

/** Whose word the agent's configuration is: the operator's file, or the API. */
export type AgentOrigin = 'file' | 'api';

export interface KnownCard {
  url: string;
  facts: AgentCardFacts;
  fetchedAtMs: number;
  signature: 'none' | 'valid' | 'invalid' | 'unverified';
}

export interface AgentEntry {
  readonly config: AgentConfig;
  readonly origin: AgentOrigin;
  /** Another one for every registration and every change of configuration: what was begun under an older one is not for this entry. */
  readonly generation: number;
  readonly registeredAtMs: number;
  /** In the order of the configuration. */
  readonly replicas: ReadonlyMap<string, ReplicaEntry>;
  invocationCount: number;
  totalCostNanoUsd: NanoUsd;
  card?: KnownCard;
  /** Another card than the one in use, with other interfaces or another security: it waits for the operator. */
  pendingCard?: KnownCard;
  /** Why what the agent shows as its card cannot be used, as of the last look. */
  cardProblem?: string | undefined;
  /** Wall clock. */
  nextProbeAtMs: number;
  wasLookedAt?: true;
}

export interface ReplicaEntry {
  readonly config: ReplicaConfig;
  health: Health;
}

export function newEntry(
  config: AgentConfig,
  born: Pick<AgentEntry, 'origin' | 'generation' | 'registeredAtMs' | 'nextProbeAtMs'>,
): AgentEntry {
  const replicas = new Map(config.replicas.map((each) => [each.id, { config: each, health: NEW }]));
  return { config, ...born, replicas, invocationCount: 0, totalCostNanoUsd: 0 };
}

/** Of its best replica. */
export function stateOf({ replicas }: Pick<AgentEntry, 'replicas'>): { state: AgentState; reason?: StateReason } {
  const best = [...replicas.values()].reduce((one, other) => (rankOf(other.health) < rankOf(one.health) ? other : one));
  const { state, reason } = best.health;
  return { state, ...(reason !== undefined && { reason }) };
}

/** What callers meet: a disabled agent takes nothing new, whatever its state. */
export function effectiveStateOf(entry: AgentEntry): AgentState {
  return entry.config.enabled ? stateOf(entry).state : 'disabled';
}

/** The latest look at any of its replicas, wall clock. */
export function lastCheckOf({ replicas }: AgentEntry): number | undefined {
  const times = [...replicas.values()].flatMap(({ health }) => health.checkedAtMs ?? []);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** Whoever is left alone stays Unknown, however often its card is read. */
export function wantsFirstLook(entry: AgentEntry): boolean {
  if (isLeftAlone(entry) && entry.wasLookedAt === true) return false;
  const { replicas } = entry;
  for (const { health } of replicas.values()) if (health.state === 'unknown') return true;
  return false;
}

/** Nobody but its callers tells how it is. */
export function isLeftAlone({ config }: Pick<AgentEntry, 'config'>): boolean {
  return config.health.mode === 'off';
}

/** After that many bad probes in a row it is looked at less and less often, down to this. */
const PATIENT_PROBES = 10;
const SLOWEST_MS = 300_000;
/** Until it is looked at again. */
export function pauseAfter({ config, replicas }: AgentEntry): number {
  const { intervalMs } = config.health;
  const bad = Math.min(...[...replicas.values()].map(({ health }) => health.badProbes));
  const doublings = Math.max(0, bad - PATIENT_PROBES);
  return doublings === 0 ? intervalMs : Math.max(intervalMs, Math.min(SLOWEST_MS, intervalMs * 2 ** doublings));
}

export function viewOf(entry: AgentEntry): AgentView {
  const { config, generation, card, nextProbeAtMs } = entry;
  const { replicas: _, health: __, ...rest } = config;
  return {
    name: config.name,
    generation,
    config: rest,
    ...stateOf(entry),
    replicas: [...entry.replicas.values()].map((replica) => replicaView(entry, replica)),
    ...(card !== undefined && { card: card.facts.raw }),
    streaming: card?.facts.streaming ?? config.capabilities.streaming,
    pushes: card?.facts.pushNotifications ?? config.capabilities.pushNotifications,
    nextProbeAtMs,
  };
}

function replicaView({ config, card }: AgentEntry, { config: replica, health }: ReplicaEntry): ReplicaView {
  const { state, reason } = health;
  return {
    ...replica,
    state,
    ...(reason !== undefined && { reason }),
    interfaces: interfacesOf(config, replica.url, card),
  };
}

const BINDINGS = { jsonrpc: 'JSONRPC', http_json: 'HTTP+JSON' } as const;

/** As the card says, within what the operator allows; without one, what is configured, JSON-RPC 0.3 where nothing is. */
export function interfacesOf(config: AgentConfig, replicaUrl: string, card: KnownCard | undefined): AgentInterface[] {
  const { protocol, binding, allowOrigins } = config;
  const told = card === undefined ? [] : placeInterfaces(card.facts.interfaces, replicaUrl, allowOrigins);
  const wanted = told.filter(
    (each) => (protocol === 'auto' || each.version === protocol) && (binding === 'auto' || each.binding === BINDINGS[binding]),
  );
  if (wanted.length > 0) return wanted;
  return [
    {
      url: replicaUrl,
      binding: binding === 'auto' ? 'JSONRPC' : BINDINGS[binding],
      version: protocol === 'auto' ? '0.3' : protocol,
    },
  ];
}
