/**
 * Keeps the running snapshot in step with the operator's files: a change of any of them, or a signal, loads anew;
 * what is valid and different is swapped in whole, what is not leaves the old one in force and says why.
 */
import { realpath, stat } from 'node:fs/promises';

import type { ConfigIssue } from './issue.ts';
import type { Snapshot } from './snapshot.ts';

/** A fresh look at the files. `files`: absolute paths to watch from now on. */
export type Candidate =
  | { ok: true; snapshot: Snapshot; files: readonly string[] }
  | { ok: false; issues: ConfigIssue[]; files: readonly string[] };

export type Reload =
  | { outcome: 'swapped'; snapshot: Snapshot }
  | { outcome: 'unchanged'; hash: string }
  /** The files are wrong; the old snapshot stays. */
  | { outcome: 'refused'; issues: ConfigIssue[] }
  /** Loading or applying broke; the old snapshot stays. */
  | { outcome: 'failed'; error: unknown };

export interface LiveOptions {
  current: Snapshot;
  files: readonly string[];
  load: () => Promise<Candidate>;
  /** Puts a snapshot in force; resolves once it is. */
  apply: (snapshot: Snapshot) => Promise<void>;
  /** Told of every reload but one that found nothing new or the same complaints again. */
  report: (reload: Reload) => void;
  intervalMs?: number;
}

export interface Live {
  /** For SIGHUP: loads now, whether a file changed or not. Calls during a reload share the one after it. */
  reloadNow: () => Promise<Reload>;
  stop: () => void;
}

const DEFAULT_INTERVAL_MS = 5_000;

export function watchConfig(options: LiveOptions): Live {
  let { current, files } = options;
  // Nothing is known of the time between the first load and now, so the first poll loads again.
  let seen = '';
  let lastComplaint = '';
  let tail: Promise<unknown> = Promise.resolve();
  let next: Promise<Reload> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const reload = async (): Promise<Reload> => {
    const before = await fingerprint(files);
    const candidate = await options.load();
    // New files were read before anybody looked at their state: the next poll loads again.
    seen = sameFiles(files, candidate.files) ? before : '';
    files = candidate.files;
    if (!candidate.ok) return { outcome: 'refused', issues: candidate.issues };
    if (candidate.snapshot.hash === current.hash) return { outcome: 'unchanged', hash: current.hash };
    const snapshot = { ...candidate.snapshot, version: current.version + 1 };
    await options.apply(snapshot);
    current = snapshot;
    return { outcome: 'swapped', snapshot };
  };

  const reported = async (): Promise<Reload> => {
    next = undefined;
    const result = await reload().catch((error: unknown): Reload => ({ outcome: 'failed', error }));
    const complaint = result.outcome === 'refused' ? JSON.stringify(result.issues) : '';
    const isNews = result.outcome !== 'unchanged' && (complaint === '' || complaint !== lastComplaint);
    lastComplaint = complaint;
    if (isNews) options.report(result);
    return result;
  };

  const reloadNow = (): Promise<Reload> => {
    next ??= tail.then(reported);
    tail = next;
    return next;
  };

  const poll = async (): Promise<void> => {
    if ((await fingerprint(files)) !== seen) await reloadNow();
    schedule();
  };

  const schedule = (): void => {
    if (stopped) return;
    timer = setTimeout(() => void poll(), options.intervalMs ?? DEFAULT_INTERVAL_MS).unref();
  };

  schedule();
  return {
    reloadNow,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function sameFiles(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((file) => b.includes(file));
}

/** Which file each path leads to now, and its state: Kubernetes swaps a directory symlink, so the path itself never changes. */
async function fingerprint(files: readonly string[]): Promise<string> {
  const states = await Promise.all(files.map(fileState));
  return states.join('\n');
}

async function fileState(path: string): Promise<string> {
  try {
    const target = await realpath(path);
    const { dev, ino, mtimeNs, size } = await stat(target, { bigint: true });
    return [target, dev, ino, mtimeNs, size].join(' ');
  } catch (error) {
    return `${path} ${(error as NodeJS.ErrnoException).code}`;
  }
}
