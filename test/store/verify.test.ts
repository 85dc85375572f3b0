/** `signalbox verify`, as an operator runs it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openStore } from '../../src/store/sql/open.ts';
import { exchangeFact } from '../support/facts.ts';
import { runSignalbox, startSignalbox } from '../support/signalbox.ts';

let home = '';
let dataDir = '';
let config = '';

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'signalbox-verify-'));
  dataDir = join(home, 'data');
  config = join(home, 'gateway.yaml');
  writeFileSync(config, 'store: { url: money.db }\n');
  const box = await startSignalbox({ config: 'store: { url: money.db }\n', dataDir });
  const whileServing = await verify();
  expect(whileServing.code).toBe(1);
  expect(whileServing.stderr).toContain('in use by another Signalbox');
  expect(await box.stop()).toBe(0);
  const store = await openStore(join(dataDir, 'money.db'));
  const batch = { node: 'n', file: 'w0-b-000000.jnl', thread: 'w0-b', fromByte: 0, toByte: 1 };
  await store.facts.import({ ...batch, facts: [exchangeFact('ex_1'), exchangeFact('ex_2')] });
  await store.close();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function verify(...more: string[]): ReturnType<typeof runSignalbox> {
  return runSignalbox(['verify', '--config', config, '--data', dataDir, ...more]);
}

test('counters that are the sum of their entries', async () => {
  const { code, stdout } = await verify();
  expect(stdout).toBe(`${join(dataDir, 'money.db')}: 2 entries of 0.000002 USD, 6 counters: all are the sum of their entries\n`);
  expect(code).toBe(0);
});

test('a counter that somebody changed', async () => {
  const db = new DatabaseSync(join(dataDir, 'money.db'));
  db.exec("update spend_quarters set nano_usd = 1 where scope = 'team:team_a'");
  db.close();
  const { code, stderr, stdout } = await verify();
  expect(stderr).toContain('team:team_a at 2026-03-02T10:00:00.000Z: the counter says 0.000000001 USD, the entries 0.000002');
  expect(stdout).toContain('some are not');
  expect(code).toBe(1);
  const { stdout: json } = await verify('--json');
  expect(JSON.parse(json)).toMatchObject({
    entries: 2,
    nanoUsd: 2_000,
    differences: [{ scope: 'team:team_a', countedNanoUsd: 1 }],
  });
});

test('a store that is not there is not made, and not called sound', async () => {
  const other = join(home, 'other.yaml');
  writeFileSync(other, 'store: { url: elsewhere.db }\n');
  const done = await runSignalbox(['verify', '--config', other, '--data', dataDir]);
  expect(done).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('--config') });
  expect(existsSync(join(dataDir, 'elsewhere.db'))).toBe(false);
});

test('what is not there is said', async () => {
  const { code, stderr } = await runSignalbox(['verify', '--data', join(home, 'nowhere')]);
  expect(stderr).toContain('there is no data directory');
  expect(code).toBe(1);
});
