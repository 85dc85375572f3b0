/** Entry of a worker thread. */
import { buildDataPlane } from '../build.ts';
import { runWorker } from './worker-loop.ts';

runWorker(buildDataPlane);
