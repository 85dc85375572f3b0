import type { PricedTarget, Snapshot } from '../config/snapshot.ts';
import type { PriceState } from '../core/price.ts';
import { createLru } from '../lib/lru.ts';

/** What only the main thread can answer, since only it holds the price list. */
export type AskPrice = (request: {
  priceProvider?: string | undefined;
  providerApiUrl: string;
  upstreamModel: string;
}) => Promise<PriceState>;

/** A gateway with wildcards meets as many upstream models as its clients think of; the rest is asked for again. */
const MAX_REMEMBERED = 1_000;

/** Main answers in milliseconds. While it does not, no client waits longer than this, and no exchange stays open for its price. */
const PATIENCE_MS = 500;
const NOT_IN_TIME: PriceState = { status: 'unpriced', reason: 'the price was not known in time' };

/**
 * Prices of targets: those the snapshot resolved, and those of wildcards, asked for once per upstream model and remembered for this snapshot.
 * A price that changes by the clock (some providers are cheaper at night) is asked for again when it has.
 */
export function createPrices(
  snapshot: Snapshot,
  ask: AskPrice,
  nowMs: () => number,
): (target: PricedTarget) => PriceState | Promise<PriceState> {
  const remembered = createLru<string, PriceState>(MAX_REMEMBERED);
  const asked = new Map<string, Promise<PriceState>>();
  const current = (state: PriceState): boolean =>
    state.status !== 'priced' || state.changesAtMs === undefined || nowMs() < state.changesAtMs;

  return (target) => {
    const resolved = target.priceState;
    if (resolved.status !== 'lazy' && current(resolved)) return resolved;
    const known = remembered.get(target.id);
    if (known !== undefined && current(known)) return known;
    return inTime(asked.get(target.id) ?? askOnce(target));
  };

  function askOnce({ id, provider: name, upstreamModel }: PricedTarget): Promise<PriceState> {
    const provider = snapshot.providers[name];
    const request = {
      priceProvider: provider?.priceProvider,
      providerApiUrl: provider?.endpoints[0]?.baseUrl ?? '',
      upstreamModel,
    };
    const answer = ask(request).then((state) => {
      remembered.set(id, state);
      asked.delete(id);
      return state;
    });
    asked.set(id, answer);
    return answer;
  }
}

async function inTime(answer: Promise<PriceState>): Promise<PriceState> {
  const { promise: late, resolve } = Promise.withResolvers<PriceState>();
  const timer = setTimeout(resolve, PATIENCE_MS, NOT_IN_TIME).unref();
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
