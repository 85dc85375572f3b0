/** What handlers work with; composed in build-control.ts. A part that needs a further one adds its line here. */
import type { Snapshot } from '../../config/snapshot.ts';
import type { EventFact } from '../../core/fact.ts';
import type { ConfigDesk } from '../config/desk.ts';
import type { TryProvider } from '../config/try.ts';
import type { Store } from '../../store/store.ts';
import type { DirectoryService } from '../directory/directory.ts';
import type { PeopleDesk } from '../people/desk.ts';
import type { ControlStatus } from '../routes/status.ts';

export interface Services {
  config: ConfigDesk;
  tryProvider: TryProvider;
  directory: DirectoryService;
  people: PeopleDesk;
  store: Store;
  /** A recorded body; undefined: it was sealed under a key that is not there any more. */
  openBody: (whose: { id: string; part: string }, sealed: string) => string | undefined;
  /** The snapshot in force. */
  snapshot: () => Snapshot;
  status: () => ControlStatus;
  /** The latest events of this run, newest first. */
  recentEvents: () => readonly EventFact[];
  /** The OpenAPI document of all routes. */
  openApi: () => Promise<Record<string, unknown>>;
  /** Prometheus text. */
  metricsText: () => Promise<string>;
  /** Wall clock, milliseconds. */
  nowMs: () => number;
  /** Unpredictable bytes. */
  random: (size: number) => Buffer;
}
