/** Brings a journal's files to the disk: in the background, or while somebody waits. */

export type SyncMode = 'off' | 'interval' | 'always';

export interface SyncFiles {
  close: (fd: number) => void;
  sync: (fd: number) => Promise<void>;
  /** For the end of the thread, which waits for nothing else. */
  syncNow: (fd: number) => void;
}

export interface Syncs {
  /** `interval` at first. */
  setMode: (mode: SyncMode) => void;
  /** Something was written. */
  soon: () => void;
  /** Under `always`: resolves when all that was written so far is on the disk; false where it is not. Concurrent calls share a sync. Otherwise true. */
  now: () => boolean | Promise<boolean>;
  /** Closes the file, once it is synced. */
  leave: (fd: number) => void;
  /** Closes it as it is. */
  giveUp: (fd: number) => void;
  /** Syncs and closes it at once. */
  end: (fd: number) => void;
}

/** `interval`: what was written is on the disk within so much. */
const SYNC_MS = 1_000;

/**
 * `current`: the file that is written. `onFailure`: a sync of it failed. What a failed sync leaves behind cannot be told from what it saved, and the next one would
 * not say: whoever writes must go on in another file.
 */
export function createSyncs(
  files: SyncFiles,
  { current, onFailure }: { current: () => number | undefined; onFailure: () => void },
): Syncs {
  let mode: SyncMode = 'interval';
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<boolean> = Promise.resolve(true);
  /** Of the files that were left since the last sync began. */
  let left: Promise<boolean> = last;
  let waiting: Promise<boolean> | undefined;

  const sync = async (fd: number | undefined): Promise<boolean> => {
    clearTimeout(timer);
    timer = undefined;
    if (fd === undefined) return true;
    try {
      await files.sync(fd);
      return true;
    } catch {
      if (fd === current()) onFailure();
      return false;
    }
  };
  /** After the sync under way, which may have begun before what is asked for was written. */
  const join = (): Promise<boolean> => {
    waiting ??= last.then(() => {
      waiting = undefined;
      last = Promise.all([left, sync(current())]).then((done) => done.every(Boolean));
      left = Promise.resolve(true);
      return last;
    });
    return waiting;
  };
  return {
    setMode: (next) => {
      mode = next;
    },
    soon: () => {
      if (mode === 'interval') timer ??= setTimeout(() => void join(), SYNC_MS).unref();
    },
    now: () => (mode === 'always' ? join() : true),
    leave: (fd) => {
      if (mode === 'off') files.close(fd);
      else last = left = last.then(() => sync(fd)).finally(() => files.close(fd));
    },
    giveUp: files.close,
    end: (fd) => {
      try {
        if (mode !== 'off') files.syncNow(fd);
      } finally {
        files.close(fd);
      }
    },
  };
}
