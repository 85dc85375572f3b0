import { expect, test } from 'vitest';

import { NOW_MS, REQUEST, poolOf, seeded } from '../../test/support/routing.ts';
import { SAMPLE, drawPassing } from './draw.ts';
import type { Picking } from './picking.ts';
import { createRota } from './rota.ts';

/** Only what drawing looks at differs from test to test. */
function pickingOf(size: number, passes: (index: number) => boolean): Picking {
  const { pool, live } = poolOf(Array.from({ length: size }, () => ({})));
  const random = seeded(4);
  return {
    pool,
    live,
    random,
    request: REQUEST,
    nowMs: NOW_MS,
    passes,
    costPicoUsd: () => 0,
    rota: createRota(pool, random),
    remembered: new Map(),
    urn: Int32Array.from({ length: size }, (_, index) => index),
    sample: new Int32Array(SAMPLE),
    scores: new Float64Array(SAMPLE),
  };
}

function draw(picking: Picking, first?: Int32Array): number[] {
  const count = drawPassing(picking.pool.tiers[0]!, picking, first);
  return [...picking.sample.subarray(0, count)];
}

test('nobody is drawn twice, and those to be taken first are there', () => {
  const picking = pickingOf(20, () => true);
  const first = Int32Array.of(3, 11, -1, 17);
  for (let round = 0; round < 200; round++) {
    const drawn = draw(picking, first);
    expect(new Set(drawn).size).toBe(SAMPLE);
    expect(drawn.slice(0, 3)).toEqual([3, 11, 17]);
  }
});

test('all that pass are drawn where there are few, first or not', () => {
  const picking = pickingOf(100, (index) => index % 10 === 7);
  for (let round = 0; round < 50; round++) {
    expect(draw(picking, Int32Array.of(7, 8)).sort((a, b) => a - b)).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87, 97]);
  }
});

test('all are drawn alike', () => {
  const picking = pickingOf(64, () => true);
  const counts = Array.from({ length: 64 }, () => 0);
  for (let round = 0; round < 4_000; round++) for (const index of draw(picking)) counts[index]! += 1;
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(130);
});
