/** What a batch of facts adds to the tables: rows as they come, and sums already made per key. */
import type { CheckpointFact } from '../../core/fact.ts';
import type { NanoUsd } from '../../core/money.ts';
import type { LedgerEntryTable, OpenReservationTable, RequestLogTable, SpendQuarterTable } from '../sql/tables/ledger.ts';
import type { AgentTaskCostTable, AgentTaskTable, AgentTotalTable } from '../sql/tables/agents.ts';
import type { EndUserUsageTable, RecordedBodyTable, UsageCounts } from '../sql/tables/usage.ts';
import type { Owners } from './owners.ts';

export interface Folded {
  log: RequestLogTable[];
  entries: LedgerEntryTable[];
  quarters: SpendQuarterTable[];
  /** Per hour; days are sums of them. */
  usage: EndUserUsageTable[];
  opened: OpenReservationTable[];
  /** Of reservations opened before this batch. */
  checkpoints: CheckpointFact[];
  /** Exchanges that ended: what they had reserved is open no more. */
  ended: string[];
  bodies: RecordedBodyTable[];
  agentTotals: AgentTotalTable[];
  agentTasks: AgentTaskTable[];
  agentTaskCosts: AgentTaskCostTable[];
  /** Facts that said something new. */
  taken: number;
}

export interface Sums {
  readonly rows: Pick<Folded, 'log' | 'entries' | 'ended' | 'bodies'>;
  /** A ledger entry, and its money in the counters of all its scopes. */
  spend(entry: LedgerEntryTable, scopes: readonly string[]): void;
  use(owners: Owners, atMs: number, counts: Partial<UsageCounts>): void;
  result(): Folded;
}

export const QUARTER_MS = 900_000;
const HOUR_MS = 3_600_000;
export const NO_COUNTS: Readonly<UsageCounts> = Object.freeze({
  requests: 0,
  refused: 0,
  failed: 0,
  attempts: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  nano_usd: 0,
  estimated_nano_usd: 0,
  total_ms: 0,
});

export function createSums(): Sums {
  const rows: Sums['rows'] = { log: [], entries: [], ended: [], bodies: [] };
  const quarters = new Map<string, SpendQuarterTable>();
  const usage = new Map<string, EndUserUsageTable>();
  /** An exchange is used twice in a row: for its tokens and for its money. */
  let last: { owners: Owners; row: EndUserUsageTable } | undefined;
  const rowOf = (owners: Owners, at_ms: number): EndUserUsageTable => {
    const { key_id, principal, team, org, tags, model, provider, end_user } = owners;
    const key = `${at_ms}\n${key_id}\n${principal}\n${team}\n${org}\n${tags}\n${model}\n${provider}\n${end_user}`;
    let row = usage.get(key);
    if (row === undefined) usage.set(key, (row = { at_ms, ...owners, ...NO_COUNTS }));
    return row;
  };
  return {
    rows,
    spend(entry, scopes) {
      rows.entries.push(entry);
      const quarter_ms = entry.at_ms - (entry.at_ms % QUARTER_MS);
      for (const scope of scopes) {
        const key = `${quarter_ms} ${scope}`;
        const row = quarters.get(key);
        if (row === undefined) quarters.set(key, { scope, quarter_ms, nano_usd: entry.nano_usd });
        else row.nano_usd += entry.nano_usd;
      }
    },
    use(owners, atMs, counts) {
      const at_ms = atMs - (atMs % HOUR_MS);
      const row = last?.owners === owners && last.row.at_ms === at_ms ? last.row : rowOf(owners, at_ms);
      last = { owners, row };
      for (const [name, count] of Object.entries(counts) as [keyof UsageCounts, number][]) row[name] += count;
    },
    result: () => ({
      ...rows,
      quarters: inOrder(quarters),
      usage: [...usage.values()],
      agentTotals: [],
      agentTasks: [],
      agentTaskCosts: [],
      opened: [],
      checkpoints: [],
      taken: 0,
    }),
  };
}

/**
 * By their keys: whoever adds to several rows that others add to as well takes them in one order, else two wait for each other. The order is the key's own, whatever
 * came first.
 */
export function inOrder<Row>(sums: ReadonlyMap<string, Row>): Row[] {
  return [...sums.keys()].sort().map((key) => sums.get(key)!);
}

/** A whole number of nano-USD, not negative. Throws otherwise: whoever imports sets the fact aside, and nobody guesses. */
export function wholeNanoUsd(value: NanoUsd): NanoUsd {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an amount of money: ${String(value)}`);
  return value;
}
