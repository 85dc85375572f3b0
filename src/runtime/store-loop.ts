/** The inside of the store's thread: answers calls, imports journals, waits out a store that is down. */
import type { MessagePort } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';

import { isPassing } from '../store/sql/errors.ts';
import { openStore } from '../store/sql/open.ts';
import type { Retention } from '../store/ports/usage.ts';
import { type Store, StoreError } from '../store/store.ts';
import { type JournalImport, createJournalImport } from './journal-import.ts';
import type { Log } from './messages.ts';
import type { FromStore, StoreBoot, ToStore } from './store-messages.ts';
import { type StoreCall, answerCall } from './store-rpc.ts';
import { errorText } from './start-error.ts';

const LAG_MS = 250;
const LAG_BEATS = 20;
/** Between two attempts at a store that is down. */
const RETRY_MS = { first: 100, longest: 2_000 } as const;
/** What comes in the way of one import so many times in a row, comes in the way of all. */
const PASSING_TRIES = 3;
const RETENTION_MS = 60_000;
/** How long a closing thread still tries to import. */
const LAST_IMPORT_MS = 1_500;

/** Up, until something says `store_down`; down, until it can be written again. Meanwhile calls are refused at once, not each after its own timeout. */
interface Health {
  isUp(): boolean;
  /** True for errors that mean so. */
  observe(error: unknown): boolean;
  recovered(): void;
}

/** Call once, in a thread of its own. `retentionMs`: another time than the product's, for tests. */
export async function runStore(port: MessagePort, boot: StoreBoot, retentionMs = RETENTION_MS): Promise<void> {
  const post = (message: FromStore): void => port.postMessage(message);
  const log: Log = (level, fields, message) => post({ type: 'log', level, fields, message });
  const migrated: string[] = [];
  try {
    const store = await openStore(boot.url, {
      onMigrated: (name) => migrated.push(name),
      onLost: (error) => log('warn', { error: errorText(error) }, 'a connection to the store broke'),
    });
    const journals = createJournalImport({ store, node: boot.node, dir: boot.journalDir, log });
    await journals.open(boot.alive);
    while (await journals.step());
    serve({ port, post, log, store, journals, retention: boot.retention, retentionMs });
    post({ type: 'ready', migrated, ...journals.counts() });
  } catch (error) {
    post({ type: 'unusable', message: causeText(error) });
  }
}

interface Parts {
  port: MessagePort;
  post: (message: FromStore) => void;
  log: Log;
  store: Store;
  journals: JournalImport;
  retention: Retention;
  retentionMs: number;
}

function serve(parts: Parts): void {
  const { port, post, log, store, journals } = parts;
  let retention = parts.retention;
  const health = createHealth(post);
  const work = createWork({ store, journals, health });
  const groups = guarded(store, health, () => work.wake());
  const forgetOld = async (): Promise<void> => {
    if (!health.isUp()) return;
    try {
      await store.usage.retain(retention, Date.now());
    } catch (error) {
      // Nobody else may come to wake what finds out that the store is there again.
      if (health.observe(error)) work.wake();
      else log('error', { error: causeText(error) }, 'what is kept long enough could not be given up');
    }
  };
  const forget = setInterval(() => void forgetOld(), parts.retentionMs);
  const lag = reportLag(journals, post);
  const take: { [Type in ToStore['type']]: (message: Extract<ToStore, { type: Type }>) => void } = {
    call: (call: StoreCall) => void answerCall(groups, call, port),
    position: ({ position }) => {
      journals.announce(position);
      work.wake();
    },
    left: ({ file }) => {
      journals.left(file);
      work.wake();
    },
    gone: ({ thread }) => {
      journals.gone(thread);
      work.wake();
    },
    retention: (message) => {
      retention = message.retention;
    },
    close: () => {
      clearInterval(forget);
      clearInterval(lag);
      void work
        .finish(LAST_IMPORT_MS)
        .then(() => store.close())
        .catch(() => undefined)
        .then(() => post({ type: 'closed' }));
    },
  };
  // The type says which handler takes which message; only the compiler cannot follow it through the table.
  port.on('message', (message: ToStore) => (take[message.type] as (message: ToStore) => void)(message));
}

function createHealth(post: Parts['post']): Health {
  let up = true;
  return {
    isUp: () => up,
    observe: (error) => {
      if (!isDown(error)) return false;
      if (up) post({ type: 'health', up: false, reason: causeText(error) });
      up = false;
      return true;
    },
    recovered: () => {
      if (up) return;
      up = true;
      post({ type: 'health', up });
    },
  };
}

function isDown(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'store_down' && !isPassing(error);
}

interface Work {
  /** There may be something to do. */
  wake(): void;
  /** Resolves when all that was announced is imported, or the time is over. */
  finish(withinMs: number): Promise<void>;
}

/** One round at a time: imports while there is something; while the store is down, tries it again and again. */
function createWork({ store, journals, health }: Pick<Parts, 'store' | 'journals'> & { health: Health }): Work {
  let running: Promise<void> | undefined;
  let isAwaited = false;
  const round = async (): Promise<void> => {
    let waitMs: number = RETRY_MS.first;
    let passing = 0;
    do {
      isAwaited = false;
      try {
        if (!health.isUp()) await store.facts.probe();
        while (await journals.step());
        health.recovered();
        waitMs = RETRY_MS.first;
        passing = 0;
      } catch (error) {
        if (error instanceof StoreError && isPassing(error) && ++passing < PASSING_TRIES) isAwaited = true;
        // What is no fault of the store is told like one, and tried again: facts stay where they are.
        else health.observe(isDown(error) ? error : asDown(error));
        await sleep(waitMs);
        waitMs = Math.min(2 * waitMs, RETRY_MS.longest);
      }
    } while (isAwaited || !health.isUp());
  };
  const wake = (): void => {
    isAwaited = true;
    running ??= round().finally(() => {
      running = undefined;
      if (isAwaited) wake();
    });
  };
  return {
    wake,
    finish: async (withinMs) => {
      wake();
      await Promise.race([running, sleep(withinMs, undefined, { ref: false })]);
    },
  };
}

function asDown(error: unknown): StoreError {
  return new StoreError('store_down', 'facts cannot be imported', error);
}

/** The groups, refused at once while the store is down. */
function guarded(store: Store, health: Health, wake: () => void): Record<string, Record<string, unknown>> {
  const group = (functions: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(functions as Record<string, (...args: unknown[]) => Promise<unknown>>).map(([name, method]) => [
        name,
        async (...args: unknown[]): Promise<unknown> => {
          if (!health.isUp()) throw new StoreError('store_down', 'the store cannot be used now');
          try {
            return await method(...args);
          } catch (error) {
            if (health.observe(error)) wake();
            throw error;
          }
        },
      ]),
    );
  const groups = Object.entries(store).filter(([name]) => name !== 'close');
  return Object.fromEntries(groups.map(([name, functions]) => [name, group(functions as object)]));
}

/** When it changes, first of all after a start, and every five seconds, so that main knows this thread to be alive. */
function reportLag(journals: JournalImport, post: Parts['post']): NodeJS.Timeout {
  let told: number | undefined;
  let silent = 0;
  return setInterval(() => {
    const bytes = journals.lagBytes();
    if (bytes === told && ++silent < LAG_BEATS) return;
    post({ type: 'lag', bytes });
    told = bytes;
    silent = 0;
  }, LAG_MS);
}

/** With what lies behind it, which may name the database's own complaint, never a value. */
function causeText(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause === undefined ? errorText(error) : `${errorText(error)}: ${errorText(cause)}`;
}
