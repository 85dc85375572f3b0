import { expect, test } from 'vitest';

import { witnessOf } from './witness.ts';

test.each([
  ['a key', ['key:a', 'tag:x'], 'key:a'],
  ['a key that another one made', ['key:child', 'key:parent', 'team:t'], 'key:parent'],
  ['a key of a person', ['key:a', 'user:u', 'team:t'], 'user:u'],
  ['a key of a service', ['key:a', 'service:s', 'org:o'], 'service:s'],
  ['nobody that is known', [], ''],
])('%s', (_, scopes, witness) => {
  expect(witnessOf(scopes)).toBe(witness);
});
