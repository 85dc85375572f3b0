/**
 * The closed list of ways in which a provider departs from the dialect it speaks. Data, interpreted by the dialects and the
 * relay; no code ever asks for a provider by name.
 */
import type { RequestQuirks } from '../dialects/dialect.ts';

export interface ProviderQuirks extends RequestQuirks {
  /** Usage arrives in an unusual place of stream chunks: Groq's `x_groq.usage`, Moonshot's `choices[0].usage`. */
  usageIn?: 'x_groq' | 'choice';
  /** The answer's reasoning text stands under this name (`reasoning_content`, `reasoning`); the decoder reads both anyway. */
  reasoningOut?: 'reasoning_content' | 'reasoning' | 'content_parts';
  /** `completion_tokens` excludes reasoning tokens: total − prompt is the output. */
  outputExcludesReasoning?: boolean;
  /** Errors are not `{error: {...}}` objects: a bare string or a `detail`/`message` at the top. */
  looseErrors?: boolean;
}
