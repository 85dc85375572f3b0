/** Where a prompt was sent lately, so that its provider still has the beginning in its cache. Each worker knows what it sent itself: an advantage, never a promise. */
import { createLru } from '../lib/lru.ts';
import type { RouteRequest } from './request.ts';

export interface WarmPrompts {
  /** Undefined: nowhere, or too long ago. `key`: of the prompt's beginning and its model. */
  placeOf: (key: number, nowMs: number) => RouteRequest['cachedAt'];
  /** `tokens`: as the provider told that it read from its cache or wrote to it. */
  note: (key: number, place: number, seen: { tokens: number; nowMs: number }) => void;
}

/** Providers keep a prompt for five minutes and more after its last use (OpenAI: 5 to 10; Anthropic: 5). */
const WARM_MS = 300_000;
const MAX_PROMPTS = 10_000;

export function createWarmPrompts(): WarmPrompts {
  const known = createLru<number, { place: number; tokens: number; untilMs: number }>(MAX_PROMPTS);
  return {
    placeOf: (key, nowMs) => {
      const found = known.get(key);
      return found === undefined || found.untilMs < nowMs ? undefined : { place: found.place, tokens: found.tokens };
    },
    note: (key, place, { tokens, nowMs }) => known.set(key, { place, tokens, untilMs: nowMs + WARM_MS }),
  };
}
