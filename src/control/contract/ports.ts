/** What handlers work with; composed in build-control.ts. A part that needs a further one adds its line here. */
import type { Snapshot } from '../../config/snapshot.ts';
import type { ControlStatus } from '../routes/status.ts';
import type { Store } from '../../store/store.ts';

export interface Services {
  store: Store;
  /** The snapshot in force. */
  snapshot: () => Snapshot;
  status: () => ControlStatus;
  /** Prometheus text. */
  metricsText: () => Promise<string>;
  /** Wall clock, milliseconds. */
  nowMs: () => number;
  /** Unpredictable bytes. */
  random: (size: number) => Buffer;
}
