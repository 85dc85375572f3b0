import { open, rename, rm, symlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';

import { CATALOG, configFolder } from '../../test/support/config-files.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { formatIssue } from './issue.ts';
import { watchConfig } from './live.ts';
import type { LoadedConfig } from './load.ts';
import type { Candidate, Reload } from './live.ts';
import type { Snapshot } from './snapshot.ts';

const FREE = { priceOf: () => ({ status: 'free' }) as const, contextWindowOf: () => undefined };

function snapshotOf(loaded: LoadedConfig): Snapshot {
  return buildSnapshot(loaded, {
    catalog: CATALOG,
    prices: FREE,
    modelFacts: () => undefined,
    pepper: 'ab'.repeat(32),
    slotOf: () => 0,
    nowMs: Date.now(),
    version: 1,
    platform: 'linux',
    cores: 1,
  });
}

/** Watches real files every few milliseconds. */
async function watching(given: Record<string, string>, intervalMs = 5) {
  const files = await configFolder(given);
  const applied: Snapshot[] = [];
  const reports: Reload[] = [];
  const state = { loads: 0, running: 0, overlapped: false, applyFails: false };
  const load = async (): Promise<Candidate> => {
    state.loads += 1;
    state.running += 1;
    state.overlapped ||= state.running > 1;
    const result = await files.load();
    state.running -= 1;
    if (!result.ok) return result;
    return { ok: true, snapshot: snapshotOf(result.loaded), files: result.files };
  };
  const first = await load();
  if (!first.ok) throw new Error(first.issues.map(formatIssue).join('\n'));
  const live = watchConfig({
    current: first.snapshot,
    files: first.files,
    load,
    apply: async (snapshot) => {
      if (state.applyFails) throw new Error('a worker did not answer');
      applied.push(snapshot);
      return [];
    },
    report: (reload) => reports.push(reload),
    intervalMs,
  });
  onTestFinished(async () => {
    live.stop();
    await live.reloadNow().catch(() => undefined);
    await files[Symbol.asyncDispose]();
  });
  return { files, applied, reports, state, live };
}

const names = (snapshot: Snapshot | undefined) => snapshot?.keys.map(({ name }) => name);
const keyFile = (name: string, file = 'secret') => `keys: [{ name: ${name}, key: "\${file:${file}}" }]`;

it('swaps when the file changes, counting versions up', async () => {
  const { files, applied, reports } = await watching({ 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' });
  await files.write('gateway.yaml', keyFile('b'));
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['b']));
  await files.write('gateway.yaml', keyFile('c'));
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['c']));
  expect(applied.map(({ version }) => version)).toEqual([2, 3]);
  expect(reports.map(({ outcome }) => outcome)).toEqual(['swapped', 'swapped']);
});

it('swaps when a secret file changes, and when an include does', async () => {
  const { files, applied } = await watching({
    'gateway.yaml': `include: [more.yaml]\n${keyFile('a')}`,
    'more.yaml': 'server: { drain_s: 1 }',
    secret: 'k-3f9a1c77e2b84d05',
  });
  await files.write('secret', 'k-aaaabbbbccccdddd');
  await vi.waitFor(() => expect(applied).toHaveLength(1));
  await files.write('more.yaml', 'server: { drain_s: 2 }');
  await vi.waitFor(() => expect(applied.at(-1)?.server.drainS).toBe(2));
});

it('watches files that a reload brought in', async () => {
  const { files, applied } = await watching({ 'gateway.yaml': '', 'more.yaml': 'server: { drain_s: 1 }' });
  await files.write('gateway.yaml', 'include: [more.yaml]');
  await vi.waitFor(() => expect(applied.at(-1)?.server.drainS).toBe(1));
  await files.write('more.yaml', 'server: { drain_s: 2 }');
  await vi.waitFor(() => expect(applied.at(-1)?.server.drainS).toBe(2));
});

it('sees a folder swapped behind a symlink, as Kubernetes does it', async () => {
  const { files, applied } = await watching({
    'gateway.yaml': keyFile('a', 'mount/key'),
    '..2026_1/key': 'k-3f9a1c77e2b84d05',
    '..2026_2/key': 'k-aaaabbbbccccdddd',
    'mount/key': 'k-3f9a1c77e2b84d05',
  });
  // mount/key → ..data/key, ..data → ..2026_1; an update renames a new ..data over the old one.
  await rm(files.path('mount'), { recursive: true });
  await symlink('..2026_1', files.path('..data'));
  await symlink('..data', files.path('mount'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const digest = applied.at(-1)?.keys[0]?.digests[0]?.digest;
  await symlink('..2026_2', files.path('..tmp'));
  await rename(files.path('..tmp'), files.path('..data'));
  await vi.waitFor(() => expect(applied.at(-1)?.keys[0]?.digests[0]?.digest).not.toBe(digest));
});

it('keeps the old snapshot while the file is wrong, says why once, and recovers', async () => {
  const { files, applied, reports, state } = await watching({ 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' });
  await files.write('gateway.yaml', 'server: { prot: 1 }');
  await vi.waitFor(() => expect(reports).toHaveLength(1));
  expect(reports[0]).toMatchObject({ outcome: 'refused', issues: [{ path: 'server.prot', nearest: ['port'] }] });
  const { loads } = state;
  await files.write('gateway.yaml', 'server: { prot: 1 } ');
  await vi.waitFor(() => expect(state.loads).toBeGreaterThan(loads));
  await files.write('gateway.yaml', keyFile('b'));
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['b']));
  expect(reports.map(({ outcome }) => outcome)).toEqual(['refused', 'swapped']);
});

it('survives the file going away', async () => {
  const { files, applied, reports } = await watching({ 'gateway.yaml': '' });
  await rename(files.path('gateway.yaml'), files.path('away'));
  await vi.waitFor(() => expect(reports.at(-1)?.outcome).toBe('refused'));
  await files.write('away', 'server: { drain_s: 1 }');
  await rename(files.path('away'), files.path('gateway.yaml'));
  await vi.waitFor(() => expect(applied.at(-1)?.server.drainS).toBe(1));
});

it('does not take a half-written file for a configuration', async () => {
  const { files, applied, live } = await watching({ 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' });
  const writer = await open(files.path('gateway.yaml'), 'w');
  for (const part of [keyFile('b'), '\n#', ' slow', ' writer']) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    await writer.write(part);
  }
  await writer.close();
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['b']));
  expect(applied).toHaveLength(1);
  // Whoever asks for a reload while a file is being written gets what was written last.
  const signalled = live.reloadNow();
  await files.write('gateway.yaml', keyFile('c'));
  await signalled;
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['c']));
  expect(applied).toHaveLength(2);
});

it('does not swap what means the same', async () => {
  const { files, applied, reports, live } = await watching(
    { 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' },
    60_000,
  );
  await files.write('gateway.yaml', `# a comment\n${keyFile('a')}`);
  expect(await live.reloadNow()).toMatchObject({ outcome: 'unchanged' });
  expect(applied).toEqual([]);
  expect(reports).toEqual([]);
});

it('loads at once when told, and tells the outcome', async () => {
  const { files, applied, live } = await watching({ 'gateway.yaml': '' }, 60_000);
  await files.write('gateway.yaml', 'server: { drain_s: 1 }');
  expect(await live.reloadNow()).toMatchObject({ outcome: 'swapped', snapshot: { version: 2 } });
  expect(applied).toHaveLength(1);
  await files.write('gateway.yaml', 'server: [');
  expect(await live.reloadNow()).toMatchObject({ outcome: 'refused' });
});

it('never runs two reloads at a time; calls during one share the next', async () => {
  const { files, state, live } = await watching({ 'gateway.yaml': '' }, 60_000);
  const before = state.loads;
  await files.write('gateway.yaml', 'server: { drain_s: 1 }');
  const running = live.reloadNow();
  while (state.running === 0) await new Promise(setImmediate);
  const during = [live.reloadNow(), live.reloadNow(), live.reloadNow()];
  expect(new Set(during).size).toBe(1);
  expect(during[0]).not.toBe(running);
  await Promise.all([running, ...during]);
  expect(state.overlapped).toBe(false);
  expect(state.loads).toBe(before + 2);
});

it('reports a swap that failed and stays with the old snapshot', async () => {
  const { files, applied, reports, state, live } = await watching({ 'gateway.yaml': '' }, 60_000);
  state.applyFails = true;
  await files.write('gateway.yaml', 'server: { drain_s: 1 }');
  expect(await live.reloadNow()).toMatchObject({ outcome: 'failed', error: { message: 'a worker did not answer' } });
  expect(reports).toHaveLength(1);
  state.applyFails = false;
  expect(await live.reloadNow()).toMatchObject({ outcome: 'swapped', snapshot: { version: 2 } });
  expect(applied).toHaveLength(1);
});

it('tries again what could not be put in force, though no file changes, and says so once', async () => {
  const { files, applied, reports, state } = await watching({ 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' });
  state.applyFails = true;
  await files.write('gateway.yaml', keyFile('b'));
  await vi.waitFor(() => expect(state.loads).toBeGreaterThan(4));
  expect(reports.map(({ outcome }) => outcome)).toEqual(['failed']);
  state.applyFails = false;
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['b']));
  expect(reports.map(({ outcome }) => outcome)).toEqual(['failed', 'swapped']);
  const { loads } = state;
  await sleep(50);
  expect(state.loads).toBe(loads);
});

it('stops', async () => {
  const { files, applied, live, state } = await watching({ 'gateway.yaml': '' });
  live.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const { loads } = state;
  await files.write('gateway.yaml', `server: { drain_s: 1 }`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(state.loads).toBe(loads);
  expect(applied).toEqual([]);
});

it('takes a change from elsewhere in its turn, and keeps the files as they were', async () => {
  const { files, applied, reports, state, live } = await watching({ 'gateway.yaml': keyFile('a'), secret: 'k-3f9a1c77e2b84d05' });
  const before = state.loads;
  const other = await configFolder({ 'gateway.yaml': keyFile('b'), secret: 'k-3f9a1c77e2b84d05' });
  const changed = await live.change(async () => {
    const read = await other.load();
    if (!read.ok) throw new Error('not valid');
    return { ok: true, snapshot: snapshotOf(read.loaded), files: [] };
  });
  expect(changed).toMatchObject({ outcome: 'swapped', late: [], snapshot: { version: 2 } });
  expect([names(applied.at(-1)), state.loads]).toEqual([['b'], before]);
  await files.write('gateway.yaml', keyFile('c'));
  await vi.waitFor(() => expect(names(applied.at(-1))).toEqual(['c']));
  const broken = await live.change(() => Promise.reject(new Error('the store is down')));
  expect(broken.outcome).toBe('failed');
  expect(reports.map(({ outcome }) => outcome)).toEqual(['swapped', 'swapped', 'failed']);
  await other[Symbol.asyncDispose]();
});
