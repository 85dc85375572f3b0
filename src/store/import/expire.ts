/** Reservations that nothing will end, because their thread died: charged what they had cost at least, and seen in the log as interrupted. */
import type { ReserveFact } from '../../core/fact.ts';
import type { LedgerEntryTable, OpenReservationTable, RequestLogTable } from '../sql/tables/ledger.ts';
import { clean, ownerColumns, ownersOf } from './owners.ts';
import { type Folded, type Sums, createSums } from './sums.ts';

export function foldExpired(open: readonly OpenReservationTable[]): Folded {
  const sums = createSums();
  for (const attempts of Map.groupBy(open, (row) => row.exchange_id).values()) expire(attempts, sums);
  return sums.result();
}

function expire(open: readonly OpenReservationTable[], sums: Sums): void {
  const reserved = open.map((row) => ({ fact: JSON.parse(row.fact) as ReserveFact, nanoUsd: expiredAt(row) }));
  for (const { fact, nanoUsd } of reserved) {
    const scopes = fact.scopes.map(clean);
    sums.spend(entryOf(fact, nanoUsd, scopes), scopes);
    sums.use(ownersOf(fact.scopes, fact), fact.atMs, { attempts: 1, nano_usd: nanoUsd, estimated_nano_usd: nanoUsd });
  }
  const first = reserved[0]!.fact;
  sums.use(ownersOf(first.scopes, first), first.atMs, { requests: 1, failed: 1 });
  const cost = reserved.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
  sums.rows.log.push(logRow(first, cost));
  sums.rows.ended.push(first.id);
}

/** At least what it had when it was dispatched; more where a checkpoint said so. */
function expiredAt(row: OpenReservationTable): number {
  return Math.max(row.floor_nano_usd, row.checkpoint_nano_usd);
}

function entryOf(fact: ReserveFact, nano_usd: number, scopes: readonly string[]): LedgerEntryTable {
  return {
    exchange_id: fact.id,
    attempt: fact.attempt,
    at_ms: Math.floor(fact.atMs),
    state: 'expired',
    reserved_nano_usd: fact.nanoUsd,
    nano_usd,
    estimated: 1,
    target: fact.target,
    scopes: JSON.stringify(scopes),
  };
}

/** Nobody knows what the client saw: the status is 0. */
function logRow(fact: ReserveFact, cost: number): RequestLogTable {
  return {
    id: fact.id,
    at_ms: Math.floor(fact.atMs),
    request_id: clean(fact.requestId),
    surface: fact.surface,
    stream: fact.stream ? 1 : 0,
    ...ownerColumns(ownersOf(fact.scopes, fact)),
    target: fact.target,
    status: 0,
    outcome: 'interrupted',
    error: null,
    input_tokens: null,
    output_tokens: null,
    cache_read_tokens: null,
    cost_nano_usd: cost,
    estimated: 1,
    first_byte_ms: null,
    total_ms: 0,
    detail: JSON.stringify({ worker: fact.worker, scopes: fact.scopes }),
  };
}
