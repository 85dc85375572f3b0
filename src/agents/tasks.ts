/**
 * Where tasks live and whose they are: main's index, which every worker asks for what it does not know itself. What workers learn is in their journals before a client
 * hears of it; here it only has to be found at once.
 */
import type { TaskFilter, TaskPage, TaskRecord } from '../core/agent.ts';
import { type Lru, createLru } from '../lib/lru.ts';

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
    const whole = known === undefined ? record : bornAs(known, record);
    tasks.set(key, whole);
    fresh.delete(key);
    fresh.set(key, whole);
    forgetStale(fresh, nowMs() - FRESH_MS);
    noteContext(contexts, whole);
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
      // Of an earlier run, or of another node. While the store cannot tell, a task is new: the work is done, and its maker must hear of it.
      if (tasks.get(keyOf(record.agent, record.task)) === undefined) {
        const stored = await store.task(record.agent, record.task).catch(() => undefined);
        if (stored !== undefined) keep(stored);
      }
      return keep(record);
    },
    task: (agent, task) => orStored(tasks.get(keyOf(agent, task)), () => store.task(agent, task)),
    async list(filter) {
      const stored = await store.tasks(filter);
      // What was learnt a moment ago takes the place of what the store says of it.
      const rows = stored.rows.filter(({ agent, task }) => !fresh.has(keyOf(agent, task)));
      const recent = [...fresh.values()].filter((record) => fits(record, filter));
      const all = [...rows, ...recent].sort(latestFirst);
      const page = all.slice(0, filter.limit);
      const last = page.at(-1);
      const isLast = last === undefined || (all.length <= filter.limit && stored.next === undefined);
      return { rows: page, ...(!isLast && { next: `${last.updatedAtMs}:${last.task}` }) };
    },
    taskOfContext: (agent, context) => orStored(contexts.get(keyOf(agent, context)), () => store.taskOfContext(agent, context)),
  };
}

/** Whose it is and where it lives, as the first one said; how it stands, as the later one does. */
function bornAs(
  { agent, task, owner, team, endUser, replica, createdAtMs, context: first }: TaskRecord,
  later: TaskRecord,
): TaskRecord {
  const context = later.context ?? first;
  return {
    agent,
    task,
    ...(context !== undefined && { context }),
    replica,
    owner,
    ...(team !== undefined && { team }),
    ...(endUser !== undefined && { endUser }),
    state: later.state,
    createdAtMs,
    updatedAtMs: later.updatedAtMs,
  };
}

/** A conversation stays whose it is, whatever an agent says of other tasks. */
function noteContext(contexts: Lru<string, TaskRecord>, record: TaskRecord): void {
  if (record.context === undefined) return;
  const key = keyOf(record.agent, record.context);
  const known = contexts.get(key);
  if (known === undefined || known.owner === record.owner) contexts.set(key, record);
}

/** As the store orders them. */
function latestFirst(a: TaskRecord, b: TaskRecord): number {
  return b.updatedAtMs - a.updatedAtMs || (a.task < b.task ? 1 : -1);
}

/** `ms:task` of the last one before the page. */
function isBehind({ updatedAtMs, task }: TaskRecord, after: string | undefined): boolean {
  const [, atMs, last = ''] = /^(\d{1,15}):(.+)$/s.exec(after ?? '') ?? [];
  return atMs === undefined || updatedAtMs < Number(atMs) || (updatedAtMs === Number(atMs) && task < last);
}

function fits(record: TaskRecord, { agent, owner, state, sinceMs = 0, context, after }: TaskFilter): boolean {
  return (
    record.agent === agent &&
    isBehind(record, after) &&
    (owner === undefined || record.owner === owner) &&
    (state === undefined || record.state === state) &&
    record.updatedAtMs >= sinceMs &&
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
