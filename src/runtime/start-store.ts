/** The store's thread, as the start brings it up: whom it tells of its health, and what it deletes. */
import { extname } from 'node:path';

import type { Snapshot } from '../config/snapshot.ts';
import type { DataDir } from './data-dir.ts';
import { markRead } from './journal-files.ts';
import type { LateParts } from './late-parts.ts';
import { type StoreThread, createStoreThread, storeLocation } from './store-client.ts';

/** Told of in the log and as an event; what of it must stop is in shared memory. */
export function storeThreadOf(late: LateParts): StoreThread {
  return createStoreThread({
    url: new URL(`./store-thread${extname(import.meta.url)}`, import.meta.url),
    log: (...line) => late.control?.log(...line),
    alive: () => late.supervisor?.alive() ?? [],
    onHealth: (up, reason) => {
      late.control?.log(
        up ? 'info' : 'error',
        { reason },
        up ? 'the store can be used' : 'the store cannot be used; facts wait in the journals',
      );
      if (late.supervisor !== undefined) late.control?.raise(up ? 'store.up' : 'store.down', undefined, { reason });
      // An edit that was written as the store went down is not in force yet.
      if (up) void late.live?.reloadNow();
    },
    onLag: (bytes) => {
      const { store } = late.snapshot?.() ?? {};
      late.shared?.setStoreIsBehind(store?.onDown === 'refuse' && bytes > store.maxJournalBytes);
    },
  });
}

export function storeBoot({ path, node, journalDir }: DataDir, { store }: Snapshot): Parameters<StoreThread['open']>[0] {
  return { url: storeLocation(path, store.url), node, journalDir, retention: store.retention };
}

/** Read by main, a segment is the store's to delete. */
export function finishedBy({ journalDir }: DataDir, storeThread: StoreThread): (file: string) => Promise<void> {
  return (file) => {
    markRead(journalDir, file);
    storeThread.left(file);
    return Promise.resolve();
  };
}
