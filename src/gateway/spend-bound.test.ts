import { expect, test } from 'vitest';

import type { DialectId } from '../core/dialect-id.ts';
import type { ModelBounds } from '../core/price.ts';
import { scanObject } from '../lib/json-scan.ts';
import { hidesOutput } from './spend-bound.ts';

const hides = (
  dialect: DialectId,
  upstreamModel: string,
  { body = {}, defaults = {}, bounds = {} }: { body?: object; defaults?: Record<string, unknown>; bounds?: ModelBounds } = {},
): boolean => {
  const bytes = Buffer.from(JSON.stringify(body));
  const scan = scanObject(bytes);
  if (!scan.ok) throw new Error(scan.reason);
  const shape = { bytes, members: scan.members, defaults, dropped: [], rename: {} };
  return hidesOutput(shape, { price: undefined, bounds, dialect, upstreamModel });
};

const REASONS: ModelBounds = { reasons: true };

test('reasoning that nobody sees may be there where it is asked for, by whomever, and where a model does it by itself', () => {
  expect(hides('anthropic-messages', 'claude-sonnet-4-5', { bounds: REASONS })).toBe(false);
  expect(
    hides('anthropic-messages', 'claude-sonnet-4-5', { body: { thinking: { type: 'enabled', budget_tokens: 2_000 } } }),
  ).toBe(true);
  expect(hides('anthropic-messages', 'claude-sonnet-4-5', { defaults: { thinking: { type: 'adaptive' } } })).toBe(true);
  expect(hides('anthropic-messages', 'claude-opus-5-5', { bounds: REASONS })).toBe(true);
  expect(hides('anthropic-messages', 'minimax-m2', { bounds: REASONS })).toBe(true);
  expect(hides('openai-chat', 'gpt-5', { bounds: REASONS })).toBe(true);
  expect(hides('openai-chat', 'gpt-4o')).toBe(false);
});
