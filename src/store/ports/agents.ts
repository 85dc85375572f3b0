/** Agents registered over the API, what they were asked and have cost, and whose their tasks are. */
import type { TaskFilter, TaskPage, TaskRecord } from '../../core/agent.ts';
import type { NanoUsd } from '../../core/money.ts';

export interface StoredAgent {
  name: string;
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

/** What was said over the API about an agent of the file. */
export interface AgentSwitch {
  agent: string;
  enabled: boolean;
  /** The file's own word at that time: another one is newer. */
  fileSays: boolean;
  atMs: number;
  by: string;
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
  switches(): Promise<AgentSwitch[]>;
  switch(agent: AgentSwitch): Promise<void>;
  forgetSwitch(agent: string): Promise<void>;
  totals(): Promise<AgentTotals[]>;
  forgetTotals(agent: string): Promise<void>;
  task(agent: string, task: string): Promise<TaskRecord | undefined>;
  /** The latest of that context. */
  taskOfContext(agent: string, context: string): Promise<TaskRecord | undefined>;
  /** The latest first. */
  tasks(filter: TaskFilter): Promise<TaskPage>;
  /** What these tasks of an agent have cost, by their ids; those that cost nothing are left out. */
  taskCosts(agent: string, tasks: readonly string[]): Promise<ReadonlyMap<string, NanoUsd>>;
}
