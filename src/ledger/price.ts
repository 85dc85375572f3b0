/**
 * Prices: what the operator wrote, else the public list of @pydantic/genai-prices, as integer rates.
 *
 * The list speaks of units by key: `<kind>_mtok` in USD per million tokens, `<service>_kcount` in USD per thousand. A key we know becomes
 * a rate. An unknown `_mtok` key (image, video, citation tokens) prices a part of the input or output that our usage does not tell
 * apart, so every sum would be wrong by an unknown amount: the model counts as unpriced. Other unknown keys (file searches, code
 * executions) are billed beside the tokens: the price stands and names them in `unsupported`.
 *
 * The list is loaded once per book, main thread only (74 ms, 800 KB); workers get `PriceState`s.
 */
import type { ConditionalPrice, ModelInfo, ModelPrice, PriceCalculation, Provider } from '@pydantic/genai-prices';

import type { Price, PriceOverride, PriceOverrideRates, PriceState, Rate } from '../core/price.ts';

export interface PriceQuery {
  /** The catalog's `priceProvider`; absent: the list is searched by the base URL, never by the model's name alone. */
  priceProvider?: string | undefined;
  providerApiUrl: string;
  upstreamModel: string;
  override?: PriceOverride | undefined;
}

export interface PriceBook {
  /** The price in force now. Never throws; what nobody knows is `unpriced`. */
  priceOf(query: PriceQuery): PriceState;
  /** The model's context window in tokens as the list gives it for this provider. */
  contextWindowOf(query: PriceQuery): number | undefined;
}

const PICO_PER_USD = 1e12;
const PER_MTOK = PICO_PER_USD / 1e6;
const PER_KCOUNT = PICO_PER_USD / 1e3;

const UNITS: Readonly<Record<string, { kind: keyof Price; scale: number }>> = {
  input_mtok: { kind: 'input', scale: PER_MTOK },
  output_mtok: { kind: 'output', scale: PER_MTOK },
  cache_read_mtok: { kind: 'cacheRead', scale: PER_MTOK },
  cache_write_mtok: { kind: 'cacheWrite', scale: PER_MTOK },
  cache_write_1h_mtok: { kind: 'cacheWrite1h', scale: PER_MTOK },
  output_reasoning_mtok: { kind: 'reasoning', scale: PER_MTOK },
  input_audio_mtok: { kind: 'inputAudio', scale: PER_MTOK },
  output_audio_mtok: { kind: 'outputAudio', scale: PER_MTOK },
  cache_audio_read_mtok: { kind: 'cacheReadAudio', scale: PER_MTOK },
  web_searches_kcount: { kind: 'webSearch', scale: PER_KCOUNT },
  requests_kcount: { kind: 'request', scale: PER_KCOUNT },
};

const OVERRIDES: readonly { field: keyof PriceOverrideRates; kind: keyof Price; scale: number }[] = [
  { field: 'input_usd_per_mtok', kind: 'input', scale: PER_MTOK },
  { field: 'output_usd_per_mtok', kind: 'output', scale: PER_MTOK },
  { field: 'cache_read_usd_per_mtok', kind: 'cacheRead', scale: PER_MTOK },
  { field: 'cache_write_usd_per_mtok', kind: 'cacheWrite', scale: PER_MTOK },
  { field: 'cache_write_1h_usd_per_mtok', kind: 'cacheWrite1h', scale: PER_MTOK },
  { field: 'reasoning_usd_per_mtok', kind: 'reasoning', scale: PER_MTOK },
  { field: 'per_request_usd', kind: 'request', scale: PICO_PER_USD },
];

const FREE_RATE: Rate = { picoUsd: 0 };
const DAY_MS = 86_400_000;

/** Loads the list. `nowMs` decides which of a model's dated prices is in force. */
export async function createPriceBook({ nowMs }: { nowMs: () => number }): Promise<PriceBook> {
  const { calcPrice, findProvider } = await import('@pydantic/genai-prices');
  const ceilings = new Map<string, Price | undefined>();
  const ceilingOf = ({ priceProvider, providerApiUrl }: PriceQuery): { ceiling?: Price } => {
    const provider = findProvider(priceProvider === undefined ? { providerApiUrl } : { providerId: priceProvider });
    if (provider === undefined) return {};
    if (!ceilings.has(provider.id)) ceilings.set(provider.id, dearestOf(provider));
    const ceiling = ceilings.get(provider.id);
    return ceiling === undefined ? {} : { ceiling };
  };
  const find = (query: PriceQuery, atMs: number): PriceCalculation | undefined => {
    const place =
      query.priceProvider === undefined ? { providerApiUrl: query.providerApiUrl } : { providerId: query.priceProvider };
    try {
      const nothing = { input_tokens: 0, output_tokens: 0 };
      return calcPrice(nothing, query.upstreamModel, { ...place, timestamp: new Date(atMs) }) ?? undefined;
    } catch {
      // The library refuses records it finds inconsistent; for us the model then simply has no known price.
      return undefined;
    }
  };
  return {
    priceOf: (query) => {
      if (query.override !== undefined) return fromOverride(query.override);
      const atMs = nowMs();
      const found = find(query, atMs);
      const state: PriceState =
        found === undefined ? { status: 'unpriced', reason: 'no list price is known' } : fromList(found, query, atMs);
      return state.status === 'unpriced' ? { ...state, ...ceilingOf(query) } : state;
    },
    contextWindowOf: (query) => find(query, nowMs())?.model.context_window,
  };
}

function fromOverride(override: PriceOverride): PriceState {
  if (override === 'free') return { status: 'free' };
  const price: Price = { input: FREE_RATE, output: FREE_RATE };
  for (const { field, kind, scale } of OVERRIDES) {
    const usd = override[field];
    if (usd !== undefined) price[kind] = { picoUsd: Math.round(usd * scale) };
  }
  return { status: 'priced', price, source: 'config' };
}

function fromList(found: PriceCalculation, query: PriceQuery, atMs: number): PriceState {
  const changesAtMs = nextChangeMs(found.model, atMs);
  const state = priceFromRecord(found.model_price, query.upstreamModel);
  return state.status === 'priced' && changesAtMs !== undefined ? { ...state, changesAtMs } : state;
}

/**
 * One record of the list as a price. An empty record says nothing, except for the models a router names `…:free`.
 * A record without an input rate prices audio hours or pages, which no surface of ours counts. Without an output rate there is
 * no output to pay (embeddings).
 */
export function priceFromRecord(record: ModelPrice, upstreamModel: string): PriceState {
  const keys = Object.keys(record).filter((key) => record[key] !== undefined);
  if (keys.length === 0 && upstreamModel.endsWith(':free')) return { status: 'free' };
  const apart = keys.filter((key) => !(key in UNITS));
  const hidden = apart.filter((key) => key.endsWith('_mtok'));
  if (hidden.length > 0)
    return { status: 'unpriced', reason: `the list prices units that usage does not tell apart: ${hidden.join(', ')}` };
  if (record['input_mtok'] === undefined) return { status: 'unpriced', reason: 'the list has no price per input token' };
  const price: Price = { input: FREE_RATE, output: FREE_RATE };
  for (const key of keys) {
    const unit = UNITS[key];
    const value = record[key];
    if (unit !== undefined && value !== undefined) price[unit.kind] = toRate(value, unit.scale);
  }
  return { status: 'priced', price, source: 'list', ...(apart.length > 0 ? { unsupported: apart } : {}) };
}

/** The dearest rate of each kind among all models of a provider, whenever it holds; undefined where none has a price per token. */
function dearestOf({ models }: Provider): Price | undefined {
  const records = models.flatMap(({ prices }) => (Array.isArray(prices) ? prices.map((each) => each.prices) : [prices]));
  let dearest: Price | undefined;
  for (const record of records) {
    const state = priceFromRecord(record, '');
    if (state.status !== 'priced') continue;
    dearest ??= { input: FREE_RATE, output: FREE_RATE };
    for (const [kind, rate] of Object.entries(state.price) as [keyof Price, Rate][]) {
      const most = Math.max(dearest[kind]?.picoUsd ?? 0, rate.picoUsd, ...(rate.tiers ?? []).map(({ picoUsd }) => picoUsd));
      dearest[kind] = { picoUsd: most };
    }
  }
  return dearest;
}

/** Rates are rounded to whole pico-USD: exact for all prices but a few with infinite decimals (1/12 USD per million). */
function toRate(value: NonNullable<ModelPrice[string]>, scale: number): Rate {
  if (typeof value === 'number') return { picoUsd: Math.round(value * scale) };
  const tiers = value.tiers
    .map((tier) => ({ aboveTokens: tier.start, picoUsd: Math.round(tier.price * scale) }))
    .toSorted((one, other) => one.aboveTokens - other.aboveTokens);
  return { picoUsd: Math.round(value.base * scale), tiers };
}

/** The next instant at which a dated or timed price of the model may begin or end. */
function nextChangeMs(model: ModelInfo, atMs: number): number | undefined {
  if (!Array.isArray(model.prices)) return undefined;
  const changes = model.prices.flatMap((price) => boundsMs(price, atMs)).filter((changeMs) => changeMs > atMs);
  return changes.length === 0 ? undefined : Math.min(...changes);
}

function boundsMs({ constraint }: ConditionalPrice, atMs: number): number[] {
  if (constraint === undefined) return [];
  if (constraint.type === 'start_date') return [Date.parse(constraint.start_date)];
  return [constraint.start_time, constraint.end_time].map((time) => nextTimeOfDayMs(time, atMs));
}

/** `16:30:00Z`, `00:30:00+08:00` → its next occurrence after `atMs`. */
function nextTimeOfDayMs(time: string, atMs: number): number {
  const sinceMidnightMs = Date.parse(`2000-01-01T${time}`) % DAY_MS;
  const todayMs = atMs - (atMs % DAY_MS) + sinceMidnightMs;
  return todayMs > atMs ? todayMs : todayMs + DAY_MS;
}
