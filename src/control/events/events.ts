/** What operators are told of: every event is a line of the log, and goes to their webhook where they have one. */
import type { EventSettings } from '../../config/snapshot.ts';
import type { EventFact, EventType, Raise } from '../../core/fact.ts';
import { type EventQueue, createEventQueue } from './queue.ts';
import { type Post, deliverEvent, wants } from './webhook.ts';

type Level = 'info' | 'warn' | 'error';

export interface EventsParts {
  log: (level: Level, fields: Record<string, unknown>, message: string) => void;
  post: Post;
  nowMs: () => number;
  eventId: (nowMs: number) => string;
  random: () => number;
  /** For tests: see `QueueOptions`. */
  pausesMs?: readonly number[];
}

export interface Events {
  /** Something that a worker recorded. */
  observe(event: EventFact): void;
  /** Something that happened on the main thread. */
  raise: Raise;
  /** The webhook of the configuration in force; what still waits goes to it. */
  use(settings: EventSettings | undefined): void;
  /** The latest thousand of this run, newest first. */
  recent: () => readonly EventFact[];
  /** A last try for what waits; never rejects. */
  close(): Promise<void>;
}

/** How each type is logged. */
const LINES: Readonly<Record<EventType, readonly [Level, string]>> = {
  'budget.soft_exceeded': ['warn', 'a soft budget is exceeded'],
  'budget.exceeded': ['warn', 'a budget is used up'],
  'budget.threshold': ['info', 'a budget is nearly used up'],
  'limit.exceeded': ['info', 'a limit refuses'],
  'key.created': ['info', 'a key was created'],
  'key.rotated': ['info', 'a key was rotated'],
  'key.blocked': ['info', 'a key was blocked'],
  'key.expired': ['info', 'a key has expired'],
  'target.failing': ['warn', 'a target fails'],
  'store.down': ['error', 'the store cannot be used'],
  'store.up': ['info', 'the store can be used again'],
  'agent.card_changed': ['warn', 'an agent shows another card, which waits to be adopted'],
  'agent.push_failed': ['warn', 'a push notification never reached its client'],
  'agent.state': ['info', 'the state of an agent has changed'],
  'guard.flagged': ['warn', 'a guard would have stopped an answer that had been sent'],
  'guard.failing': ['error', 'a guard does not answer as it should'],
};

const CLOSE_MS = 1_500;
const RECENT = 1_000;
const EARLY = 1_000;

export function createEvents(parts: EventsParts): Events {
  const { log, post, nowMs, eventId, random, pausesMs } = parts;
  let settings: EventSettings | undefined;
  /** What an earlier run left is read before a configuration is in force. */
  let early: EventFact[] | undefined = [];
  const recent: EventFact[] = [];
  const queue: EventQueue = createEventQueue({
    deliver: (event) => (settings === undefined ? Promise.resolve('taken') : deliverEvent(settings, event, { post, nowMs })),
    onDead: ({ id, type }, reason) => log('error', { event_id: id, event: type, reason }, 'an event never reached the webhook'),
    nowMs,
    random,
    ...(pausesMs !== undefined && { pausesMs }),
  });
  const offer = (event: EventFact): void => {
    if (settings !== undefined && wants(settings, event)) queue.add(event);
  };
  const observe = (event: EventFact): void => {
    recent.unshift(event);
    recent.length = Math.min(recent.length, RECENT);
    const [level, sentence] = LINES[event.type];
    const { id, type, scope, details } = event;
    log(level, { ...details, event: type, event_id: id, ...(scope !== undefined && { scope }) }, sentence);
    if (early === undefined) offer(event);
    else if (early.length < EARLY) early.push(event);
  };
  return {
    observe,
    raise: (type, scope, details) => {
      const atMs = nowMs();
      observe({ kind: 'event', id: eventId(atMs), atMs, type, ...(scope !== undefined && { scope }), details });
    },
    use(next) {
      settings = next;
      for (const event of early ?? []) offer(event);
      early = undefined;
    },
    recent: () => recent,
    close: () => queue.close(CLOSE_MS),
  };
}
