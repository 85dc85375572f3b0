/** Looks at agents that no caller waits for: however many are due, so many are under way at once. Whoever hangs holds one place, and keeps nobody else waiting for its round. */
import type { AgentEntry } from './entry.ts';

const AT_ONCE = 16;

/** Answers when that agent has been looked at. Who waits already, or is being looked at, is not looked at twice. `look` never rejects. */
export function createLookQueue(look: (entry: AgentEntry) => Promise<void>): (entry: AgentEntry) => Promise<void> {
  const queued = new Map<AgentEntry, Promise<void>>();
  const waiting = new Map<AgentEntry, () => void>();
  let free = AT_ONCE;
  const begin = async (entry: AgentEntry): Promise<void> => {
    free -= 1;
    await look(entry);
    free += 1;
    queued.delete(entry);
    for (const [next, start] of waiting) {
      waiting.delete(next);
      return start();
    }
  };
  return (entry) => {
    const known = queued.get(entry);
    if (known !== undefined) return known;
    const done = free > 0 ? begin(entry) : new Promise<void>((resolve) => waiting.set(entry, () => resolve(begin(entry))));
    queued.set(entry, done);
    return done;
  };
}
