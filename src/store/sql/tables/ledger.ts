/** Facts as rows. Times are epoch ms, money nano-USD, booleans 0 and 1, lists JSON. */

export interface JournalPositionTable {
  node: string;
  file: string;
  position: number;
}

export interface RequestLogTable {
  /** `ex_…`, ordered by time. */
  id: string;
  at_ms: number;
  request_id: string;
  surface: string;
  stream: number;
  key_id: string | null;
  /** Scopes: `user:usr_…` or `service:svc_…`. */
  principal: string | null;
  team: string | null;
  org: string | null;
  /** As the client names its own user. */
  end_user: string | null;
  model: string | null;
  provider: string | null;
  target: string | null;
  status: number;
  /** An outcome of core/exchange.ts, or `interrupted`. */
  outcome: string;
  error: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cost_nano_usd: number | null;
  estimated: number;
  first_byte_ms: number | null;
  total_ms: number;
  /** The rest of the fact, JSON. */
  detail: string;
}

export interface LedgerEntryTable {
  exchange_id: string;
  attempt: number;
  /** When it was reserved: the window that pays. */
  at_ms: number;
  state: 'settled' | 'released' | 'expired';
  reserved_nano_usd: number;
  nano_usd: number;
  estimated: number;
  target: string;
  /** JSON list. */
  scopes: string;
}

/** Sums of ledger entries per scope and quarter of an hour. Quarter 0 holds what retention has given up. */
export interface SpendQuarterTable {
  scope: string;
  quarter_ms: number;
  nano_usd: number;
}

/** Reservations whose exchange has not ended yet. */
export interface OpenReservationTable {
  exchange_id: string;
  attempt: number;
  node: string;
  thread: string;
  floor_nano_usd: number;
  checkpoint_nano_usd: number;
  /** ReserveFact, JSON. */
  fact: string;
}

/** Marks of background work: name → number. */
export interface StoreMarkTable {
  name: string;
  value: number;
}

export interface LedgerTables {
  journal_positions: JournalPositionTable;
  request_log: RequestLogTable;
  ledger_entries: LedgerEntryTable;
  spend_quarters: SpendQuarterTable;
  open_reservations: OpenReservationTable;
  store_marks: StoreMarkTable;
}
