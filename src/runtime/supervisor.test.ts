import { mkdirSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';

import type { Snapshot } from '../config/snapshot.ts';
import { type DirectoryDesk, createDirectoryDesk } from './directory-desk.ts';
import { createJournalReader } from './journal-reader.ts';
import { probePort } from './listen.ts';
import { createSharedOverview } from './shared-state.ts';
import { type Supervisor, createSupervisor, heapLimitMb } from './supervisor.ts';

const HOST = '127.0.0.1';
let running: Supervisor | undefined;

afterEach(async () => {
  await running?.drain(100);
  running = undefined;
});

function snapshot(version: number, hash = `h${version}`): Snapshot {
  return { version, hash, server: { maxInflightBytes: 1024 * 1024 } } as Snapshot;
}

interface Crew {
  supervisor: Supervisor;
  desk: DirectoryDesk;
  url: string;
  port: number;
  facts: string[];
  logged: string[];
  givenUp: string[];
}

async function crewOf(workers: number, options: { heapMb?: number; port?: number } = {}): Promise<Crew> {
  const dataDir = mkdtempSync(join(tmpdir(), 'supervisor-'));
  mkdirSync(join(dataDir, 'journal'));
  const port = options.port ?? (await probePort(HOST, 0));
  const crew = { port, url: `http://${HOST}:${port}`, facts: [] as string[], logged: [] as string[], givenUp: [] as string[] };
  const log = (_level: string, fields: Record<string, unknown>, message: string): void => {
    crew.logged.push('reason' in fields ? `${message}: ${fields['reason'] as string}` : message);
  };
  const desk = createDirectoryDesk();
  const dir = join(dataDir, 'journal');
  const finished = (file: string): Promise<void> => unlink(join(dir, file));
  const reader = createJournalReader({ dir, sink: (fact) => crew.facts.push(fact.id), finished, log });
  const supervisor = createSupervisor({
    workerUrl: new URL('../../test/fixtures/scripted-worker.ts', import.meta.url),
    workers,
    heapMb: options.heapMb ?? 256,
    runId: 'test',
    boot: { version: '0', dataDir, controlSocketPath: '', bodyKey: { id: '', key: new Uint8Array() } },
    shared: createSharedOverview(workers, Date.now()),
    log,
    now: Date.now,
    onJournal: reader.announce,
    onGone: (worker, boot) => void reader.retire(worker, boot),
    directory: desk.whole,
    agents: () => ({ type: 'agents', version: 0, whole: true, changed: [], removed: [] }),
    askAgents: () => Promise.reject(new Error('no agents')),
    priceOf: ({ upstreamModel }) =>
      upstreamModel === 'm' ? Promise.resolve({ status: 'free' }) : Promise.reject(new Error('unknown')),
    admitPerson: () => Promise.reject(new Error('nobody')),
    placeEndUser: () => Promise.reject(new Error('nowhere')),
    onGivingUp: (reason) => crew.givenUp.push(reason),
  });
  running = supervisor;
  return { ...crew, supervisor, desk };
}

async function begun(workers: number, options?: { heapMb?: number }): Promise<Crew> {
  const crew = await crewOf(workers, options);
  await crew.supervisor.start(snapshot(1), { host: HOST, port: crew.port, reusePort: workers > 1 });
  return crew;
}

/** A connection of its own each time, so that the kernel chooses a worker anew. */
async function ask(url: string): Promise<string> {
  const { body } = await request(url, { headers: { connection: 'close' }, headersTimeout: 5_000 });
  return body.text();
}

async function until(condition: () => boolean, withinMs: number): Promise<number> {
  const startedAt = performance.now();
  while (!condition()) {
    if (performance.now() - startedAt > withinMs) throw new Error(`not within ${withinMs} ms`);
    await sleep(10);
  }
  return performance.now() - startedAt;
}

const serving = (crew: Crew): number => crew.supervisor.status().filter((worker) => worker.serving).length;

test('all workers listen on one port with the first snapshot, and are ready', async () => {
  const crew = await begun(3);
  const seen = new Set<number>();
  for (let round = 0; round < 60 && seen.size < 3; round++) {
    const answer = JSON.parse(await ask(crew.url)) as { worker: number; ready: boolean; version: number };
    expect(answer).toMatchObject({ ready: true, version: 1 });
    seen.add(answer.worker);
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2]);
});

test('a snapshot is in force in every worker when apply resolves; who refuses or is late is named', async () => {
  const crew = await begun(2);
  expect(await crew.supervisor.apply(snapshot(2))).toEqual({ late: [], refused: [] });
  for (let round = 0; round < 10; round++) expect(JSON.parse(await ask(crew.url))).toMatchObject({ version: 2 });
  expect(await crew.supervisor.apply(snapshot(3, 'refused'))).toEqual({
    late: [],
    refused: [0, 1].map((worker) => ({ worker, error: 'told to refuse' })),
  });
  expect(await crew.supervisor.apply(snapshot(4, 'late'))).toEqual({ late: [0, 1], refused: [] });
});

// Twice more where a busy machine missed the second, or the kernel gave every stream to the worker that dies.
const RETRY = { retry: 2 };

test.each(['/throw', '/reject', '/heap'])(
  '%s: the worker is replaced within a second, its share and its facts are collected',
  RETRY,
  async (path) => {
    const crew = await begun(2, { heapMb: 64 });
    await crew.supervisor.apply(snapshot(2));
    const victim = await request(`${crew.url}${path}`, { headersTimeout: 10_000 }).then(
      () => 'answered',
      () => 'cut',
    );
    expect(victim).toBe('cut');
    await until(() => serving(crew) === 2 && crew.logged.includes('a dead worker was replaced'), 1_000);
    expect(crew.supervisor.status()).toEqual(
      [0, 1].map((worker) => expect.objectContaining({ worker, inflight: 0, inflightBytes: 0 })),
    );
    expect(
      crew.supervisor
        .status()
        .map(({ generation }) => generation)
        .sort((a, b) => a - b),
    ).toEqual([0, 1]);
    for (let round = 0; round < 10; round++) expect(JSON.parse(await ask(crew.url))).toMatchObject({ ready: true, version: 2 });
    if (path === '/throw') await until(() => crew.facts.some((id) => id.startsWith('before-death')), 500);
  },
);

test('news of the directory is known to every worker when tell resolves, and to those that come later', RETRY, async () => {
  const crew = await begun(2);
  const known = async (): Promise<unknown[]> => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(crew.url)));
    return [...new Set(answers.map((answer) => (JSON.parse(answer) as { directory: number }).directory))];
  };
  const nothing = { keys: [], parties: [], removedKeys: [], removedParties: [] };
  expect(await known()).toEqual([0]);
  expect(await crew.supervisor.tell(crew.desk.add(nothing))).toBe(true);
  expect(await known()).toEqual([1]);
  await ask(`${crew.url}/throw`).catch(() => undefined);
  await until(() => crew.logged.includes('a dead worker was replaced'), 5_000);
  expect(await known()).toEqual([1]);
});

test('the other worker’s stream goes on while one dies', RETRY, async () => {
  const crew = await begun(2);
  const streams = await Promise.all(
    Array.from({ length: 8 }, () => request(`${crew.url}/stream`, { headers: { connection: 'close' } })),
  );
  await ask(`${crew.url}/throw`).catch(() => 'cut');
  const ends = await Promise.allSettled(streams.map(({ body }) => body.text()));
  const died = /worker/.test(crew.logged.join());
  const byWorker = streams.map(({ headers }, index) => ({ worker: headers['x-worker'], end: ends[index] }));
  const whole = byWorker.filter(({ end }) => end?.status === 'fulfilled' && end.value === 'begun;ended');
  expect(died).toBe(true);
  expect(new Set(whole.map(({ worker }) => worker)).size).toBe(1);
  expect(whole).toHaveLength(byWorker.filter(({ worker }) => worker === whole[0]?.worker).length);
});

test('five deaths within a minute: no more replacements, the process gives up once', async () => {
  const crew = await begun(1);
  for (let death = 1; death <= 5; death++) {
    await until(() => serving(crew) === 1, 2_000);
    await ask(`${crew.url}/throw`).catch(() => 'cut');
    await until(() => crew.logged.filter((line) => line.startsWith('a worker died')).length === death, 1_000);
  }
  await sleep(300);
  expect(crew.givenUp).toEqual(['5 workers died within a minute, the last one: told to throw']);
  expect(serving(crew)).toBe(0);
});

test('drain waits for what is in flight, and not longer than told', async () => {
  const crew = await begun(1);
  const stream = await request(`${crew.url}/stream`, { headers: { connection: 'close' } });
  const text = stream.body.text();
  await crew.supervisor.drain(10_000);
  expect(await text).toBe('begun;ended');
  await expect(ask(crew.url)).rejects.toThrow();
});

test('workers ask main for prices; a failing look-up is unpriced', async () => {
  const crew = await begun(1);
  expect(JSON.parse(await ask(`${crew.url}/price`))).toEqual({ status: 'free' });
});

test('a port that was taken in between fails the start in one sentence', async () => {
  const other = createServer().listen(0, HOST);
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const crew = await crewOf(2, { port });
  await expect(crew.supervisor.start(snapshot(1), { host: HOST, port, reusePort: true })).rejects.toThrow(/EADDRINUSE/);
  other.close();
});

test('a port in use is found before any worker starts', async () => {
  const crew = await begun(2);
  await expect(probePort(HOST, crew.port)).rejects.toThrow(`port ${crew.port} is in use on ${HOST}`);
  await expect(probePort('203.0.113.7', 0)).rejects.toThrow('does not have that address');
});

test('heap limits share half of the memory, within bounds', () => {
  const GIB = 1024 ** 3;
  expect(heapLimitMb(8 * GIB, 4)).toBe(1024);
  expect(heapLimitMb(256 * GIB, 2)).toBe(4096);
  expect(heapLimitMb(GIB / 2, 8)).toBe(128);
});
