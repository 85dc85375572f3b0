/** A task of an agent that is a model: the answer as an artifact that grows, and what those who follow it hear. In the JSON of A2A 1.0. */
import type { JsonObject } from '../a2a/methods.ts';

export type TaskState = 'TASK_STATE_WORKING' | 'TASK_STATE_COMPLETED' | 'TASK_STATE_FAILED' | 'TASK_STATE_CANCELED';

export interface ModelTask {
  readonly id: string;
  readonly contextId: string;
  readonly state: TaskState;
  readonly text: string;
  /** About what it holds. */
  readonly bytes: number;
  /** Resolves at its end. */
  readonly ended: Promise<unknown>;
  /** As it stands; `historyLength`: so many of the latest messages at most. */
  shown: (historyLength?: number) => JsonObject;
  /** A piece of the answer; `isLast`: nothing more comes. */
  add: (text: string, isLast: boolean) => void;
  /** Once; what comes later changes nothing. */
  end: (state: Exclude<TaskState, 'TASK_STATE_WORKING'>, said?: string) => void;
  /** Updates from now on. Answers how to stop. */
  follow: (hear: (update: JsonObject) => void) => () => void;
}

export interface TaskParts {
  id: string;
  contextId: string;
  message: JsonObject;
  newId: () => string;
  nowMs: () => number;
}

export function createTask({ id, contextId, message, newId, nowMs }: TaskParts): ModelTask {
  const artifactId = newId();
  const listeners = new Set<(update: JsonObject) => void>();
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const messageBytes = JSON.stringify(message).length;
  let text = '';
  let pieces = 0;
  let state: TaskState = 'TASK_STATE_WORKING';
  let status = statusOf(state);
  function statusOf(next: TaskState, said?: string): JsonObject {
    const timestamp = new Date(nowMs()).toISOString();
    if (said === undefined) return { state: next, timestamp };
    const words = { messageId: newId(), role: 'ROLE_AGENT', taskId: id, contextId, parts: [{ text: said }] };
    return { state: next, timestamp, message: words };
  }
  const tell = (update: JsonObject): void => {
    for (const hear of listeners) hear(update);
  };
  const artifactWith = (words: string): JsonObject => ({ artifactId, name: 'answer', parts: [{ text: words }] });
  return {
    id,
    contextId,
    ended,
    get state() {
      return state;
    },
    get text() {
      return text;
    },
    get bytes() {
      return messageBytes + 2 * text.length;
    },
    shown: (historyLength = 1) => ({
      id,
      contextId,
      status,
      ...(pieces > 0 && { artifacts: [artifactWith(text)] }),
      ...(historyLength > 0 && { history: [message] }),
    }),
    add(piece, isLast) {
      if (state !== 'TASK_STATE_WORKING') return;
      text += piece;
      tell({
        artifactUpdate: { taskId: id, contextId, artifact: artifactWith(piece), append: pieces++ > 0, lastChunk: isLast },
      });
    },
    end(next, said) {
      if (state !== 'TASK_STATE_WORKING') return;
      state = next;
      status = statusOf(next, said);
      tell({ statusUpdate: { taskId: id, contextId, status } });
      listeners.clear();
      resolve();
    },
    follow(hear) {
      listeners.add(hear);
      return () => void listeners.delete(hear);
    },
  };
}
