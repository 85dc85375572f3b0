/** What the parts of a running Signalbox may ask each other for, but only once it exists: they are made one after another. */
import type { AgentDesk } from '../agents/desk.ts';
import type { Live } from '../config/live.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { JournalReader } from './journal-reader.ts';
import type { Control } from './messages.ts';
import type { SharedOverview } from './shared-state.ts';
import type { Supervisor } from './supervisor.ts';

export interface LateParts {
  control?: Control;
  shared?: SharedOverview;
  snapshot?: () => Snapshot;
  supervisor?: Supervisor;
  reader?: JournalReader;
  live?: Live;
  agents?: AgentDesk;
}
