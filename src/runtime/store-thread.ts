/** Entry of the store's thread. */
import { parentPort, workerData } from 'node:worker_threads';

import { StartError } from './start-error.ts';
import { runStore } from './store-loop.ts';
import type { StoreBoot } from './store-messages.ts';

if (parentPort === null) throw new StartError('this file is the inside of a thread; start Signalbox by main');
await runStore(parentPort, workerData as StoreBoot);
