/** Agents registered over the API, what they were asked and have cost, and whose their tasks are. */
import type { TaskFilter, TaskPage, TaskRecord } from '../../core/agent.ts';
import type { NanoUsd } from '../../core/money.ts';

export interface StoredAgent {
  name: string;
  /** `agent`: all of it; `overlay`: only what was changed about an agent of the file. */
  kind: 'agent' | 'overlay';
  /** 1, 2, 3… */
  version: number;
  atMs: number;
  /** `root` or a user's id. */
  by: string;
  /** JSON, as the API takes it; holds no secret. */
  content: string;
  /** The credential and secret headers. */
  sealed?: string;
}

export interface AgentTotals {
  agent: string;
  /** Sends that it answered. */
  invocations: number;
  nanoUsd: NanoUsd;
}

export interface AgentsPort {
  /** By name. */
  list(): Promise<StoredAgent[]>;
  /** Rejects with `conflict` where the stored version is not the one before; version 1: where there is one. */
  put(agent: StoredAgent): Promise<void>;
  /** False: there was none. Tasks stay. */
  remove(name: string): Promise<boolean>;
  totals(): Promise<AgentTotals[]>;
  forgetTotals(agent: string): Promise<void>;
  task(agent: string, task: string): Promise<TaskRecord | undefined>;
  /** The latest of that context. */
  taskOfContext(agent: string, context: string): Promise<TaskRecord | undefined>;
  /** The latest first. */
  tasks(filter: TaskFilter): Promise<TaskPage>;
}
