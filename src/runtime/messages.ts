/**
 * What crosses between main and the workers, and the two functions that `build.ts` must offer.
 *
 * Everything here is plain data, because it travels by structured clone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Candidate, Reload } from '../config/live.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { ConfigDesk } from '../control/config/desk.ts';
import type { TryProvider } from '../control/config/try.ts';
import type { AgentNews, AgentQuestion, AgentState, AskAgents } from '../core/agent.ts';
import type { KeyEntry } from '../core/directory.ts';
import type { EventFact, Fact, Raise } from '../core/fact.ts';
import type { VouchedPerson } from '../core/person.ts';
import type { PriceState } from '../core/price.ts';
import type { Keyring, SealKey } from '../lib/seal.ts';
import type { Store } from '../store/store.ts';
import type { EndUserPlace } from '../policy/end-user-places.ts';
import type { AdmitPerson, AdmittedPerson } from '../policy/jwt.ts';
import type { Send } from '../upstream/send.ts';
import type { AskWhole } from '../upstream/way-out.ts';
import type { DirectoryNews } from './directory-desk.ts';
import type { Journal, JournalPosition } from './journal.ts';
import type { TargetStatus } from './place-book.ts';
import type { SharedMemory, SharedState } from './shared-state.ts';
import type { SlotBook } from './slots.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, fields: Record<string, unknown>, message: string) => void;

/** Where the workers listen. `reusePort`: several may (Linux). */
export interface ListenAddress {
  host: string;
  port: number;
  reusePort: boolean;
}

/** A wildcard's upstream model whose price is asked for on first use; only main holds the price list. */
export interface PriceRequest {
  priceProvider?: string | undefined;
  /** Base URL of the provider's first endpoint: where there is no `priceProvider`, the list is searched by it. */
  providerApiUrl: string;
  upstreamModel: string;
}

export type ToWorker =
  | { type: 'snapshot'; snapshot: Snapshot }
  | DirectoryNews
  | AgentNews
  | { type: 'listen'; address: ListenAddress }
  | { type: 'ready'; ready: boolean }
  /** Stop accepting; what is in flight has this many milliseconds. */
  | { type: 'drain'; deadlineMs: number }
  | { type: 'price'; id: number; price: PriceState }
  /** Absent: his past cannot be told now. */
  | { type: 'end_user'; id: number; place?: EndUserPlace }
  /** Absent: not let in. `error`: that cannot be told now. */
  | { type: 'person'; id: number; admitted?: AdmittedPerson; error?: true }
  | { type: 'agent_answers'; answers: AgentAnswer[] };

export type ToMain =
  | { type: 'booted' }
  /** `error`: the worker could not take the snapshot and keeps the old one. */
  | { type: 'applied'; version: number; error?: string }
  | { type: 'directory_applied'; version: number }
  | { type: 'agents_applied'; version: number }
  | { type: 'listening' }
  | { type: 'listen_failed'; message: string }
  | { type: 'drained' }
  | { type: 'journal'; position: JournalPosition }
  | { type: 'log'; level: LogLevel; fields: Record<string, unknown>; message: string }
  | { type: 'price_request'; id: number; request: PriceRequest }
  | { type: 'end_user_request'; id: number; endUser: string }
  /** Whom a genuine token stands for. */
  | { type: 'person_request'; id: number; person: VouchedPerson }
  | { type: 'agent_questions'; questions: AgentAsked[] };

export interface AgentAsked {
  id: number;
  question: AgentQuestion;
}

/** `error`: main cannot tell now. */
export interface AgentAnswer {
  id: number;
  answer?: unknown;
  error?: true;
}

/** `workerData` of a worker thread. */
export interface WorkerBoot {
  /** Slot, from 0. A replacement takes the slot of the one that died. */
  worker: number;
  /** Unique per thread ever started on this data directory; names its journal. */
  boot: string;
  version: string;
  dataDir: string;
  controlSocketPath: string;
  shared: SharedMemory;
  /** Seals recorded bodies. */
  bodyKey: SealKey;
}

/** What `buildDataPlane` is handed, inside a worker. */
export interface WorkerContext {
  worker: number;
  version: string;
  dataDir: string;
  /** The control plane (admin, console, metrics, demo provider) listens on this Unix socket. */
  controlSocketPath: string;
  shared: SharedState;
  bodyKey: SealKey;
  journal: Journal;
  /** Written by main's logger. Never pass bodies or secrets. */
  log: Log;
  askPrice: (request: PriceRequest) => Promise<PriceState>;
  admitPerson: AdmitPerson;
  /** Where an end user counts; rejects where main cannot tell. */
  placeEndUser: (endUser: string) => Promise<EndUserPlace>;
  /** Rejects where main cannot tell. */
  askAgents: AskAgents;
  /** Wall clock, milliseconds. */
  now: () => number;
}

/** `buildDataPlane(context: WorkerContext): DataPlane` */
export interface DataPlane {
  /** Swaps whole; exchanges under way keep what they began with. Comes at least once before `listen`. */
  apply: (snapshot: Snapshot) => void;
  /** What the store knows of who may call; holds for every request from now on. */
  know: (news: DirectoryNews) => void;
  /** How agents are, from now on. */
  knowAgents: (news: AgentNews) => void;
  /** Resolves when the port accepts; rejects with the system's error. */
  listen: (address: ListenAddress) => Promise<void>;
  /** What /health/ready answers; false at first. */
  setReady: (ready: boolean) => void;
  /** Closes the listener and idle connections at once; resolves when nothing is in flight. At the deadline open streams get the in-band error. */
  drain: (deadlineMs: number) => Promise<void>;
}

export interface WorkerStatus {
  worker: number;
  generation: number;
  serving: boolean;
  /** Exchanges under way. */
  inflight: number;
  inflightBytes: number;
  loopDelayP99Ms: number;
  /** Since the worker last showed that its loop turns. */
  heartbeatAgeMs: number;
}

/** What `buildControl` is handed, on the main thread. */
export interface ControlContext {
  version: string;
  dataDir: string;
  controlSocketPath: string;
  /** The operator's file, or the text that serves where there is none (first-run mode). */
  config: { path: string } | { text: string };
  /** Secret of the installation, hex. */
  pepper: string;
  /** Seals and opens what the store keeps of secrets; `source`: where its key comes from, for messages. */
  kek: { ring: Keyring; source: string };
  /** Puts in force what `load` answers, in turn with reloads. Not before the start is over. */
  changeConfig: (load: () => Promise<Candidate>) => Promise<Reload>;
  /** Refuses calls until it is open, which is before any worker starts. */
  store: Store;
  /** Who counts where in shared memory. */
  slots: SlotBook;
  /** Flags win over the file. */
  overrides: { host?: string; port?: number; workers?: number | 'auto' };
  /** What serves where the configuration names none: `adminKeyDigest` where `admin` is absent, `keys` in first-run mode. */
  minted: { adminKeyDigest: string; keys: KeyEntry[] };
  environment: Readonly<Record<string, string | undefined>>;
  workers: () => WorkerStatus[];
  /** Bytes of facts that workers wrote and main has not yet read. */
  journalLagBytes: () => number;
  targets: () => TargetStatus[];
  agentStates: () => { agent: string; state: AgentState }[];
  /** Whether it can be written, and how many bytes of facts it does not have yet. */
  storeState: () => { isUp: boolean; lagBytes: number };
}

/** `buildControl(context: ControlContext): Control | Promise<Control>` */
export interface Control {
  log: Log;
  /** Both layers of the configuration: reads them anew, takes edits. Whoever swaps counts the versions. */
  config: ConfigDesk;
  tryProvider: TryProvider;
  /** Called with every snapshot that came into force. */
  swapped: (snapshot: Snapshot) => void;
  /** Every fact, once, in the order of its worker; `recovered`: written by an earlier run that did not live to tell. */
  sink: (fact: Fact, recovered: boolean) => void;
  /** Prometheus text. */
  metricsText: () => Promise<string>;
  priceOf: (request: PriceRequest) => Promise<PriceState>;
  /** Tells the operator of something that happened on the main thread. */
  raise: Raise;
  /** The latest events of this run, newest first. */
  recentEvents: () => readonly EventFact[];
  /** Main's own questions to the world, by the way out. */
  ask: AskWhole;
  /** The same for what has an endpoint. */
  send: Send;
  /** First look at a request on the control socket; true: it was answered (the demo provider). */
  extra: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Sends what is buffered (traces, logs); within 2 s. */
  close: () => Promise<void>;
}
