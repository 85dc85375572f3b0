/** What everything here works with, and what a change answers. */
import type { Snapshot } from '../../config/snapshot.ts';
import type { DirectoryChange } from '../../core/directory.ts';
import type { EventFact } from '../../core/fact.ts';
import type { Rules, Scope, SlotOf } from '../../core/rules.ts';
import type { EntitiesPort } from '../../store/ports/entities.ts';

/** A change without its number, which whoever puts it in force gives it. */
export type Unnumbered = Omit<DirectoryChange, 'version'>;

export interface DirectoryParts {
  store: { readonly entities: EntitiesPort };
  /** Resolves once it is in force in every worker: true; or after the deadline with some late: false. */
  publish: (change: Unnumbered) => Promise<boolean>;
  /** The accounts of all places given out know what was spent in them; rejects where the store cannot tell. */
  fill: () => Promise<void>;
  snapshot: () => Pick<Snapshot, 'keys'>;
  slots: {
    slotOf: SlotOf;
    forget: (scope: Scope, unused?: 'unused') => void;
    keep: (scope: Scope, rules: Rules | undefined) => void;
  };
  /** Secret of the installation, hex. */
  pepper: string;
  /** Wall clock, milliseconds. */
  nowMs: () => number;
  /** Unpredictable bytes. */
  random: (size: number) => Buffer;
  /** `usr` → `usr_…`, ordered by time. */
  newId: (prefix: string) => string;
  raise: (type: EventFact['type'], scope: Scope, details: EventFact['details']) => void;
}

/** What a change did. `inForce` false: a worker is late with it. */
export interface Written<Entity> {
  /** Absent: it was not there. */
  before?: Entity;
  /** Absent: it is gone. */
  after?: Entity;
  inForce: boolean;
}
