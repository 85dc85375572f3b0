/** What workers are told of agents: changes wait until the turn is over, since a round of probes changes many. */
import type { AgentNews, AgentView } from '../core/agent.ts';
import { viewOf } from './entry.ts';
import type { AgentRegistry } from './registry.ts';

export interface News {
  /** An agent has changed, or is gone. */
  note: (name: string) => void;
  /** Calls to it that are under way end. */
  cut: (name: string) => void;
  /** Tells what waits. Resolves when all that was told has arrived; false: not everywhere in time. */
  publish: () => Promise<boolean>;
  /** All, for a worker that knows nothing. */
  whole: () => AgentNews;
}

/** `tell`: hands news to every worker; true: all know. */
export function createNews(registryOf: () => AgentRegistry, tell: (news: AgentNews) => Promise<boolean>): News {
  const waiting = new Set<string>();
  const cutting = new Set<string>();
  const underWay = new Set<Promise<boolean>>();
  let version = 0;
  let isScheduled = false;
  const take = (): AgentNews => {
    const changed: AgentView[] = [];
    const removed: string[] = [];
    for (const name of waiting) {
      const entry = registryOf().get(name);
      if (entry === undefined) removed.push(name);
      else changed.push(viewOf(entry));
    }
    const cut = [...cutting];
    waiting.clear();
    cutting.clear();
    return { type: 'agents', version: ++version, changed, removed, ...(cut.length > 0 && { cut }) };
  };
  // What was told a moment ago may not have arrived everywhere yet.
  const publish = async (): Promise<boolean> => {
    if (waiting.size > 0) {
      const told = tell(take());
      underWay.add(told);
      void told.finally(() => underWay.delete(told));
    }
    return (await Promise.all(underWay)).every(Boolean);
  };
  const note = (name: string): void => {
    waiting.add(name);
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      void publish();
    });
  };
  return {
    note,
    cut(name) {
      cutting.add(name);
      note(name);
    },
    publish,
    whole: () => ({ type: 'agents', version, whole: true, changed: registryOf().list().map(viewOf), removed: [] }),
  };
}
