/** Sessions of people at the console: 256 unpredictable bits in a cookie, their digest in the store, and an end whatever happens. */
import { createHash } from 'node:crypto';

import type { ConsoleSession, PeoplePort } from '../../store/ports/people.ts';

/** Unused for so long, a session ends; and so long after it was opened, used or not. */
export const SESSION_IDLE_MS = 30 * 60_000;
export const SESSION_MS = 12 * 3_600_000;
/** Its last use is written at most so often. */
const SEEN_MS = 60_000;
const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const MAX_AGENT = 200;

export interface SessionsParts {
  store: { readonly people: PeoplePort };
  nowMs: () => number;
  random: (size: number) => Buffer;
  /** `ses` → `ses_…`, ordered by time. */
  newId: (prefix: string) => string;
}

export interface Sessions {
  /** `token`: for the cookie; it is kept nowhere. */
  open: (whose: { user: string; ip: string; agent: string | undefined }) => Promise<{ token: string; session: ConsoleSession }>;
  /** Undefined: there is none, or it has ended. Counts as a use. */
  find: (token: string) => Promise<ConsoleSession | undefined>;
  get: (id: string) => Promise<ConsoleSession | undefined>;
  list: (query: { user?: string | undefined; afterId?: string | undefined; limit: number }) => Promise<ConsoleSession[]>;
  end: (id: string) => Promise<void>;
}

export function createSessions({ store, nowMs, random, newId }: SessionsParts): Sessions {
  const { people } = store;
  const isGood = (session: ConsoleSession | undefined): session is ConsoleSession =>
    session !== undefined && nowMs() < session.endsAtMs && nowMs() < session.seenAtMs + SESSION_IDLE_MS;
  return {
    open: async ({ user, ip, agent = '' }) => {
      const atMs = nowMs();
      await people.forgetSessions({ endedBeforeMs: atMs, seenBeforeMs: atMs - SESSION_IDLE_MS });
      const token = random(TOKEN_BYTES).toString('base64url');
      const shown = agent.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_AGENT);
      const times = { createdAtMs: atMs, seenAtMs: atMs, endsAtMs: atMs + SESSION_MS };
      const session = { id: newId('ses'), user, ...times, ip, agent: shown };
      await people.openSession(session, digestOf(token));
      return { token, session };
    },
    find: async (token) => {
      if (!TOKEN.test(token)) return undefined;
      const digest = digestOf(token);
      const session = await people.session(digest);
      if (!isGood(session)) return undefined;
      if (nowMs() - session.seenAtMs >= SEEN_MS) await people.seen(digest, nowMs());
      return session;
    },
    get: async (id) => {
      const session = await people.sessionOf(id);
      return isGood(session) ? session : undefined;
    },
    list: (query) => people.sessions({ ...query, nowMs: nowMs(), seenAfterMs: nowMs() - SESSION_IDLE_MS }),
    end: (id) => people.endSession(id),
  };
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
