/** Entry of a worker thread. */
import { buildDataPlane } from '../build.ts';
import { guardGlobals } from '../upstream/guard.ts';
import { runWorker } from './worker-loop.ts';

guardGlobals();
runWorker(buildDataPlane);
