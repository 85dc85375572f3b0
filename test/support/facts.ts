/** Facts as workers write them, with what a test says and something plausible for the rest. */
import type { AttemptFact, ExchangeFact } from '../../src/core/exchange.ts';
import type { CheckpointFact, ReserveFact } from '../../src/core/fact.ts';
import type { Scope } from '../../src/core/rules.ts';

/** 2026-03-02, 10:00 UTC. */
export const NOON_MS = Date.UTC(2026, 2, 2, 10);

const SCOPES: readonly Scope[] = ['key:ci', 'user:usr_a', 'team:team_a', 'org:org_a', 'model:gpt', 'provider:lab'];

export function attemptFact(change: Partial<AttemptFact> = {}): AttemptFact {
  return {
    target: 'lab/gpt-mini',
    provider: 'lab',
    upstreamModel: 'gpt-mini',
    startedAtMs: NOON_MS,
    status: 200,
    totalMs: 50,
    spanId: '0'.repeat(16),
    spend: { reservedNanoUsd: 5_000, nanoUsd: 1_000 },
    ...change,
  };
}

export function exchangeFact(id: string, change: Partial<ExchangeFact> = {}): ExchangeFact {
  return {
    kind: 'exchange',
    id,
    requestId: `req_${id}`,
    worker: 0,
    atMs: NOON_MS,
    surface: 'openai-chat',
    stream: false,
    key: 'ci',
    scopes: SCOPES,
    model: 'gpt',
    provider: 'lab',
    target: 'lab/gpt-mini',
    status: 200,
    outcome: 'ok',
    usage: {
      inputTokens: 100,
      outputTokens: 20,
      cacheReadTokens: 10,
      cacheWriteTokens: 0,
      cacheWrite1hTokens: 0,
      reasoningTokens: 5,
      inputAudioTokens: 0,
      outputAudioTokens: 0,
      cacheReadAudioTokens: 0,
      webSearches: 0,
    },
    costNanoUsd: 1_000,
    attempts: [attemptFact()],
    warnings: [],
    requestBytes: 400,
    responseBytes: 900,
    totalMs: 60,
    overheadMs: 1,
    ...change,
  };
}

export function reserveFact(id: string, change: Partial<ReserveFact> = {}): ReserveFact {
  return {
    kind: 'reserve',
    id,
    attempt: 0,
    atMs: NOON_MS,
    nanoUsd: 5_000,
    floorNanoUsd: 400,
    scopes: SCOPES,
    requestId: `req_${id}`,
    worker: 0,
    surface: 'openai-chat',
    stream: true,
    key: 'ci',
    model: 'gpt',
    provider: 'lab',
    target: 'lab/gpt-mini',
    ...change,
  };
}

export function checkpointFact(id: string, nanoUsd: number, attempt = 0): CheckpointFact {
  return { kind: 'checkpoint', id, attempt, atMs: NOON_MS, nanoUsd };
}
