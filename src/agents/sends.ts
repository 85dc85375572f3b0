/**
 * Messages that were sent lately: one message is one piece of work, however often its client sends it. Main's book, since a client may come back to another worker.
 */
import type { Claimed, SendClaim, SendOutcome } from '../core/agent.ts';
import { createLru } from '../lib/lru.ts';

export interface SendBook {
  /** For the first to come, at once; for whoever repeats it, once it is known what came of it, or the wait is over. */
  claim(claim: SendClaim): Promise<Claimed>;
  settle(key: string, outcome: SendOutcome): void;
}

interface Sent {
  body: number;
  atMs: number;
  outcome?: SendOutcome;
  waiting: (() => void)[];
}

const REMEMBERED_MS = 600_000;
const MAX_SENDS = 20_000;

export function createSendBook(nowMs: () => number): SendBook {
  const sends = createLru<string, Sent>(MAX_SENDS);
  return {
    async claim({ key, body, waitMs }) {
      const endsAtMs = nowMs() + waitMs;
      for (;;) {
        const sent = sends.get(key);
        if (sent === undefined || sent.outcome?.is === 'nothing' || nowMs() - sent.atMs >= REMEMBERED_MS) {
          sends.set(key, { body, atMs: nowMs(), waiting: [] });
          return { is: 'yours' };
        }
        if (sent.body !== body) return { is: 'another' };
        if (sent.outcome !== undefined) return sent.outcome;
        const leftMs = endsAtMs - nowMs();
        if (leftMs <= 0) return { is: 'under_way' };
        await settledWithin(sent, leftMs);
      }
    },
    settle(key, outcome) {
      const sent = sends.get(key);
      if (sent === undefined) return;
      sent.outcome = outcome;
      for (const wake of sent.waiting.splice(0)) wake();
    },
  };
}

function settledWithin(sent: Sent, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    sent.waiting.push(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
