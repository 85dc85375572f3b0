/**
 * The windows of budgets, computed from the clock: no job resets anything, and no reset can be missed or come twice.
 *
 * A window runs from one civil boundary of its zone (an hour, a midnight, a Monday, a first of the month) to the next, whatever the clocks do in
 * between: a day has 23, 24 or 25 hours. A boundary that the clocks skip is the instant after the gap; one that they repeat is the first of both, so
 * an hour that comes twice is one window of two hours. Windows of a kind and zone thus follow each other without gap or overlap.
 */
import type { WindowKind } from '../core/rules.ts';

/** From `startMs` (inclusive) to `endMs` (exclusive), epoch milliseconds. */
export interface Window {
  startMs: number;
  endMs: number;
}

/** The window in which that instant lies. `timeZone`: IANA name. Throws RangeError where there is no such zone. */
export type WindowOf = (kind: WindowKind, timeZone: string, atMs: number) => Window;

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const ALWAYS: Window = { startMs: 0, endMs: Number.POSITIVE_INFINITY };

/**
 * More than the world has. Whoever mints keys names zones, each in thousands of spellings (`europe/BERLIN`), and one that is remembered costs 30 KB: beyond this, all
 * are forgotten and worked out anew.
 */
const MOST_ZONES = 1_024;

/** Remembers the present window of each kind and zone until its end; working one out takes some 20 µs. */
export function createWindows(): WindowOf {
  const present = new Map<string, Window>();
  const zones = new Map<string, LocalTime>();
  return (kind, timeZone, atMs) => {
    if (kind === 'total') return ALWAYS;
    const name = `${kind} ${timeZone}`;
    const known = present.get(name);
    if (known !== undefined && atMs >= known.startMs && atMs < known.endMs) return known;
    let local = zones.get(timeZone);
    if (local === undefined && zones.size >= MOST_ZONES) {
      zones.clear();
      present.clear();
    }
    if (local === undefined) zones.set(timeZone, (local = localTime(timeZone)));
    const window = windowAt(kind, local, atMs);
    present.set(name, window);
    return window;
  };
}

/** Civil time there, written as if it were UTC: epoch milliseconds in, "epoch" milliseconds of the wall clock out. */
type LocalTime = (atMs: number) => number;

function windowAt(kind: Boundary, local: LocalTime, atMs: number): Window {
  let civil = FLOOR[kind](local(atMs));
  let startMs = firstInstant(local, civil);
  for (;;) {
    civil = NEXT[kind](civil);
    const endMs = firstInstant(local, civil);
    // Where clocks went back over a boundary, the wall shows the old window again although the new one has begun.
    if (atMs < endMs) return { startMs, endMs };
    startMs = endMs;
  }
}

type Boundary = Exclude<WindowKind, 'total'>;

/** The epoch was a Thursday. */
const EPOCH_TO_MONDAY_MS = 4 * DAY_MS;

const FLOOR: Readonly<Record<Boundary, (civil: number) => number>> = {
  hour: (civil) => floorTo(civil, HOUR_MS),
  day: (civil) => floorTo(civil, DAY_MS),
  week: (civil) => floorTo(civil - EPOCH_TO_MONDAY_MS, 7 * DAY_MS) + EPOCH_TO_MONDAY_MS,
  month: (civil) => {
    const date = new Date(civil);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  },
};

const NEXT: Readonly<Record<Boundary, (civil: number) => number>> = {
  hour: (civil) => civil + HOUR_MS,
  day: (civil) => civil + DAY_MS,
  week: (civil) => civil + 7 * DAY_MS,
  month: (civil) => {
    const date = new Date(civil);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
  },
};

function floorTo(value: number, step: number): number {
  return Math.floor(value / step) * step;
}

/** The first instant at which the clocks there show `civil` or more. */
function firstInstant(local: LocalTime, civil: number): number {
  const offset = (atMs: number): number => local(atMs) - atMs;
  const before = offset(civil - DAY_MS);
  const after = offset(civil + DAY_MS);
  const early = civil - before;
  if (before === after || offset(early) === before) return early;
  const late = civil - after;
  if (offset(late) === after && after < before) return late;
  return changeBetween(offset, Math.min(early, late) - 1, Math.max(early, late), civil);
}

/** By halving: the least instant of the range whose clock shows `civil` or more; at the end of the range it does. */
function changeBetween(offset: (atMs: number) => number, fromMs: number, toMs: number, civil: number): number {
  let below = fromMs;
  let above = toMs;
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (middle + offset(middle) >= civil) above = middle;
    else below = middle;
  }
  return above;
}

function localTime(timeZone: string): LocalTime {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  return (atMs) => {
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(atMs)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    const milliseconds = ((atMs % 1000) + 1000) % 1000;
    return Date.UTC(year, month - 1, day, hour, minute, second) + milliseconds;
  };
}
