import { expect, test } from 'vitest';

import type { Model, PricedTarget } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { DEFAULT_ROUTING } from '../core/routing.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import { createResolve } from './resolve.ts';

function target(provider: string, upstreamModel: string): PricedTarget {
  const id = `${provider}/${upstreamModel}`;
  return { id, provider, upstreamModel, weight: 1, order: 1, timeouts: DEFAULT_TIMEOUTS, priceState: { status: 'free' } };
}

function model(name: string, targets: PricedTarget[]): Model {
  return {
    name,
    targets,
    createdS: 0,
    routing: DEFAULT_ROUTING,
    ...(name.endsWith('*') && { wildcardPrefix: name.slice(0, -1) }),
  };
}

const MODELS = [
  model('gpt-4o', [target('openai', 'gpt-4o-2024-08-06')]),
  model('lab/*', [target('lab', '*')]),
  model('lab/fast-*', [target('lab', 'tuned-*-v2')]),
  model('secret-model', [target('lab', 'x')]),
];
const CALLER: Caller = {
  key: { id: 'k', name: 'k', digests: [], models: [], agents: [], blocked: false, tags: [] },
  ancestors: [],
  scopes: ['key:k'],
  rules: [],
};
const resolve = createResolve(MODELS, (_caller, name) => !name.startsWith('secret'));

test('an exact name', () => {
  expect(resolve('gpt-4o', CALLER)).toMatchObject({
    name: 'gpt-4o',
    viaWildcard: false,
    targets: [{ upstreamModel: 'gpt-4o-2024-08-06' }],
  });
});

test('the longest wildcard prefix wins, and the rest of the name fills the star', () => {
  expect(resolve('lab/a/b', CALLER)).toMatchObject({ viaWildcard: true, targets: [{ id: 'lab/a/b', upstreamModel: 'a/b' }] });
  expect(resolve('lab/fast-7b', CALLER).targets[0]).toMatchObject({ id: 'lab/tuned-7b-v2', upstreamModel: 'tuned-7b-v2' });
  expect(resolve('lab/$&', CALLER).targets[0]!.upstreamModel).toBe('$&');
});

test.each(['gpt-4', 'lab/', 'secret-model', 'nothing-like-it'])('%s does not exist', (name) => {
  expect(() => resolve(name, CALLER)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
});

test('the error names the nearest models, but none the key may not use', () => {
  expect(() => resolve('gpt-4', CALLER)).toThrow(/Did you mean `gpt-4o`/);
  expect(() => resolve('secret-mode', CALLER)).not.toThrow(/secret-model`/);
});
