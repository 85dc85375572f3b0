/**
 * From settings to a running Signalbox: data directory → keys → configuration → port → control plane → workers; and back down again.
 * Knows no part of the gateway by itself: the planes are handed in.
 */
import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { formatIssue } from '../config/issue.ts';
import type { Candidate, Live } from '../config/live.ts';
import type { ServerSettings, Snapshot } from '../config/snapshot.ts';
import type { AgentDesk } from '../agents/desk.ts';
import type { EndUserPlaces } from '../policy/end-user-places.ts';
import type { PeopleDesk } from '../control/people/desk.ts';
import { type Keyring, createKeyring } from '../lib/seal.ts';
import { type OpenReservations, createOpenReservations } from '../ledger/open-reservations.ts';
import { type DirectoryOptions, type MainDirectory, createDirectory } from './directory.ts';
import { openControl } from './control-socket.ts';
import { type DataDir, openDataDir } from './data-dir.ts';
import { type MintedKeys, greeting, mintKeys } from './first-run.ts';
import { endUserPlaces } from './end-users.ts';
import { type JournalReader, type JournalReaderOptions, createJournalReader } from './journal-reader.ts';
import { readKek } from './kek.ts';
import { createPeople } from './people.ts';
import { openAgents, withSockets } from './agents.ts';
import { type HealthChecks, createHealthChecks } from './health-checks.ts';
import type { LateParts } from './late-parts.ts';
import { probePort, publicUrl } from './listen.ts';
import type { Control, ControlContext, Log } from './messages.ts';
import { bareHost, pinListener } from './pin-listener.ts';
import { PLACE_SPACE, createPlaceBook, targetStatus } from './place-book.ts';
import { type SharedOverview, createSharedOverview } from './shared-state.ts';
import { SLOT_SPACE, createSlotBook } from './slots.ts';
import { EXIT_CONFIG, StartError, errorText } from './start-error.ts';
import type { StoreThread } from './store-client.ts';
import { finishedBy, storeBoot, storeThreadOf } from './start-store.ts';
import { type Supervisor, createSupervisor, heapLimitMb } from './supervisor.ts';
import { watching } from './watching.ts';

export interface StartSettings {
  version: string;
  dataDir: string;
  /** The operator's file; or the text that serves where there is none (first-run mode). */
  config: ControlContext['config'];
  overrides: ControlContext['overrides'];
  environment: ControlContext['environment'];
  workerUrl: URL;
  buildControl: (context: ControlContext) => Control | Promise<Control>;
  isTerminal: boolean;
  /** Told once, when so many workers died that going on makes no sense. */
  onGivingUp: (reason: string) => void;
}

export interface Running {
  url: string;
  log: Log;
  /** What is shown only now, to be printed before the ready line. */
  greeting: string[];
  /** For SIGHUP. */
  reload(): void;
  /** The configured patience with what is in flight, ms. */
  drainMs(): number;
  /** Not ready at once; resolves when all is closed and written. Never rejects. */
  stop(deadlineMs: number): Promise<void>;
}

/** How long the last facts and traces may take on their way out. */
const CLOSE_MS = 2_000;

/** What there is before anything is read of earlier runs, or served. */
async function prepared(settings: StartSettings) {
  const dataDir = openDataDir(settings.dataDir);
  const firstRun = !('path' in settings.config);
  const minted = mintKeys({ dataDir: dataDir.path, pepper: dataDir.pepper, firstRun, random: randomBytes });
  const late: LateParts = {};
  const storeThread = storeThreadOf(late);
  const context = controlContext({ settings, dataDir, minted, late, storeThread });
  const control = await settings.buildControl(context);
  const first = valid(await control.config.loadFile());
  const configured = first.snapshot.server;
  const bound = await bind(configured);
  return { dataDir, firstRun, minted, late, storeThread, context, control, first, configured, bound };
}

/** Throws StartError for what the operator can mend; then nothing was written that a later start would miss. */
export async function start(settings: StartSettings): Promise<Running> {
  const { dataDir, firstRun, minted, late, storeThread, context, control, ...begun } = await prepared(settings);
  const { first, configured, bound } = begun;
  let current = pinListener(first.snapshot, { configured, bound }).snapshot;
  const { reader, reservations } = await readJournals({ dataDir, control, late, storeThread });
  const shared = createSharedOverview(bound.workers, Date.now());
  const snapshot = (): Snapshot => current;
  Object.assign(late, { control, reader, shared, snapshot });
  await storeThread.open(storeBoot(dataDir, first.snapshot));
  const layered = valid(await control.config.load().catch(asStartError));
  layered.settled?.();
  const book = createPlaceBook({ ...shared, space: PLACE_SPACE, nowMs: Date.now });
  current = book.place(pinListener(layered.snapshot, { configured, bound }).snapshot);
  const directory = await openDirectory({ context, late, control, accounts: shared.accounts });
  const { slots, kek } = context;
  const { ring } = kek;
  const agents = await openAgents({ ...context, ...agentsParts(late), control, ring, fill: directory.fill });
  late.agents = agents;
  const managed = { control, store: storeThread.store, directory: directory.service, agents, slots, snapshot, ring };
  const endUsers = endUserPlaces({ ...context, shared, rules: current.endUsers.rules, nowMs: Date.now });
  const people = createPeople(managed);
  const checks = createHealthChecks({ ...control, states: shared.targetStates, nowMs: Date.now, random: Math.random });
  const crewParts = { ...managed, settings, dataDir, directory, people, endUsers, reader, shared, reservations, storeThread };
  const { supervisor, collected } = supervise(crewParts, late);
  const controlServer = await openControl({ ...socketParts(settings, dataDir), ...managed, people, supervisor, shared });
  control.swapped(current);
  await supervisor.start(current, { host: bound.host, port: bound.port, reusePort: bound.workers > 1 });
  checks.use(current);
  const stopProbing = agents.start();
  const adminUsed = current.adminKeyDigest === minted.adminKeyDigest;
  minted.keep({ admin: adminUsed });

  const swap = async (next: Snapshot): Promise<readonly number[]> => {
    const { snapshot, ignored } = pinListener(next, { configured, bound });
    if (next.store.url !== first.snapshot.store.url) ignored.push('store.url');
    const placed = book.place(snapshot);
    await directory.prepare(snapshot);
    await agents.useFile(withSockets(snapshot.agents, dataDir.controlSocketPath));
    endUsers.configure(snapshot.endUsers.rules);
    current = placed;
    return inForce(placed, { ignored, supervisor, control, storeThread, checks });
  };
  const live = watching(control, layered, swap);
  late.live = live;
  const url = publicUrl(bound);
  control.log('info', { url, workers: bound.workers, snapshot: current.hash }, 'serving');
  return {
    url,
    log: control.log,
    greeting: greeting(minted, { url, firstRun, adminUsed, isTerminal: settings.isTerminal }),
    reload: () => void live.reloadNow(),
    drainMs: () => current.server.drainS * 1000,
    stop: (deadlineMs) => stop({ ...crewParts, live, checks, stopProbing, supervisor, collected, controlServer }, deadlineMs),
  };
}

function socketParts(settings: StartSettings, dataDir: DataDir) {
  const configPath = 'path' in settings.config ? settings.config.path : undefined;
  return { socketPath: dataDir.controlSocketPath, version: settings.version, configPath };
}

interface JournalParts {
  dataDir: DataDir;
  control: Control;
  late: LateParts;
  storeThread: StoreThread;
}

/** What earlier runs left is read before anything is written anew. */
async function readJournals({ dataDir, control, late, storeThread }: JournalParts): Promise<{
  reader: JournalReader;
  reservations: OpenReservations;
}> {
  const reservations = createOpenReservations();
  const sink: JournalReaderOptions['sink'] = (fact, recovered, thread) => {
    // What an earlier run left open is the store's to charge, from which accounts are loaded.
    if (!recovered) reservations.observe(fact, thread);
    // What an earlier run left is in the store's sums.
    if (!recovered && fact.kind === 'exchange') late.agents?.observe(fact);
    control.sink(fact, recovered);
  };
  const { journalDir } = dataDir;
  const reader = createJournalReader({ dir: journalDir, sink, finished: finishedBy(dataDir, storeThread), log: control.log });
  const recovered = await reader.recover();
  if (recovered > 0) control.log('info', { facts: recovered }, 'facts of an earlier run were recovered from its journal');
  return { reader, reservations };
}

function valid(candidate: Candidate): Extract<Candidate, { ok: true }> {
  if (candidate.ok) return candidate;
  throw new StartError(['the configuration is not valid:', ...candidate.issues.map(formatIssue)].join('\n'), EXIT_CONFIG);
}

function asStartError(error: unknown): never {
  throw new StartError(errorText(error));
}

interface ForceParts {
  checks: HealthChecks;
  ignored: string[];
  supervisor: Supervisor;
  control: Control;
  storeThread: StoreThread;
}

async function inForce(
  snapshot: Snapshot,
  { ignored, supervisor, control, storeThread, checks }: ForceParts,
): Promise<readonly number[]> {
  storeThread.keepFor(snapshot.store.retention);
  if (ignored.length > 0) control.log('warn', { keys: ignored }, 'changed keys take effect only at the next start');
  const { late, refused } = await supervisor.apply(snapshot);
  checks.use(snapshot);
  control.swapped(snapshot);
  if (late.length + refused.length > 0) control.log('error', { late, refused }, 'not every worker runs on the new configuration');
  return [...late, ...refused.map(({ worker }) => worker)];
}

function agentsParts(late: LateParts): Pick<Parameters<typeof openAgents>[0], 'snapshot' | 'tell'> {
  return {
    snapshot: () => late.snapshot!(),
    tell: (news) => late.supervisor?.tell(news) ?? Promise.resolve(true),
  };
}

interface ContextParts {
  settings: StartSettings;
  dataDir: DataDir;
  minted: MintedKeys;
  late: LateParts;
  storeThread: StoreThread;
}

function kekOf(dataDir: string, environment: StartSettings['environment']): ControlContext['kek'] {
  const { keys, source } = readKek(dataDir, environment);
  return { ring: createKeyring(keys, randomBytes), source };
}

function controlContext({ settings, dataDir, minted, late, storeThread }: ContextParts): ControlContext {
  return {
    version: settings.version,
    dataDir: dataDir.path,
    controlSocketPath: dataDir.controlSocketPath,
    config: settings.config,
    pepper: dataDir.pepper,
    kek: kekOf(dataDir.path, settings.environment),
    changeConfig: (load) => late.live!.change(load),
    store: storeThread.store,
    storeState: () => ({ isUp: storeThread.isUp(), lagBytes: storeThread.lagBytes() }),
    slots: createSlotBook(SLOT_SPACE, Date.now),
    overrides: settings.overrides,
    minted: { adminKeyDigest: minted.adminKeyDigest, keys: minted.keys },
    environment: settings.environment,
    workers: () => late.supervisor?.status() ?? [],
    journalLagBytes: () => late.reader?.lagBytes() ?? 0,
    targets: () => (late.shared === undefined ? [] : targetStatus(late.shared, late.snapshot!())),
    agentStates: () => late.agents?.states() ?? [],
  };
}

interface DirectoryParts {
  context: ControlContext;
  late: LateParts;
  control: Control;
  accounts: SharedOverview['accounts'];
}

/** Who may call, read from the store before any worker serves. */
async function openDirectory({ context, late, control, accounts }: DirectoryParts): Promise<MainDirectory> {
  const { store, slots, pepper } = context;
  const { raise, log } = control;
  const tell: DirectoryOptions['tell'] = (news) => late.supervisor?.tell(news) ?? Promise.resolve(true);
  const directory = createDirectory({ store, slots, pepper, accounts, tell, raise, log, snapshot: () => late.snapshot!() });
  try {
    await directory.load();
    await directory.prepare(late.snapshot!());
  } catch (error) {
    throw new StartError(`the keys cannot be read from the store: ${errorText(error)}`);
  }
  return directory;
}

async function bind(configured: ServerSettings): Promise<ServerSettings> {
  const host = bareHost(configured.host);
  return { ...configured, host, port: await probePort(host, configured.port) };
}

interface SuperviseParts {
  directory: MainDirectory;
  agents: AgentDesk;
  people: PeopleDesk;
  endUsers: EndUserPlaces;
  settings: StartSettings;
  dataDir: DataDir;
  control: Control;
  reader: JournalReader;
  shared: SharedOverview;
  reservations: OpenReservations;
  storeThread: StoreThread;
  ring: Keyring;
}

/** `collected` resolves when the journals of all workers that have died so far are read. */
function supervise(
  parts: SuperviseParts,
  late: LateParts,
): {
  supervisor: Supervisor;
  collected: () => Promise<unknown>;
} {
  const { settings, dataDir, control, directory, agents, people, endUsers, reader, shared, reservations, storeThread, ring } =
    parts;
  let collecting: Promise<unknown> = Promise.resolve();
  const { slots } = shared.memory;
  const supervisor = createSupervisor({
    workerUrl: settings.workerUrl,
    workers: slots,
    heapMb: heapLimitMb(Math.min(totalmem(), process.constrainedMemory() || Infinity), slots),
    runId: Date.now().toString(36),
    boot: {
      version: settings.version,
      dataDir: dataDir.path,
      controlSocketPath: dataDir.controlSocketPath,
      bodyKey: ring.keyFor('body/v1'),
    },
    shared,
    log: control.log,
    now: Date.now,
    onJournal: (position) => {
      storeThread.announce(position);
      reader.announce(position);
    },
    onGone: (worker, boot) => {
      storeThread.gone(`w${worker}-${boot}`);
      const held = shared.accounts.takeOver(worker);
      const settled = async (): Promise<void> => {
        await reader.retire(worker, boot);
        await shared.accounts.giveBack(await held, reservations.expire(`w${worker}-${boot}`));
      };
      const retired = settled().catch((error: unknown) => {
        control.log('error', { worker, error: errorText(error) }, "a dead worker's journal could not be read");
      });
      collecting = Promise.all([collecting, retired]);
      return held.then(() => undefined);
    },
    priceOf: control.priceOf,
    admitPerson: (person) => people.admit(person, 'token'),
    placeEndUser: (endUser) => endUsers.placeOf(endUser),
    directory: directory.whole,
    agents: agents.whole,
    askAgents: agents.answer,
    onGivingUp: settings.onGivingUp,
  });
  late.supervisor = supervisor;
  return { supervisor, collected: () => collecting };
}

interface StopParts {
  checks: HealthChecks;
  stopProbing: () => void;
  live: Live;
  directory: MainDirectory;
  supervisor: Supervisor;
  collected: () => Promise<unknown>;
  reader: JournalReader;
  storeThread: StoreThread;
  control: Control;
  controlServer: { close: () => Promise<void> };
  dataDir: DataDir;
}

/** The control socket goes after the workers: the demo's streams come through it. */
async function stop(parts: StopParts, deadlineMs: number): Promise<void> {
  parts.live.stop();
  parts.checks.stop();
  parts.stopProbing();
  parts.directory.stop();
  await parts.supervisor.drain(deadlineMs);
  const last = async (): Promise<void> => {
    await parts.collected();
    await parts.reader.idle();
    await parts.storeThread.close();
    await parts.control.close();
    await parts.controlServer.close();
  };
  await Promise.race([last(), sleep(CLOSE_MS, undefined, { ref: false })]).catch(() => undefined);
  parts.dataDir.release();
}
