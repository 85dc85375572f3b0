/**
 * The registry of agents: who there is, how they are, and how much they were asked. Lives on the main thread; workers route on views of it. Where an agent is
 * looked at (`checkAgentHealth`), one look serves all who wait for it, and what it found counts only for the registration it was begun for.
 */
import {
  type AgentConfig,
  type AgentState,
  type ObservedCall,
  agentNameProblem,
  agentUrlProblem,
  isAvailable,
  readsCard,
} from '../core/agent.ts';
import { GatewayError } from '../core/errors.ts';
import type { NanoUsd } from '../core/money.ts';
import { isLookedAtAlike, keepWhatIsKnown, mayReplace } from './compare.ts';
import {
  type AgentEntry,
  type AgentOrigin,
  type KnownCard,
  type ReplicaEntry,
  wantsFirstLook,
  isLeftAlone,
  newEntry,
  pauseAfter,
  stateOf,
} from './entry.ts';
import { createLookQueue } from './look-queue.ts';
import { type RegistryStats, statsOf } from './stats.ts';
import { type Observation, type ProbeVerdict, isBeingTried, mayTry, next, wantsLook } from './state.ts';

export interface ProbeTarget {
  config: AgentConfig;
  /** Of the replica. */
  url: string;
  /** Where its card was found before. */
  card: KnownCard | undefined;
}

export interface ProbeResult {
  verdict: ProbeVerdict;
  latencyMs?: number;
  /** What stood where the card is, if it is one. */
  card?: KnownCard;
  /** Why what stood there is none. */
  cardProblem?: string;
}

/** Looks at one replica, within the agent's own time. */
export type Probe = (target: ProbeTarget) => Promise<ProbeResult>;

export interface RegistryParts {
  probe: Probe;
  nowMs: () => number;
  /** [0, 1) */
  random: () => number;
  /** Something that callers of the agent must know has changed; it may be gone. */
  onChange?: (name: string) => void;
  /** A state changed, or a card waits for the operator. */
  onEvent?: (event: AgentEvent) => void;
}

export type AgentEvent =
  | { kind: 'state'; agent: string; from: AgentState; to: AgentState; reason: string | undefined }
  | { kind: 'card_changed'; agent: string };

/** Each wait is up to a tenth longer or shorter, so that agents of one start spread. */
const JITTER = 0.1;
/** So long others wait for what the one finds out that tries an Unhealthy replica. */
const TRIAL_MS = 2_000;
const TRIAL_TURN_MS = 20;

export class AgentRegistry {
  private readonly agents = new Map<string, AgentEntry>();
  private readonly byTag = new Map<string, Set<string>>();
  private readonly looking = new Map<string, { generation: number; done: Promise<void> }>();
  private readonly parts: RegistryParts;
  private generations = 0;
  private readonly lookInTurn = createLookQueue(({ config }) => this.checkAgentHealth(config.name));

  constructor(parts: RegistryParts) {
    this.parts = parts;
  }

  /** Unknown, and not looked at before somebody asks or its interval has passed. Throws invalid_request, conflict. */
  register(config: AgentConfig, origin: AgentOrigin = 'api'): AgentEntry {
    requireSound(config);
    if (this.agents.has(config.name)) {
      throw new GatewayError('conflict', { details: { message: `Agent already registered: ${config.name}`, param: 'name' } });
    }
    return this.put(config, origin);
  }

  /** As it would be; nothing is registered. Throws invalid_request. */
  preview(config: AgentConfig): AgentEntry {
    requireSound(config);
    const nowMs = this.parts.nowMs();
    return newEntry(config, { origin: 'api', generation: 0, registeredAtMs: nowMs, nextProbeAtMs: nowMs });
  }

  /** Another configuration under the same name: Unknown again where its place changed; what it was asked and has cost stays. Throws invalid_request, not_found. */
  update(name: string, config: AgentConfig): AgentEntry {
    requireSound(config);
    const before = this.require(name);
    const entry = this.put(config, before.origin);
    entry.invocationCount = before.invocationCount;
    entry.totalCostNanoUsd = before.totalCostNanoUsd;
    if (isLookedAtAlike(before.config, config)) keepWhatIsKnown(before, entry);
    if (config.enabled && !before.config.enabled) this.reset(entry);
    return entry;
  }

  /** Whoever comes back as enabled is Unknown until it is looked at; whoever goes keeps its state. Throws not_found. */
  setEnabled(name: string, enabled: boolean): AgentEntry {
    const before = this.require(name);
    const entry = this.update(name, { ...before.config, enabled });
    if (enabled) this.reset(entry);
    this.changed(name);
    return entry;
  }

  unregister(name: string): AgentEntry | undefined {
    const entry = this.agents.get(name);
    if (entry === undefined) return undefined;
    this.agents.delete(name);
    this.untag(entry);
    this.changed(name);
    return entry;
  }

  get(name: string): AgentEntry | undefined {
    return this.agents.get(name);
  }

  /** For whoever wants to call it: an enabled agent that nobody has looked at is looked at first. Its state is the caller's to judge. */
  async getForRouting(name: string): Promise<AgentEntry | undefined> {
    let looked: AgentEntry | undefined;
    let entry = this.agents.get(name);
    // Whoever was registered anew meanwhile is another one; its state after a look may still be Unknown where nobody may look.
    while (entry?.config.enabled === true && wantsFirstLook(entry) && entry !== looked) {
      looked = entry;
      await this.checkAgentHealth(name);
      entry = this.agents.get(name);
    }
    return entry;
  }

  getConfig(name: string): AgentConfig | undefined {
    return this.agents.get(name)?.config;
  }

  /** Sets the raw state of all replicas. An unknown name is no error. */
  updateState(name: string, state: AgentState): void {
    this.observe(name, () => ({ kind: 'set', state, atMs: this.parts.nowMs() }));
  }

  /** `count` 0: what it cost beside its invocations. An unknown name is no error. */
  recordInvocation(name: string, costNanoUsd: NanoUsd, count = 1): void {
    const entry = this.agents.get(name);
    if (entry === undefined) return;
    entry.invocationCount += count;
    entry.totalCostNanoUsd += costNanoUsd;
  }

  /** By name. */
  listNames(): string[] {
    return [...this.agents.keys()].sort();
  }

  /** All, by name. */
  list(): AgentEntry[] {
    return this.listNames().map((name) => this.agents.get(name)!);
  }

  /** Healthy or Degraded, and enabled. */
  listAvailable(): AgentConfig[] {
    return this.list().flatMap((entry) => (entry.config.enabled && isAvailable(stateOf(entry).state) ? [entry.config] : []));
  }

  /** Whatever their state. */
  listByTag(tag: string): AgentConfig[] {
    return [...(this.byTag.get(tag) ?? [])].sort().map((name) => this.agents.get(name)!.config);
  }

  count(): number {
    return this.agents.size;
  }

  stats(): RegistryStats {
    return statsOf(this.agents.values());
  }

  /** Looks at all replicas of an agent, once for all who ask meanwhile. Disabled agents are not looked at, unknown names are no error. Never rejects. */
  checkAgentHealth(name: string): Promise<void> {
    const entry = this.agents.get(name);
    if (entry?.config.enabled !== true || (isLeftAlone(entry) && !readsCard(entry.config))) return Promise.resolve();
    const { generation } = entry;
    const underWay = this.looking.get(name);
    if (underWay?.generation === generation) return underWay.done;
    const done = this.look(entry).finally(() => {
      if (this.looking.get(name)?.generation === generation) this.looking.delete(name);
    });
    this.looking.set(name, { generation, done });
    return done;
  }

  /** All of them, at most 16 at once; who is being looked at is not looked at twice. */
  async checkAllAgentsHealth(): Promise<void> {
    await Promise.all(this.list().map(this.lookInTurn));
  }

  /** Those whose time has come, longest first; whoever was registered waits for its own interval. */
  async checkDueAgents(): Promise<void> {
    const nowMs = this.parts.nowMs();
    const due = [...this.agents.values()].filter(({ nextProbeAtMs }) => nextProbeAtMs <= nowMs);
    await Promise.all(due.sort((a, b) => a.nextProbeAtMs - b.nextProbeAtMs).map(this.lookInTurn));
  }

  /** From now on every agent is looked at when its interval has passed. Answers how to stop. */
  startHealthCheckTask(tickMs = 1_000): () => void {
    const timer = setInterval(() => void this.checkDueAgents(), tickMs).unref();
    return () => clearInterval(timer);
  }

  /** As if all intervals had passed, spread over so long: after a start, when all is Unknown. */
  checkSoon(withinMs: number): void {
    for (const entry of this.agents.values()) entry.nextProbeAtMs = this.parts.nowMs() + this.parts.random() * withinMs;
  }

  /** What a call showed. Those of an older registration show nothing. */
  observeCall(name: string, { generation, caller, message, endedAtMs = Infinity, verdicts }: ObservedCall): void {
    if (this.agents.get(name)?.generation !== generation) return;
    const atMs = Math.min(this.parts.nowMs(), endedAtMs);
    for (const { replica, verdict, unreachable } of verdicts) {
      const seen: Observation = {
        kind: 'call',
        verdict,
        caller,
        atMs,
        ...(message !== undefined && { message }),
        ...(unreachable === true && { unreachable }),
      };
      this.observe(name, () => seen, replica);
      const health = this.agents.get(name)?.replicas.get(replica)?.health;
      // Whether it is gone is found out at once, not by the next callers.
      if (unreachable === true || (health !== undefined && wantsLook(health))) void this.checkAgentHealth(name);
    }
  }

  /** Whether one send may try an Unhealthy replica: once per interval. */
  admitTrial(name: string, replicaId: string): boolean {
    const entry = this.agents.get(name);
    const replica = entry?.replicas.get(replicaId);
    const atMs = this.parts.nowMs();
    if (entry?.config.enabled !== true || replica === undefined) return false;
    if (!mayTry(replica.health, atMs, entry.config.health.intervalMs)) return false;
    replica.health = next(replica.health, { kind: 'trial', atMs }, entry.config.health);
    return true;
  }

  /** While a trial is under way: resolves once it has changed the state, or has taken too long. */
  async trialEnded(name: string, replicaId: string): Promise<void> {
    const endsAtMs = this.parts.nowMs() + TRIAL_MS;
    const isUnderWay = (): boolean => {
      const health = this.agents.get(name)?.replicas.get(replicaId)?.health;
      return health !== undefined && isBeingTried(health, this.parts.nowMs() - TRIAL_MS);
    };
    while (isUnderWay() && this.parts.nowMs() < endsAtMs) await new Promise((resolve) => setTimeout(resolve, TRIAL_TURN_MS));
  }

  /** The operator has seen the other card and wants it. Throws not_found, and conflict where none waits. */
  adoptPendingCard(name: string): AgentEntry {
    const entry = this.require(name);
    const { pendingCard } = entry;
    if (pendingCard === undefined) throw new GatewayError('conflict', { details: { message: 'No changed card waits for you' } });
    entry.card = pendingCard;
    delete entry.pendingCard;
    this.changed(name);
    return entry;
  }

  private put(config: AgentConfig, origin: AgentOrigin): AgentEntry {
    const { name, health, tags } = config;
    const nowMs = this.parts.nowMs();
    const old = this.agents.get(name);
    if (old !== undefined) this.untag(old);
    const entry = newEntry(config, {
      origin,
      generation: ++this.generations,
      registeredAtMs: old?.registeredAtMs ?? nowMs,
      nextProbeAtMs: nowMs + this.jittered(health.intervalMs),
    });
    this.agents.set(name, entry);
    for (const tag of tags) {
      const named = this.byTag.get(tag) ?? new Set<string>();
      this.byTag.set(tag, named.add(name));
    }
    this.changed(name);
    return entry;
  }

  private untag({ config }: AgentEntry): void {
    for (const tag of config.tags) {
      const named = this.byTag.get(tag);
      named?.delete(config.name);
      if (named?.size === 0) this.byTag.delete(tag);
    }
  }

  private require(name: string): AgentEntry {
    const entry = this.agents.get(name);
    if (entry === undefined) throw new GatewayError('not_found', { details: { message: `Agent not found: ${name}` } });
    return entry;
  }

  private async look(entry: AgentEntry): Promise<void> {
    const { config, card } = entry;
    const replicas = [...entry.replicas.values()];
    // Whatever a stranger's answer breaks, it breaks nothing but this look.
    const probe = ({ config: { url } }: ReplicaEntry): Promise<ProbeResult> =>
      this.parts.probe({ config, url, card }).catch((): ProbeResult => ({ verdict: 'refused' }));
    const results = await Promise.all(replicas.map(probe));
    // Registered anew, disabled or gone meanwhile: what was seen is not this agent's.
    if (this.agents.get(config.name) !== entry) return;
    entry.wasLookedAt = true;
    const found = results.find((result) => result.card !== undefined)?.card;
    if (found !== undefined) this.take(entry, found);
    entry.cardProblem = found === undefined ? results.find((result) => result.cardProblem !== undefined)?.cardProblem : undefined;
    for (const [index, { verdict, latencyMs }] of isLeftAlone(entry) ? [] : results.entries()) {
      const atMs = this.parts.nowMs();
      this.observe(
        config.name,
        () => ({ kind: 'probe', verdict, atMs, ...(latencyMs !== undefined && { latencyMs }) }),
        replicas[index]!.config.id,
      );
    }
    entry.nextProbeAtMs = this.parts.nowMs() + this.jittered(pauseAfter(entry));
    // When it is looked at again is what callers are told.
    if (stateOf(entry).state === 'unhealthy') this.changed(config.name);
  }

  /** A first card is taken as it is; another one only if it leads to the same places under the same security. */
  private take(entry: AgentEntry, found: KnownCard): void {
    const { name } = entry.config;
    if (entry.card === undefined || mayReplace(entry.card, found)) {
      const isNew = entry.card?.facts.hash !== found.facts.hash;
      entry.card = found;
      delete entry.pendingCard;
      if (isNew) this.changed(name);
      return;
    }
    const isKnown = entry.pendingCard?.facts.hash === found.facts.hash;
    entry.pendingCard = found;
    if (!isKnown) this.parts.onEvent?.({ kind: 'card_changed', agent: name });
  }

  /** `replicaId` absent: all replicas. */
  private observe(name: string, seen: () => Observation, replicaId?: string): void {
    const entry = this.agents.get(name);
    if (entry === undefined) return;
    const before = stateOf(entry);
    let isNews = false;
    for (const [id, replica] of entry.replicas) {
      if (replicaId !== undefined && id !== replicaId) continue;
      const health = next(replica.health, seen(), entry.config.health);
      isNews ||= health.state !== replica.health.state || health.reason !== replica.health.reason;
      replica.health = health;
    }
    if (!isNews) return;
    this.changed(name);
    const { state, reason } = stateOf(entry);
    if (state !== before.state) this.parts.onEvent?.({ kind: 'state', agent: name, from: before.state, to: state, reason });
  }

  /** Nobody has looked at it while it was disabled. */
  private reset(entry: AgentEntry): void {
    for (const replica of entry.replicas.values()) replica.health = next(replica.health, reset(this.parts), entry.config.health);
  }

  private jittered(ms: number): number {
    return ms * (1 + JITTER * (2 * this.parts.random() - 1));
  }

  private changed(name: string): void {
    this.parts.onChange?.(name);
  }
}

function requireSound({ name, url, replicas }: AgentConfig): void {
  const urls = [url, ...replicas.map((each) => each.url)];
  const problem = agentNameProblem(name) ?? urls.map(agentUrlProblem).find((each) => each !== undefined);
  if (problem !== undefined) throw new GatewayError('invalid_request', { details: { message: problem } });
}

function reset({ nowMs }: RegistryParts): Observation {
  return { kind: 'set', state: 'unknown', atMs: nowMs() };
}
