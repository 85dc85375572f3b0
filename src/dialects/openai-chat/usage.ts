/** Token counts in every place and spelling in which providers of this dialect put them. */
import { type Json, isObject, objectOf } from '../../core/read.ts';
import type { AnswerSummary } from '../../core/tap.ts';
import { type Usage, count } from '../../core/usage.ts';

/** The usage of an answer or a chunk: at its top, under `x_groq` (Groq), or in the first choice (Moonshot); undefined where none is. */
export function usageOf(body: Json): Usage | undefined {
  const [choice] = Array.isArray(body.choices) ? (body.choices as unknown[]) : [];
  return readUsage(body.usage) ?? readUsage(objectOf(body.x_groq).usage) ?? readUsage(objectOf(choice).usage);
}

/** Canonical counts; undefined for anything that counts neither input nor output. */
function readUsage(value: unknown): Usage | undefined {
  if (!isObject(value) || (typeof value.prompt_tokens !== 'number' && typeof value.completion_tokens !== 'number'))
    return undefined;
  const input = objectOf(value.prompt_tokens_details);
  const output = objectOf(value.completion_tokens_details);
  const inputTokens = count(value.prompt_tokens);
  // xAI and imitations of Gemini leave reasoning out of completion_tokens; the total has it.
  const outputTokens = Math.max(count(value.completion_tokens), count(value.total_tokens) - inputTokens);
  const cacheReadTokens = Math.min(cachedTokens(value, input), inputTokens);
  return {
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens: Math.min(count(input.cache_write_tokens), inputTokens - cacheReadTokens),
    cacheWrite1hTokens: 0,
    reasoningTokens: Math.min(count(output.reasoning_tokens) || count(value.reasoning_tokens), outputTokens),
    inputAudioTokens: Math.min(count(input.audio_tokens), inputTokens),
    outputAudioTokens: Math.min(count(output.audio_tokens), outputTokens),
    cacheReadAudioTokens: 0,
    webSearches: count(value.num_search_queries),
  };
}

/** OpenAI; DeepSeek; Moonshot and Together; Mistral. Some send two of them, and where they differ one is a mere zero. */
function cachedTokens(usage: Json, details: Json): number {
  const spellings = [details.cached_tokens, usage.prompt_cache_hit_tokens, usage.cached_tokens, usage.num_cached_tokens];
  return Math.max(...spellings.map(count));
}

/** Usage as OpenAI sends it, with both lists of details. */
export function writeUsage(usage: Usage): Json {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cacheReadTokens,
      audio_tokens: usage.inputAudioTokens,
      ...(usage.cacheWriteTokens > 0 && { cache_write_tokens: usage.cacheWriteTokens }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: usage.outputAudioTokens,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** Usage, the provider's own word for the end (of the first choice that has one) and its name for the model. */
export function summarize(body: Json): AnswerSummary {
  return { usage: usageOf(body), finish: finishIn(body), model: wordOf(body.model) };
}

/** `finish_reason` of the first choice that has one. */
export function finishIn(body: Json): string | undefined {
  const choices = Array.isArray(body.choices) ? (body.choices as unknown[]) : [];
  for (const choice of choices) {
    const finish = wordOf(objectOf(choice).finish_reason);
    if (finish !== undefined) return finish;
  }
  return undefined;
}

export function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
