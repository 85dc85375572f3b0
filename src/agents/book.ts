/** The agents as a worker knows them: what main told, the latest word of each. */
import type { AgentNews, AgentView } from '../core/agent.ts';

export interface AgentBook {
  apply: (news: AgentNews) => void;
  get: (name: string) => AgentView | undefined;
  /** By name. */
  list: () => AgentView[];
}

export function createAgentBook(): AgentBook {
  const agents = new Map<string, AgentView>();
  let sorted: AgentView[] | undefined;
  return {
    apply({ whole, changed, removed }) {
      if (whole === true) agents.clear();
      for (const name of removed) agents.delete(name);
      for (const view of changed) agents.set(view.name, view);
      sorted = undefined;
    },
    get: (name) => agents.get(name),
    list: () => (sorted ??= [...agents.values()].sort((a, b) => (a.name < b.name ? -1 : 1))),
  };
}
