/** 0.3 marks the last status of a stream as final, also where the agent waits for the client; 1.0 just ends its stream. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { JsonObject } from './methods.ts';
import { seenIn } from './read.ts';

/** How long a status waits to be known as the last one: an agent that has no more to say ends its stream at once. */
const HELD_MS = 100;

/**
 * Events of a stream for a client of 0.3. Whether a status is the last shows with what follows only, so it waits for that, but not for long: a stream that stays open tells
 * the client at once what it is waited for, and says it again as final where nothing else came before the end.
 */
export async function* withFinal(events: AsyncGenerator<unknown, void, undefined>): AsyncGenerator<unknown, void, undefined> {
  let held: JsonObject | undefined;
  let isTold = false;
  try {
    for (;;) {
      const next = events.next();
      if (held !== undefined && !(await isSettledSoon(next))) {
        isTold = true;
        yield held;
      }
      const { value: event, done } = await next;
      if (done === true) break;
      if (held !== undefined && !isTold) yield held;
      held = waits(event) ? (event as JsonObject) : undefined;
      isTold = false;
      if (held === undefined) yield event;
    }
    if (held !== undefined) yield { ...held, final: true };
  } finally {
    // Not waited for: it comes after the event that is under way, which a client that left need not see.
    void events.return().catch(() => undefined);
  }
}

function waits(event: unknown): boolean {
  const seen = seenIn(event);
  return seen?.kind === 'status' && (seen.state === 'input-required' || seen.state === 'auth-required');
}

function isSettledSoon(next: Promise<unknown>): Promise<boolean> {
  const settled = next.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, sleep(HELD_MS, false, { ref: false })]);
}
