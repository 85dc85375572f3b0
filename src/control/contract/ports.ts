/** What handlers work with; composed in build-control.ts. A part that needs a further one adds its line here. */
import type { Snapshot } from '../../config/snapshot.ts';
import type { EventFact } from '../../core/fact.ts';
import type { AgentService } from '../../agents/changes.ts';
import type { TaskFilter, TaskPage } from '../../core/agent.ts';
import type { Rules, Scope, SlotOf } from '../../core/rules.ts';
import type { Keyring } from '../../lib/seal.ts';
import type { ConfigDesk } from '../config/desk.ts';
import type { TryProvider } from '../config/try.ts';
import type { Store } from '../../store/store.ts';
import type { DirectoryService } from '../directory/directory.ts';
import type { PeopleDesk } from '../people/desk.ts';
import type { ControlStatus } from '../routes/status.ts';

/** What the registry's routes work with. */
export interface AgentsPart {
  service: AgentService;
  ring: Keyring;
  slotOf: SlotOf;
  /** The places of an agent's rules: those that it has no more are given back, or all of them. */
  keepPlaces: (scope: Scope, rules: Rules | undefined) => void;
  forgetPlaces: (scope: Scope) => void;
  /** Where nobody may send us to. */
  addressProblem: (url: string) => Promise<string | undefined>;
  /** There is a model of that name now. */
  hasModel: (name: string) => boolean;
  tasks: (filter: TaskFilter) => Promise<TaskPage>;
  /** Under which clients reach us, without a trailing slash. */
  baseUrl: () => string;
}

export interface Services {
  agents: AgentsPart;
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
