/** What answers tell of limits, by OpenAI's names; of several rules, the one with the least left. */
import type { OutgoingHttpHeaders } from 'node:http';

import type { Counted, Grant } from '../policy/limiter.ts';
import { WINDOW_MS } from '../policy/windows.ts';
import type { Admission } from './admit.ts';

const TOLD = ['requests', 'tokens'] as const;

interface Reading {
  most: number;
  left: number;
  /** Until all is free again, if nothing else comes. */
  resetMs: number;
}

/** `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; none where nothing is limited. */
export function limitHeaders({ grants, refused }: Admission): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const what of TOLD) {
    const reading = refused?.refused.what === what ? refusedReading(refused) : tightestOf(grants, what);
    if (reading === undefined) continue;
    headers[`x-ratelimit-limit-${what}`] = String(reading.most);
    headers[`x-ratelimit-remaining-${what}`] = String(Math.max(0, reading.left));
    headers[`x-ratelimit-reset-${what}`] = durationText(reading.resetMs);
  }
  return headers;
}

function refusedReading({ refused, refusal }: NonNullable<Admission['refused']>): Reading {
  return { most: refused.most, left: refused.most - refusal.used, resetMs: refusal.resetMs };
}

function tightestOf(grants: readonly Grant[], what: Counted): Reading | undefined {
  let tightest: Reading | undefined;
  for (const { taken } of grants) {
    for (const each of taken) {
      const left = each.most - each.used;
      // What was just taken leaves the window last.
      if (each.what === what && (tightest === undefined || left < tightest.left))
        tightest = { most: each.most, left, resetMs: WINDOW_MS };
    }
  }
  return tightest;
}

/** As Go prints durations, which is OpenAI's form: `1m0s`, `12.34s`, `250ms`. */
export function durationText(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  return `${minutes === 0 ? '' : `${minutes}m`}${(whole % 60_000) / 1000}s`;
}
