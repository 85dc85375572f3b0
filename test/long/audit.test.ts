import { expect, test } from 'vitest';

import { auditKey } from '../../src/control/audit-chain.ts';
import { auditLog, flipBytes } from '../support/audit-log.ts';

test('each byte of an audit log of 1,000 rows, changed, is found', () => {
  const key = auditKey('5a'.repeat(32));
  const { flips, missed } = flipBytes(key, auditLog(key, 1_000), 1);
  expect(missed).toEqual([]);
  expect(flips).toBeGreaterThan(200_000);
});
