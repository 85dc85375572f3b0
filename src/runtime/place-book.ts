/**
 * Places in shared memory of what routing knows of targets and models. Main gives them out; workers find them in the snapshot.
 *
 * A name keeps its place over reloads, and when it comes back after it was left out. Another gets that place only where there is no new one, an hour after the name was last
 * configured, and with nothing under way.
 */
import type { Snapshot, SnapshotPlaces } from '../config/snapshot.ts';
import { candidateId } from '../routing/candidate.ts';
import type { TargetsOverview } from '../routing/targets-overview.ts';

export interface PlaceSpace {
  /** Targets at each endpoint of their provider. */
  targets: number;
  models: number;
}

/** Pages of memory that nobody counts in cost nothing. */
export const PLACE_SPACE: PlaceSpace = { targets: 65_536, models: 65_536 };

export interface PlaceBook {
  /** For a snapshot that comes into force. Throws PlacesExhausted. */
  place: (snapshot: Snapshot) => Snapshot & { places: SnapshotPlaces };
}

export class PlacesExhausted extends Error {
  constructor(what: keyof PlaceSpace) {
    super(`no place is left in shared memory for more ${what}`);
    this.name = 'PlacesExhausted';
  }
}

export interface PlaceParts {
  space: PlaceSpace;
  targets: Pick<TargetsOverview, 'inFlight' | 'clear'>;
  clearRetries: (place: number) => void;
  nowMs: () => number;
}

/** Longer than nearly every exchange lasts. */
const QUARANTINE_MS = 3_600_000;

export function createPlaceBook({ space, targets, clearRetries, nowMs }: PlaceParts): PlaceBook {
  const rows = {
    targets: createRow('targets', space.targets, { clear: targets.clear, isIdle: (place) => targets.inFlight(place) === 0 }),
    models: createRow('models', space.models, { clear: clearRetries, isIdle: () => true }),
  };
  return {
    place: (snapshot) => {
      const places: SnapshotPlaces = {
        targets: rows.targets(candidateIds(snapshot), nowMs()),
        models: rows.models(new Set(snapshot.models.map(({ name }) => name)), nowMs()),
      };
      return { ...snapshot, places };
    },
  };
}

/** How a candidate is doing, for metrics. */
export interface TargetStatus {
  /** Id as configured. */
  target: string;
  state: ReturnType<TargetsOverview['state']>;
  inflight: number;
}

export function targetStatus({ targets }: { targets: TargetsOverview }, { places }: Snapshot): TargetStatus[] {
  return Object.entries(places?.targets ?? {}).map(([target, place]) => ({
    target,
    state: targets.state(place, Date.now()),
    inflight: targets.inFlight(place),
  }));
}

function candidateIds({ models, providers }: Snapshot): Set<string> {
  return new Set(
    models.flatMap(({ targets }) =>
      targets.flatMap(({ id, configuredId, provider }) =>
        (providers[provider]?.endpoints ?? []).map((_, index) => candidateId(configuredId ?? id, index)),
      ),
    ),
  );
}

interface Reuse {
  clear: (place: number) => void;
  isIdle: (place: number) => boolean;
}

/** Gives these names their places, and notes all others as departed. */
function createRow(what: keyof PlaceSpace, size: number, { clear, isIdle }: Reuse) {
  const places = new Map<string, number>();
  /** Since when; the longest departed first. */
  const departed = new Map<string, number>();
  let next = 0;
  const reuse = (nowMs: number): number => {
    for (const [name, sinceMs] of departed) {
      const place = places.get(name)!;
      if (sinceMs > nowMs - QUARANTINE_MS) break;
      if (!isIdle(place)) continue;
      places.delete(name);
      departed.delete(name);
      clear(place);
      return place;
    }
    throw new PlacesExhausted(what);
  };
  return (names: ReadonlySet<string>, nowMs: number): Record<string, number> => {
    for (const name of names) departed.delete(name);
    for (const name of places.keys()) if (!names.has(name) && !departed.has(name)) departed.set(name, nowMs);
    const given = [...names].map((name) => {
      const place = places.get(name) ?? (next < size ? next++ : reuse(nowMs));
      places.set(name, place);
      return [name, place] as const;
    });
    return Object.fromEntries(given);
  };
}
