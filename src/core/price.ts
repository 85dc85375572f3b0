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

/**
 * A rate that may rise with the size of the prompt: the tier whose `aboveTokens` is the largest one below the input applies to the
 * whole. Tiers stand in rising order.
 */
export interface Rate {
  picoUsd: number;
  tiers?: readonly { aboveTokens: number; picoUsd: number }[];
}

/**
 * What one unit of each kind costs. A kind without a rate is counted with the kind that contains it: a one-hour cache write as
 * any cache write, cache reads, writes and audio as input, reasoning and audio as output.
 */
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

/** What is known of one target's model beside its price, for bounds of its cost. Tokens. */
export interface ModelBounds {
  contextWindow?: number;
  maxOutputTokens?: number;
  /** It may bill output that no answer shows. Absent: nobody knows. */
  reasons?: boolean;
}

/**
 * `unpriced` is a state of its own, never a zero. `ceiling`: the dearest list price of the provider, kind by kind.
 * `changesAtMs`: the list has another price from then on (start dates, hours of the day): resolve again.
 * `unsupported`: services the provider bills beside tokens and that nobody here counts; the cost is then a lower bound.
 */
export type PriceState = (
  | { status: 'priced'; price: Price; source: 'config' | 'list'; changesAtMs?: number; unsupported?: readonly string[] }
  | { status: 'free' }
  | { status: 'unpriced'; reason?: string; ceiling?: Price }
) & {
  /** Of a wildcard's model, which nobody knew when the snapshot was built. */
  bounds?: ModelBounds;
};
