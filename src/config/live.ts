/**
 * Keeps the running snapshot in step with the operator's files: a change of any of them, or a signal, loads anew;
 * what is valid and different is swapped in whole, what is not leaves the old one in force and says why.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { fingerprint } from './file-state.ts';
import type { ConfigIssue } from './issue.ts';
import type { Snapshot } from './snapshot.ts';

/** A fresh look at the files. `files`: absolute paths to watch from now on. `settled`: called once it is in force. */
export type Candidate =
  | { ok: true; snapshot: Snapshot; files: readonly string[]; settled?: () => void }
  | { ok: false; issues: ConfigIssue[]; files: readonly string[] };

export type Reload =
  /** `late`: workers that do not run on it yet. */
  | { outcome: 'swapped'; snapshot: Snapshot; late: readonly number[] }
  | { outcome: 'unchanged'; hash: string }
  /** The files are wrong; the old snapshot stays. */
  | { outcome: 'refused'; issues: ConfigIssue[] }
  /** Loading or applying broke; the old snapshot stays, and it is tried again. */
  | { outcome: 'failed'; error: unknown };

export interface LiveOptions {
  current: Snapshot;
  files: readonly string[];
  load: () => Promise<Candidate>;
  /** Puts a snapshot in force; resolves once it is, with the workers that are late. */
  apply: (snapshot: Snapshot) => Promise<readonly number[]>;
  /** Told of every reload but one that found nothing new or the same complaints again. */
  report: (reload: Reload) => void;
  intervalMs?: number;
}

export interface Live {
  /** For SIGHUP: loads now, whether a file changed or not. Calls during a reload share the one after it. */
  reloadNow: () => Promise<Reload>;
  /** As a reload, in its turn; but what is new comes from elsewhere, and the files stay as they were last read. */
  change: (load: () => Promise<Candidate>) => Promise<Reload>;
  stop: () => void;
}

const DEFAULT_INTERVAL_MS = 5_000;
/** Editors empty a file before they fill it, and an empty file is a valid configuration: files must hold still before they count. */
const SETTLE_MS = 100;
const MAX_TRIES = 5;

export function watchConfig(options: LiveOptions): Live {
  const reloader = createReloader(options);
  const told = async (work: () => Promise<Reload>): Promise<Reload> => {
    const result = await work().catch((error: unknown): Reload => ({ outcome: 'failed', error }));
    if (reloader.isNews(result)) options.report(result);
    return result;
  };
  const queue = createQueue();
  const reloadNow = sharing(queue, () => told(() => reloader.reload()));
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const poll = async (): Promise<void> => {
    if ((await reloader.hasChanged()) && !stopped) await reloadNow();
    schedule();
  };
  const schedule = (): void => {
    if (stopped) return;
    timer = setTimeout(() => void poll(), options.intervalMs ?? DEFAULT_INTERVAL_MS).unref();
  };

  schedule();
  return {
    reloadNow,
    change: (load) => queue(() => told(() => reloader.change(load))),
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** What is in force, and what is known of the files it came from. */
function createReloader({ load, apply, ...start }: LiveOptions) {
  let { current, files } = start;
  // Nothing is known of the time between the first load and now, so the first look finds a change.
  let seen = '';
  let lastComplaint = '';
  /** What was loaded could not be put in force, for a reason that may pass. */
  let isOwed = false;

  /** What was read while a file changed is read again. */
  const loadUnchanged = async (triesLeft = MAX_TRIES): Promise<{ before: string; candidate: Candidate }> => {
    const before = await fingerprint(files);
    const candidate = await load();
    const isSteady = triesLeft === 1 || before === (await fingerprint(files));
    return isSteady ? { before, candidate } : loadUnchanged(triesLeft - 1);
  };

  const swap = async (candidate: Candidate): Promise<Reload> => {
    if (!candidate.ok) return { outcome: 'refused', issues: candidate.issues };
    const { settled = () => undefined } = candidate;
    if (candidate.snapshot.hash === current.hash) {
      isOwed = false;
      settled();
      return { outcome: 'unchanged', hash: current.hash };
    }
    const snapshot = { ...candidate.snapshot, version: current.version + 1 };
    isOwed = true;
    const late = await apply(snapshot);
    isOwed = false;
    current = snapshot;
    settled();
    return { outcome: 'swapped', snapshot, late };
  };

  return {
    change: async (loadElsewhere: () => Promise<Candidate>): Promise<Reload> => swap(await loadElsewhere()),
    async reload(): Promise<Reload> {
      const { before, candidate } = await loadUnchanged();
      // New files were read before anybody looked at their state: the next look finds a change.
      seen = sameFiles(files, candidate.files) ? before : '';
      files = candidate.files;
      return swap(candidate);
    },
    /** Also where nothing did, and what was found before is still to be put in force. */
    async hasChanged(): Promise<boolean> {
      if (isOwed) return true;
      const now = await fingerprint(files);
      if (now === seen) return false;
      await delay(SETTLE_MS, undefined, { ref: false });
      return now === (await fingerprint(files));
    },
    isNews(result: Reload): boolean {
      const complaint = complaintOf(result);
      const isRepeated = complaint !== '' && complaint === lastComplaint;
      lastComplaint = complaint;
      return result.outcome !== 'unchanged' && !isRepeated;
    },
  };
}

function complaintOf(result: Reload): string {
  if (result.outcome === 'refused') return JSON.stringify(result.issues);
  return result.outcome === 'failed' ? String(result.error) : '';
}

type Queue = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** One after the other. `work` must not throw. */
function createQueue(): Queue {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = tail.then(work);
    tail = result;
    return result;
  };
}

/** Calls that come before a call's turn share it. */
function sharing<Result>(queue: Queue, work: () => Promise<Result>): () => Promise<Result> {
  let next: Promise<Result> | undefined;
  return () => {
    next ??= queue(() => {
      next = undefined;
      return work();
    });
    return next;
  };
}

function sameFiles(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((file) => b.includes(file));
}
