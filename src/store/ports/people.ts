/** Whom identity providers vouch for, and the console's sessions. Secrets are kept as digests only. */

/** Who is who: an issuer's person is a user here. */
export interface LinkedIdentity {
  issuer: string;
  subject: string;
  /** `usr_…` */
  user: string;
  linkedAtMs: number;
}

export interface ConsoleSession {
  /** `ses_…`: names it, opens nothing. */
  id: string;
  user: string;
  createdAtMs: number;
  /** When it was last used, to the minute. */
  seenAtMs: number;
  /** Used or not, it ends then. */
  endsAtMs: number;
  /** Where it was opened, and by what; cut, for people to recognise. */
  ip: string;
  agent: string;
}

export interface SessionQuery {
  /** Absent: everybody's. */
  user?: string | undefined;
  /** Only those that are good at that moment: opened, not past their end, seen after `seenAfterMs`. */
  nowMs: number;
  seenAfterMs: number;
  /** Only what comes behind it; ids are ordered by the time they were made. */
  afterId?: string | undefined;
  limit: number;
}

export interface PeoplePort {
  identity(issuer: string, subject: string): Promise<LinkedIdentity | undefined>;
  identitiesOf(user: string): Promise<LinkedIdentity[]>;
  /** Rejects with `conflict` where it is linked already to somebody else than `instead`. */
  link(identity: LinkedIdentity, instead?: string): Promise<void>;
  openSession(session: ConsoleSession, digest: string): Promise<void>;
  session(digest: string): Promise<ConsoleSession | undefined>;
  /** By its id. */
  sessionOf(id: string): Promise<ConsoleSession | undefined>;
  seen(digest: string, atMs: number): Promise<void>;
  /** Ordered by id. */
  sessions(query: SessionQuery): Promise<ConsoleSession[]>;
  /** By its id. */
  endSession(id: string): Promise<void>;
  /** Those that ended, or were last seen, before; and those of that user. */
  forgetSessions(which: { endedBeforeMs: number; seenBeforeMs: number } | { user: string }): Promise<void>;
}
