/**
 * What a request is expected to cost at a target, for comparing targets: prices boiled down to what an expectation can use, in one shape for all, so that
 * a thousand of them are read in microseconds. What an exchange did cost is the ledger's business.
 */
import type { Price, PriceState, Rate } from '../core/price.ts';
import type { RouteRequest } from './request.ts';

/** pico-USD per token, and per request. Unpriced: Infinity. */
export interface Rates {
  input: number;
  output: number;
  cacheRead: number;
  request: number;
  /** From then on another price may hold; Infinity: never. */
  untilMs: number;
  /** Rates rise with the prompt: read them from here. */
  tiered: Price | undefined;
}

/** `lazy`: a wildcard's target, whose price is not asked for yet; out of date at once. */
export function ratesOf(state: PriceState | { status: 'lazy' }): Rates {
  if (state.status === 'priced') {
    const { price, changesAtMs } = state;
    const tiered = [price.input, price.output, price.cacheRead].some((rate) => rate?.tiers !== undefined);
    return { ...ratesAt(price, 0), untilMs: changesAtMs ?? Infinity, tiered: tiered ? price : undefined };
  }
  const each = state.status === 'free' ? 0 : Infinity;
  const untilMs = state.status === 'lazy' ? 0 : Infinity;
  return { input: each, output: each, cacheRead: each, request: each, untilMs, tiered: undefined };
}

/** `cachedTokens` of the input come from the provider's cache. Infinity: unpriced. */
export function expectedPicoUsd(rates: Rates, request: RouteRequest, cachedTokens: number): number {
  if (rates.request === Infinity) return Infinity;
  const {
    input,
    output,
    cacheRead,
    request: each,
  } = rates.tiered === undefined ? rates : ratesAt(rates.tiered, request.inputTokens);
  const cached = Math.min(cachedTokens, request.inputTokens);
  return (request.inputTokens - cached) * input + cached * cacheRead + request.outputTokens * output + each;
}

type Flat = Pick<Rates, 'input' | 'output' | 'cacheRead' | 'request'>;

function ratesAt({ input, output, cacheRead, request }: Price, inputTokens: number): Flat {
  return {
    input: rateAt(input, inputTokens),
    output: rateAt(output, inputTokens),
    cacheRead: rateAt(cacheRead ?? input, inputTokens),
    request: request === undefined ? 0 : rateAt(request, inputTokens),
  };
}

/** The last tier that starts below the input holds for all of it. */
function rateAt(rate: Rate, inputTokens: number): number {
  let { picoUsd } = rate;
  for (const tier of rate.tiers ?? []) if (inputTokens > tier.aboveTokens) ({ picoUsd } = tier);
  return picoUsd;
}
