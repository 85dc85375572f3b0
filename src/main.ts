#!/usr/bin/env node
/** Entry. Loads nothing of weight before it knows that this Node can run it. */
import { nodeComplaint } from './cli/node-version.ts';

// libuv reads it when its pool is first used, which is later. A hung DNS look-up holds one of these threads, files and hashes need others.
if (process.env['UV_THREADPOOL_SIZE'] === undefined) process.env['UV_THREADPOOL_SIZE'] = '16';

const complaint = nodeComplaint(process.versions.node);
if (complaint !== undefined && complaint.fatal) {
  process.stderr.write(`signalbox: ${complaint.message}\n`);
  process.exit(1);
}
const { run } = await import('./cli/program.ts');
await run(process.argv);
