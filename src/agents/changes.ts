/** What the control plane does with agents: what answers is in the store and in force in every worker before. */
import type { AgentConfig } from '../core/agent.ts';
import { GatewayError } from '../core/errors.ts';
import type { StoredAgent } from '../store/ports/agents.ts';
import type { AgentEntry } from './entry.ts';
import type { News } from './news.ts';
import type { AgentRegistry } from './registry.ts';
import type { Shelf } from './shelf.ts';

export interface AgentService {
  readonly registry: AgentRegistry;
  /** What the store keeps of it. */
  stored: (name: string) => StoredAgent | undefined;
  register: (config: AgentConfig, row: StoredAgent) => Promise<Changed>;
  update: (config: AgentConfig, row: StoredAgent) => Promise<Changed>;
  unregister: (name: string) => Promise<{ before: AgentEntry; inForce: boolean }>;
  /** Also of an agent of the file: the store remembers it. */
  setEnabled: (name: string, change: Switched) => Promise<Changed>;
  /** Everything that has changed in the registry is told. */
  publish: () => Promise<boolean>;
}

export interface Switched {
  enabled: boolean;
  by: string;
  /** Calls under way end, too. */
  force?: boolean;
}

export interface Changed {
  entry: AgentEntry;
  /** Every worker knows. */
  inForce: boolean;
}

export interface ServiceParts {
  registry: AgentRegistry;
  shelf: Shelf;
  news: News;
  /** The accounts of rules that are new know what was spent. Rejects with StoreError. */
  fill: () => Promise<void>;
  nowMs: () => number;
}

export function createAgentService({ registry, shelf, news, fill, nowMs }: ServiceParts): AgentService {
  const inForce = async (entry: AgentEntry): Promise<Changed> => {
    await fill();
    return { entry, inForce: await news.publish() };
  };
  return {
    registry,
    stored: shelf.row,
    publish: news.publish,
    async register(config, row) {
      await shelf.put(row);
      return inForce(registry.register(config, 'api'));
    },
    async update(config, row) {
      await shelf.put(row);
      return inForce(registry.update(config.name, config));
    },
    async unregister(name) {
      await shelf.remove(name);
      const before = registry.unregister(name);
      if (before === undefined) throw new GatewayError('not_found', { details: { message: `Agent not found: ${name}` } });
      return { before, inForce: await news.publish() };
    },
    async setEnabled(name, { enabled, by, force = false }) {
      const atMs = nowMs();
      const stored = shelf.row(name);
      if (registry.get(name)?.origin === 'file') await shelf.switch({ agent: name, enabled, atMs, by });
      else if (stored !== undefined) await shelf.put(enabledRow(stored, { enabled, by, atMs }));
      const entry = registry.setEnabled(name, enabled);
      if (force) news.cut(name);
      return inForce(entry);
    },
  };
}

function enabledRow(before: StoredAgent, { enabled, by, atMs }: { enabled: boolean; by: string; atMs: number }): StoredAgent {
  const content = JSON.stringify({ ...(JSON.parse(before.content) as object), enabled });
  return { ...before, version: before.version + 1, atMs, by, content };
}
