import { describe, expect, test } from 'vitest';

import { agentBody, agentPatch } from './patch.ts';

describe('a patch of an agent', () => {
  test.each([
    ['nothing', {}],
    ['a part of what is within', { health: { interval_s: 5 }, capabilities: { streaming: true }, limits: { rpm: null } }],
    ['null', { description: null, health: null, headers: { 'x-a': null }, provider: null, budget: null }],
    ['a list', { tags: ['a'], budgets: [{ limit_usd: 1, window: 'day' }] }],
  ])('%s is taken as it was sent', (_, sent) => {
    expect(agentPatch.parse(sent)).toMatchObject(sent);
    expect(Object.keys(agentPatch.parse(sent)).sort()).toEqual(Object.keys(sent).sort());
  });

  test.each([
    ['an unknown field', { tag: [] }],
    ['an unknown field within', { health: { interval: 5 } }],
    ['another type', { enabled: 'yes' }],
    ['another type within', { health: { interval_s: 'x' } }],
    ['a provider that nobody knows', { provider: 'nobody' }],
    ['null in a list', { tags: [null] }],
    ['a name of no header', { headers: { 'a b': 'x' } }],
    ['an endless credential', { api_key: 'x'.repeat(8_193) }],
    ['an endless word in a list', { forward_headers: ['x'.repeat(8_193)] }],
  ])('%s is refused', (_, sent) => {
    expect(agentPatch.safeParse(sent).success).toBe(false);
  });
});

test('no text of an agent is endless', () => {
  const sent = { name: 'one', url: 'https://example.com', headers: { 'x-a': 'x'.repeat(8_193) } };
  expect(agentBody.safeParse(sent).error?.issues).toMatchObject([{ path: ['headers', 'x-a'] }]);
  expect(agentBody.safeParse({ ...sent, headers: { 'x-a': 'x'.repeat(8_192) } }).success).toBe(true);
});
