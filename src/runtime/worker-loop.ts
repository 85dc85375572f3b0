/** The inside of a worker thread: takes main's messages, keeps the journal and the beat, and runs the data plane it is given. */
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { type Journal, createJournal } from './journal.ts';
import { createMainDesk } from './main-desk.ts';
import type { DataPlane, Log, ToMain, ToWorker, WorkerBoot, WorkerContext } from './messages.ts';
import { type SharedState, openSharedState } from './shared-state.ts';
import { StartError, errorText } from './start-error.ts';

const BEAT_MS = 1_000;
const LOOP_DELAY_RESOLUTION_MS = 20;

type Post = (message: ToMain) => void;
type Handlers = { [Type in ToWorker['type']]: (message: Extract<ToWorker, { type: Type }>) => void };

/** Call once, in a worker thread that was started with a WorkerBoot. */
export function runWorker(build: (context: WorkerContext) => DataPlane): void {
  if (parentPort === null) throw new StartError('this file is the inside of a worker thread; start Signalbox by main');
  const port: MessagePort = parentPort;
  const boot = workerData as WorkerBoot;
  const post: Post = (message) => port.postMessage(message);
  const log: Log = (level, fields, message) => post({ type: 'log', level, fields: { worker: boot.worker, ...fields }, message });
  const shared = openSharedState(boot.shared, boot.worker);
  const readiness = createReadiness();
  const journal = openJournal(boot, { post, log, readiness });
  // What was recorded before the turn that threw is written before the thread dies.
  process.on('uncaughtExceptionMonitor', () => journal.close());
  const { answered, ...asking } = createMainDesk(post);
  const { worker, version, dataDir, controlSocketPath, bodyKey } = boot;
  const plane = build({
    worker,
    version,
    dataDir,
    controlSocketPath,
    shared,
    bodyKey,
    journal,
    log,
    ...asking,
    now: Date.now,
  });
  readiness.bind(plane.setReady);
  const closeDown = (): void => {
    journal.close();
    post({ type: 'drained' });
  };
  const handlers: Handlers = {
    snapshot: ({ snapshot }) => post({ type: 'applied', version: snapshot.version, ...applied(() => plane.apply(snapshot)) }),
    directory: (news) => {
      plane.know(news);
      post({ type: 'directory_applied', version: news.version });
    },
    agents: (news) => post({ type: 'agents_applied', version: known(() => plane.knowAgents(news), news.version) }),
    listen: ({ address }) => {
      plane.listen(address).then(
        () => post({ type: 'listening' }),
        (error: unknown) => post({ type: 'listen_failed', message: errorText(error) }),
      );
    },
    ready: ({ ready }) => readiness.set({ main: ready }),
    drain: ({ deadlineMs }) => {
      readiness.set({ main: false });
      plane.drain(deadlineMs).then(closeDown, (error: unknown) => {
        log('error', { error: errorText(error) }, 'draining failed');
        closeDown();
      });
    },
    ...answered,
  };
  // The type says which handler takes which message; only the compiler cannot follow it through the table.
  port.on('message', (message: ToWorker) => (handlers[message.type] as (message: ToWorker) => void)(message));
  beat(shared);
  post({ type: 'booted' });
}

function known(take: () => void, version: number): number {
  take();
  return version;
}

function applied(apply: () => void): { error?: string } {
  try {
    apply();
    return {};
  } catch (error) {
    return { error: errorText(error) };
  }
}

interface JournalParts {
  post: Post;
  log: Log;
  readiness: ReturnType<typeof createReadiness>;
}

/** Not ready while facts cannot be written. */
function openJournal(boot: WorkerBoot, { post, log, readiness }: JournalParts): Journal {
  return createJournal({
    dir: join(boot.dataDir, 'journal'),
    worker: boot.worker,
    boot: boot.boot,
    announce: (position) => post({ type: 'journal', position }),
    onTrouble: (error) => {
      readiness.set({ journal: false });
      log('error', { error: errorText(error) }, 'the journal cannot be written; not ready until it can');
    },
    onRecovered: () => {
      readiness.set({ journal: true });
      log('info', {}, 'the journal is written again');
    },
    onLost: (facts) => log('error', { facts }, 'facts were lost: the journal could not take them'),
  });
}

/** Ready while main says so and facts can be written. */
function createReadiness(): {
  bind: (tell: (ready: boolean) => void) => void;
  set: (change: { main?: boolean; journal?: boolean }) => void;
} {
  const state = { main: false, journal: true };
  let tell: ((ready: boolean) => void) | undefined;
  return {
    bind: (listener) => {
      tell = listener;
    },
    set: (change) => {
      Object.assign(state, change);
      tell?.(state.main && state.journal);
    },
  };
}

function beat(shared: SharedState): void {
  const delay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  delay.enable();
  shared.beat(Date.now(), 0);
  setInterval(() => {
    // The histogram holds the time between two samples, so an idle loop shows its resolution.
    shared.beat(Date.now(), Math.max(0, delay.percentile(99) / 1e6 - LOOP_DELAY_RESOLUTION_MS));
    delay.reset();
  }, BEAT_MS).unref();
}
