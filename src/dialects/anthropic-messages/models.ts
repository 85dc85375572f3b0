/**
 * What Claude models take, told from their names. Anthropic has changed request rules per generation under one API version,
 * so that a neutral request must become a different body for Sonnet 4.5 than for Opus 5.
 * Sources: platform.claude.com "What's new" pages of 4.6, 4.7, 4.8 and 5.x, the deprecation notes in @anthropic-ai/sdk 1.12, and the
 * model table of @ai-sdk/anthropic 4.0.105.
 */
export interface ModelTraits {
  /** `thinking: {type: 'adaptive'}` with `output_config.effort` (4.6 and later). */
  adaptive: boolean;
  /** `thinking: {type: 'enabled', budget_tokens}` (3.7 to 4.6). */
  budget: boolean;
  /** `effort: 'xhigh'` (4.7 and later). */
  xhigh: boolean;
  /** Thinking cannot be switched off (Opus and Sonnet 5.5, Fable, Mythos). */
  alwaysThinks: boolean;
  /** Which of temperature, top_p and top_k are taken: all, one of temperature and top_p (4.1 to 4.6), or none (4.7 and later). */
  sampling: 'all' | 'either' | 'none';
  /** `role: 'system'` inside `messages` (Opus 4.8 and later, Fable, Mythos; not Sonnet, not Haiku). */
  systemTurns: boolean;
  /** `strict` tools (4.1, 4.5 and later). */
  strictTools: boolean;
}

/** Not Claude (DeepSeek, MiniMax… speaking this dialect): the API as it was in 2025, which is what they imitate. */
const FOREIGN: ModelTraits = {
  adaptive: false,
  budget: true,
  xhigh: false,
  alwaysThinks: false,
  sampling: 'all',
  systemTurns: false,
  strictTools: false,
};

const CLAUDE = /claude-(?:([a-z]+)-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)/;
const NEWEST = 99;
const SYSTEM_TURN_FAMILIES = new Set(['opus', 'fable', 'mythos']);

/** `claude-3-5-sonnet-20241022`, `claude-opus-4-8`, `claude-sonnet-4@20250514` and `anthropic.claude-opus-5-v1:0` are all understood. */
export function modelTraits(upstreamModel: string): ModelTraits {
  const name = upstreamModel.toLowerCase();
  if (!name.includes('claude')) return FOREIGN;
  const match = CLAUDE.exec(name);
  const family = match?.[1] ?? '';
  // A Claude we cannot place (`claude-mythos-preview`, `claude-latest`) is taken for a new one: old models only disappear.
  const generation = match === null ? NEWEST : Number(match[2]) + Number(match[3] ?? 0) / 100;
  return {
    adaptive: generation >= 4.06,
    budget: generation < 4.07,
    xhigh: generation >= 4.07,
    alwaysThinks: alwaysThinks(family, generation),
    sampling: generation < 4.01 ? 'all' : generation < 4.07 ? 'either' : 'none',
    systemTurns: generation >= 4.08 && SYSTEM_TURN_FAMILIES.has(family),
    strictTools: generation === 4.01 || generation >= 4.05,
  };
}

function alwaysThinks(family: string, generation: number): boolean {
  if (family === 'fable' || family === 'mythos' || generation === NEWEST) return true;
  return generation >= 5.05 && family !== 'haiku';
}
