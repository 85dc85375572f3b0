/**
 * The closed list of ways in which a provider departs from the dialect it speaks. Data, interpreted by the dialects and the relay; no
 * code ever asks for a provider by name. What can be recognised in an answer (odd places of usage, names of reasoning, shapes of
 * errors) needs no quirk: decoders take all known forms.
 */

/** All optional: absent means OpenAI's or Anthropic's own behaviour. */
export interface Quirks {
  /** Parameter renames, ours → theirs (`max_completion_tokens` → `max_tokens`, `seed` → `random_seed`). */
  rename?: Readonly<Record<string, string>>;
  /** Parameters the provider refuses: left out of translations, with a warning. */
  unsupported?: readonly string[];
  /** False: the provider sends usage in streams unasked and refuses `stream_options`. */
  includeUsage?: boolean;
  /** Where earlier reasoning is sent back: `reasoning_content` (DeepSeek…), `reasoning` (OpenRouter…); absent: not at all. */
  reasoningField?: 'reasoning_content' | 'reasoning';
  /** True: reasoning is switched by `thinking: {type: enabled | disabled}` beside or instead of `reasoning_effort` (DeepSeek, Z.ai, Moonshot). */
  thinkingSwitch?: boolean;
  /** True: `cache_control` on content parts is understood (OpenRouter, LiteLLM); elsewhere it is left out, since OpenAI and Mistral refuse it. */
  cacheControl?: boolean;
}
