import type { EventFact, Raise } from '../core/fact.ts';

export interface RaiseOptions {
  record: (event: EventFact) => void;
  nowMs: () => number;
  eventId: (nowMs: number) => string;
}

/** One event of a type about a scope says it all for a while: a refused client asks again a thousand times. */
const QUIET_MS = 60_000;
/** Scopes that were told of lately. Beyond it the oldest may be told of again. */
const REMEMBERED = 4_096;

/** Records events, at most one a minute for each type and scope; a budget's thresholds are different things to tell. */
export function createRaise({ record, nowMs, eventId }: RaiseOptions): Raise {
  const toldAtMs = new Map<string, number>();
  return (type, scope, details) => {
    const about = `${type} ${scope ?? ''} ${details['window'] ?? ''} ${details['percent'] ?? ''}`;
    const atMs = nowMs();
    const told = toldAtMs.get(about);
    if (told !== undefined && atMs - told < QUIET_MS && atMs >= told) return;
    toldAtMs.delete(about);
    toldAtMs.set(about, atMs);
    if (toldAtMs.size > REMEMBERED) toldAtMs.delete(toldAtMs.keys().next().value!);
    record({ kind: 'event', id: eventId(atMs), atMs, type, ...(scope !== undefined && { scope }), details });
  };
}
