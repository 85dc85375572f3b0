import { expect, test } from 'vitest';

import { nodeComplaint } from './node-version.ts';

test.each(['18.20.8', '20.20.2', '22.23.4', '23.9.0'])('Node %s cannot run Signalbox', (version) => {
  expect(nodeComplaint(version)).toMatchObject({ fatal: true, message: expect.stringContaining(version) });
});

test.each([
  ['24.22.0', '24.22.1'],
  ['24.0.0', '24.22.1'],
  ['26.10.0', '26.12.1'],
  ['26.12.0', '26.12.1'],
])('Node %s runs, and is told to become %s', (version, fixed) => {
  expect(nodeComplaint(version)).toMatchObject({ fatal: false, message: expect.stringContaining(fixed) });
});

test.each(['24.22.1', '24.30.0', '26.12.1', '26.13.0', '28.0.0'])('Node %s is fine', (version) => {
  expect(nodeComplaint(version)).toBeUndefined();
});
