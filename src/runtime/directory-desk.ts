/** The directory as main hands it to workers: whole to those that begin, change by change to those that run. */
import type { DirectoryChange } from '../core/directory.ts';

/** `table` takes the place of all before it; the changes come on top of it, in their order. */
export interface DirectoryNews {
  type: 'directory';
  /** That of the last change that is in it. */
  version: number;
  table?: SharedArrayBuffer;
  changes: readonly DirectoryChange[];
}

export interface DirectoryDesk {
  /** All that is known, for a worker that knows nothing. */
  whole: () => DirectoryNews;
  /** Numbers a change and keeps it. */
  add: (change: Omit<DirectoryChange, 'version'>) => DirectoryNews;
  /** A table made anew from the store. `fromVersion`: that of the last change when its making began; what came since stays on top of it. */
  replace: (table: SharedArrayBuffer, fromVersion: number) => DirectoryNews;
  version: () => number;
  /** Keys and parties that changed since the table was made: each costs every worker some memory. */
  changed: () => number;
}

export function createDirectoryDesk(): DirectoryDesk {
  let table: SharedArrayBuffer | undefined;
  let version = 0;
  let changes: DirectoryChange[] = [];
  const whole = (): DirectoryNews => ({ type: 'directory', version, ...(table && { table }), changes });
  return {
    whole,
    add: (change) => {
      const numbered = { ...change, version: ++version };
      changes.push(numbered);
      return { type: 'directory', version, changes: [numbered] };
    },
    replace: (made, fromVersion) => {
      table = made;
      changes = changes.filter((change) => change.version > fromVersion);
      return whole();
    },
    version: () => version,
    changed: () =>
      changes.reduce((sum, { keys, parties, removedKeys }) => sum + keys.length + parties.length + removedKeys.length, 0),
  };
}
