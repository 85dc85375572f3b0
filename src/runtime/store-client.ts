/** The store as main sees it: its thread, started again when it dies, and calls to it. */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';

import type { Retention } from '../store/ports/usage.ts';
import type { Store } from '../store/store.ts';
import { listSegments } from './journal-files.ts';
import type { JournalPosition } from './journal.ts';
import type { Log } from './messages.ts';
import { StartError } from './start-error.ts';
import type { FromStore, StoreBoot, ToStore } from './store-messages.ts';
import { createStoreClient } from './store-rpc.ts';

export interface StoreThread {
  /** Calls are refused with `store_down` until `open` has resolved. */
  store: Store;
  /** Starts the thread; resolves when the store is open and has what earlier runs left. Throws StartError where it cannot be used. */
  open(boot: Omit<StoreBoot, 'alive'>): Promise<void>;
  announce(position: JournalPosition): void;
  left(file: string): void;
  /** The thread `w{worker}-{boot}` is gone. */
  gone(thread: string): void;
  keepFor(retention: Retention): void;
  isUp(): boolean;
  /** Bytes of facts that are not in the store yet. */
  lagBytes(): number;
  /** Imports what it can; resolves when the thread is gone. */
  close(): Promise<void>;
}

export interface StoreThreadOptions {
  url: URL;
  log: Log;
  /** Threads `w{worker}-{boot}` that live now. */
  alive: () => string[];
  /** The store cannot be used any more, or can again. */
  onHealth: (up: boolean, reason: string) => void;
  onLag: (bytes: number) => void;
}

/** What `openStore` takes: the configured URL, or a path in the data directory. */
export function storeLocation(dataDir: string, configured = 'store.db'): string {
  return /^postgres(ql)?:\/\//.test(configured) ? configured : resolve(dataDir, configured);
}

/** A thread that died is replaced after so long. */
const RESTART_MS = 500;
const CLOSE_MS = 2_000;
/** A thread that says nothing for so long stands still, or is at work on what another one left. */
const SILENT_MS = 15_000;
const WATCH_MS = 1_000;

interface Life {
  options: StoreThreadOptions;
  client: ReturnType<typeof createStoreClient>;
  boot?: Omit<StoreBoot, 'alive'>;
  worker?: Worker;
  up: boolean;
  /** It was up once. */
  hasServed: boolean;
  lagBytes: number;
  /** When the thread last said how much waits. */
  toldMs: number;
  closing: boolean;
}

/** Rows and facts pass through and are gone; the default is made for workers, and three times as much. */
const YOUNG_MB = 12;

export function createStoreThread(options: StoreThreadOptions): StoreThread {
  const life: Life = {
    options,
    client: createStoreClient(),
    up: false,
    hasServed: false,
    lagBytes: 0,
    toldMs: performance.now(),
    closing: false,
  };
  const post = (message: ToStore): void => life.worker?.postMessage(message);
  return {
    store: life.client.store,
    open: async (boot) => {
      life.boot = boot;
      await raise(life);
      setInterval(() => watch(life, boot.journalDir), WATCH_MS).unref();
    },
    announce: (position) => post({ type: 'position', position }),
    left: (file) => post({ type: 'left', file }),
    gone: (thread) => post({ type: 'gone', thread }),
    keepFor: (retention) => {
      if (life.boot !== undefined) life.boot = { ...life.boot, retention };
      post({ type: 'retention', retention });
    },
    isUp: () => life.up,
    lagBytes: () => life.lagBytes,
    close: () => close(life),
  };
}

/** Resolves when the thread serves; rejects with StartError where it says that it cannot. */
function raise(life: Life): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { options, client, boot } = life;
  const worker = new Worker(options.url, {
    workerData: { ...boot, alive: options.alive() },
    name: 'store',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  life.worker = worker;
  const ready = (message: Extract<FromStore, { type: 'ready' }>): void => {
    client.connect(worker);
    for (const name of message.migrated) options.log('info', { migration: name }, 'the store was brought to the present form');
    if (message.facts + message.expired > 0) {
      const { facts, expired } = message;
      options.log('info', { facts, expired_reservations: expired }, 'the store has taken what an earlier run left');
    }
    setHealth(life, true, '');
    resolve();
  };
  worker.on('message', (message: FromStore) => {
    if (message.type === 'ready') ready(message);
    else if (message.type === 'unusable') reject(new StartError(`the store cannot be opened: ${message.message}`));
    else receive(life, message);
  });
  let reason = 'the thread of the store ended';
  worker.on('error', (error) => {
    reason = String(error);
  });
  worker.once('exit', () => {
    reject(new StartError(`the store cannot be opened: ${reason}`));
    lost(life, worker, reason);
  });
  return promise;
}

/** While nobody says how much waits for the store, it is all that lies there. */
function watch(life: Life, journalDir: string): void {
  if (life.closing || performance.now() - life.toldMs < SILENT_MS) return;
  try {
    const sizes = listSegments(journalDir).map(({ bytes }) => bytes);
    noteLag(
      life,
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    );
  } catch (error) {
    life.options.log('warn', { error: String(error) }, 'the journals cannot be measured');
  }
}

function noteLag(life: Life, bytes: number): void {
  life.lagBytes = bytes;
  life.options.onLag(bytes);
}

function receive(life: Life, message: Exclude<FromStore, { type: 'ready' | 'unusable' }>): void {
  const { options, client } = life;
  if (message.type === 'answer' || message.type === 'refusal') client.take(message);
  else if (message.type === 'log') options.log(message.level, message.fields, message.message);
  else if (message.type === 'health') setHealth(life, message.up, message.reason ?? '');
  else if (message.type === 'lag') {
    life.toldMs = performance.now();
    noteLag(life, message.bytes);
  }
}

function setHealth(life: Life, up: boolean, reason: string): void {
  if (life.up === up) return;
  life.up = up;
  if (life.hasServed) life.options.onHealth(up, reason);
  life.hasServed = true;
}

/** Calls under way are refused; another thread takes over from what is committed. */
function lost(life: Life, worker: Worker, reason: string): void {
  if (life.worker !== worker) return;
  life.client.disconnect();
  delete life.worker;
  life.toldMs = -Infinity;
  // A store that never was there stops the start.
  if (life.closing || !life.hasServed) return;
  setHealth(life, false, reason);
  setTimeout(() => void raiseAgain(life), RESTART_MS).unref();
}

async function raiseAgain(life: Life): Promise<void> {
  if (life.closing) return;
  await raise(life).catch(async (error: unknown) => {
    life.options.log('error', { error: String(error) }, 'the store could not be opened again');
    await life.worker?.terminate();
  });
}

async function close(life: Life): Promise<void> {
  const { worker } = life;
  life.closing = true;
  if (worker === undefined) return;
  const closed = new Promise<void>((resolve) => {
    worker.on('message', (message: FromStore) => {
      if (message.type === 'closed') resolve();
    });
    worker.once('exit', () => resolve());
    setTimeout(resolve, CLOSE_MS).unref();
  });
  worker.postMessage({ type: 'close' } satisfies ToStore);
  await closed;
  await worker.terminate();
}
