/**
 * What a client of a stream has missed. A task's snapshot in the middle of a stream would be out of order (1.0 §3.1.2: the task comes first, then updates), so it
 * becomes updates: each artifact whole, taking the place of what the client has of it, then the status.
 */
import { isTerminal, objectOf, stateNamed } from '../../agents/a2a/read.ts';

/** Events that are no snapshot stay what they are. */
export function missedIn(event: unknown): unknown[] {
  const whole = objectOf(event);
  const wrapped = objectOf(whole?.task);
  const task = wrapped ?? (whole?.kind === 'task' ? whole : undefined);
  if (task === undefined) return [event];
  const { id: taskId, contextId, status } = task;
  const ids = { taskId, contextId };
  const updates = listOf(task.artifacts).map((artifact) => artifactUpdate(ids, artifact));
  if (wrapped !== undefined) {
    return [...updates.map((update) => ({ artifactUpdate: update })), { statusUpdate: { ...ids, status } }];
  }
  const final = isTerminal(stateNamed(objectOf(status)?.state));
  const bare = updates.map((update) => Object.assign({ kind: 'artifact-update' }, update));
  return [...bare, { kind: 'status-update', ...ids, status, final }];
}

function artifactUpdate(ids: object, artifact: unknown): object {
  return { ...ids, artifact, append: false, lastChunk: true };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
