/** The audit log: rows that are only ever added, each chained to the one before it. The store keeps them; who writes them makes and checks the chain. */

export interface AuditRow {
  /** 1, 2, 3… without gaps. */
  seq: number;
  atMs: number;
  /** `root`, or a user's id. */
  actor: string;
  /** How the actor proved who he is. */
  via: string;
  /** `key.create`. */
  action: string;
  /** `begun` stands before every action; an action without a later row did not get to its end, or its end could not be written. */
  outcome: 'begun' | 'done' | 'failed';
  /** `kind:id`. */
  target: string | null;
  /** JSON, without secrets. */
  before: string | null;
  after: string | null;
  /** Code of what it failed by. */
  error: string | null;
  ip: string;
  requestId: string;
  /** The hash of the row before; empty for the first. */
  prev: string;
  hash: string;
}

export interface AuditHead {
  /** 0: the log is empty. */
  seq: number;
  hash: string;
}

export interface AuditQuery {
  actor?: string | undefined;
  action?: string | undefined;
  target?: string | undefined;
  outcome?: AuditRow['outcome'] | undefined;
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
  /** Only rows before this one. */
  beforeSeq?: number | undefined;
  limit: number;
}

export interface AuditPort {
  head(): Promise<AuditHead>;
  /** Rejects with `conflict` where the row's number is taken: somebody else wrote in between. */
  append(row: AuditRow): Promise<void>;
  /** Newest first. */
  list(query: AuditQuery): Promise<AuditRow[]>;
  /** Oldest first, for checking the chain. */
  after(seq: number, limit: number): Promise<AuditRow[]>;
}
