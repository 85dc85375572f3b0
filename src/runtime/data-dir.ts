/**
 * The data directory: state that outlives the process, for one process at a time.
 *
 * The lock is SQLite's on an otherwise empty file, that is the kernel's on that file: it is taken in one step, ends with the process
 * however that ends, and holds between containers that share the directory; a file with a process id in it does none of these.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { StartError, errorText } from './start-error.ts';

const PEPPER_BYTES = 32;
const NODE_BYTES = 8;
/** Bytes that a Unix socket's address holds, its final zero included: 108 on Linux, 104 elsewhere. */
const MAX_SOCKET_PATH = { linux: 107, other: 103 } as const;

export interface DataDir {
  /** Absolute. */
  path: string;
  journalDir: string;
  /** Valid within this process only. */
  controlSocketPath: string;
  /** Secret of the installation, 64 hex digits; made at the first start. */
  pepper: string;
  /** Its name in a store that several share, 16 hex digits; made at the first start. */
  node: string;
  /** Lets the directory go. The end of the process does it too. */
  release(): void;
}

/** Creates what is missing, all of it for the owner only. Hold on to the answer: once it is collected as garbage, the lock is gone. Throws StartError: in use, not writable, damaged. */
export function openDataDir(directory: string): DataDir {
  const path = resolve(directory);
  const journalDir = join(path, 'journal');
  makePrivate(path);
  const lock = takeLock(path);
  makePrivate(journalDir);
  const socket = socketPath(path);
  rmSync(join(path, 'control.sock'), { force: true });
  return {
    path,
    journalDir,
    controlSocketPath: socket.path,
    pepper: readHex(join(path, 'pepper'), PEPPER_BYTES),
    node: readHex(join(path, 'node'), NODE_BYTES),
    release: () => {
      rmSync(join(path, 'control.sock'), { force: true });
      rmSync(join(path, 'pid'), { force: true });
      socket.release();
      lock.close();
    },
  };
}

/** Whole or not at all, also when the machine stops midway; readable by the owner only. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

function makePrivate(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    throw new StartError(`the data directory ${path} cannot be used: ${errorText(error)}`);
  }
}

function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(join(path, 'lock'), { timeout: 0 });
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!errorText(error).includes('locked'))
      throw new StartError(`the data directory ${path} cannot be locked: ${errorText(error)}`);
    throw new StartError(`the data directory ${path} is in use by another Signalbox${holderOf(path)}`);
  }
  writePrivateFile(join(path, 'pid'), `${process.pid}\n`);
  return lock;
}

/** For the message only; the lock does not depend on it. */
function holderOf(path: string): string {
  try {
    return ` (process ${readFileSync(join(path, 'pid'), 'utf8').trim()})`;
  } catch {
    return '';
  }
}

/** For other processes: the control socket of a data directory, whether it is there or not. */
export function controlSocketAddress(directory: string): string {
  return existsSync(directory) ? socketPath(resolve(directory)).path : join(directory, 'control.sock');
}

/** Where the path is too long for a socket's address, the directory is addressed through an open descriptor of it (Linux). */
function socketPath(directory: string): { path: string; release: () => void } {
  const path = join(directory, 'control.sock');
  const isLinux = process.platform === 'linux';
  const limit = isLinux ? MAX_SOCKET_PATH.linux : MAX_SOCKET_PATH.other;
  if (Buffer.byteLength(path) <= limit) return { path, release: () => undefined };
  if (!isLinux) throw new StartError(`the path of the data directory is too long: ${path} must have at most ${limit} bytes`);
  const fd = openSync(directory, 'r');
  return { path: `/proc/self/fd/${fd}/control.sock`, release: () => closeSync(fd) };
}

/** Made at random where it is missing. */
function readHex(path: string, bytes: number): string {
  if (!existsSync(path)) writePrivateFile(path, `${randomBytes(bytes).toString('hex')}\n`);
  const text = readFileSync(path, 'utf8').trim();
  if (!/^[0-9a-f]+$/.test(text) || text.length !== 2 * bytes) {
    throw new StartError(`${path} is damaged: it must hold ${2 * bytes} hex digits`);
  }
  return text;
}
