import { endAdmission } from './admit.ts';
import { sumUp } from './continuation.ts';
import { type Exchange, factOf, priceUsage } from './exchange.ts';
import { settleSpend } from './spend-settle.ts';

/** Its provider has told that the prompt is in its cache. */
function noteWarmPrompt({ promptKey, candidate, usage, plane }: Exchange): void {
  if (promptKey === undefined || candidate === undefined || usage === undefined) return;
  const tokens = usage.cacheReadTokens + usage.cacheWriteTokens;
  if (tokens > 0) plane.warmPrompts.note(promptKey, candidate.place, { tokens, nowMs: plane.nowMs() });
}

/** The end, exactly once: money, cost, one fact, one exchange less under way. */
export function settle(exchange: Exchange): void {
  try {
    settleSpend(exchange);
    priceUsage(exchange);
    noteWarmPrompt(exchange);
    sumUp(exchange);
    exchange.plane.record(factOf(exchange));
  } finally {
    endAdmission(exchange);
    exchange.plane.ended(exchange);
  }
}
