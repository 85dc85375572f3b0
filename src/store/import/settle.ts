/** An exchange that ended, as rows: its line of the log, one ledger entry per attempt that moved money, its share of the roll-ups. */
import type { AttemptFact, AttemptSpend, ExchangeFact } from '../../core/exchange.ts';
import { NO_USAGE } from '../../core/usage.ts';
import type { RequestLogTable } from '../sql/tables/ledger.ts';
import { type Owners, clean, ownerColumns, ownersOf } from './owners.ts';
import { type Sums, wholeNanoUsd } from './sums.ts';

const FAILED = new Set<string>(['upstream_error', 'upstream_incomplete', 'internal_error']);

/** Answers what it cost, where that is known. */
export function settle(fact: ExchangeFact, sums: Sums): number | null {
  const owners = ownersOf(fact.scopes ?? [], fact);
  const spent = fact.attempts.flatMap((attempt, index) =>
    attempt.spend === undefined ? [] : [settleAttempt(fact, { attempt, spend: attempt.spend, index, owners }, sums)],
  );
  const { usage = NO_USAGE } = fact;
  sums.use(owners, Math.floor(fact.atMs), {
    requests: 1,
    ...(fact.outcome === 'refused' && { refused: 1 }),
    ...(FAILED.has(fact.outcome) && { failed: 1 }),
    attempts: fact.attempts.length,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cacheReadTokens,
    cache_write_tokens: usage.cacheWriteTokens,
    reasoning_tokens: usage.reasoningTokens,
    total_ms: fact.totalMs,
  });
  const cost = spent.length === 0 ? (fact.costNanoUsd ?? null) : spent.reduce((sum, nanoUsd) => sum + nanoUsd, 0);
  sums.rows.log.push(logRow(fact, owners, cost));
  sums.rows.ended.push(fact.id);
  return cost;
}

/** The money of an attempt belongs to the provider of that attempt, and to the quarter in which the attempt began. */
function settleAttempt(fact: ExchangeFact, spending: Spending, sums: Sums): number {
  const { attempt, spend, index, owners } = spending;
  const nanoUsd = wholeNanoUsd(spend.nanoUsd);
  const reserved = wholeNanoUsd(spend.reservedNanoUsd);
  const scopes = attemptScopes(fact, attempt);
  const at_ms = Math.floor(attempt.startedAtMs);
  const estimated = spend.estimated === true;
  sums.spend(
    {
      exchange_id: fact.id,
      attempt: index,
      at_ms,
      state: nanoUsd === 0 && reserved > 0 ? 'released' : 'settled',
      reserved_nano_usd: reserved,
      nano_usd: nanoUsd,
      estimated: estimated ? 1 : 0,
      target: attempt.target,
      scopes: JSON.stringify(scopes),
    },
    scopes,
  );
  const provider = clean(attempt.provider);
  const payer = provider === owners.provider ? owners : { ...owners, provider };
  sums.use(payer, at_ms, { nano_usd: nanoUsd, estimated_nano_usd: estimated ? nanoUsd : 0 });
  return nanoUsd;
}

interface Spending {
  attempt: AttemptFact;
  spend: AttemptSpend;
  /** Its place in the exchange, from 0. */
  index: number;
  owners: Owners;
}

function attemptScopes(fact: ExchangeFact, { provider }: AttemptFact): string[] {
  const scopes = (fact.scopes ?? []).filter((scope) => !scope.startsWith('provider:'));
  return [...new Set([...scopes, `provider:${provider}`])].map(clean);
}

/** What has a column of its own is not repeated in the rest. */
function logRow(fact: ExchangeFact, owners: Owners, cost: number | null): RequestLogTable {
  const columns = ownerColumns(owners);
  return {
    id: fact.id,
    at_ms: Math.floor(fact.atMs),
    request_id: clean(fact.requestId),
    surface: fact.surface,
    stream: fact.stream ? 1 : 0,
    ...columns,
    end_user: fact.endUser === undefined ? columns.end_user : clean(fact.endUser),
    target: orNull(fact.target),
    status: fact.status,
    outcome: fact.outcome,
    error: orNull(fact.error),
    input_tokens: orNull(fact.usage?.inputTokens),
    output_tokens: orNull(fact.usage?.outputTokens),
    cache_read_tokens: orNull(fact.usage?.cacheReadTokens),
    cost_nano_usd: cost,
    estimated: isEstimated(fact) ? 1 : 0,
    first_byte_ms: orNull(fact.firstByteMs),
    total_ms: fact.totalMs,
    detail: JSON.stringify(detailOf(fact)),
  };
}

function orNull<Value>(value: Value | undefined): Value | null {
  return value ?? null;
}

function isEstimated(fact: ExchangeFact): boolean {
  return fact.estimated === true || fact.attempts.some(({ spend }) => spend?.estimated === true);
}

function detailOf(fact: ExchangeFact): object {
  const { worker, clientIp, askedModel, upstreamModel, errorMessage, finish, usage, unpriced } = fact;
  const { attempts, routing, warnings, requestBytes, responseBytes, overheadMs, trace, scopes } = fact;
  const said = { clientIp, askedModel, upstreamModel, errorMessage, finish, usage, unpriced, trace, scopes };
  return {
    worker,
    ...said,
    attempts,
    ...(routing !== undefined && { routing }),
    warnings,
    requestBytes,
    responseBytes,
    overheadMs,
  };
}
