/** How often people may change things: what they make takes places in shared memory, which rest for an hour after it is gone, and rows of the audit log, which stay. */
import { GatewayError } from '../core/errors.ts';
import { createLru } from '../lib/lru.ts';
import type { Actor } from './contract/actor.ts';

const CHANGES_PER_MINUTE = 120;
const MS_PER_CHANGE = 60_000 / CHANGES_PER_MINUTE;
const REMEMBERED_PEOPLE = 10_000;

/** Before each change. Throws rate_limited, with the time after which there is room for one more. */
export type Pace = (actor: Actor) => void;

/** At most 120 at once, and 120 a minute in the long run, for each person who is no admin of the installation. */
export function createPace(nowMs: () => number): Pace {
  /** By person: until when what was done so far takes, were it done at an even pace (GCRA, ITU-T I.371). */
  const busyUntil = createLru<string, number>(REMEMBERED_PEOPLE);
  return (actor) => {
    if (actor.kind !== 'user' || actor.role === 'admin') return;
    const now = nowMs();
    const next = Math.max(now, busyUntil.get(actor.id) ?? 0) + MS_PER_CHANGE;
    const waitMs = next - now - CHANGES_PER_MINUTE * MS_PER_CHANGE;
    if (waitMs > 0) throw tooFast(waitMs);
    busyUntil.set(actor.id, next);
  };
}

function tooFast(waitMs: number): GatewayError {
  const message = `You may make ${CHANGES_PER_MINUTE} changes a minute`;
  return new GatewayError('rate_limited', { details: { message, retryAfterS: Math.ceil(waitMs / 1000) } });
}
