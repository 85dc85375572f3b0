/**
 * The agents on the main thread: the registry, fed by the file and by the API, kept in the store, and told to every worker. What answers success is in the store and in
 * force in every worker before.
 */
import type { AgentConfig, AgentNews, AgentQuestion, AgentView } from '../core/agent.ts';
import type { ExchangeFact } from '../core/exchange.ts';
import { GatewayError } from '../core/errors.ts';
import type { AgentsPort, StoredAgent } from '../store/ports/agents.ts';
import { type AgentEntry, viewOf } from './entry.ts';
import { AgentRegistry, type RegistryParts } from './registry.ts';
import { type TaskIndex, createTaskIndex } from './tasks.ts';

export interface AgentDeskParts extends Pick<RegistryParts, 'probe' | 'nowMs' | 'random' | 'onEvent'> {
  store: AgentsPort;
  /** An agent of the store, opened and resolved. Throws where it does not fit any more. */
  resolve: (stored: StoredAgent) => AgentConfig;
  /** Hands news to every worker. True: all know. */
  tell: (news: AgentNews) => Promise<boolean>;
  /** The accounts of rules that are new know what was spent. Rejects with StoreError. */
  fill: () => Promise<void>;
  onLeftOut: (agent: string, error: unknown) => void;
}

export interface AgentDesk {
  readonly registry: AgentRegistry;
  readonly tasks: TaskIndex;
  /** Reads what the API registered, and what was counted. Rejects with StoreError. */
  load(): Promise<void>;
  /** The file's agents, as they are now; those of the store that have the name of one wait. */
  useFile(configs: readonly AgentConfig[]): Promise<void>;
  /** All, for a worker that knows nothing. */
  whole(): AgentNews;
  answer(question: AgentQuestion): Promise<unknown>;
  /** A call is over. */
  observe(fact: ExchangeFact): void;
  /** Probes as their intervals pass; those of a start at once, spread a little. Answers how to stop. */
  start(): () => void;
  service: AgentService;
}

/** What the control plane does with agents. `inForce`: every worker knows. */
export interface AgentService {
  readonly registry: AgentRegistry;
  stored(name: string): StoredAgent | undefined;
  register(config: AgentConfig, stored: StoredAgent): Promise<Changed>;
  update(config: AgentConfig, stored: StoredAgent): Promise<Changed>;
  unregister(name: string): Promise<{ before: AgentEntry; inForce: boolean }>;
  /** Also of an agent of the file: the store remembers it. */
  setEnabled(name: string, enabled: boolean, by: string): Promise<Changed>;
  /** Everything that has changed in the registry is told. */
  publish(): Promise<boolean>;
  store: Pick<AgentsPort, 'tasks' | 'task'>;
}

export interface Changed {
  entry: AgentEntry;
  inForce: boolean;
}

/** After a start everything is Unknown; whoever is asked for is looked at at once, the others within so long. */
const SOON_MS = 5_000;

export function createAgentDesk(parts: AgentDeskParts): AgentDesk {
  const { store, nowMs } = parts;
  const news = createNews(() => desk.registry, parts.tell);
  const registry = new AgentRegistry({ ...parts, onChange: news.note });
  const tasks = createTaskIndex(store, nowMs);
  const stored = new Map<string, StoredAgent>();
  const disabledByHand = (name: string): boolean | undefined => {
    const overlay = stored.get(name);
    return overlay?.kind === 'overlay' ? (JSON.parse(overlay.content) as { enabled?: boolean }).enabled : undefined;
  };
  const desk: AgentDesk = {
    registry,
    tasks,
    async load() {
      for (const each of await store.list()) stored.set(each.name, each);
      for (const each of stored.values()) {
        if (each.kind === 'agent' && registry.get(each.name) === undefined) registerStored(each);
      }
      await parts.fill();
      for (const { agent, invocations, nanoUsd } of await store.totals()) {
        const entry = registry.get(agent);
        if (entry !== undefined) [entry.invocationCount, entry.totalCostNanoUsd] = [invocations, nanoUsd];
      }
    },
    async useFile(configs) {
      const named = new Set(configs.map(({ name }) => name));
      for (const entry of registry.list()) {
        const { name } = entry.config;
        if (entry.origin === 'file' && !named.has(name)) {
          registry.unregister(name);
          const waiting = stored.get(name);
          if (waiting?.kind === 'agent') registerStored(waiting);
        }
      }
      for (const written of configs) {
        const config = { ...written, enabled: disabledByHand(written.name) ?? written.enabled };
        const known = registry.get(config.name);
        if (known === undefined || known.origin !== 'file') {
          registry.unregister(config.name);
          registry.register(config, 'file');
        } else if (JSON.stringify(known.config) !== JSON.stringify(config)) registry.update(config.name, config);
      }
      await parts.fill();
      await news.publish();
    },
    whole: news.whole,
    async answer(question) {
      switch (question.ask) {
        case 'look':
          await registry.getForRouting(question.agent);
          // News go before the answer, by the same way.
          void news.publish();
          return true;
        case 'trial':
          return registry.admitTrial(question.agent, question.replica);
        case 'learn':
          return tasks.learn(question.record);
        case 'task':
          return tasks.task(question.agent, question.task);
        case 'context':
          return tasks.taskOfContext(question.agent, question.context);
        case 'tasks':
          return tasks.list(question);
      }
    },
    observe({ agentCall, key, costNanoUsd = 0 }) {
      if (agentCall === undefined) return;
      const { agent, generation, invoked, verdicts, messageHash } = agentCall;
      if (invoked === true) registry.recordInvocation(agent, costNanoUsd);
      if (verdicts.length > 0) registry.observeCall(agent, { generation, caller: key ?? '', message: messageHash, verdicts });
    },
    start() {
      registry.checkSoon(SOON_MS);
      return registry.startHealthCheckTask();
    },
    service: {
      registry,
      store,
      stored: (name) => stored.get(name),
      publish: news.publish,
      async register(config, row) {
        if (registry.get(config.name) !== undefined) throw alreadyThere(config.name);
        await store.put(row);
        stored.set(row.name, row);
        const entry = registry.register(config, 'api');
        await parts.fill();
        return { entry, inForce: await news.publish() };
      },
      async update(config, row) {
        await store.put(row);
        stored.set(row.name, row);
        const entry = registry.update(config.name, config);
        await parts.fill();
        return { entry, inForce: await news.publish() };
      },
      async unregister(name) {
        await store.remove(name);
        await store.forgetTotals(name);
        stored.delete(name);
        const before = registry.unregister(name);
        if (before === undefined) throw new GatewayError('not_found', { details: { message: `Agent not found: ${name}` } });
        return { before, inForce: await news.publish() };
      },
      async setEnabled(name, enabled, by) {
        const row = enabledRow(stored.get(name), { name, enabled, by, atMs: nowMs() });
        await store.put(row);
        stored.set(name, row);
        const entry = registry.setEnabled(name, enabled);
        return { entry, inForce: await news.publish() };
      },
    },
  };
  function registerStored(row: StoredAgent): void {
    try {
      registry.register(parts.resolve(row), 'api');
    } catch (error) {
      parts.onLeftOut(row.name, error);
    }
  }
  return desk;
}

function alreadyThere(name: string): GatewayError {
  return new GatewayError('conflict', { details: { message: `Agent already registered: ${name}`, param: 'name' } });
}

/** Of an agent of the API the whole of it, else only that. */
function enabledRow(
  before: StoredAgent | undefined,
  { name, enabled, by, atMs }: { name: string; enabled: boolean; by: string; atMs: number },
): StoredAgent {
  const written = before === undefined ? {} : (JSON.parse(before.content) as object);
  const content = JSON.stringify({ ...written, enabled });
  return { kind: 'overlay', ...before, name, version: (before?.version ?? 0) + 1, atMs, by, content };
}

/** Changes wait until the turn is over: a round of probes changes many. */
function createNews(registryOf: () => AgentRegistry, tell: AgentDeskParts['tell']) {
  const waiting = new Set<string>();
  const underWay = new Set<Promise<boolean>>();
  let version = 0;
  let scheduled = false;
  const take = (): AgentNews => {
    const changed: AgentView[] = [];
    const removed: string[] = [];
    for (const name of waiting) {
      const entry = registryOf().get(name);
      if (entry === undefined) removed.push(name);
      else changed.push(viewOf(entry));
    }
    waiting.clear();
    return { type: 'agents', version: ++version, changed, removed };
  };
  /** What was told a moment ago may not have arrived everywhere yet. */
  const publish = async (): Promise<boolean> => {
    if (waiting.size > 0) {
      const told = tell(take());
      underWay.add(told);
      void told.finally(() => underWay.delete(told));
    }
    return (await Promise.all(underWay)).every(Boolean);
  };
  return {
    note(name: string): void {
      waiting.add(name);
      if (scheduled) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        void publish();
      });
    },
    publish,
    whole: (): AgentNews => ({ type: 'agents', version, whole: true, changed: registryOf().list().map(viewOf), removed: [] }),
  };
}
