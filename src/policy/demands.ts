/** What an exchange wants of its rules. */
import type { Rules } from '../core/rules.ts';
import type { Demand } from './limiter.ts';

export interface Wanted {
  /** One request, and one of those that may be under way at once. */
  call?: boolean;
  /** One of those that may be under way at once, without a request: it has been counted before. False beside `call`: the request alone. */
  lease?: boolean;
  /** About so many tokens. */
  tokens?: number | undefined;
  /** Part of each limit that is kept for callers of a higher class. */
  keptBack?: number;
}

export function demandsOf(rules: readonly Rules[], { call = false, lease = call, tokens, keptBack = 0 }: Wanted): Demand[] {
  const demands: Demand[] = [];
  for (const { scope, requests, tokens: limit, concurrent } of rules) {
    if (call && requests !== undefined) {
      const { slot, perMinute } = requests;
      demands.push({ scope, what: 'requests', slot, amount: 1, most: openTo(perMinute, keptBack) });
    }
    if (lease && concurrent !== undefined) {
      demands.push({ scope, what: 'concurrent', slot: concurrent.slot, amount: 1, most: openTo(concurrent.most, keptBack) });
    }
    if (tokens !== undefined && limit !== undefined) {
      const most = openTo(limit.perMinute, keptBack);
      // What is only estimated must not shut anybody out for good: what is larger than the limit waits until nothing else is in the window.
      demands.push({ scope, what: 'tokens', slot: limit.slot, amount: Math.max(1, Math.min(tokens, most)), most });
    }
  }
  return demands;
}

/** What is left of a limit without the part that is kept back; a limit too small to be divided is not. */
function openTo(limit: number, keptBack: number): number {
  // What is only counted has no end, of which no part can be taken.
  return Number.isFinite(limit) ? limit - Math.floor(limit * keptBack) : limit;
}
