import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { poolOf } from '../../test/support/routing.ts';
import { DEFAULT_ROUTING, type ModelRouting } from '../core/routing.ts';
import { createEstimator } from '../ledger/estimate.ts';
import { createPinMemory, openPins } from '../routing/pins.ts';
import type { RouteRequest } from '../routing/request.ts';
import { createWarmPrompts } from '../routing/warm-prompts.ts';
import { readClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import { deadlineAtMs, routeRequestOf } from './route-request.ts';
import { CHAT, MESSAGES, RESPONSES, type Surface } from './surface.ts';

const pins = openPins(createPinMemory());

interface Case {
  surface?: Surface;
  headers?: Record<string, string>;
  routing?: Partial<ModelRouting>;
  keyTags?: string[];
  targets?: Parameters<typeof poolOf>[0];
  endUser?: string;
}

function exchangeOf({ surface = CHAT, headers = {}, routing = {}, keyTags = [], endUser }: Case): Exchange {
  return {
    surface,
    stream: false,
    endUser,
    atMs: 1_000,
    request: { headers },
    caller: { key: { id: 'key', tags: keyTags }, ancestors: [] },
    resolved: { name: 'm', model: { name: 'm', routing: { ...DEFAULT_ROUTING, ...routing } }, targets: [] },
    plane: { estimator: createEstimator(), pins, warmPrompts: createWarmPrompts(), nowMs: () => 1_000 },
  } as unknown as Exchange;
}

function requestFor(body: object, given: Case = {}): RouteRequest {
  const { pool } = poolOf(given.targets ?? [{}, {}]);
  return routeRequestOf(exchangeOf(given), readClientBody(Buffer.from(JSON.stringify({ model: 'm', ...body }))), pool);
}

describe('needs', () => {
  test.each([
    [{ messages: [] }, CHAT, []],
    [{ tools: [] }, CHAT, []],
    [{ tools: [{ type: 'function' }] }, CHAT, ['tools']],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x' } }] }] }, CHAT, ['vision']],
    [{ messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }] }, MESSAGES, ['vision']],
    [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] }, RESPONSES, ['vision']],
    [{ messages: [{ role: 'user', content: 'what is "image_url"?' }] }, CHAT, []],
    [{ response_format: { type: 'json_schema', json_schema: {} } }, CHAT, ['jsonSchema']],
    [{ response_format: { type: 'json_object' } }, CHAT, []],
    [{ text: { format: { type: 'json_schema' } } }, RESPONSES, ['jsonSchema']],
  ] as const)('%j', (body, surface, needs) => {
    const found = requestFor(body, { surface }).needs;
    expect(Object.entries(found).flatMap(([need, needed]) => (needed ? [need] : []))).toEqual(needs);
  });
});

test('images hardly count as tokens', () => {
  const data = 'A'.repeat(400_000);
  const chat = {
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }] }],
  };
  expect(requestFor(chat).inputTokens).toBeLessThan(1_000);
  const source = { type: 'base64', media_type: 'image/png', data };
  const messages = { messages: [{ role: 'user', content: [{ type: 'image', source }] }] };
  expect(requestFor(messages, { surface: MESSAGES }).inputTokens).toBeLessThan(1_000);
  expect(requestFor({ messages: [{ role: 'user', content: data }] }).inputTokens).toBeGreaterThan(50_000);
});

test('the caller’s cap bounds what is expected', () => {
  expect(requestFor({ max_tokens: 7 })).toMatchObject({ outputTokens: 7, maxOutputTokens: 7 });
  expect(requestFor({}).maxOutputTokens).toBeUndefined();
});

describe('tags and regions', () => {
  const targets = [{ tags: ['eu'] }, { tags: ['us', 'default'] }];
  test('of headers, of ours before LiteLLM’s; those of the key bind where targets carry them', () => {
    expect(requestFor({}, { headers: { 'x-litellm-tags': 'a, b' } }).tags).toEqual(['a', 'b']);
    const headers = { 'x-signalbox-tags': 'us', 'x-litellm-tags': 'eu' };
    expect(requestFor({}, { headers, keyTags: ['eu', 'accounting'], targets })).toMatchObject({
      tags: ['us'],
      boundTags: ['eu'],
    });
    expect(requestFor({}, { keyTags: ['accounting'], targets }).boundTags).toBeUndefined();
  });

  test.each([
    { 'x-signalbox-tags': 'a b' },
    { 'x-signalbox-tags': Array.from({ length: 17 }, (_, n) => `t${n}`).join(',') },
    { 'x-signalbox-region': 'EU' },
    { 'x-signalbox-region': '' },
  ])('%j is refused', (headers) => {
    expect(() => requestFor({}, { headers: headers })).toThrow(/must hold/);
  });

  test('a region', () => {
    expect(requestFor({}, { headers: { 'x-signalbox-region': 'eu-west-1' } }).region).toBe('eu-west-1');
  });
});

describe('what stays together', () => {
  const key = (body: object, given: Case) => requestFor(body, given).stickyKey;
  test('sessions by header, by the name of a cache, by what agents of Anthropic call their user', () => {
    const routing = { sticky: ['session'] as const };
    const one = key({}, { routing, headers: { 'x-session-id': 'a' } });
    expect(one).toBe(key({}, { routing, headers: { 'x-signalbox-session': 'a', 'x-session-id': 'b' } }));
    expect(one).not.toBe(key({}, { routing, headers: { 'x-session-id': 'b' } }));
    expect(key({ prompt_cache_key: 'a' }, { routing })).toBe(one);
    const metadata = { user_id: 'user_1_account__session_2' };
    expect(key({ metadata }, { routing, surface: MESSAGES })).toBeTypeOf('number');
    expect(key({ metadata: { user_id: 'somebody' } }, { routing, surface: MESSAGES })).toBeUndefined();
    expect(key({}, { routing })).toBeUndefined();
  });

  test('users; prompts by how they begin; the first kind that there is', () => {
    const users = { sticky: ['user'] as const };
    expect(key({}, { routing: users, endUser: 'a' })).not.toBe(key({}, { routing: users, endUser: 'b' }));
    const long = 'x'.repeat(5_000);
    const prefix = { sticky: ['prefix'] as const };
    const of = (end: string) => key({ messages: [{ role: 'user', content: `${long}${end}` }] }, { routing: prefix });
    expect(of('a')).toBe(of('b'));
    expect(key({ messages: [{ role: 'user', content: 'short' }] }, { routing: prefix })).toBeUndefined();
    const both = { sticky: ['session', 'user'] as const };
    expect(key({}, { routing: both, endUser: 'a' })).toBe(key({}, { routing: users, endUser: 'a' }));
    expect(key({}, {})).toBeUndefined();
  });

  test('what refers to a stored response', () => {
    pins.note('resp_1', 5);
    expect(requestFor({ previous_response_id: 'resp_1' }, { surface: RESPONSES }).pinned).toBe(5);
    expect(requestFor({ previous_response_id: 'resp_2' }, { surface: RESPONSES }).pinned).toBeUndefined();
    expect(requestFor({ previous_response_id: 'resp_1' }).pinned).toBeUndefined();
  });
});

test('where there is no choice, nothing is looked at', () => {
  expect(requestFor({ tools: [{}] }, { targets: [{}] })).toMatchObject({ inputTokens: 0, needs: { tools: false } });
  const routing = { fallbacks: { context_window: ['b'] } };
  expect(requestFor({ tools: [{}] }, { targets: [{}], routing })).toMatchObject({ needs: { tools: true } });
});

test('no attempt begins after the model’s deadline, or the client’s', () => {
  expect(deadlineAtMs(exchangeOf({ routing: { deadlineMs: 5_000 } }))).toBe(6_000);
  expect(deadlineAtMs(exchangeOf({ headers: { 'x-stainless-timeout': '2' }, routing: { deadlineMs: 5_000 } }))).toBe(3_000);
  expect(deadlineAtMs(exchangeOf({ headers: { 'x-stainless-timeout': 'soon' } }))).toBe(1_000 + DEFAULT_ROUTING.deadlineMs);
});

test('whatever the body, it is read', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('messages', 'input', 'tools', 'metadata', 'max_tokens', 'text', 'system'), fc.jsonValue()),
      (body) => {
        const request = requestFor(body, { routing: { sticky: ['session', 'prefix', 'user'], strategy: 'cost' } });
        return Number.isFinite(request.inputTokens) && request.inputTokens >= 0 && request.outputTokens >= 0;
      },
    ),
  );
});
