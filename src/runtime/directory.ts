/** The directory on main: read from the store, changed by the control plane, in force in the workers. */
import { randomBytes } from 'node:crypto';

import type { Snapshot } from '../config/snapshot.ts';
import { loadDirectory } from '../control/directory/load.ts';
import { type DirectoryService, type Unnumbered, createDirectoryService } from '../control/directory/service.ts';
import type { Raise } from '../core/fact.ts';
import type { AccountsOverview } from '../ledger/accounts-overview.ts';
import { fillAccounts } from '../ledger/fill-accounts.ts';
import { createWindows } from '../ledger/window.ts';
import { createIdSource } from '../lib/ids.ts';
import type { Store } from '../store/store.ts';
import { type DirectoryNews, createDirectoryDesk } from './directory-desk.ts';
import { createExpiries } from './expiries.ts';
import type { Log } from './messages.ts';
import type { SlotBook } from './slots.ts';
import { errorText } from './start-error.ts';

export interface DirectoryOptions {
  store: Pick<Store, 'entities' | 'ledger'>;
  slots: SlotBook;
  accounts: Pick<AccountsOverview, 'load'>;
  /** Secret of the installation, hex. */
  pepper: string;
  snapshot: () => Snapshot;
  /** Hands news to every worker; true: all know. */
  tell: (news: DirectoryNews) => Promise<boolean>;
  raise: Raise;
  log: Log;
}

export interface MainDirectory {
  service: DirectoryService;
  /** Reads all of it from the store. Rejects with StoreError. */
  load: () => Promise<void>;
  /** Before rules come into force: their accounts know what was spent. Rejects with StoreError. */
  fill: () => Promise<void>;
  whole: () => DirectoryNews;
  stop: () => void;
}

/** How late the end of a key may be told; it is refused from the very instant. */
const SWEEP_MS = 5_000;
/** So much changed that a new table is cheaper for the workers than the changes. */
const MANY_CHANGES = 20_000;

export function createDirectory(options: DirectoryOptions): MainDirectory {
  const { store, slots, accounts, pepper, snapshot, tell, raise, log } = options;
  const nowMs = Date.now;
  const desk = createDirectoryDesk();
  const windowOf = createWindows();
  const expiries = createExpiries();
  const { timedId } = createIdSource(randomBytes);
  const fill = (): Promise<void> =>
    slots.fillNew((fresh) => fillAccounts({ ledger: store.ledger, accounts, windowOf, nowMs }, fresh));
  let renewing: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    const fromVersion = desk.version();
    const table = await loadDirectory({
      entities: store.entities,
      slotOf: slots.slotOf,
      nowMs,
      onKey: expiries.note,
      onLeftOut: (id, error) => log('error', { id, error: errorText(error) }, 'left out of the directory, and thereby denied'),
    });
    await fill();
    await tell(desk.replace(table, fromVersion));
  };
  const renew = (): void => {
    if (desk.changed() < MANY_CHANGES || renewing !== undefined) return;
    renewing = load()
      .catch((error: unknown) => log('warn', { error: errorText(error) }, 'the directory could not be read anew'))
      .finally(() => (renewing = undefined));
  };
  const publish = async (change: Unnumbered): Promise<boolean> => {
    change.keys.forEach(expiries.note);
    change.removedKeys.forEach(expiries.forget);
    const inForce = await tell(desk.add(change));
    renew();
    return inForce;
  };
  const sweep = async (): Promise<void> => {
    const { ended, stored } = expiries.take(nowMs(), snapshot().keys);
    for (const { id, name } of ended) raise('key.expired', `key:${id}`, { name });
    if (stored.length === 0) return;
    await publish({ keys: [], parties: [], removedKeys: stored, removedParties: [] });
    for (const id of stored) slots.forget(`key:${id}`);
  };
  const timer = setInterval(() => void sweep(), SWEEP_MS).unref();

  const newId = (prefix: string): string => timedId(prefix, nowMs());
  const service = createDirectoryService({
    store,
    publish,
    fill,
    snapshot,
    slots,
    pepper,
    nowMs,
    random: randomBytes,
    newId,
    raise,
  });
  return { service, load, fill, whole: desk.whole, stop: () => clearInterval(timer) };
}
