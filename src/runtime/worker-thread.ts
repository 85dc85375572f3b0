/** One worker thread as main sees it: messages in, answers out, and the day it dies. */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

import type { ToMain, ToWorker, WorkerBoot } from './messages.ts';
import { errorText } from './start-error.ts';

type Answer<Type extends ToMain['type']> = Extract<ToMain, { type: Type }>;

export interface WorkerThread {
  readonly boot: WorkerBoot;
  /** Resolves with the reason once the thread is gone and all its messages have arrived; never rejects. */
  readonly gone: Promise<string>;
  post(message: ToWorker): void;
  /** The next message of one of these types; rejects if the thread is gone first. */
  answer<Type extends ToMain['type']>(
    types: readonly Type[],
    accepts?: (message: Answer<Type>) => boolean,
  ): Promise<Answer<Type>>;
  terminate(): Promise<unknown>;
}

export interface ThreadOptions {
  url: URL;
  boot: WorkerBoot;
  /** A worker whose old generation outgrows this dies alone, and the process does not. */
  heapMb: number;
  onMessage: (message: ToMain) => void;
}

/**
 * How far a worker's old generation grows, bodies counted, before its garbage is first collected as a whole. V8 begins at some 30 MB, which bodies of 116 KB fill every
 * 25 requests: collecting a heap of which 12 MB live took a quarter of the CPU of such requests. There is no such resource limit, only a flag of V8.
 */
const INITIAL_OLD_MB = 128;

export function startThread({ url, boot, heapMb, onMessage }: ThreadOptions): WorkerThread {
  // Read when a thread's heap is made; the main thread's stands already.
  setFlagsFromString(`--initial-old-space-size=${Math.min(INITIAL_OLD_MB, heapMb)}`);
  const worker = new Worker(url, {
    workerData: boot,
    name: `worker-${boot.worker}`,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  const listeners = new Set<(message: ToMain) => void>();
  let reason: string | undefined;
  worker.on('message', (message: ToMain) => {
    onMessage(message);
    for (const listener of listeners) listener(message);
  });
  worker.on('error', (error) => {
    reason = errorText(error);
  });
  const gone = new Promise<string>((resolve) => {
    worker.once('exit', (code) => resolve(reason ?? `ended with code ${code}`));
  });
  return {
    boot,
    gone,
    post: (message) => worker.postMessage(message),
    answer: <Type extends ToMain['type']>(types: readonly Type[], accepts: (message: Answer<Type>) => boolean = () => true) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer<Type>>();
      const listener = (message: ToMain): void => {
        if (!(types as readonly string[]).includes(message.type) || !accepts(message as Answer<Type>)) return;
        listeners.delete(listener);
        resolve(message as Answer<Type>);
      };
      listeners.add(listener);
      void gone.then((why) => reject(new Error(why)));
      // Whoever asked may have stopped waiting (a deadline) when the thread dies.
      promise.catch(() => undefined);
      return promise;
    },
    terminate: () => worker.terminate(),
  };
}
