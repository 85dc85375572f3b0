import { expect, test } from 'vitest';

import type { Snapshot } from '../config/snapshot.ts';
import { PlacesExhausted, createPlaceBook } from './place-book.ts';

const HOUR_MS = 3_600_000;

interface Box {
  nowMs: number;
  busy: Set<number>;
  cleared: string[];
}

function bookOf(space = { targets: 3, models: 2 }) {
  const box: Box = { nowMs: 0, busy: new Set(), cleared: [] };
  const book = createPlaceBook({
    space,
    targets: { inFlight: (place) => (box.busy.has(place) ? 1 : 0), clear: (place) => void box.cleared.push(`target ${place}`) },
    clearRetries: (place) => void box.cleared.push(`model ${place}`),
    nowMs: () => box.nowMs,
  });
  return { box, placesOf: (models: Record<string, string[]>, endpoints = 1) => book.place(snapshotOf(models, endpoints)).places };
}

function snapshotOf(models: Record<string, string[]>, endpoints: number): Snapshot {
  const entries = Object.entries(models).map(([name, ids]) => ({ name, targets: ids.map((id) => ({ id, provider: 'p' })) }));
  return {
    models: entries,
    providers: { p: { endpoints: Array.from({ length: endpoints }, () => ({})) } },
  } as unknown as Snapshot;
}

test('a name keeps its place over reloads, and when it comes back', () => {
  const { placesOf } = bookOf();
  expect(placesOf({ m: ['p/a', 'p/b'] })).toEqual({ targets: { 'p/a': 0, 'p/b': 1 }, models: { m: 0 } });
  expect(placesOf({ n: ['p/b'] })).toEqual({ targets: { 'p/b': 1 }, models: { n: 1 } });
  expect(placesOf({ m: ['p/b', 'p/a'] })).toEqual({ targets: { 'p/a': 0, 'p/b': 1 }, models: { m: 0 } });
});

test('each endpoint of a provider has its own, and one target of two models has one', () => {
  const { placesOf } = bookOf();
  expect(placesOf({ m: ['p/a'], n: ['p/a'] }, 2).targets).toEqual({ 'p/a': 0, 'p/a#2': 1 });
});

test('a place goes to another name an hour after the last one left, where nothing is under way, and cleared', () => {
  const { box, placesOf } = bookOf({ targets: 2, models: 2 });
  placesOf({ m: ['p/a', 'p/b'] });
  placesOf({ m: [] });
  expect(() => placesOf({ m: ['p/c'] })).toThrow(PlacesExhausted);
  box.nowMs = HOUR_MS;
  box.busy.add(0);
  expect(placesOf({ m: ['p/c'] }).targets).toEqual({ 'p/c': 1 });
  expect(box.cleared).toEqual(['target 1']);
});
