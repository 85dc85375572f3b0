import { expect, test } from 'vitest';

import type { KeyRecord, Model, PricedTarget } from '../config/snapshot.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import { createResolve } from './resolve.ts';

function target(provider: string, upstreamModel: string): PricedTarget {
  const id = `${provider}/${upstreamModel}`;
  return { id, provider, upstreamModel, weight: 1, order: 1, timeouts: DEFAULT_TIMEOUTS, priceState: { status: 'free' } };
}

function model(name: string, targets: PricedTarget[]): Model {
  return { name, targets, createdS: 0, ...(name.endsWith('*') && { wildcardPrefix: name.slice(0, -1) }) };
}

const MODELS = [
  model('gpt-4o', [target('openai', 'gpt-4o-2024-08-06')]),
  model('lab/*', [target('lab', '*')]),
  model('lab/fast-*', [target('lab', 'tuned-*-v2')]),
  model('secret-model', [target('lab', 'x')]),
];
const KEY: KeyRecord = { name: 'k', digest: '', models: [], agents: [], blocked: false };
const resolve = createResolve(MODELS, (_key, name) => !name.startsWith('secret'));

test('an exact name', () => {
  expect(resolve('gpt-4o', KEY)).toMatchObject({
    name: 'gpt-4o',
    viaWildcard: false,
    targets: [{ upstreamModel: 'gpt-4o-2024-08-06' }],
  });
});

test('the longest wildcard prefix wins, and the rest of the name fills the star', () => {
  expect(resolve('lab/a/b', KEY)).toMatchObject({ viaWildcard: true, targets: [{ id: 'lab/a/b', upstreamModel: 'a/b' }] });
  expect(resolve('lab/fast-7b', KEY).targets[0]).toMatchObject({ id: 'lab/tuned-7b-v2', upstreamModel: 'tuned-7b-v2' });
  expect(resolve('lab/$&', KEY).targets[0]!.upstreamModel).toBe('$&');
});

test.each(['gpt-4', 'lab/', 'secret-model', 'nothing-like-it'])('%s does not exist', (name) => {
  expect(() => resolve(name, KEY)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
});

test('the error names the nearest models, but none the key may not use', () => {
  expect(() => resolve('gpt-4', KEY)).toThrow(/Did you mean `gpt-4o`/);
  expect(() => resolve('secret-mode', KEY)).not.toThrow(/secret-model`/);
});
