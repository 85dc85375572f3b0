/** What pricing one answer costs the worker: `node bench/cost.ts`. The list's own library is the baseline of the same run. */
import { calcPrice } from '@pydantic/genai-prices';

import type { Usage } from '../src/core/usage.ts';
import { NO_USAGE } from '../src/core/usage.ts';
import { costNanoUsd } from '../src/ledger/cost.ts';
import { createPriceBook } from '../src/ledger/price.ts';

const MODEL = 'claude-sonnet-4-5';
const CALLS = 2_000_000;
const LIBRARY_CALLS = 20_000;
const ROUNDS = 5;

const book = await createPriceBook({ nowMs: Date.now });
const state = book.priceOf({ priceProvider: 'anthropic', providerApiUrl: 'https://api.anthropic.com', upstreamModel: MODEL });
if (state.status !== 'priced') throw new Error(`${MODEL} has no price`);
const { price } = state;

const usages: Usage[] = Array.from({ length: 1024 }, (_, index) => ({
  ...NO_USAGE,
  inputTokens: 1000 + index * 300,
  outputTokens: 100 + index,
  cacheReadTokens: index % 2 === 0 ? 500 : 0,
  cacheWriteTokens: index % 3 === 0 ? 200 : 0,
}));

/** The best of several rounds, in nanoseconds per call; the sum keeps the work alive. */
function nsPerCall(calls: number, work: (usage: Usage) => number): number {
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < calls; call += 1) sum += work(usages[call % usages.length] as Usage);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / calls);
  }
  if (sum <= 0) throw new Error('nothing was priced');
  return best;
}

const ours = nsPerCall(CALLS, (usage) => costNanoUsd(usage, price));
const library = nsPerCall(LIBRARY_CALLS, (usage) => {
  const counts = { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens, cache_read_tokens: usage.cacheReadTokens };
  return calcPrice(counts, MODEL, { providerId: 'anthropic' })?.total_price ?? 0;
});
console.log(
  `costNanoUsd ${ours.toFixed(0)} ns/call, calcPrice ${library.toFixed(0)} ns/call, ratio ${(library / ours).toFixed(0)}`,
);
