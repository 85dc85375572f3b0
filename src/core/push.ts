/** Push notifications of A2A between a client that wants them, main that keeps and sends them, and workers that take them in. Plain data. */
import type { AgentInterface, TaskRecord } from './agent.ts';

/** Whose it is, as of a task. */
export type PushOwner = Pick<TaskRecord, 'owner' | 'team' | 'endUser'>;

/** Where a client wants to be told, and how it knows us there. Secret. */
export interface PushTarget {
  url: string;
  token?: string;
  /** Of `Authorization`. */
  scheme?: string;
  credentials?: string;
}

/** What a notification belongs to. */
export interface PushPlace extends PushOwner {
  /** Absent: it came along with a message, and no task of it is known yet. */
  task?: string;
  /** Where that message is. */
  replica?: string;
  /** In which the client is told. */
  version: AgentInterface['version'];
}

/** As whoever may see the task is told of it: no secret. */
export interface PushShown {
  id: string;
  task: string;
  url: string;
  scheme?: string;
}

/** What workers ask main. */
export type PushQuestion =
  /** PushMade. */
  | {
      ask: 'push_create';
      agent: string;
      task?: string;
      replica?: string;
      /** '' where the client gave none. */
      configId: string;
      version: PushPlace['version'];
      target: PushTarget;
      who: PushOwner;
    }
  /** PushShown[] */
  | { ask: 'push_list'; agent: string; task: string }
  /** Which push that was; undefined: there is none. */
  | { ask: 'push_remove'; agent: string; task: string; configId: string }
  | { ask: 'push_bind'; push: string; replica?: string; task?: string }
  /** PushPlace or undefined. */
  | { ask: 'push_place'; agent: string; push: string }
  /** `taken`, `known`, `full` or `gone`; durable then. `repeats`: the same once more is news. */
  | { ask: 'push_came'; push: string; owner: string; body: string; repeats: boolean };

/** `isNew`: there was none of that name. */
export type PushMade = { push: string; isNew: boolean } | { refused: string };
