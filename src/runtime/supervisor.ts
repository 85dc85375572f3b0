/** Starts the workers, gives them snapshots, replaces those that die, drains them all at the end. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Snapshot } from '../config/snapshot.ts';
import type { AgentNews, AskAgents } from '../core/agent.ts';
import type { PriceState } from '../core/price.ts';
import type { EndUserPlace } from '../policy/end-user-places.ts';
import type { AdmitPerson } from '../policy/jwt.ts';
import type { DirectoryNews } from './directory-desk.ts';
import type { JournalPosition } from './journal.ts';
import { batched } from './batched.ts';
import type { AgentAnswer, AgentAsked, ListenAddress, Log, PriceRequest, ToMain, WorkerBoot, WorkerStatus } from './messages.ts';
import type { SharedOverview } from './shared-state.ts';
import { StartError, errorText } from './start-error.ts';
import { type WorkerThread, startThread } from './worker-thread.ts';

const ACKNOWLEDGE_MS = 2_000;
/** Beyond the drain's deadline: time to send the in-band errors and to write the last facts. */
const DRAIN_GRACE_MS = 2_000;
const DEATH_WINDOW_MS = 60_000;
/** Before the n-th replacement within the window. One more death than these: the fault is not the worker's, the process gives up. */
const RESTART_DELAYS_MS = [0, 0, 100, 400] as const;

export interface SupervisorOptions {
  workerUrl: URL;
  workers: number;
  heapMb: number;
  /** Makes every thread's name unique over all runs on this data directory. */
  runId: string;
  boot: Pick<WorkerBoot, 'version' | 'dataDir' | 'controlSocketPath' | 'bodyKey'>;
  shared: SharedOverview;
  log: Log;
  now: () => number;
  onJournal: (position: JournalPosition) => void;
  /** The thread is gone; what it journaled and held is for the caller to collect. Resolves when another thread may take its slot. */
  onGone: (worker: number, boot: string) => Promise<void> | undefined;
  priceOf: (request: PriceRequest) => Promise<PriceState>;
  /** Whom a vouched person is here. */
  admitPerson: AdmitPerson;
  placeEndUser: (endUser: string) => Promise<EndUserPlace>;
  /** The whole directory, for a worker that knows nothing. */
  directory: () => DirectoryNews;
  /** All agents, for the same. */
  agents: () => AgentNews;
  askAgents: AskAgents;
  onGivingUp: (reason: string) => void;
}

export interface Supervisor {
  /** Resolves when every worker accepts connections and is ready; throws StartError when one cannot. */
  start(snapshot: Snapshot, address: ListenAddress): Promise<void>;
  /** Resolves when every worker runs on it, or after 2 s with those that do not. */
  apply(snapshot: Snapshot): Promise<{ late: number[]; refused: { worker: number; error: string }[] }>;
  /** News of the directory or of agents, to every worker. True: all know; false: after 2 s some did not. */
  tell(news: DirectoryNews | AgentNews): Promise<boolean>;
  status(): WorkerStatus[];
  /** Threads that live now, `w{worker}-{boot}`. */
  alive(): string[];
  /** Not ready at once, listeners closed, at most so long for what is in flight; then all threads end. Never rejects. */
  drain(deadlineMs: number): Promise<void>;
}

interface Crew {
  options: SupervisorOptions;
  threads: Map<number, WorkerThread>;
  serving: Set<number>;
  /** Times of the deaths within the window. */
  deaths: number[];
  phase: 'starting' | 'serving' | 'draining';
  current: { snapshot: Snapshot; address: ListenAddress } | undefined;
  /** Threads started so far. */
  started: number;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const crew: Crew = {
    options,
    threads: new Map(),
    serving: new Set(),
    deaths: [],
    phase: 'starting',
    current: undefined,
    started: 0,
  };
  const slots = Array.from({ length: options.workers }, (_, worker) => worker);
  return {
    start: async (snapshot, address) => {
      crew.current = { snapshot, address };
      options.shared.setMaxInflightBytes(snapshot.server.maxInflightBytes);
      try {
        await Promise.all(slots.map((worker) => raise(crew, worker)));
      } catch (error) {
        throw new StartError(`a worker could not be started: ${errorText(error)}`);
      }
      crew.phase = 'serving';
      for (const thread of crew.threads.values()) thread.post({ type: 'ready', ready: true });
    },
    apply: async (snapshot) => {
      if (crew.current !== undefined) crew.current.snapshot = snapshot;
      options.shared.setMaxInflightBytes(snapshot.server.maxInflightBytes);
      const answers = await Promise.all([...crew.threads.values()].map((thread) => handOver(thread, snapshot)));
      return {
        late: answers.filter(({ late }) => late).map(({ worker }) => worker),
        refused: answers.flatMap(({ worker, error }) => (error === undefined ? [] : [{ worker, error }])),
      };
    },
    tell: async (news) => {
      const known = await Promise.all([...crew.threads.values()].map((thread) => tellThread(thread, news)));
      return known.every(Boolean);
    },
    status: () =>
      slots.map((worker) => {
        const {
          exchanges: inflight,
          generation,
          inflightBytes,
          loopDelayP99Ms,
          heartbeatAgeMs,
        } = options.shared.read(worker, options.now());
        const serving = crew.serving.has(worker);
        return { worker, generation, serving, inflight, inflightBytes, loopDelayP99Ms, heartbeatAgeMs };
      }),
    alive: () => [...crew.threads.values()].map(({ boot }) => `w${boot.worker}-${boot.boot}`),
    drain: async (deadlineMs) => {
      crew.phase = 'draining';
      await Promise.all([...crew.threads.values()].map((thread) => drainThread(thread, deadlineMs)));
    },
  };
}

/** Starts a thread in the slot and brings it to the point where it serves. Rejects where it does not get there; the thread may still live then. */
async function raise(crew: Crew, worker: number): Promise<void> {
  const { options, current } = crew;
  if (current === undefined) throw new Error('there is no snapshot yet');
  const name = `${options.runId}g${++crew.started}`;
  const thread: WorkerThread = startThread({
    url: options.workerUrl,
    boot: { ...options.boot, worker, boot: name, shared: options.shared.memory },
    heapMb: options.heapMb,
    onMessage: (message) => receive(message, thread, options),
  });
  crew.threads.set(worker, thread);
  void thread.gone.then((reason) => bury(crew, thread, reason));
  await thread.answer(['booted']);
  thread.post({ type: 'snapshot', snapshot: current.snapshot });
  const { error } = await thread.answer(['applied']);
  if (error !== undefined) throw new Error(`the snapshot was refused: ${error}`);
  thread.post(options.directory());
  thread.post(options.agents());
  thread.post({ type: 'listen', address: current.address });
  const answer = await thread.answer(['listening', 'listen_failed']);
  if (answer.type === 'listen_failed') throw new Error(answer.message);
  crew.serving.add(worker);
  if (crew.phase === 'serving') thread.post({ type: 'ready', ready: true });
}

function bury(crew: Crew, thread: WorkerThread, reason: string): void {
  const { options } = crew;
  const { worker, boot } = thread.boot;
  crew.serving.delete(worker);
  crew.threads.delete(worker);
  options.shared.reclaim(worker);
  const vacant = options.onGone(worker, boot);
  if (crew.phase !== 'serving') return;
  options.log('error', { worker, reason }, 'a worker died');
  const now = options.now();
  crew.deaths = [...crew.deaths.filter((at) => at > now - DEATH_WINDOW_MS), now];
  const delayMs = RESTART_DELAYS_MS[crew.deaths.length - 1];
  if (delayMs === undefined) options.onGivingUp(`${crew.deaths.length} workers died within a minute, the last one: ${reason}`);
  else void Promise.all([sleep(delayMs), vacant]).then(() => replace(crew, worker));
}

async function replace(crew: Crew, worker: number): Promise<void> {
  const { log } = crew.options;
  if (crew.phase !== 'serving') return;
  try {
    await raise(crew, worker);
    log('info', { worker }, 'a dead worker was replaced');
  } catch (error) {
    log('error', { worker, error: errorText(error) }, 'a worker could not be started');
    await crew.threads.get(worker)?.terminate();
  }
}

function receive(message: ToMain, thread: WorkerThread, options: SupervisorOptions): void {
  if (message.type === 'journal') options.onJournal(message.position);
  else if (message.type === 'log') options.log(message.level, message.fields, message.message);
  else if (message.type === 'price_request') {
    const { id, request } = message;
    options.priceOf(request).then(
      (price) => thread.post({ type: 'price', id, price }),
      () => thread.post({ type: 'price', id, price: { status: 'unpriced' } }),
    );
  } else if (message.type === 'end_user_request') {
    const { id, endUser } = message;
    options.placeEndUser(endUser).then(
      (place) => thread.post({ type: 'end_user', id, place }),
      () => thread.post({ type: 'end_user', id }),
    );
  } else if (message.type === 'person_request') {
    const { id, person } = message;
    options.admitPerson(person).then(
      (admitted) => thread.post({ type: 'person', id, ...(admitted !== undefined && { admitted }) }),
      () => thread.post({ type: 'person', id, error: true }),
    );
  } else if (message.type === 'agent_questions') answerAll(message.questions, thread, options);
}

/** Each as soon as it is known: some wait for others' calls. */
function answerAll(questions: readonly AgentAsked[], thread: WorkerThread, { askAgents }: SupervisorOptions): void {
  const tell = batched<AgentAnswer>((answers) => thread.post({ type: 'agent_answers', answers }));
  for (const { id, question } of questions) {
    askAgents(question).then(
      (answer) => tell({ id, answer }),
      () => tell({ id, error: true }),
    );
  }
}

/** A worker that dies while it is asked counts as neither: its replacement starts on the new snapshot. */
async function handOver(thread: WorkerThread, snapshot: Snapshot): Promise<{ worker: number; late: boolean; error?: string }> {
  const { worker } = thread.boot;
  const acknowledged = thread.answer(['applied'], ({ version }) => version === snapshot.version);
  thread.post({ type: 'snapshot', snapshot });
  const answer = await inTime(acknowledged);
  if (answer === 'late' || answer === 'gone') return { worker, late: answer === 'late' };
  return { worker, late: false, ...(answer.error !== undefined && { error: answer.error }) };
}

/** The same: who replaces it is told all. */
async function tellThread(thread: WorkerThread, news: DirectoryNews | AgentNews): Promise<boolean> {
  const acknowledged = thread.answer([`${news.type}_applied`], ({ version }) => version >= news.version);
  thread.post(news);
  return (await inTime(acknowledged)) !== 'late';
}

async function inTime<Answer>(answer: Promise<Answer>): Promise<Answer | 'late' | 'gone'> {
  const timer = new AbortController();
  const deadline = sleep(ACKNOWLEDGE_MS, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
  try {
    return await Promise.race([answer, deadline]);
  } catch {
    return 'gone';
  } finally {
    timer.abort();
  }
}

async function drainThread(thread: WorkerThread, deadlineMs: number): Promise<void> {
  const drained = thread.answer(['drained']);
  thread.post({ type: 'drain', deadlineMs });
  const timer = new AbortController();
  const deadline = sleep(deadlineMs + DRAIN_GRACE_MS, undefined, { signal: timer.signal });
  await Promise.race([drained, deadline]).catch(() => undefined);
  timer.abort();
  deadline.catch(() => undefined);
  await thread.terminate();
  await thread.gone;
}

const MIB = 1024 * 1024;
const HEAP_BOUNDS_MB = { least: 128, most: 4096 } as const;

/** Half of the memory that the process may use, shared among the workers' heaps; bodies live outside the heaps. */
export function heapLimitMb(memoryBytes: number, workers: number): number {
  const fair = Math.floor(memoryBytes / 2 / MIB / workers);
  return Math.min(HEAP_BOUNDS_MB.most, Math.max(HEAP_BOUNDS_MB.least, fair));
}
