/**
 * Where tasks live and whose they are: main's index, which every worker asks for what it does not know itself. What workers learn is in their journals before a client
 * hears of it; here it only has to be found at once.
 */
import type { TaskFilter, TaskPage, TaskRecord } from '../core/agent.ts';
import { createLru } from '../lib/lru.ts';

export interface TaskIndex {
  /** Answers what is in force: whose a task is and where it lives was settled when it was first seen. */
  learn(record: TaskRecord): Promise<TaskRecord>;
  task(agent: string, task: string): Promise<TaskRecord | undefined>;
  /** The latest of that context. */
  taskOfContext(agent: string, context: string): Promise<TaskRecord | undefined>;
  /** The latest first. */
  list(filter: TaskFilter): Promise<TaskPage>;
}

/** So long the store may be behind: what was learnt in between is added to what it knows. */
const FRESH_MS = 60_000;
const MOST_FRESH = 10_000;

export interface TaskStorePort {
  tasks(filter: TaskFilter): Promise<TaskPage>;
  task(agent: string, task: string): Promise<TaskRecord | undefined>;
  taskOfContext(agent: string, context: string): Promise<TaskRecord | undefined>;
}

/** More than are learnt while the store is a moment behind. */
const MAX_REMEMBERED = 100_000;

export function createTaskIndex(store: TaskStorePort, nowMs: () => number): TaskIndex {
  const tasks = createLru<string, TaskRecord>(MAX_REMEMBERED);
  const contexts = createLru<string, TaskRecord>(MAX_REMEMBERED);
  /** In the order they were learnt. */
  const fresh = new Map<string, TaskRecord>();
  const keep = (record: TaskRecord): TaskRecord => {
    const key = keyOf(record.agent, record.task);
    const known = tasks.get(key);
    if (known !== undefined && known.updatedAtMs > record.updatedAtMs) return known;
    const whole = known === undefined ? record : { ...record, ...bornOf(known) };
    tasks.set(key, whole);
    fresh.delete(key);
    fresh.set(key, whole);
    forgetStale(fresh, nowMs() - FRESH_MS);
    if (whole.context !== undefined) contexts.set(keyOf(whole.agent, whole.context), whole);
    return whole;
  };
  const orStored = async (
    known: TaskRecord | undefined,
    ask: () => Promise<TaskRecord | undefined>,
  ): Promise<TaskRecord | undefined> => {
    if (known !== undefined) return known;
    const stored = await ask();
    if (stored !== undefined) keep(stored);
    return stored;
  };
  return {
    async learn(record) {
      // Of an earlier run, or of another node.
      if (tasks.get(keyOf(record.agent, record.task)) === undefined) {
        const stored = await store.task(record.agent, record.task);
        if (stored !== undefined) keep(stored);
      }
      return keep(record);
    },
    task: (agent, task) => orStored(tasks.get(keyOf(agent, task)), () => store.task(agent, task)),
    async list(filter) {
      const { rows, next } = await store.tasks(filter);
      // Later pages are about what was long before.
      const recent = filter.after === undefined ? [...fresh.values()].filter((record) => fits(record, filter)) : [];
      const known = new Map([...rows, ...recent].map((record) => [record.task, record]));
      const latest = [...known.values()].sort((a, b) => b.updatedAtMs - a.updatedAtMs).slice(0, filter.limit);
      return { rows: latest, ...(next !== undefined && { next }) };
    },
    taskOfContext: (agent, context) => orStored(contexts.get(keyOf(agent, context)), () => store.taskOfContext(agent, context)),
  };
}

function bornOf({ owner, team, endUser, replica, createdAtMs }: TaskRecord): Partial<TaskRecord> {
  return { owner, replica, createdAtMs, ...(team !== undefined && { team }), ...(endUser !== undefined && { endUser }) };
}

function fits(record: TaskRecord, { agent, owner, state, context }: TaskFilter): boolean {
  return (
    record.agent === agent &&
    (owner === undefined || record.owner === owner) &&
    (state === undefined || record.state === state) &&
    (context === undefined || record.context === context)
  );
}

function forgetStale(fresh: Map<string, TaskRecord>, beforeMs: number): void {
  for (const [key, { updatedAtMs }] of fresh) {
    if (updatedAtMs >= beforeMs && fresh.size <= MOST_FRESH) return;
    fresh.delete(key);
  }
}

/** Ids of agents hold no line feed. */
function keyOf(agent: string, id: string): string {
  return `${agent}\n${id}`;
}
