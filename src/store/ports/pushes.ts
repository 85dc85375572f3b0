/** Where clients want to be told of their tasks, and what waits to be told or never arrived. Deleted with the task. */
import type { PushPlace } from '../../core/push.ts';

export interface StoredPush extends PushPlace {
  /** Opaque; agents know it by this. */
  push: string;
  agent: string;
  /** The client's own name for it, one of its kind per task; '' where it gave none. */
  configId: string;
  /** Where to and with which credentials. */
  sealed: string;
  createdAtMs: number;
}

export interface StoredDelivery {
  push: string;
  /** Of what is told: the same twice is told once. */
  digest: string;
  /** Order within a push: epoch µs, never twice. */
  seq: number;
  sealed: string;
  /** Begun so far. */
  tries: number;
  dueAtMs: number;
}

export interface Waiting {
  push: string;
  owner: string;
}

export interface DeadLetter {
  agent: string;
  push: string;
  task: string | undefined;
  owner: string;
  seq: number;
  tries: number;
  reason: string;
}

export interface DeadFilter {
  agent: string;
  /** Older than this. */
  before?: number;
  limit: number;
}

export interface PushesPort {
  /** Answers which push that is now: one of the same agent, task and name keeps its own. Undefined: the task has as many others as it may. */
  put(push: StoredPush, most: number): Promise<string | undefined>;
  get(push: string): Promise<StoredPush | undefined>;
  ofTask(agent: string, task: string): Promise<StoredPush[]>;
  /** A push that came along with a message: at which replica the message is, and which task became of it. The first task holds. */
  bind(push: string, place: { replica?: string; task?: string }): Promise<void>;
  /** With all that waits, and all dead letters. */
  remove(push: string): Promise<void>;
  /** `known`: that was told, or is about to be. `full`: as many wait as may. `gone`: there is no such push. */
  deliver(delivery: Omit<StoredDelivery, 'tries' | 'dueAtMs'>, most: number): Promise<'taken' | 'known' | 'full' | 'gone'>;
  /** The first that waits. */
  next(push: string): Promise<StoredDelivery | undefined>;
  /** Pushes with something that waits. */
  waiting(): Promise<Waiting[]>;
  /** Begins a try; false: somebody else has. `dueAtMs`: when the next one would be. */
  claim(delivery: Pick<StoredDelivery, 'push' | 'digest' | 'tries'>, dueAtMs: number): Promise<boolean>;
  /** It arrived, or never will, for the reason. What it said is forgotten. */
  settle(delivery: Pick<StoredDelivery, 'push' | 'digest'>, reason?: string): Promise<void>;
  /** The latest first. */
  dead(filter: DeadFilter): Promise<DeadLetter[]>;
}
