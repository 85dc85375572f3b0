/**
 * What many keys cost: the start, a worker's memory, and a look-up. `node bench/keys.ts [N]` (100,000): a store with one key and one with N, each key with limits
 * and a budget, started in turn; then the look-up alone, of keys never seen before and of one seen again.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadDirectory } from '../src/control/directory/load.ts';
import { keyDigest } from '../src/core/key-digest.ts';
import { mintKey } from '../src/core/key-format.ts';
import { createIdSource } from '../src/lib/ids.ts';
import { createAuthenticate } from '../src/policy/authenticate.ts';
import { createDirectoryIndex } from '../src/policy/directory-index.ts';
import { SLOT_SPACE, createSlotBook } from '../src/runtime/slots.ts';
import { openDataDir } from '../src/runtime/data-dir.ts';
import type { Key } from '../src/store/ports/entities.ts';
import { openStore } from '../src/store/sql/open.ts';
import { startSignalbox } from '../test/support/signalbox.ts';

const MANY = Number(process.argv[2]) || 100_000;
const BATCH = 5_000;
const LOOK_UPS = 20_000;
const CONFIG = 'providers: { demo: {} }\nmodels: [{ name: demo, targets: [{ provider: demo, model: demo, price: free }] }]\n';

const ids = createIdSource(randomBytes);
const folder = mkdtempSync(join(tmpdir(), 'bench-keys-'));

/** A data directory whose store holds so many keys, and their secrets. */
async function filled(name: string, keys: number): Promise<{ path: string; pepper: string; secrets: string[] }> {
  const dataDir = openDataDir(join(folder, name));
  const store = await openStore(join(dataDir.path, 'store.db'));
  const secrets = Array.from({ length: keys }, () => mintKey('key', randomBytes));
  for (let from = 0; from < keys; from += BATCH) {
    const batch = secrets.slice(from, from + BATCH).map((secret, at) => keyOf(from + at, keyDigest(dataDir.pepper, secret)));
    await store.entities.write({ put: batch });
  }
  await store.close();
  dataDir.release();
  return { path: dataDir.path, pepper: dataDir.pepper, secrets };
}

function keyOf(at: number, digest: string): Key {
  return {
    kind: 'key',
    id: ids.timedId('key', Date.now()),
    name: `developer-${at}`,
    digests: [{ digest }],
    shown: 'sk-sb-Ab3…x9Z4',
    models: ['gpt-*', 'claude-*'],
    agents: [],
    tags: ['team-blue'],
    blocked: false,
    priority: 'normal',
    recordBodies: false,
    limits: { rpm: 60 },
    budgets: [{ limitNanoUsd: 5e9, window: 'day', timeZone: 'UTC', hard: true, mode: 'strict', unpriced: 'ceiling' }],
    metadata: { owner: `developer-${at}@example.com` },
    createdAtMs: Date.now(),
    updatedAtMs: Date.now(),
    createdBy: 'root',
  };
}

async function started(name: string, { path, secrets }: Awaited<ReturnType<typeof filled>>): Promise<void> {
  const from = performance.now();
  const box = await startSignalbox({ config: CONFIG, dataDir: path, args: ['--workers', '2'] });
  const readyMs = performance.now() - from;
  const models = await fetch(`${box.url}/v1/models`, { headers: { authorization: `Bearer ${secrets.at(-1)!}` } });
  if (models.status !== 200) throw new Error(`the last key was refused: ${models.status}`);
  const rssMb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${box.process.pid!}/status`, 'utf8'))?.[1]) / 1024;
  console.log(`${name}: ready after ${readyMs.toFixed(0)} ms, RSS ${rssMb.toFixed(0)} MB with 2 workers`);
  await box.stop();
}

async function lookUps(name: string, { path, pepper, secrets }: Awaited<ReturnType<typeof filled>>): Promise<void> {
  const store = await openStore(join(path, 'store.db'));
  const slots = createSlotBook(SLOT_SPACE, Date.now);
  const from = performance.now();
  const parts = { entities: store.entities, slotOf: slots.slotOf, nowMs: Date.now, onKey: () => {}, onLeftOut: () => {} };
  const table = await loadDirectory(parts);
  const loadMs = performance.now() - from;
  await store.close();
  const index = createDirectoryIndex();
  index.load(table);
  const authenticate = createAuthenticate({ pepper, adminKeyDigest: '' }, index);
  const nowMs = Date.now();
  const perCall = (keys: readonly string[]): string => {
    const headers = Array.from({ length: LOOK_UPS }, (_, at) => ({ authorization: `Bearer ${keys[at % keys.length]!}` }));
    const start = performance.now();
    for (const each of headers) authenticate(each, nowMs, '192.0.2.1');
    return (((performance.now() - start) * 1000) / LOOK_UPS).toFixed(2);
  };
  perCall(secrets);
  const [fresh, again] = [perCall(secrets.slice(-LOOK_UPS)), perCall(secrets.slice(0, 1))];
  const tableMb = (table.byteLength / 2 ** 20).toFixed(1);
  console.log(
    `${name}: read in ${loadMs.toFixed(0)} ms, table ${tableMb} MB for all workers, look-up ${fresh} µs of many keys, ${again} µs of one`,
  );
}

try {
  const [one, many] = [await filled('one', 1), await filled('many', MANY)];
  await started('1 key', one);
  await started(`${MANY} keys`, many);
  await lookUps('1 key', one);
  await lookUps(`${MANY} keys`, many);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
