/** Agents of the file and of the API side by side in one registry, with what the store remembers of both: rows, switches, and what they were asked and have cost. */
import type { AgentConfig } from '../core/agent.ts';
import type { AgentSwitch, AgentTotals, AgentsPort, StoredAgent } from '../store/ports/agents.ts';
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
  /** The file's agents, as they are now; a switch holds until the file says something else. One of the API with the name of one of them waits until that is gone. */
  useFile: (configs: readonly AgentConfig[]) => void;
  row: (name: string) => StoredAgent | undefined;
  /** Of an agent of the file. Written, and remembered. Rejects with StoreError. */
  switch: (said: Omit<AgentSwitch, 'fileSays'>) => Promise<void>;
  /** Written, and remembered. Rejects with StoreError. */
  put: (row: StoredAgent) => Promise<void>;
  /** The same of one that is gone, with its counters. */
  remove: (name: string) => Promise<void>;
}

export function createShelf(parts: ShelfParts): Shelf {
  const { registry, store } = parts;
  const rows = new Map<string, StoredAgent>();
  const switches = new Map<string, AgentSwitch>();
  const totals = new Map<string, AgentTotals>();
  const fileSays = new Map<string, boolean>();
  const { register, registerStored, letGo } = createPlaces(parts, totals);
  /** For the one that waits behind it. */
  const makeWay = (entry: AgentEntry): void => {
    letGo(entry);
    const waiting = rows.get(entry.config.name);
    if (waiting !== undefined) registerStored(waiting);
  };
  const isEnabled = ({ name, enabled }: AgentConfig): boolean => {
    fileSays.set(name, enabled);
    const said = switches.get(name);
    if (said === undefined || said.fileSays === enabled) return said?.enabled ?? enabled;
    switches.delete(name);
    // One that a store which is down keeps is outdated all the same.
    store.forgetSwitch(name).catch(() => undefined);
    return enabled;
  };
  const useFiled = (config: AgentConfig): void => {
    const known = registry.get(config.name);
    if (known !== undefined && known.origin !== 'file') letGo(known);
    if (known?.origin !== 'file') register(config, 'file');
    else if (JSON.stringify(known.config) !== JSON.stringify(config)) registry.update(config.name, config);
  };
  return {
    async load() {
      for (const each of await store.totals()) totals.set(each.agent, each);
      for (const each of await store.switches()) switches.set(each.agent, each);
      for (const row of await store.list()) {
        rows.set(row.name, row);
        registerStored(row);
      }
    },
    useFile(configs) {
      const named = new Set(configs.map(({ name }) => name));
      for (const entry of registry.list()) if (entry.origin === 'file' && !named.has(entry.config.name)) makeWay(entry);
      for (const config of configs) useFiled({ ...config, enabled: isEnabled(config) });
    },
    row: (name) => rows.get(name),
    async switch(said) {
      const stored = { ...said, fileSays: fileSays.get(said.agent) ?? said.enabled };
      await store.switch(stored);
      switches.set(said.agent, stored);
    },
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

interface Places {
  register: (config: AgentConfig, origin: AgentOrigin) => void;
  registerStored: (row: StoredAgent) => void;
  letGo: (entry: AgentEntry) => void;
}

/** Agents come into the registry with what they were asked and have cost, and leave that behind. */
function createPlaces({ registry, resolve, onLeftOut }: ShelfParts, totals: Map<string, AgentTotals>): Places {
  const register = (config: AgentConfig, origin: AgentOrigin): void => {
    const entry = registry.register(config, origin);
    const counted = totals.get(config.name);
    if (counted !== undefined) [entry.invocationCount, entry.totalCostNanoUsd] = [counted.invocations, counted.nanoUsd];
  };
  return {
    register,
    registerStored(row) {
      try {
        register(resolve(row), 'api');
      } catch (error) {
        onLeftOut(row.name, error);
      }
    },
    letGo({ config: { name }, invocationCount, totalCostNanoUsd }) {
      registry.unregister(name);
      totals.set(name, { agent: name, invocations: invocationCount, nanoUsd: totalCostNanoUsd });
    },
  };
}
