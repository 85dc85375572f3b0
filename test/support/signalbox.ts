/** A real Signalbox in a process of its own, started from the sources, for tests of the whole product. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;
const READY_MS = 30_000;

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
  process: ChildProcess;
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
  const home = mkdtempSync(join(tmpdir(), 'signalbox-'));
  const dataDir = options.dataDir ?? join(home, 'data');
  const configPath = join(home, 'gateway.yaml');
  if (options.config !== undefined) writeFileSync(configPath, options.config);
  const child = run(['--port', '0', '--data', dataDir, ...configArgs(options, configPath), ...(options.args ?? [])], {
    cwd: home,
    env: options.env ?? {},
  });
  const exited = once(child.process, 'exit').then(([code]) => code as number | null);
  const url = await readyUrl(child, exited);
  const stop = async (): Promise<number | null> => {
    if (child.process.exitCode === null && child.process.signalCode === null) child.process.kill('SIGTERM');
    const code = await exited;
    rmSync(home, { recursive: true, force: true });
    return code;
  };
  return {
    ...child,
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

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line to its end: for starts that must fail, and for other commands. */
export async function runSignalbox(
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  const child = run(args, { cwd: options.cwd ?? mkdtempSync(join(tmpdir(), 'signalbox-')), env: options.env ?? {} });
  const [code] = (await once(child.process, 'close')) as [number | null];
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}

interface Child {
  process: ChildProcess;
  stdout: () => string;
  stderr: () => string;
}

function run(args: string[], { cwd, env }: { cwd: string; env: Record<string, string> }): Child {
  const bare = { PATH: process.env['PATH'] ?? '', HOME: cwd };
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...args], { cwd, env: { ...bare, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { process: child, stdout: () => stdout, stderr: () => stderr };
}

function configArgs(options: SignalboxOptions, path: string): string[] {
  return options.config === undefined ? [] : ['--config', path];
}

async function readyUrl(child: Child, exited: Promise<unknown>): Promise<string> {
  const found = (): string | undefined => /^signalbox listening on (\S+)$/m.exec(child.stdout())?.[1];
  const deadline = AbortSignal.timeout(READY_MS);
  const ended = exited.then(() => 'ended');
  while (found() === undefined) {
    const waited = child.process.stdout === null ? [] : [once(child.process.stdout, 'data', { signal: deadline })];
    const why = await Promise.race([...waited, ended]).catch(() => 'was not ready in time');
    if (typeof why === 'string' && found() === undefined) {
      child.process.kill('SIGKILL');
      throw new Error(`Signalbox ${why}:\n${child.stdout()}\n${child.stderr()}`);
    }
  }
  return found() ?? '';
}

async function lineWith(child: Child, from: number, word: string): Promise<string> {
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
