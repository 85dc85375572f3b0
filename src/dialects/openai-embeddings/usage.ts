/** Embeddings are only relayed: all that is read of an answer is what it cost. Source: the types of openai 7.57 (resources/embeddings). */
import { type Json, isObject, textOf } from '../../core/read.ts';
import type { AnswerSummary } from '../../core/tap.ts';
import { NO_USAGE, count } from '../../core/usage.ts';

/** Everything embedded is input. Voyage and Jina give only `total_tokens`; undefined usage where neither count is there. */
export function summarizeEmbeddings(body: Json): AnswerSummary {
  const { usage } = body;
  const tokens = isObject(usage) ? (usage.prompt_tokens ?? usage.total_tokens) : undefined;
  return {
    usage: typeof tokens === 'number' ? { ...NO_USAGE, inputTokens: count(tokens) } : undefined,
    finish: undefined,
    model: textOf(body.model) || undefined,
  };
}
