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

export interface TokenHistory {
  /** Uncached input and output, at least 1. */
  estimate(name: string, call: CallSize): number;
  learn(name: string, requestBytes: number, usage: Usage): void;
}

/** As `name`: what is learned belongs to the pair. */
export function historyName(key: string, model: string): string {
  return `${key} ${model}`;
}

/** What counts against a limit of tokens: what a provider read from its cache costs it little. */
export function chargedTokens({ inputTokens, cacheReadTokens, outputTokens }: Usage): number {
  return inputTokens - cacheReadTokens + outputTokens;
}

/** Pairs remembered; one takes 300 bytes. */
const MAX_PAIRS = 10_000;
/** Calls that are remembered of each pair. */
const RECENT = 32;
/** Before anything is known: text has about four bytes a token. */
const FIRST_TOKENS_PER_BYTE = 0.25;
const FIRST_OUTPUT_TOKENS = 512;
/** How much the newest call counts in the running mean of tokens per byte. */
const NEWEST = 0.2;
const QUANTILE = 0.9;

interface Pair {
  tokensPerByte: number;
  outputs: Int32Array;
  calls: number;
  /** Of `outputs`; -1: to be found anew. */
  p90: number;
}

export function createTokenHistory(): TokenHistory {
  const pairs = createLru<string, Pair>(MAX_PAIRS);
  return {
    estimate(name, { requestBytes, maxOutputTokens = Infinity, answers }) {
      const pair = pairs.get(name);
      const input = Math.ceil(requestBytes * (pair?.tokensPerByte ?? FIRST_TOKENS_PER_BYTE));
      const output = answers ? Math.min(maxOutputTokens, pair === undefined ? FIRST_OUTPUT_TOKENS : p90Of(pair)) : 0;
      return Math.max(1, input + output);
    },
    learn(name, requestBytes, { inputTokens, cacheReadTokens, outputTokens }) {
      const perByte = (inputTokens - cacheReadTokens) / Math.max(1, requestBytes);
      const pair = pairs.get(name) ?? { tokensPerByte: perByte, outputs: new Int32Array(RECENT), calls: 0, p90: -1 };
      pair.tokensPerByte += NEWEST * (perByte - pair.tokensPerByte);
      pair.outputs[pair.calls++ % RECENT] = outputTokens;
      pair.p90 = -1;
      if (pair.calls === 1) pairs.set(name, pair);
    },
  };
}

function p90Of(pair: Pair): number {
  if (pair.p90 === -1) {
    const known = Math.min(pair.calls, RECENT);
    pair.p90 = pair.outputs.slice(0, known).sort()[Math.ceil(known * QUANTILE) - 1]!;
  }
  return pair.p90;
}
