/**
 * Sizes and abilities of current flagship models, by family.
 *
 * Sources: Anthropic's greatest outputs as its own and Vercel's SDKs (@ai-sdk/anthropic 4.0) know them; the others from the providers'
 * model pages as models.dev collects them (MIT); context windows agree with @pydantic/genai-prices wherever it has one (a test
 * compares). What no source told is left out.
 */
export type Capability = 'tools' | 'images' | 'documents' | 'audio' | 'video' | 'reasoning' | 'structured_output';

export interface Family {
  /** Names without date, `-latest` or host prefix; lower case, `-` for the dots in Claude's versions. */
  names: readonly string[];
  /** Open weights run anywhere with other limits: the facts hold at these price providers only. Absent: wherever the name appears. */
  at?: readonly string[];
  contextWindow?: number;
  maxOutputTokens: number;
  capabilities: readonly Capability[];
}

const SEES: readonly Capability[] = ['tools', 'images', 'documents'];
const STRUCTURED: readonly Capability[] = [...SEES, 'structured_output'];
const THINKS: readonly Capability[] = [...STRUCTURED, 'reasoning'];
const THINKS_ABOUT_IMAGES: readonly Capability[] = ['tools', 'images', 'structured_output', 'reasoning'];
const HEARS: readonly Capability[] = [...THINKS, 'audio', 'video'];

export const FAMILIES: readonly Family[] = [
  {
    names: ['gpt-6-astra', 'gpt-6-sol', 'gpt-6-luna', 'gpt-5.6-sol', 'gpt-5.6-terra', 'gpt-5.6-luna', 'gpt-5.5', 'gpt-5.4'],
    contextWindow: 1_050_000,
    maxOutputTokens: 128_000,
    capabilities: THINKS,
  },
  {
    names: ['gpt-5', 'gpt-5-mini', 'gpt-5-nano', 'gpt-5.1', 'gpt-5.2'],
    contextWindow: 400_000,
    maxOutputTokens: 128_000,
    capabilities: THINKS_ABOUT_IMAGES,
  },
  { names: ['o1', 'o3', 'o3-pro'], contextWindow: 200_000, maxOutputTokens: 100_000, capabilities: THINKS },
  { names: ['o4-mini'], contextWindow: 200_000, maxOutputTokens: 100_000, capabilities: THINKS_ABOUT_IMAGES },
  {
    names: ['gpt-4.1', 'gpt-4.1-mini', 'gpt-4.1-nano'],
    contextWindow: 1_047_576,
    maxOutputTokens: 32_768,
    capabilities: STRUCTURED,
  },
  { names: ['gpt-4o', 'gpt-4o-mini'], contextWindow: 128_000, maxOutputTokens: 16_384, capabilities: STRUCTURED },
  { names: ['gpt-4-turbo'], contextWindow: 128_000, maxOutputTokens: 4096, capabilities: ['tools', 'images'] },
  { names: ['gpt-3.5-turbo'], contextWindow: 16_385, maxOutputTokens: 4096, capabilities: [] },
  {
    names: [
      'claude-opus-5-5',
      'claude-opus-5',
      'claude-sonnet-5',
      'claude-fable-5-1',
      'claude-fable-5',
      'claude-opus-4-8',
      'claude-opus-4-7',
      'claude-opus-4-6',
      'claude-sonnet-4-6',
    ],
    contextWindow: 1_000_000,
    maxOutputTokens: 128_000,
    capabilities: THINKS,
  },
  { names: ['claude-sonnet-5-5', 'claude-haiku-5-5', 'claude-fable-5-2'], maxOutputTokens: 128_000, capabilities: THINKS },
  {
    names: ['claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5'],
    contextWindow: 200_000,
    maxOutputTokens: 64_000,
    capabilities: THINKS,
  },
  { names: ['claude-opus-4-1'], contextWindow: 200_000, maxOutputTokens: 32_000, capabilities: THINKS },
  {
    names: ['claude-opus-4-0', 'claude-opus-4'],
    contextWindow: 200_000,
    maxOutputTokens: 32_000,
    capabilities: [...SEES, 'reasoning'],
  },
  {
    names: ['claude-sonnet-4-0', 'claude-sonnet-4', 'claude-3-7-sonnet'],
    contextWindow: 200_000,
    maxOutputTokens: 64_000,
    capabilities: [...SEES, 'reasoning'],
  },
  { names: ['claude-3-5-sonnet', 'claude-3-5-haiku'], contextWindow: 200_000, maxOutputTokens: 8192, capabilities: SEES },
  {
    names: ['claude-3-opus', 'claude-3-sonnet', 'claude-3-haiku'],
    contextWindow: 200_000,
    maxOutputTokens: 4096,
    capabilities: ['tools', 'images'],
  },
  {
    names: ['gemini-3.8-flash', 'gemini-3.1-pro', 'gemini-2.5-pro'],
    contextWindow: 1_048_576,
    maxOutputTokens: 65_536,
    capabilities: HEARS,
  },
  { names: ['gemini-2.0-flash'], contextWindow: 1_048_576, maxOutputTokens: 8192, capabilities: ['tools', 'images'] },
  { names: ['grok-4.6'], contextWindow: 500_000, maxOutputTokens: 500_000, capabilities: THINKS_ABOUT_IMAGES },
  { names: ['grok-4'], contextWindow: 256_000, maxOutputTokens: 256_000, capabilities: ['tools', 'images', 'reasoning'] },
  {
    names: ['deepseek-v4-pro', 'deepseek-v4-flash'],
    at: ['deepseek'],
    contextWindow: 1_000_000,
    maxOutputTokens: 384_000,
    capabilities: ['tools', 'structured_output', 'reasoning'],
  },
  {
    names: ['mistral-large-2512'],
    at: ['mistral'],
    contextWindow: 262_144,
    maxOutputTokens: 262_144,
    capabilities: ['tools', 'images', 'structured_output'],
  },
  {
    names: ['mistral-medium-2508'],
    at: ['mistral'],
    contextWindow: 262_144,
    maxOutputTokens: 262_144,
    capabilities: ['tools', 'images'],
  },
  {
    names: ['mistral-small-2506'],
    at: ['mistral'],
    contextWindow: 128_000,
    maxOutputTokens: 16_384,
    capabilities: ['tools', 'images'],
  },
  {
    names: ['kimi-k2.6'],
    at: ['moonshotai'],
    contextWindow: 262_144,
    maxOutputTokens: 262_144,
    capabilities: ['tools', 'images', 'video', 'structured_output', 'reasoning'],
  },
  {
    names: ['minimax-m3'],
    at: ['minimax'],
    contextWindow: 1_000_000,
    maxOutputTokens: 32_768,
    capabilities: [...SEES, 'video', 'reasoning'],
  },
  {
    names: ['minimax-m2.5'],
    at: ['minimax'],
    contextWindow: 204_800,
    maxOutputTokens: 131_072,
    capabilities: ['tools', 'reasoning'],
  },
];
