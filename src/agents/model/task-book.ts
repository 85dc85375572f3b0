/** Tasks of all agents that are models. They are kept in this process, within bounds: those that ended longest ago go first, those at work never. */
import type { ModelTask } from './task.ts';

export interface TaskBook {
  get: (agent: string, id: string) => ModelTask | undefined;
  /** False: too many are at work. */
  hasRoom: () => boolean;
  add: (agent: string, task: ModelTask) => void;
}

export interface TaskBounds {
  atWork: number;
  /** Of their messages. */
  atWorkBytes: number;
  ended: number;
  endedBytes: number;
  keptMs: number;
}

/** As long as the gateway knows whose they are. */
const BOUNDS: TaskBounds = {
  atWork: 1_000,
  atWorkBytes: 256 * 1024 * 1024,
  ended: 10_000,
  endedBytes: 64 * 1024 * 1024,
  keptMs: 86_400_000,
};

export function createTaskBook(nowMs: () => number, bounds = BOUNDS): TaskBook {
  const atWork = new Map<string, ModelTask>();
  /** In the order of their ends. */
  const over = new Map<string, { task: ModelTask; bytes: number; atMs: number }>();
  let atWorkBytes = 0;
  let overBytes = 0;
  const forget = (): void => {
    const beforeMs = nowMs() - bounds.keptMs;
    for (const [key, { bytes, atMs }] of over) {
      if (atMs > beforeMs && over.size <= bounds.ended && overBytes <= bounds.endedBytes) return;
      over.delete(key);
      overBytes -= bytes;
    }
  };
  return {
    get(agent, id) {
      forget();
      const key = `${agent}\n${id}`;
      return atWork.get(key) ?? over.get(key)?.task;
    },
    hasRoom: () => atWork.size < bounds.atWork && atWorkBytes < bounds.atWorkBytes,
    add(agent, task) {
      const key = `${agent}\n${task.id}`;
      const messageBytes = task.bytes;
      atWork.set(key, task);
      atWorkBytes += messageBytes;
      void task.ended.finally(() => {
        atWork.delete(key);
        atWorkBytes -= messageBytes;
        over.set(key, { task, bytes: task.bytes, atMs: nowMs() });
        overBytes += task.bytes;
        forget();
      });
    },
  };
}
