import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';

import type { WindowKind } from '../core/rules.ts';
import { createWindows } from './window.ts';

const at = (iso: string): number => Date.parse(iso);
const iso = ({ startMs, endMs }: { startMs: number; endMs: number }): [string, string] => [
  new Date(startMs).toISOString(),
  new Date(endMs).toISOString(),
];
const windowAt = (kind: WindowKind, zone: string, instant: string): [string, string] =>
  iso(createWindows()(kind, zone, at(instant)));

test.each([
  ['hour', 'UTC', '2026-11-22T10:20:30.456Z', '2026-11-22T10:00:00.000Z', '2026-11-22T11:00:00.000Z'],
  ['hour', 'Asia/Kolkata', '2026-11-22T10:20:30Z', '2026-11-22T09:30:00.000Z', '2026-11-22T10:30:00.000Z'],
  ['day', 'Europe/Berlin', '2026-07-01T10:00:00Z', '2026-06-30T22:00:00.000Z', '2026-07-01T22:00:00.000Z'],
  ['day', 'Asia/Kathmandu', '2026-07-01T18:14:59.999Z', '2026-06-30T18:15:00.000Z', '2026-07-01T18:15:00.000Z'],
  ['week', 'UTC', '2026-11-22T23:59:59Z', '2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'],
  ['week', 'UTC', '2026-11-23T00:00:00Z', '2026-11-23T00:00:00.000Z', '2026-11-30T00:00:00.000Z'],
  ['month', 'America/New_York', '2026-03-01T04:59:59Z', '2026-02-01T05:00:00.000Z', '2026-03-01T05:00:00.000Z'],
  ['month', 'UTC', '2026-12-31T23:59:59Z', '2026-12-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
] as const)('%s in %s at %s', (kind, zone, instant, ...expected) => {
  expect(windowAt(kind, zone, instant)).toEqual(expected);
});

test('a day on which clocks change has 23 or 25 hours', () => {
  const hours = (instant: string): number => {
    const { startMs, endMs } = createWindows()('day', 'Europe/Berlin', at(instant));
    return (endMs - startMs) / 3_600_000;
  };
  expect([hours('2026-03-29T10:00:00Z'), hours('2026-10-25T10:00:00Z'), hours('2026-10-26T10:00:00Z')]).toEqual([23, 25, 24]);
});

test('an hour that the clocks repeat is one window of two, one that they skip is none', () => {
  const repeated = ['2026-10-25T00:00:00.000Z', '2026-10-25T02:00:00.000Z'];
  expect(windowAt('hour', 'Europe/Berlin', '2026-10-25T00:30:00Z')).toEqual(repeated);
  expect(windowAt('hour', 'Europe/Berlin', '2026-10-25T01:30:00Z')).toEqual(repeated);
  expect(windowAt('hour', 'Europe/Berlin', '2026-03-29T00:59:59Z')).toEqual([
    '2026-03-29T00:00:00.000Z',
    '2026-03-29T01:00:00.000Z',
  ]);
  expect(windowAt('hour', 'Europe/Berlin', '2026-03-29T01:00:00Z')).toEqual([
    '2026-03-29T01:00:00.000Z',
    '2026-03-29T02:00:00.000Z',
  ]);
});

test('a midnight that the clocks skip begins after the gap', () => {
  // Beirut goes from 00:00 to 01:00.
  expect(windowAt('day', 'Asia/Beirut', '2026-03-28T22:00:00Z')[0]).toBe('2026-03-28T22:00:00.000Z');
  expect(windowAt('day', 'Asia/Beirut', '2026-03-28T21:59:59Z')[1]).toBe('2026-03-28T22:00:00.000Z');
});

test('a midnight that the clocks go back over does not come twice', () => {
  // St John's went from 00:01 to 23:01 of the day before: the new day had begun, and went on.
  const begun = windowAt('day', 'America/St_Johns', '2010-11-07T02:30:30Z');
  expect(begun[0]).toBe('2010-11-07T02:30:00.000Z');
  expect(windowAt('day', 'America/St_Johns', '2010-11-07T03:00:00Z')).toEqual(begun);
  // A whole day that Samoa left out.
  expect(windowAt('day', 'Pacific/Apia', '2011-12-30T12:00:00Z')[0]).toBe('2011-12-30T10:00:00.000Z');
});

test('total has no end', () => {
  expect(createWindows()('total', 'UTC', Date.now())).toEqual({ startMs: 0, endMs: Infinity });
});

test('an unknown zone is an error', () => {
  expect(() => createWindows()('day', 'Mars/Olympus', 0)).toThrow(RangeError);
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/St_Johns',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'Africa/Casablanca',
  'Asia/Beirut',
  'America/Sao_Paulo',
];

test('windows hold their instant, are the same for all of theirs, meet without gap, and begin on a quarter of an hour', () => {
  const instants = fc.integer({ min: at('2000-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z') });
  const kinds = fc.constantFrom<WindowKind>('hour', 'day', 'week', 'month');
  fc.assert(
    fc.property(
      kinds,
      fc.constantFrom(...ZONES),
      instants,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (kind, zone, instant, share) => {
        const window = createWindows()(kind, zone, instant);
        expect(window.startMs).toBeLessThanOrEqual(instant);
        expect(window.endMs).toBeGreaterThan(instant);
        expect(window.startMs % 900_000).toBe(0);
        const inside = Math.min(window.endMs - 1, Math.floor(window.startMs + share * (window.endMs - window.startMs)));
        expect(createWindows()(kind, zone, inside)).toEqual(window);
        expect(createWindows()(kind, zone, window.endMs).startMs).toBe(window.endMs);
      },
    ),
    { numRuns: 300 },
  );
});

test('a clock that goes back finds the old window', () => {
  const windows = createWindows();
  const late = windows('day', 'UTC', at('2026-11-22T10:00:00Z'));
  const early = windows('day', 'UTC', at('2026-11-21T10:00:00Z'));
  expect(early.endMs).toBe(late.startMs);
  expect(windows('day', 'UTC', at('2026-11-22T10:00:00Z'))).toEqual(late);
});

test('spellings of zones without end do not pile up', () => {
  const made = vi.spyOn(Intl, 'DateTimeFormat');
  const windowOf = createWindows();
  const spelling = (number: number): string =>
    Array.from('america/new_york', (sign, index) => ((number >> index) & 1 ? sign.toUpperCase() : sign)).join('');
  const zones = new Set(Array.from({ length: 4_096 }, (_, number) => spelling(number)));
  const first = windowOf('day', 'UTC', at('2026-11-22T10:00:00Z'));
  for (const zone of [...zones].slice(0, 1_025)) windowOf('day', zone, at('2026-11-22T10:00:00Z'));
  const before = made.mock.calls.length;
  expect(windowOf('day', 'UTC', at('2026-11-22T10:00:00Z'))).toEqual(first);
  expect(made.mock.calls.length).toBe(before + 1);
  made.mockRestore();
});
