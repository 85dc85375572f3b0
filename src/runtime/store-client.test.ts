import { expect, test } from 'vitest';

import { storeLocation } from './store-client.ts';

test.each([
  [undefined, '/data/store.db'],
  ['mine.db', '/data/mine.db'],
  ['postgres.db', '/data/postgres.db'],
  ['/var/lib/x.db', '/var/lib/x.db'],
  ['postgres://u@h/d', 'postgres://u@h/d'],
  ['postgresql://u@h/d', 'postgresql://u@h/d'],
])('%s lies at %s', (configured, location) => {
  expect(storeLocation('/data', configured)).toBe(location);
});
