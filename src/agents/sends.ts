/**
 * Messages that were sent lately: one message is one piece of work, however often its client sends it. Main's book, since a client may come back to another worker.
 */
import type { Claimed, SendClaim, SendOutcome } from '../core/agent.ts';

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
/** 330 a second for all of that time; 60 MB. */
const MAX_SENDS = 200_000;
const MOST_ANSWERS = 64 * 1024 * 1024;

export function createSendBook(nowMs: () => number): SendBook {
  /** In the order they came. */
  const sends = new Map<string, Sent>();
  const answers = createAnswers();
  const forget = (key: string): void => {
    sends.delete(key);
    answers.forget(key);
  };
  const forgetOld = (): void => {
    const sinceMs = nowMs() - REMEMBERED_MS;
    for (const [key, { atMs }] of sends) {
      if (atMs > sinceMs && sends.size < MAX_SENDS) return;
      forget(key);
    }
  };
  return {
    async claim({ key, body, waitMs }) {
      forgetOld();
      const endsAtMs = nowMs() + waitMs;
      for (;;) {
        const sent = sends.get(key);
        if (sent === undefined || sent.outcome?.is === 'nothing') {
          // Behind all others.
          forget(key);
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
      if (outcome.is === 'answer') answers.keep(key, sent, outcome.answer.length);
      for (const wake of sent.waiting.splice(0)) wake();
    },
  };
}

interface Answers {
  keep(key: string, sent: Sent, size: number): void;
  forget(key: string): void;
}

/** What was answered, as long as there is room: the oldest are gone first, though what they answered is still known as sent. */
function createAnswers(): Answers {
  const kept = new Map<string, { sent: Sent; size: number }>();
  let whole = 0;
  const forget = (key: string): void => {
    whole -= kept.get(key)?.size ?? 0;
    kept.delete(key);
  };
  return {
    keep(key, sent, size) {
      forget(key);
      kept.set(key, { sent, size });
      whole += size;
      for (const [oldest, { sent: old }] of kept) {
        if (whole <= MOST_ANSWERS) return;
        old.outcome = { is: 'gone' };
        forget(oldest);
      }
    },
    forget,
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
