/** A real Signalbox in a process of its own, for tests of the whole product. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Command, type Finished, ROOT, startCommand } from './command.ts';

const READY_MS = 30_000;
/** The tests' own build, where there is one; benchmarks start the sources. */
const ENTRY = process.env['SIGNALBOX_ENTRY'] ?? join(ROOT, 'src/main.ts');

export interface SignalboxOptions {
  /** Text of the configuration file; absent: first-run mode. */
  config?: string;
  /** Beside a bare environment (PATH, HOME): what the tests' own environment holds is not seen. */
  env?: Record<string, string>;
  /** Further arguments; `--port 0` is always there. */
  args?: string[];
  /** A data directory to start on again; absent: a new one, removed at `stop`. */
  dataDir?: string;
}

export interface Signalbox {
  /** From the ready line. */
  url: string;
  /** First-run mode: the virtual key it printed. With a configuration: empty. */
  key: string;
  /** The minted admin key; empty where the configuration names one, or where it was minted by an earlier start. */
  adminKey: string;
  dataDir: string;
  configPath: string;
  process: Command['process'];
  /** All that was written so far. */
  stdout: () => string;
  stderr: () => string;
  /** Rewrites the configuration and has it loaded (SIGHUP); resolves when the log says what came of it. */
  reload: (config: string) => Promise<string>;
  /** Its exit code; null where a signal ended it. */
  exited: Promise<number | null>;
  /** SIGTERM, then the exit code. Not after another SIGTERM or SIGINT: the second one ends it at once. */
  stop: () => Promise<number | null>;
  /** SIGKILL. */
  kill: () => Promise<void>;
}

/** Resolves at the ready line; rejects with all that was printed where the process ends or 30 s pass before it. */
export async function startSignalbox(options: SignalboxOptions = {}): Promise<Signalbox> {
  try {
    return await startOnce(options);
  } catch (error) {
    // Between the moment that a free port was found and the one that a worker listens there, a connection of another test may have taken it.
    if (options.args?.includes('--port') === true || !String(error).includes('EADDRINUSE')) throw error;
    return startOnce(options);
  }
}

async function startOnce(options: SignalboxOptions): Promise<Signalbox> {
  const home = newHome();
  const dataDir = options.dataDir ?? join(home, 'data');
  const configPath = join(home, 'gateway.yaml');
  if (options.config !== undefined) writeFileSync(configPath, options.config);
  const child = run(['--port', '0', '--data', dataDir, ...configArgs(options, configPath), ...(options.args ?? [])], {
    cwd: home,
    env: options.env ?? {},
  });
  const exited = child.finished.then(({ code }) => code);
  const [, url = ''] = await child.until(/^signalbox listening on (\S+)$/m, READY_MS);
  const stop = async (): Promise<number | null> => {
    if (child.process.exitCode === null && child.process.signalCode === null) child.process.kill('SIGTERM');
    const code = await exited;
    rmSync(home, { recursive: true, force: true });
    return code;
  };
  return {
    process: child.process,
    stdout: child.stdout,
    stderr: child.stderr,
    url,
    key: /Bearer (sk-sb-\w+)'/.exec(child.stdout())?.[1] ?? '',
    adminKey: child.stdout().includes('Admin key: written') ? readFileSync(join(dataDir, 'admin-key'), 'utf8').trim() : '',
    dataDir,
    configPath,
    exited,
    reload: async (config) => {
      const from = child.stderr().length;
      writeFileSync(configPath, config);
      child.process.kill('SIGHUP');
      return lineWith(child, from, 'configuration');
    },
    stop,
    kill: async () => {
      child.process.kill('SIGKILL');
      await exited;
    },
  };
}

/** Runs the command line to its end: for starts that must fail, and for other commands. */
export function runSignalbox(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Finished> {
  return run(args, { cwd: options.cwd ?? newHome(), env: options.env ?? {} }).finished;
}

const homes: string[] = [];
const removeHomes = (): void => {
  for (const home of homes) rmSync(home, { recursive: true, force: true });
};
// The test runner ends its processes without an `exit` event.
if (process.env['VITEST'] === undefined) process.once('exit', removeHomes);
else (await import('vitest')).afterAll(removeHomes);

/** Gone when the tests of a file, or the program, are over; a data directory in it may be started on again until then. */
function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'signalbox-'));
  homes.push(home);
  return home;
}

function run(args: string[], { cwd, env }: { cwd: string; env: Record<string, string> }): Command {
  const bare = { PATH: process.env['PATH'] ?? '', HOME: cwd };
  return startCommand(process.execPath, [ENTRY, ...args], { cwd, env: { ...bare, ...env } });
}

function configArgs(options: SignalboxOptions, path: string): string[] {
  return options.config === undefined ? [] : ['--config', path];
}

async function lineWith(child: Command, from: number, word: string): Promise<string> {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    const line = child
      .stderr()
      .slice(from)
      .split('\n')
      .slice(0, -1)
      .find((text) => text.includes(word));
    if (line !== undefined) return line;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing about "${word}" in the log:\n${child.stderr()}`);
}
