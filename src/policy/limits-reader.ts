/** What of limits is in use, for whoever chooses by it: looks at the shared memory without its lock, and takes nothing. */
import type { Rules } from '../core/rules.ts';
import { leased } from './leases.ts';
import { type LimitsMemory, limitsViews } from './limits-memory.ts';
import { peekAt } from './windows.ts';

export interface LimitsReader {
  /** In the last 60 s. */
  taken: (slot: number) => number;
  /** Under way at once, over all workers. */
  leased: (slot: number) => number;
}

/** `nowMs`: the clock of all threads, as the limiter's. */
export function openLimitsReader(memory: LimitsMemory, nowMs: () => number): LimitsReader {
  const { windows, leases } = limitsViews(memory);
  return {
    taken: (slot) => peekAt(windows, slot, Math.max(0, Math.floor(nowMs() - memory.originMs))),
    leased: (slot) => leased(leases, slot),
  };
}

/** By place; share of the limits in use, 0 to 1 and beyond, of the one that is used most. 0: there is none. */
export interface LimitsInUse {
  requestsUsed: (place: number) => number;
  tokensUsed: (place: number) => number;
  concurrencyUsed: (place: number) => number;
}

/** `rulesOf`: all rules that a call to the target at that place counts in: its own and its provider's. */
export function limitsInUse(reader: LimitsReader, rulesOf: (place: number) => readonly Rules[]): LimitsInUse {
  const most = (place: number, shareOf: (rules: Rules) => number): number => {
    let share = 0;
    for (const rules of rulesOf(place)) share = Math.max(share, shareOf(rules));
    return share;
  };
  const requests = ({ requests }: Rules): number => shareOf(requests?.perMinute, requests && reader.taken(requests.slot));
  const tokens = ({ tokens }: Rules): number => shareOf(tokens?.perMinute, tokens && reader.taken(tokens.slot));
  const concurrent = ({ concurrent }: Rules): number => shareOf(concurrent?.most, concurrent && reader.leased(concurrent.slot));
  return {
    requestsUsed: (place) => most(place, requests),
    tokensUsed: (place) => most(place, tokens),
    concurrencyUsed: (place) => most(place, concurrent),
  };
}

/** A limit of 0 is used up by nothing. */
function shareOf(limit: number | undefined, used = 0): number {
  if (limit === undefined) return 0;
  return limit === 0 ? 1 : used / limit;
}
