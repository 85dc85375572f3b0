import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';

import { keyDigest } from '../core/key-digest.ts';
import { providersInEnvironment } from '../providers/catalog.ts';
import { type MintedKeys, firstRunConfigText, greeting, mintKeys } from './first-run.ts';

const PEPPER = 'ab'.repeat(32);
const URL_SHOWN = 'http://127.0.0.1:4000';
let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'first-'));
});

const mint = (firstRun = true): MintedKeys => mintKeys({ dataDir, pepper: PEPPER, firstRun, random: randomBytes });

test('minted once, kept as digests; the keys themselves only in the greeting and the admin key’s file', () => {
  const first = mint();
  first.keep({ admin: true });
  expect(first.adminKeyDigest).toBe(keyDigest(PEPPER, first.freshAdminKey ?? ''));
  expect(first.keys).toEqual([
    {
      id: 'first-run',
      name: 'first-run',
      digests: [{ digest: keyDigest(PEPPER, first.freshKey ?? '') }],
      models: ['*'],
      agents: ['*'],
      tags: [],
      blocked: false,
    },
  ]);
  expect(readFileSync(join(dataDir, 'admin-key'), 'utf8').trim()).toBe(first.freshAdminKey);
  for (const file of readdirSync(dataDir)) {
    expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dataDir, file), 'utf8')).not.toContain(first.freshKey);
  }
  const second = mint();
  expect(second.freshKey ?? second.freshAdminKey).toBeUndefined();
  expect([second.adminKeyDigest, second.keys]).toEqual([first.adminKeyDigest, first.keys]);
});

test('a start that fails before keep leaves nothing, so the keys are not lost unseen', () => {
  mint();
  expect(readdirSync(dataDir)).toEqual([]);
});

test('with a configuration: no virtual key, an admin key only where the file names none', () => {
  const named = mint(false);
  named.keep({ admin: false });
  expect(named.keys).toEqual([]);
  expect(readdirSync(dataDir)).toEqual([]);
  const absent = mint(false);
  absent.keep({ admin: true });
  expect(readdirSync(dataDir).sort()).toEqual(['admin-key', 'first-run.json']);
  expect(greeting(absent, { url: URL_SHOWN, firstRun: false, adminUsed: true, isTerminal: false }).join()).toContain(
    join(dataDir, 'admin-key'),
  );
});

test('the greeting: a curl line with the key; the admin key itself only on a terminal; later starts say how to begin anew', () => {
  const minted = mint();
  minted.keep({ admin: true });
  const piped = greeting(minted, { url: URL_SHOWN, firstRun: true, adminUsed: true, isTerminal: false });
  expect(
    piped.filter(
      (line) => line.startsWith(`curl ${URL_SHOWN}/v1/chat/completions `) && line.includes(`Bearer ${minted.freshKey}'`),
    ),
  ).toHaveLength(1);
  expect(piped.join('\n')).not.toContain(minted.freshAdminKey);
  expect(greeting(minted, { url: URL_SHOWN, firstRun: true, adminUsed: true, isTerminal: true }).join('\n')).toContain(
    minted.freshAdminKey,
  );
  const later = greeting(mint(), { url: URL_SHOWN, firstRun: true, adminUsed: true, isTerminal: true }).join('\n');
  expect(later).not.toContain('curl');
  expect(later).toContain(join(dataDir, 'first-run.json'));
});

test('damaged state stops the start, saying what to do', () => {
  writeFileSync(join(dataDir, 'first-run.json'), '{');
  expect(() => mint()).toThrow('remove it to have new keys minted');
});

test('the configuration without a file: demo, and a wildcard for every provider of the environment, secrets by reference', () => {
  const text = firstRunConfigText(providersInEnvironment({ OPENAI_API_KEY: 'sk-secret', ANTHROPIC_API_KEY: 'other-secret' }));
  const config = JSON.parse(text) as { providers: object; models: { name: string }[] };
  expect(config.providers).toEqual({
    demo: {},
    openai: { api_key: '${env:OPENAI_API_KEY}' },
    anthropic: { api_key: '${env:ANTHROPIC_API_KEY}' },
  });
  expect(config.models.map(({ name }) => name).sort()).toEqual(['anthropic/*', 'demo', 'openai/*']);
  expect(text).not.toContain('secret');
});
