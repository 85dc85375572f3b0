/**
 * Prices as the operator writes them, and as the arithmetic wants them.
 * Provider lists are USD per million tokens; the arithmetic works in integer pico-USD per token (1 USD/Mtok = 1e6 pico-USD/token),
 * and a cost is rounded once, to nano-USD.
 */
export type PriceOverride = 'free' | PriceOverrideRates;

export interface PriceOverrideRates {
  input_usd_per_mtok: number;
  output_usd_per_mtok: number;
  cache_read_usd_per_mtok?: number;
  cache_write_usd_per_mtok?: number;
  cache_write_1h_usd_per_mtok?: number;
  reasoning_usd_per_mtok?: number;
  per_request_usd?: number;
}

/** A rate that may rise with the size of the prompt: the tier whose `aboveTokens` is the largest one below the input applies to the whole. */
export interface Rate {
  picoUsd: number;
  tiers?: readonly { aboveTokens: number; picoUsd: number }[];
}

/** What one unit of each kind costs. Absent cache and reasoning rates fall back to input and output rates. */
export interface Price {
  input: Rate;
  output: Rate;
  cacheRead?: Rate;
  cacheWrite?: Rate;
  cacheWrite1h?: Rate;
  reasoning?: Rate;
  inputAudio?: Rate;
  outputAudio?: Rate;
  cacheReadAudio?: Rate;
  /** Per single web search, and per request. */
  webSearch?: Rate;
  request?: Rate;
}

/** `unpriced` is a state of its own, never a zero. */
export type PriceState =
  | { status: 'priced'; price: Price; source: 'config' | 'list' }
  | { status: 'free' }
  | { status: 'unpriced' };
