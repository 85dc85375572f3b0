import { describe, expect, test } from 'vitest';

import { ERRORS, type ErrorCode, type ErrorDetails, GatewayError } from '../core/errors.ts';
import { FAILURES, type FailureKind, kindOf } from './failure.ts';
import { countsAsRetry, mayComeBack, mayGoOn, waitMs } from './retry.ts';

function refusal(code: ErrorCode, upstreamStatus: number, details: ErrorDetails = {}): GatewayError {
  return new GatewayError(code, { details: { upstreamStatus, ...details } });
}

describe('what an upstream says', () => {
  test.each<[FailureKind, GatewayError]>([
    ['broken', refusal('upstream_error', 500)],
    ['overloaded', refusal('upstream_overloaded', 529)],
    ['throttled', refusal('upstream_rate_limited', 429, { message: 'Rate limit reached for requests' })],
    ['exhausted', refusal('upstream_rate_limited', 429, { upstreamCode: 'insufficient_quota' })],
    ['exhausted', refusal('upstream_rate_limited', 429, { message: 'You exceeded your current quota, please check your plan' })],
    ['exhausted', refusal('invalid_request', 402)],
    ['exhausted', refusal('invalid_request', 400, { message: 'Your credit balance is too low to access the Anthropic API.' })],
    ['credential', refusal('upstream_auth', 401)],
    ['credential', refusal('upstream_auth', 403, { message: 'permission denied' })],
    ['caller', refusal('upstream_auth', 403, { upstreamCode: 'unsupported_country_region_territory' })],
    ['content_policy', refusal('upstream_auth', 403, { message: 'Your input was flagged by moderation' })],
    ['content_policy', refusal('invalid_request', 400, { upstreamCode: 'content_filter' })],
    ['model', refusal('upstream_model', 404)],
    ['caller', refusal('model_not_found', 404)],
    ['context_window', refusal('invalid_request', 400, { upstreamCode: 'context_length_exceeded' })],
    ['context_window', refusal('invalid_request', 400, { message: 'prompt is too long: 210000 tokens > 200000 maximum' })],
    ['context_window', refusal('invalid_request', 400, { message: 'The input token count (40000) exceeds the maximum number' })],
    ['signature', refusal('invalid_request', 400, { message: 'messages.1.content.0: Invalid `signature` in `thinking` block' })],
    ['caller', refusal('invalid_request', 400, { message: 'temperature must be at most 2' })],
    ['caller', refusal('invalid_request', 422)],
    ['timeout', refusal('upstream_timeout', 408)],
  ])('%s', (kind, error) => {
    expect(kindOf(error)).toBe(kind);
  });

  test('its own sentence counts where the caller is told ours', () => {
    const details = { upstreamStatus: 403, message: 'The upstream refused the credential' };
    expect(kindOf(new GatewayError('upstream_auth', { cause: 'content policy violation', details }))).toBe('content_policy');
  });

  test('a word in a sentence about something else is no proof: only statuses that fit count', () => {
    expect(kindOf(refusal('upstream_error', 500, { message: 'context length of the cache exceeded' }))).toBe('broken');
  });
});

test('what never reached an upstream', () => {
  expect(kindOf(new GatewayError('upstream_unreachable'))).toBe('unreachable');
  expect(kindOf(new GatewayError('upstream_unreachable'), true)).toBe('stale');
  expect(kindOf(new GatewayError('upstream_timeout'))).toBe('timeout');
  expect(kindOf(new GatewayError('unsupported_parameter'))).toBe('inexpressible');
});

test('what is ours or the client’s is nobody’s failure', () => {
  const upstream = new Set(['upstream_', 'egress_']);
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const isUpstreams = [...upstream].some((prefix) => code.startsWith(prefix));
    if (isUpstreams || code === 'unsupported_parameter' || code === 'not_supported_here') continue;
    expect(kindOf(new GatewayError(code)), code).toBe('ours');
  }
});

describe('what follows', () => {
  test('faults of the upstream count against it, mistakes of the caller never', () => {
    for (const kind of ['caller', 'content_policy', 'context_window', 'signature', 'ours', 'stale', 'inexpressible'] as const)
      expect(FAILURES[kind].outcome, kind).toBe('neutral');
    for (const kind of ['unreachable', 'timeout', 'broken', 'overloaded'] as const)
      expect(FAILURES[kind].outcome, kind).toBe('fault');
  });

  test('nothing is tried twice where it would be answered alike', () => {
    for (const kind of ['exhausted', 'credential', 'model', 'inexpressible'] as const) {
      expect([mayGoOn(kind), mayComeBack(kind)], kind).toEqual([true, false]);
    }
    for (const kind of ['caller', 'content_policy', 'context_window', 'ours'] as const)
      expect([mayGoOn(kind), mayComeBack(kind)], kind).toEqual([false, false]);
    for (const kind of ['broken', 'throttled', 'timeout', 'unreachable', 'overloaded'] as const)
      expect([mayGoOn(kind), mayComeBack(kind)], kind).toEqual([true, true]);
  });

  test('an attempt that nobody received is no retry', () => {
    expect(countsAsRetry('unreachable', true)).toBe(false);
    expect(countsAsRetry('broken', false)).toBe(true);
  });

  test('waits double under their jitter, up to a bound; Retry-After comes first, and too long a one is not waited for', () => {
    expect([1, 2, 3, 20].map((attempts) => waitMs({ kind: 'broken' }, attempts, 0.999999))).toEqual([
      expect.closeTo(50, 0),
      expect.closeTo(100, 0),
      expect.closeTo(200, 0),
      expect.closeTo(2_000, 0),
    ]);
    expect(waitMs({ kind: 'broken' }, 3, 0)).toBe(0);
    expect(waitMs({ kind: 'throttled', retryAfterMs: 2_000 }, 1, 0.5)).toBe(2_025);
    expect(waitMs({ kind: 'throttled', retryAfterMs: 6_000 }, 1, 0.5)).toBeUndefined();
    expect(waitMs({ kind: 'stale' }, 5, 0.9)).toBe(0);
  });
});
