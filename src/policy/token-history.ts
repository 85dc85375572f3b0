/**
 * How many tokens the next call will probably be charged, from those before it: of the same key to the same model, as this worker saw them. Estimates hold only until
 * the provider has counted.
 */
import type { Usage } from '../core/usage.ts';
import { createLru } from '../lib/lru.ts';

export interface CallSize {
  requestBytes: number;
  /** What the request itself allows; undefined: it says nothing. */
  maxOutputTokens?: number | undefined;
  /** Whether the answer has tokens at all; embeddings have none. */
  answers: boolean;
}

/** What is known of the calls of one key to one model. */
export interface CallHistory {
  tokensPerByte: number;
  calls: number;
  /** Of the latest calls, in their order. */
  outputs: Int32Array;
  /** The same by size: a sort at each call would cost ten times as much. */
  sorted: Int32Array;
}

export type HistoryOf = (key: string, model: string) => CallHistory;

/** Pairs remembered; one takes half a kilobyte. */
const MAX_PAIRS = 10_000;
/** Calls that are remembered of each pair. */
const RECENT = 32;
/** Before anything is known: text has about four bytes a token. */
const FIRST_TOKENS_PER_BYTE = 0.25;
const FIRST_OUTPUT_TOKENS = 512;
/** How much the newest call counts in the running mean of tokens per byte. */
const NEWEST = 0.2;
const QUANTILE = 0.9;
const MAX_TOKENS = 2 ** 31 - 1;

export function createTokenHistory(): HistoryOf {
  const pairs = createLru<string, CallHistory>(MAX_PAIRS);
  return (key, model) => {
    const name = `${key} ${model}`;
    const known = pairs.get(name);
    if (known !== undefined) return known;
    const fresh = { tokensPerByte: 0, calls: 0, outputs: new Int32Array(RECENT), sorted: new Int32Array(RECENT) };
    pairs.set(name, fresh);
    return fresh;
  };
}

/** What counts against a limit of tokens: what a provider read from its cache costs it little. */
export function chargedTokens({ inputTokens, cacheReadTokens, outputTokens }: Usage): number {
  return inputTokens - cacheReadTokens + outputTokens;
}

/** Uncached input and output, at least 1. */
export function expectedTokens(history: CallHistory, { requestBytes, maxOutputTokens = Infinity, answers }: CallSize): number {
  const { calls, tokensPerByte, sorted } = history;
  const isNew = calls === 0;
  const input = Math.ceil(requestBytes * (isNew ? FIRST_TOKENS_PER_BYTE : tokensPerByte));
  const p90 = isNew ? FIRST_OUTPUT_TOKENS : sorted[Math.ceil(Math.min(calls, RECENT) * QUANTILE) - 1]!;
  return Math.max(1, input + (answers ? Math.min(maxOutputTokens, p90) : 0));
}

export function learnTokens(history: CallHistory, requestBytes: number, usage: Usage): void {
  const perByte = (usage.inputTokens - usage.cacheReadTokens) / Math.max(1, requestBytes);
  history.tokensPerByte = history.calls === 0 ? perByte : history.tokensPerByte + NEWEST * (perByte - history.tokensPerByte);
  const at = history.calls % RECENT;
  const fresh = Math.min(usage.outputTokens, MAX_TOKENS);
  const isFull = history.calls >= RECENT;
  replaceSorted(history.sorted, isFull ? RECENT : history.calls + 1, { gone: isFull ? history.outputs[at]! : 0, fresh });
  history.outputs[at] = fresh;
  history.calls++;
}

/** Among the first `length` values, sorted: one goes, one comes. A row that grows has a 0 at its end, which is then moved to the front and goes. */
function replaceSorted(sorted: Int32Array, length: number, { gone, fresh }: { gone: number; fresh: number }): void {
  let at = length - 1;
  // What ends a growing row is not yet part of it.
  if (sorted[at] !== gone) at = sorted.indexOf(gone);
  for (; at > 0 && sorted[at - 1]! > fresh; at--) sorted[at] = sorted[at - 1]!;
  for (; at < length - 1 && sorted[at + 1]! < fresh; at++) sorted[at] = sorted[at + 1]!;
  sorted[at] = fresh;
}
