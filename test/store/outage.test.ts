/** A store that fails in every way we could think of, under a gateway that goes on serving. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';

import { openStore } from '../../src/store/sql/open.ts';
import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';
import { describePostgres } from '../support/stores.ts';

const SECRETS = {
  SOFT_KEY: 'soft-key-of-the-outage-test',
  HARD_KEY: 'hard-key-of-the-outage-test',
  ADMIN_KEY: 'admin-key-of-the-outage-test',
};
const PATIENTLY = { timeout: 20_000, interval: 50 };

function configOf(url: string, more = ''): string {
  return `
server: { workers: 2 }
providers: { demo: {} }
models:
  - name: demo
    targets: [{ provider: demo, model: demo, price: { input_usd_per_mtok: 3, output_usd_per_mtok: 7 } }]
keys:
  - { name: soft, key: "\${env:SOFT_KEY}" }
  - { name: hard, key: "\${env:HARD_KEY}", budget: { limit_usd: 1000, window: total, hard: true } }
admin: { key: "\${env:ADMIN_KEY}" }
store: { url: "${url}"${more} }
`;
}

let home = '';
let box: Signalbox | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'signalbox-outage-'));
});
afterEach(async () => {
  await box?.stop();
  box = undefined;
  rmSync(home, { recursive: true, force: true });
});

async function begin(url: string, more?: string): Promise<Signalbox> {
  box = await startSignalbox({ config: configOf(url, more), env: SECRETS, dataDir: join(home, 'data') });
  return box;
}

function chat(key: string, content = 'Hello'): Promise<Reply> {
  const body = { model: 'demo', messages: [{ role: 'user', content }] };
  return ask(`${box!.url}/v1/chat/completions`, { headers: { authorization: `Bearer ${key}` }, body });
}

/** So many answers with 200, of both keys; what they cost in nano-USD, as they said themselves. */
async function serve(count: number): Promise<number> {
  const replies = await Promise.all(
    Array.from({ length: count }, (_, index) => chat(index % 2 === 0 ? SECRETS.SOFT_KEY : SECRETS.HARD_KEY)),
  );
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
  return replies.reduce((sum, { headers }) => sum + Math.round(Number(headers['x-signalbox-cost-usd']) * 1e9), 0);
}

function admin(path: string): Promise<Reply> {
  return ask(`${box!.url}${path}`, { headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}` } });
}

function said(text: string): () => boolean {
  return () => box!.stderr().includes(text);
}

const DOWN = 'the store cannot be used';
const UP = 'the store can be used';

/** Every served exchange stands in the store once, with its cost, and the counters are the sum of the ledger. */
async function holds(url: string, exchanges: number, nanoUsd: number): Promise<void> {
  const store = await openStore(url);
  try {
    const day = 86_400_000;
    const now = Date.now();
    const query = { by: [], sinceMs: now - (now % day) - day, untilMs: now + 2 * day, limit: 10 };
    await expect.poll(async () => (await store.usage.report({ ...query })).rows[0]?.requests, PATIENTLY).toBe(exchanges);
    const proof = await store.ledger.verify();
    expect(proof.differences).toEqual([]);
    expect(proof.nanoUsd).toBe(nanoUsd);
    expect((await store.ledger.spentSince([{ scope: 'model:demo', sinceMs: 0 }]))[0]).toBe(nanoUsd);
  } finally {
    await store.close();
  }
}

describe('SQLite', () => {
  test('locked by somebody else: calls go on, the control plane says so, and all is written afterwards', async () => {
    const url = join(home, 'store.db');
    await begin(url);
    let nanoUsd = await serve(20);
    const thief = new DatabaseSync(url, { timeout: 10_000 });
    thief.exec('BEGIN IMMEDIATE');
    nanoUsd += await serve(20);
    await expect.poll(said(DOWN), PATIENTLY).toBe(true);
    const refused = await admin('/admin/v1/requests');
    expect(refused.status).toBe(503);
    expect(jsonOf(refused)).toMatchObject({ error: { code: 'store_down' } });
    nanoUsd += await serve(20);
    expect((await ask(`${box!.url}/health/ready`)).status).toBe(200);
    thief.exec('ROLLBACK');
    thief.close();
    await expect.poll(said(UP), PATIENTLY).toBe(true);
    expect((await admin('/admin/v1/requests')).status).toBe(200);
    await holds(url, 60, nanoUsd);
  });

  const why = canMount();
  it.skipIf(why !== undefined)(`disk full${why ?? ''}: calls go on, and all is written when there is room again`, async () => {
    const disk = join(home, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'none', disk]);
    try {
      const url = join(disk, 'store.db');
      await begin(url);
      let nanoUsd = await serve(10);
      fill(join(disk, 'filler'));
      nanoUsd += await serve(300);
      await expect.poll(said(DOWN), PATIENTLY).toBe(true);
      rmSync(join(disk, 'filler'));
      await expect.poll(said(UP), PATIENTLY).toBe(true);
      await holds(url, 310, nanoUsd);
      await box!.stop();
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  });

  test('beyond max_journal_bytes only calls under a hard budget are refused, and served again when the store has caught up', async () => {
    const url = join(home, 'store.db');
    await begin(url, ', max_journal_bytes: 1048576');
    const thief = new DatabaseSync(url, { timeout: 10_000 });
    thief.exec('BEGIN IMMEDIATE');
    const status = async (): Promise<number> => (await chat(SECRETS.HARD_KEY)).status;
    await expect
      .poll(
        async () => {
          await Promise.all(Array.from({ length: 100 }, () => chat(SECRETS.SOFT_KEY)));
          return status();
        },
        { timeout: 40_000, interval: 1 },
      )
      .toBe(503);
    const refused = await chat(SECRETS.HARD_KEY);
    expect(jsonOf(refused)).toMatchObject({ error: { code: 'store_down' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await chat(SECRETS.SOFT_KEY)).status).toBe(200);
    thief.exec('ROLLBACK');
    thief.close();
    await expect.poll(status, PATIENTLY).toBe(200);
  }, 90_000);

  test('killed while the store was down: the next start has it all, once', async () => {
    const url = join(home, 'store.db');
    await begin(url);
    const thief = new DatabaseSync(url, { timeout: 10_000 });
    thief.exec('BEGIN IMMEDIATE');
    const nanoUsd = await serve(30);
    await expect.poll(said(DOWN), PATIENTLY).toBe(true);
    await box!.kill();
    thief.exec('ROLLBACK');
    thief.close();
    await begin(url);
    await holds(url, 30, nanoUsd);
  });
});

describePostgres((postgres) => {
  const outages: [string, () => Promise<void>, () => Promise<void>][] = [
    ['stopped', () => postgres().stop(), () => postgres().start()],
    ['frozen', () => Promise.resolve(postgres().freeze()), () => Promise.resolve(postgres().thaw())],
  ];
  test.each(outages)(
    '%s: calls go on, the control plane says so, and all is written once afterwards',
    async (_, fail, recover) => {
      const url = await postgres().newDatabase();
      await begin(url);
      let nanoUsd = await serve(20);
      await fail();
      nanoUsd += await serve(20);
      await expect.poll(said(DOWN), PATIENTLY).toBe(true);
      const at = performance.now();
      expect((await admin('/admin/v1/requests')).status).toBe(503);
      // At once, not after a timeout of its own.
      expect(performance.now() - at).toBeLessThan(1_000);
      nanoUsd += await serve(20);
      await sleep(1_000);
      await recover();
      await expect.poll(said(UP), PATIENTLY).toBe(true);
      nanoUsd += await serve(20);
      await holds(url, 80, nanoUsd);
      expect((await admin('/admin/v1/requests')).status).toBe(200);
    },
  );

  test('restarted again and again under load: nothing lost, nothing twice', async () => {
    const url = await postgres().newDatabase();
    await begin(url);
    let [exchanges, nanoUsd] = [0, 0];
    for (let round = 0; round < 4; round++) {
      const serving = (async (): Promise<void> => {
        for (let batch = 0; batch < 5; batch++) {
          nanoUsd += await serve(10);
          exchanges += 10;
          await sleep(60);
        }
      })();
      await sleep(30 * round);
      await postgres().stop();
      await postgres().start();
      await serving;
    }
    await holds(url, exchanges, nanoUsd);
  });

  test('not there at the start: it says so and ends', async () => {
    const url = await postgres().newDatabase();
    await postgres().stop();
    try {
      await expect(begin(url)).rejects.toThrow(/the store cannot be opened/);
    } finally {
      await postgres().start();
    }
  });
});

/** Takes all the room there is. */
function fill(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(16 * 1024 * 1024));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Why no file system of a given size can be made here. */
function canMount(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return undefined;
  } catch {
    return ' (not tried: nothing can be mounted here)';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
