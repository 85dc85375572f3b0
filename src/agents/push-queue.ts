/**
 * Notifications on their way to clients. What waits stands in the store, so that nothing is lost with the process; here is only when whom is tried next. Each push keeps its
 * order: what waits behind a receiver that is down waits, and holds up no other's.
 */
import type { PushesPort, StoredDelivery, Waiting } from '../store/ports/pushes.ts';

/** Undefined: it arrived. `isFinal`: trying again would change nothing. */
export type Outcome = { reason: string; isFinal: boolean } | undefined;

export interface PushQueueParts {
  store: Pick<PushesPort, 'next' | 'waiting' | 'claim' | 'settle'>;
  /** Ends by itself; never rejects. */
  send: (delivery: StoredDelivery) => Promise<Outcome>;
  /** Told of each that will never arrive. */
  onDead: (delivery: StoredDelivery, reason: string) => Promise<void>;
  nowMs: () => number;
  /** [0, 1) */
  random: () => number;
  /** Pause before each further try, ms; one more try than these. */
  pausesMs?: readonly number[];
}

export interface PushQueue {
  /** Something may wait there. */
  wake(waiting: Waiting): void;
  /** Takes up what an earlier run left. Answers how to stop. */
  start(): () => void;
}

const PAUSES_MS = [1_000, 5_000, 30_000, 120_000, 600_000] as const;
/** Part of a pause that is left to chance. */
const JITTER = 0.2;
const AT_ONCE = 64;
/** Of one owner: whose receivers all hang holds up nobody but himself. */
const AT_ONCE_OF_ONE = 8;
/** The store cannot be used, or another node is at it. */
const LATER_MS = 5_000;
/** No pause is longer; a clock that was set back must not stop a timer for ever. */
const LONGEST_MS = 900_000;

export function createPushQueue(parts: PushQueueParts): PushQueue {
  const { store } = parts;
  /** Pushes that are at work or wait for their time; true: woken meanwhile. */
  const lanes = new Map<string, boolean>();
  const timers = new Set<NodeJS.Timeout>();
  const stopping = new AbortController();
  const turns = createTurns(stopping.signal);

  const after = (ms: number, then: () => void): void => {
    const timer = setTimeout(() => void (timers.delete(timer) && then()), Math.min(ms, LONGEST_MS)).unref();
    timers.add(timer);
  };
  const work = async (one: Waiting): Promise<void> => {
    const { push } = one;
    let waitMs: number | undefined = 0;
    while (waitMs === 0 && !stopping.signal.aborted) {
      lanes.set(push, false);
      waitMs = await tryFirst(parts, push).catch(() => LATER_MS);
    }
    if (waitMs !== undefined) after(waitMs, () => enter(one));
    else if (lanes.get(push) === true) enter(one);
    else lanes.delete(push);
  };
  const enter = (one: Waiting): void => turns.take(one.owner, () => work(one));
  const wake = (one: Waiting): void => {
    const isThere = lanes.has(one.push);
    lanes.set(one.push, isThere);
    if (!isThere) enter(one);
  };
  const takeUp = async (): Promise<void> => {
    const left = await store.waiting().catch(() => undefined);
    if (left === undefined) after(LATER_MS, () => void takeUp());
    else left.forEach(wake);
  };

  return {
    wake,
    start() {
      void takeUp();
      return () => {
        stopping.abort();
        timers.forEach(clearTimeout);
      };
    },
  };
}

/** Who comes first is served first, as far as there is room for his owner. */
function createTurns(stopped: AbortSignal): { take: (owner: string, run: () => Promise<void>) => void } {
  let waiting: { owner: string; run: () => Promise<void> }[] = [];
  const underWay = new Map<string, number>();
  let all = 0;
  const count = (owner: string, by: 1 | -1): void => {
    const now = (underWay.get(owner) ?? 0) + by;
    all += by;
    if (now === 0) underWay.delete(owner);
    else underWay.set(owner, now);
  };
  const turn = (): void => {
    waiting = waiting.filter(({ owner, run }) => {
      if (stopped.aborted || all >= AT_ONCE || (underWay.get(owner) ?? 0) >= AT_ONCE_OF_ONE) return true;
      count(owner, 1);
      void run().finally(() => {
        count(owner, -1);
        turn();
      });
      return false;
    });
  };
  return {
    take(owner, run) {
      waiting.push({ owner, run });
      turn();
    },
  };
}

/** One try of what is first. Answers after how many ms to look again; undefined: nothing waits. */
async function tryFirst(parts: PushQueueParts, push: string): Promise<number | undefined> {
  const { store, send, onDead, nowMs, random, pausesMs = PAUSES_MS } = parts;
  const first = await store.next(push);
  if (first === undefined) return undefined;
  const waitMs = first.dueAtMs - nowMs();
  if (waitMs > 0) return waitMs;
  const isSpent = first.tries > pausesMs.length;
  const pauseMs = (pausesMs[first.tries] ?? 0) * (1 - JITTER + 2 * JITTER * random());
  // Before it is sent: a process that dies of it has tried as well.
  if (!isSpent && !(await store.claim(first, Math.ceil(nowMs() + pauseMs)))) return LATER_MS;
  const outcome = isSpent ? { reason: 'tries', isFinal: true } : await send(first);
  if (outcome === undefined) await store.settle(first);
  else if (outcome.isFinal || first.tries >= pausesMs.length) {
    await store.settle(first, outcome.reason);
    await onDead(first, outcome.reason);
  }
  return 0;
}
