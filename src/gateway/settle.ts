import { endAdmission } from './admit.ts';
import { sumUp } from './continuation.ts';
import { type Exchange, factOf, priceUsage } from './exchange.ts';
import { settleSpend } from './spend-settle.ts';

/** The end, exactly once: money, cost, one fact, one exchange less under way. */
export function settle(exchange: Exchange): void {
  try {
    settleSpend(exchange);
    priceUsage(exchange);
    sumUp(exchange);
    exchange.plane.record(factOf(exchange));
  } finally {
    endAdmission(exchange);
    exchange.plane.ended(exchange);
  }
}
