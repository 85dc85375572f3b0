import { expect, test } from 'vitest';

import { createRedact } from './redact.ts';

const redact = createRedact(['Bearer canary-credential-1', 'another-canary-22', 'short']);

test('a known secret is masked wherever it stands, with or without its scheme', () => {
  expect(redact('Incorrect key provided: canary-credential-1.')).toBe('Incorrect key provided: [redacted].');
  expect(redact('"another-canary-22" and Bearer canary-credential-1')).toBe('"[redacted]" and [redacted]');
});

test('a key-shaped word is masked though we never knew it', () => {
  expect(redact('Incorrect API key provided: sk-abcd************wxyz.')).toBe('Incorrect API key provided: [redacted]');
});

test('values too short to be secrets mask nothing', () => {
  expect(redact('a short answer about API key authentication')).toBe('a short answer about API key authentication');
});
