/**
 * What an exchange costs: integer arithmetic over canonical usage and a resolved price, rounded once.
 * Workers call it for every priced answer; it never throws, whatever a provider counted.
 */
import type { NanoUsd } from '../core/money.ts';
import type { Price, Rate } from '../core/price.ts';
import type { Usage } from '../core/usage.ts';

const PICO_PER_NANO = 1000;

/**
 * The cost in nano-USD, half up, at most `Number.MAX_SAFE_INTEGER`.
 *
 * Every product is a count times an integer rate, all of them ≥ 0. Rounding of doubles is monotone, so a sum below 2^53 proves that
 * no product and no partial sum left the integers, and the sum is exact. (2^53 pico-USD are 9007 USD in one exchange.) Beyond, BigInt.
 */
export function costNanoUsd(usage: Usage, price: Price): NanoUsd {
  const charges = chargesOf(usage, price);
  let pico = PICO_PER_NANO / 2;
  for (let index = 0; index < charges.length; index += 2) pico += (charges[index] as number) * (charges[index + 1] as number);
  if (!Number.isSafeInteger(pico)) return beyondSafe(charges);
  return (pico - (pico % PICO_PER_NANO)) / PICO_PER_NANO;
}

/**
 * Counts and pico-USD rates in turn. Each kind is charged at its own rate, and what remains at the rate of the kind that contains
 * it; a provider's inconsistent counts make no part negative.
 */
function chargesOf(usage: Usage, price: Price): number[] {
  const size = usage.inputTokens;
  const charges: number[] = [];
  const charge = (rate: Rate | undefined, count: number): number => {
    if (rate === undefined || !(count > 0)) return 0;
    charges.push(count, rateAt(rate, size));
    return count;
  };
  const cachedAudio = charge(price.cacheReadAudio, usage.cacheReadAudioTokens);
  const cached = charge(price.cacheRead, usage.cacheReadTokens - cachedAudio);
  const audio = charge(price.inputAudio, usage.inputAudioTokens - cachedAudio);
  const written1h = charge(price.cacheWrite1h, usage.cacheWrite1hTokens);
  const written = charge(price.cacheWrite, usage.cacheWriteTokens - written1h);
  charge(price.input, usage.inputTokens - cachedAudio - cached - audio - written1h - written);
  const reasoning = charge(price.reasoning, usage.reasoningTokens);
  const spoken = charge(price.outputAudio, usage.outputAudioTokens);
  charge(price.output, usage.outputTokens - reasoning - spoken);
  charge(price.webSearch, usage.webSearches);
  charge(price.request, 1);
  return charges;
}

/** The last tier that starts below the input applies to every token of the exchange. */
function rateAt(rate: Rate, inputTokens: number): number {
  let { picoUsd } = rate;
  for (const tier of rate.tiers ?? []) {
    if (inputTokens > tier.aboveTokens) ({ picoUsd } = tier);
  }
  return picoUsd;
}

function beyondSafe(charges: readonly number[]): NanoUsd {
  let pico = BigInt(PICO_PER_NANO / 2);
  for (let index = 0; index < charges.length; index += 2) {
    pico += BigInt(Math.trunc(charges[index] as number)) * BigInt(charges[index + 1] as number);
  }
  const nano = pico / BigInt(PICO_PER_NANO);
  return nano > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(nano);
}
