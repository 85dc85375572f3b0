import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { createSharedOverview, openSharedState } from './shared-state.ts';

const MIB = 1024 * 1024;

test('the budget of bytes holds over all slots', () => {
  const overview = createSharedOverview(2, 0);
  overview.setMaxInflightBytes(10 * MIB);
  const [first, second] = [openSharedState(overview.memory, 0), openSharedState(overview.memory, 1)];
  expect(first.reserveBytes(6 * MIB)).toBe(true);
  expect(second.reserveBytes(6 * MIB)).toBe(false);
  expect(second.reserveBytes(4 * MIB)).toBe(true);
  expect(first.reserveBytes(1)).toBe(false);
  first.releaseBytes(6 * MIB);
  expect(second.reserveBytes(6 * MIB)).toBe(true);
});

test('reserving and releasing in other pieces leaves nothing behind', () => {
  // One for all runs: a hundred of them would reserve more addresses than a fork may copy.
  const overview = createSharedOverview(1, 0);
  const state = openSharedState(overview.memory, 0);
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 100_000 }), { minLength: 1 }), (sizes) => {
      for (const size of sizes) state.reserveBytes(size);
      state.releaseBytes(sizes.reduce((sum, size) => sum + size, 0));
      return overview.read(0, 0).inflightBytes === 0;
    }),
  );
});

test("a dead worker's share comes back and its slot gets a new generation", () => {
  const overview = createSharedOverview(2, 0);
  overview.setMaxInflightBytes(MIB);
  const dead = openSharedState(overview.memory, 0);
  dead.reserveBytes(MIB);
  dead.exchangeStarted();
  dead.beat(5_000, 3);
  const alive = openSharedState(overview.memory, 1);
  expect(alive.reserveBytes(1)).toBe(false);
  expect(overview.reclaim(0)).toBe(1);
  expect(overview.read(0, 0)).toEqual({ generation: 1, inflightBytes: 0, exchanges: 0, loopDelayP99Ms: 0, heartbeatAgeMs: 0 });
  expect(alive.reserveBytes(MIB)).toBe(true);
});

test('main reads what a worker published', () => {
  const overview = createSharedOverview(1, 1_000_000);
  const state = openSharedState(overview.memory, 0);
  state.exchangeStarted();
  state.exchangeStarted();
  state.exchangeEnded();
  state.beat(1_004_000, 1.25);
  expect(overview.read(0, 1_006_000)).toMatchObject({ exchanges: 1, loopDelayP99Ms: 1.25, heartbeatAgeMs: 2_000 });
});

test('threads that reserve at the same time are never admitted past the budget', async () => {
  const overview = createSharedOverview(2, 0);
  overview.setMaxInflightBytes(50_000 * 1024);
  const gate = new SharedArrayBuffer(4);
  const race = (worker: number): Worker =>
    new Worker(new URL('../../test/fixtures/reserve-race.ts', import.meta.url), {
      workerData: { memory: overview.memory, worker, gate },
    });
  const admitted = await Promise.all([race(0), race(1)].map(async (worker) => (await once(worker, 'message'))[0] as number));
  expect(admitted.reduce((sum, one) => sum + one, 0)).toBe(50_000);
});
