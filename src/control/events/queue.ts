/**
 * Events on their way to one receiver: in memory, bounded, each tried again with growing pauses until it is taken or given up. A receiver that
 * is down holds up nobody but itself.
 */
import type { EventFact } from '../../core/fact.ts';

/** `refused`: trying again would change nothing. */
export type Delivery = 'taken' | 'failed' | 'refused';

export interface QueueOptions {
  /** Ends by itself; a rejection counts as `failed`. */
  deliver: (event: EventFact) => Promise<Delivery>;
  /** Told of every event that never arrives. */
  onDead: (event: EventFact, reason: 'refused' | 'tries' | 'full' | 'stopped') => void;
  nowMs: () => number;
  /** [0, 1) */
  random: () => number;
  /** Pause before each further try, ms; one more try than these. */
  pausesMs?: readonly number[];
  capacity?: number;
}

export interface EventQueue {
  /** An id that was seen lately is not taken again. */
  add(event: EventFact): void;
  /** One last try for each that waits, within the deadline; never rejects. */
  close(deadlineMs: number): Promise<void>;
}

const PAUSES_MS = [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000] as const;
const CAPACITY = 1_000;
const AT_ONCE = 4;
/** Ids whose repetition is noticed. */
const REMEMBERED = 4_096;
/** Part of a pause that is left to chance, so that events of one moment do not come back in one moment. */
const JITTER = 0.2;

interface Waiting {
  event: EventFact;
  tries: number;
  dueMs: number;
}

export function createEventQueue(options: QueueOptions): EventQueue {
  const { deliver, onDead, nowMs, random, pausesMs = PAUSES_MS, capacity = CAPACITY } = options;
  let waiting: Waiting[] = [];
  const underWay = new Map<Promise<void>, EventFact>();
  const isNews = createMemory(REMEMBERED);
  let timer: NodeJS.Timeout | undefined;
  let closing = false;

  const attempt = async (one: Waiting): Promise<void> => {
    const delivery = await deliver(one.event).catch((): Delivery => 'failed');
    if (delivery === 'taken') return;
    const pauseMs = pausesMs[one.tries];
    if (delivery === 'refused') onDead(one.event, 'refused');
    else if (closing) onDead(one.event, 'stopped');
    else if (pauseMs === undefined) onDead(one.event, 'tries');
    else put({ event: one.event, tries: one.tries + 1, dueMs: nowMs() + pauseMs * (1 - JITTER + 2 * JITTER * random()) });
  };
  const put = (one: Waiting): void => {
    waiting.push(one);
    if (waiting.length > capacity) onDead(waiting.shift()!.event, 'full');
  };
  const turn = (): void => {
    clearTimeout(timer);
    const now = nowMs();
    for (const one of waiting.filter(({ dueMs }) => closing || dueMs <= now).slice(0, AT_ONCE - underWay.size)) {
      waiting = waiting.filter((each) => each !== one);
      const running: Promise<void> = attempt(one).finally(() => {
        underWay.delete(running);
        turn();
      });
      underWay.set(running, one.event);
    }
    if (waiting.length === 0 || underWay.size >= AT_ONCE) return;
    const nextMs = Math.min(...waiting.map(({ dueMs }) => dueMs)) - nowMs();
    timer = setTimeout(turn, Math.max(1, nextMs)).unref();
  };

  return {
    add(event) {
      if (closing || !isNews(event.id)) return;
      put({ event, tries: 0, dueMs: nowMs() });
      turn();
    },
    async close(deadlineMs) {
      closing = true;
      turn();
      const late = Promise.withResolvers<void>();
      const alarm = setTimeout(() => late.resolve(), deadlineMs);
      while (underWay.size > 0) {
        const first = await Promise.race([late.promise.then(() => 'late'), ...underWay.keys()]);
        if (first === 'late') break;
      }
      clearTimeout(alarm);
      clearTimeout(timer);
      for (const event of [...underWay.values(), ...waiting.map((one) => one.event)]) onDead(event, 'stopped');
      waiting = [];
    },
  };
}

/** Whether an id was not seen lately. */
function createMemory(size: number): (id: string) => boolean {
  const seen = new Set<string>();
  return (id) => {
    if (seen.has(id)) return false;
    seen.add(id);
    if (seen.size > size) seen.delete(seen.values().next().value!);
    return true;
  };
}
