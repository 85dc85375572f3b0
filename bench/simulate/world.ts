/** The simulated providers: how quick they are, what they refuse, and when they are in trouble. */
import type { FailureKind } from '../../src/routing/failure.ts';
import { type Chance, meanOf } from './chance.ts';
import type { TargetSpec, Trouble } from './scenario.ts';

export interface Upstream {
  spec: TargetSpec;
  /** What becomes of an attempt that is sent now. Takes of its quota. */
  answer: (nowMs: number, outputTokens: number) => Answer;
  /** The mean of what an answer takes now, ms, as only an oracle knows it; undefined: it would be refused, or fail. */
  expectedMs: (nowMs: number, outputTokens: number) => number | undefined;
  /** The end of an attempt. */
  release: () => void;
  /** USD per million tokens, now. */
  priceAt: (nowMs: number) => { input: number; output: number };
  isHealthy: (nowMs: number) => boolean;
}

export type Answer =
  | { ok: true; firstMs: number; totalMs: number }
  | { ok: false; kind: FailureKind; afterMs: number; undelivered: boolean; retryAfterMs?: number };

const REFUSED_AFTER_MS = 5;
const ERROR_AFTER_MS = 50;
const THROTTLED_AFTER_MS = 20;
const MINUTE_MS = 60_000;

export function createUpstream(
  spec: TargetSpec,
  { chance, timeoutMs, originMs }: { chance: Chance; timeoutMs: number; originMs: number },
): Upstream {
  let inFlight = 0;
  const sent: number[] = [];
  const troubleAt = (nowMs: number): Trouble | undefined => spec.trouble.find((each) => isOn(each, (nowMs - originMs) / 1000));
  const slowness = (trouble: Trouble | undefined): number =>
    (trouble?.kind === 'slow' ? trouble.factor : 1) * Math.max(1, inFlight / spec.capacity);
  const quotaFreeInMs = (nowMs: number): number => {
    if (spec.quota_rpm === undefined) return 0;
    while (sent.length > 0 && sent[0]! <= nowMs - MINUTE_MS) sent.shift();
    return sent.length < spec.quota_rpm ? 0 : sent[0]! + MINUTE_MS - nowMs;
  };
  return {
    spec,
    answer: (nowMs, outputTokens) => {
      inFlight += 1;
      const trouble = troubleAt(nowMs);
      const failed = trouble === undefined || chance.uniform() >= trouble.share ? undefined : failureOf(trouble, timeoutMs);
      if (failed !== undefined) return failed;
      const freeInMs = quotaFreeInMs(nowMs);
      if (freeInMs > 0) return throttled(freeInMs);
      if (spec.quota_rpm !== undefined) sent.push(nowMs);
      const factor = slowness(trouble);
      const firstMs = chance.logNormal(spec.first_ms.p50, spec.first_ms.p99) * factor;
      if (firstMs > timeoutMs) return { ok: false, kind: 'timeout', afterMs: timeoutMs, undelivered: false };
      return { ok: true, firstMs, totalMs: firstMs + outputTokens * spec.per_token_ms * factor };
    },
    expectedMs: (nowMs, outputTokens) => {
      const trouble = troubleAt(nowMs);
      if (trouble !== undefined && trouble.kind !== 'slow') return undefined;
      return (meanOf(spec.first_ms) + outputTokens * spec.per_token_ms) * (trouble?.factor ?? 1);
    },
    release: () => {
      inFlight -= 1;
    },
    priceAt: (nowMs) => spec.prices.findLast(({ from_s }) => (nowMs - originMs) / 1000 >= from_s) ?? spec.price,
    isHealthy: (nowMs) => troubleAt(nowMs) === undefined,
  };
}

export function isOn({ from_s, to_s, every_s }: Trouble, nowS: number): boolean {
  const at = every_s === undefined ? nowS : from_s + ((((nowS - from_s) % every_s) + every_s) % every_s);
  return nowS >= from_s && at >= from_s && at < to_s;
}

function failureOf({ kind, retry_after_s }: Trouble, timeoutMs: number): Answer | undefined {
  if (kind === 'refuse') return { ok: false, kind: 'unreachable', afterMs: REFUSED_AFTER_MS, undelivered: true };
  if (kind === 'error') return { ok: false, kind: 'broken', afterMs: ERROR_AFTER_MS, undelivered: false };
  if (kind === 'hang') return { ok: false, kind: 'timeout', afterMs: timeoutMs, undelivered: false };
  return kind === 'throttle' ? throttled(retry_after_s * 1000) : undefined;
}

function throttled(retryAfterMs: number): Answer {
  return {
    ok: false,
    kind: 'throttled',
    afterMs: THROTTLED_AFTER_MS,
    undelivered: false,
    retryAfterMs: Math.ceil(retryAfterMs / 1000) * 1000,
  };
}
