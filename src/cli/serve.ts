/** `signalbox serve`: finds the configuration and the data directory, starts, and answers to signals until the end. */
import { constants } from 'node:os';
import { extname } from 'node:path';

import { buildControl } from '../build-control.ts';
import { isLoopbackHost } from '../config/values.ts';
import { providersInEnvironment } from '../providers/catalog.ts';
import { firstRunConfigText } from '../runtime/first-run.ts';
import type { ControlContext } from '../runtime/messages.ts';
import { EXIT_CONFIG, StartError } from '../runtime/start-error.ts';
import { type Running, start } from '../runtime/start.ts';
import { trimHeapSoon } from '../runtime/trim-heap.ts';
import { configPath, dataPath } from './config-path.ts';
import type { CliIo } from './io.ts';
import { guardGlobals } from '../upstream/guard.ts';
import { nodeComplaint } from './node-version.ts';
import { packageVersion } from './process-io.ts';

export interface ServeFlags {
  config?: string;
  host?: string;
  port?: number;
  workers?: number | 'auto';
  data?: string;
}

/** npm passes a terminal's ^C on to a process that has already got it: a signal this soon after the first is the same one. */
const ECHO_MS = 500;
const ORPHAN_CHECK_MS = 250;
/** After a fault of our own in main, what is in flight gets this long. */
const FAULT_DRAIN_MS = 10_000;

/** Resolves with the exit code, once all is closed. `isTerminal`: standard output is one, so that somebody reads what is shown only once. */
export async function serve(flags: ServeFlags, io: CliIo, isTerminal: boolean): Promise<number> {
  process.umask(0o077);
  guardGlobals();
  const complaint = nodeComplaint(process.versions.node);
  if (complaint !== undefined) io.err(`signalbox: ${complaint.message}\n`);
  const life = createLife(io);
  try {
    const running = await Promise.race([begin(flags, io, { life, isTerminal }), life.over]);
    if (typeof running === 'number') return running;
    life.running(running);
    for (const line of [...running.greeting, `signalbox listening on ${running.url}`]) io.out(`${line}\n`);
    trimHeapSoon();
    return await life.over;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    io.err(`signalbox: ${error.message}\n`);
    return error.exitCode;
  }
}

async function begin(flags: ServeFlags, io: CliIo, { life, isTerminal }: { life: Life; isTerminal: boolean }): Promise<Running> {
  const { host, port, workers } = flags;
  return start({
    version: packageVersion(),
    dataDir: dataPath(flags.data, io),
    config: configOf(flags, io),
    overrides: {
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(workers !== undefined && { workers }),
    },
    environment: io.env,
    // Sources run unbuilt in development: the worker's file ends as this one does.
    workerUrl: new URL(`../runtime/worker${extname(import.meta.url)}`, import.meta.url),
    buildControl,
    isTerminal,
    onGivingUp: (reason) => life.end(1, FAULT_DRAIN_MS, reason),
  });
}

/** The operator's file, or what serves where there is none; then to this machine only, since nobody has chosen any secret. */
function configOf(flags: ServeFlags, io: CliIo): ControlContext['config'] {
  const path = configPath(flags.config, io);
  if (path !== undefined) return { path };
  if (flags.host !== undefined && !isLoopbackHost(flags.host)) {
    const reason = 'without a configuration file Signalbox serves this machine only';
    throw new StartError(`${reason}; to listen on ${flags.host}, write a gateway.yaml with an admin key`, EXIT_CONFIG);
  }
  return { text: firstRunConfigText(providersInEnvironment(io.env)) };
}

interface Life {
  over: Promise<number>;
  running(running: Running): void;
  end(code: number, deadlineMs: number, reason: string): void;
}

/** Signals and faults of the main thread, and the one way out that all of them take. */
function createLife(io: CliIo): Life {
  const { promise: over, resolve: leave } = Promise.withResolvers<number>();
  let running: Running | undefined;
  let endingSince: number | undefined;

  const end = (code: number, deadlineMs: number, reason: string): void => {
    if (endingSince !== undefined) return;
    endingSince = performance.now();
    running?.log(code === 0 ? 'info' : 'error', { reason }, 'stopping');
    if (running === undefined) leave(code);
    else void running.stop(deadlineMs).then(() => leave(code));
  };
  const onSignal = (signal: 'SIGTERM' | 'SIGINT'): void => {
    if (endingSince === undefined) end(0, running?.drainMs() ?? 0, signal);
    else if (performance.now() - endingSince > ECHO_MS) leave(128 + constants.signals[signal]);
  };
  const onFault = (fault: unknown): void => {
    const stack = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
    if (running === undefined) io.err(`signalbox: ${stack}\n`);
    else running.log('error', { stack }, 'the main thread failed');
    end(1, FAULT_DRAIN_MS, 'a fault of the main thread');
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => running?.reload());
  if (io.env['npm_command'] === 'exec') onOrphaned(() => end(0, running?.drainMs() ?? 0, 'npx is gone'));
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  return {
    over,
    running: (started) => {
      running = started;
    },
    end,
  };
}

/**
 * npx starts us through a shell, which dies of the signal that it should pass on. Without this a stopped npx would leave a server
 * behind that nobody knows of.
 */
function onOrphaned(act: () => void): void {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    act();
  }, ORPHAN_CHECK_MS);
  watch.unref();
}
