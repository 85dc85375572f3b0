/** One worker thread as main sees it: messages in, answers out, and the day it dies. */
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

export function startThread({ url, boot, heapMb, onMessage }: ThreadOptions): WorkerThread {
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
