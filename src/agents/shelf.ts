/** Agents of the file and of the API side by side in one registry, with what the store remembers of both: rows, switches, and what they were asked and have cost. */
import type { AgentConfig } from '../core/agent.ts';
import type { AgentTotals, AgentsPort, StoredAgent } from '../store/ports/agents.ts';
import type { AgentEntry, AgentOrigin } from './entry.ts';
import type { AgentRegistry } from './registry.ts';

export interface ShelfParts {
  registry: AgentRegistry;
  store: AgentsPort;
  /** An agent of the store, opened and resolved. Throws where it does not fit any more. */
  resolve: (stored: StoredAgent) => AgentConfig;
  onLeftOut: (agent: string, error: unknown) => void;
}

export interface Shelf {
  /** Reads all of it from the store. Rejects with StoreError. */
  load: () => Promise<void>;
  /** The file's agents, as they are now. One of the API with the name of one of them waits until that is gone. */
  useFile: (configs: readonly AgentConfig[]) => void;
  row: (name: string) => StoredAgent | undefined;
  /** Written, and remembered. Rejects with StoreError. */
  put: (row: StoredAgent) => Promise<void>;
  /** The same of one that is gone, with its counters. */
  remove: (name: string) => Promise<void>;
}

export function createShelf({ registry, store, resolve, onLeftOut }: ShelfParts): Shelf {
  const rows = new Map<string, StoredAgent>();
  const totals = new Map<string, AgentTotals>();
  const register = (config: AgentConfig, origin: AgentOrigin): void => {
    const entry = registry.register(config, origin);
    const counted = totals.get(config.name);
    if (counted !== undefined) [entry.invocationCount, entry.totalCostNanoUsd] = [counted.invocations, counted.nanoUsd];
  };
  const registerStored = (row: StoredAgent): void => {
    try {
      register(resolve(row), 'api');
    } catch (error) {
      onLeftOut(row.name, error);
    }
  };
  const letGo = (entry: AgentEntry): void => {
    const { name } = entry.config;
    registry.unregister(name);
    totals.set(name, { agent: name, invocations: entry.invocationCount, nanoUsd: entry.totalCostNanoUsd });
  };
  return {
    async load() {
      for (const each of await store.totals()) totals.set(each.agent, each);
      for (const row of await store.list()) {
        rows.set(row.name, row);
        if (row.kind === 'agent') registerStored(row);
      }
    },
    useFile(configs) {
      const named = new Set(configs.map(({ name }) => name));
      const gone = registry.list().filter(({ origin, config }) => origin === 'file' && !named.has(config.name));
      for (const entry of gone) {
        letGo(entry);
        const waiting = rows.get(entry.config.name);
        if (waiting?.kind === 'agent') registerStored(waiting);
      }
      for (const written of configs) {
        const config = { ...written, enabled: switchedTo(rows.get(written.name)) ?? written.enabled };
        const known = registry.get(config.name);
        if (known !== undefined && known.origin !== 'file') letGo(known);
        if (known?.origin !== 'file') register(config, 'file');
        else if (JSON.stringify(known.config) !== JSON.stringify(config)) registry.update(config.name, config);
      }
    },
    row: (name) => rows.get(name),
    async put(row) {
      await store.put(row);
      rows.set(row.name, row);
    },
    async remove(name) {
      await store.remove(name);
      await store.forgetTotals(name);
      rows.delete(name);
      totals.delete(name);
    },
  };
}

/** What was said over the API about an agent of the file. */
function switchedTo(row: StoredAgent | undefined): boolean | undefined {
  return row?.kind === 'overlay' ? (JSON.parse(row.content) as { enabled?: boolean }).enabled : undefined;
}
