/**
 * Tokens of one attempt, in one canonical form whatever the provider said.
 *
 * Invariants (every dialect's usage.ts must uphold them, `checkUsage` in tests):
 * - `inputTokens` includes cache reads and cache writes (OpenAI's prompt_tokens; Anthropic's input + cache_read + cache_creation).
 * - `cacheReadTokens + cacheWriteTokens <= inputTokens`; `cacheWrite1hTokens <= cacheWriteTokens`.
 * - `outputTokens` includes reasoning; `reasoningTokens <= outputTokens`.
 * - Audio counts are parts of input and output, not additions.
 * A provider whose total exceeds prompt + completion means the difference as output.
 */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  /** All tokens written to a prompt cache, whatever the lifetime. */
  cacheWriteTokens: number;
  /** The part of `cacheWriteTokens` written for one hour, priced apart. */
  cacheWrite1hTokens: number;
  reasoningTokens: number;
  inputAudioTokens: number;
  outputAudioTokens: number;
  cacheReadAudioTokens: number;
  /** Server-side web searches. */
  webSearches: number;
}

export const NO_USAGE: Readonly<Usage> = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  inputAudioTokens: 0,
  outputAudioTokens: 0,
  cacheReadAudioTokens: 0,
  webSearches: 0,
});

/** No attempt has more; a larger count is nonsense, and at the dearest price would outgrow what money is counted in. */
const MOST_TOKENS = 1e9;

/** A token count as providers send it: a non-negative integer, or nothing that counts. */
export function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.min(Math.trunc(value), MOST_TOKENS) : 0;
}

/** False: zeros, which some servers tell for what they do not count. No answer takes no tokens. */
export function tellsTokens({ inputTokens, outputTokens }: Usage): boolean {
  return inputTokens + outputTokens > 0;
}
