/**
 * Token counts. Anthropic's `input_tokens` excludes cache reads and writes, ours includes them; its `output_tokens` includes thinking, as ours does.
 */
import { type Usage, NO_USAGE, count } from '../../core/usage.ts';
import { isObject } from '../../core/read.ts';
import type { AnswerSummary, JsonObject } from '../dialect.ts';

/**
 * The raw counts of a stream so far: `message_delta.usage` is cumulative, may repeat the input (with server tools it grows), and leaves out
 * what did not change, so each field given replaces the one before.
 */
export function mergeUsage(before: JsonObject | undefined, update: unknown): JsonObject | undefined {
  if (!isObject(update)) return before;
  const given = Object.entries(update).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(given) };
}

/** Canonical counts of a raw `usage` object; undefined where there is none. */
export function decodeUsage(raw: unknown): Usage | undefined {
  if (!isObject(raw)) return undefined;
  const iterations: readonly unknown[] = Array.isArray(raw.iterations) ? raw.iterations : [];
  return iterations.filter(isObject).filter(isCompaction).map(decodeCounts).reduce(sum, decodeCounts(raw));
}

/** Summing up a conversation that grew too long is billed beside the rest, and of all iterations it alone is not in the sums (SDK: `BetaIterationsUsage`). */
function isCompaction({ type }: JsonObject): boolean {
  return type === 'compaction';
}

function sum(left: Usage, right: Usage): Usage {
  const names = Object.keys(NO_USAGE) as (keyof Usage)[];
  return Object.fromEntries(names.map((name) => [name, left[name] + right[name]])) as unknown as Usage;
}

function decodeCounts(raw: JsonObject): Usage {
  const byLifetime = isObject(raw.cache_creation) ? raw.cache_creation : {};
  const write1h = count(byLifetime.ephemeral_1h_input_tokens);
  const cacheWriteTokens = count(raw.cache_creation_input_tokens) || write1h + count(byLifetime.ephemeral_5m_input_tokens);
  const cacheReadTokens = count(raw.cache_read_input_tokens);
  const outputTokens = count(raw.output_tokens);
  const thinking = isObject(raw.output_tokens_details) ? count(raw.output_tokens_details.thinking_tokens) : 0;
  return {
    ...NO_USAGE,
    inputTokens: count(raw.input_tokens) + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(write1h, cacheWriteTokens),
    reasoningTokens: Math.min(thinking, outputTokens),
    webSearches: isObject(raw.server_tool_use) ? count(raw.server_tool_use.web_search_requests) : 0,
  };
}

/** `usage` as Anthropic's clients expect it; zeros where nothing is known, since their types demand the numbers. */
export function encodeUsage(usage: Usage = NO_USAGE): JsonObject {
  return {
    ...encodeStreamUsage(usage),
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWriteTokens - usage.cacheWrite1hTokens,
      ephemeral_1h_input_tokens: usage.cacheWrite1hTokens,
    },
  };
}

/** `usage` of a `message_delta`: the cumulative counts. */
export function encodeStreamUsage(usage: Usage = NO_USAGE): JsonObject {
  return {
    input_tokens: Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens),
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
    ...(usage.reasoningTokens > 0 && { output_tokens_details: { thinking_tokens: usage.reasoningTokens } }),
    ...(usage.webSearches > 0 && { server_tool_use: { web_search_requests: usage.webSearches } }),
  };
}

/** Usage, stop reason and model of a whole answer's body. */
export function summarize(body: JsonObject): AnswerSummary {
  return {
    usage: decodeUsage(body.usage),
    finish: typeof body.stop_reason === 'string' ? body.stop_reason : undefined,
    model: typeof body.model === 'string' ? body.model : undefined,
  };
}
