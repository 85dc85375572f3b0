/** The directory on main: read from the store, changed by the control plane, in force in the workers. */
import { randomBytes } from 'node:crypto';

import type { Snapshot } from '../config/snapshot.ts';
import { loadDirectory } from '../control/directory/load.ts';
import { type DirectoryService, createDirectoryService } from '../control/directory/directory.ts';
import type { Unnumbered } from '../control/directory/parts.ts';
import type { KeyEntry } from '../core/directory.ts';
import type { Raise } from '../core/fact.ts';
import type { Rules, Scope } from '../core/rules.ts';
import type { AccountsOverview } from '../ledger/accounts-overview.ts';
import { fillAccounts } from '../ledger/fill-accounts.ts';
import { createWindows } from '../ledger/window.ts';
import { createIdSource } from '../lib/ids.ts';
import type { Store } from '../store/store.ts';
import { type DirectoryNews, createDirectoryDesk } from './directory-desk.ts';
import { type Expiries, createExpiries } from './expiries.ts';
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
  /** Other times than the product's, for tests. */
  pace?: Partial<typeof PACE>;
}

export interface MainDirectory {
  service: DirectoryService;
  /** Reads all of it from the store. Rejects with StoreError. */
  load: () => Promise<void>;
  /** Before a snapshot comes into force: the accounts of its rules know what was spent. Rejects with StoreError. */
  prepare: (snapshot: Snapshot) => Promise<void>;
  /** Accounts of rules that are new know what was spent. Rejects with StoreError. */
  fill: () => Promise<void>;
  whole: () => DirectoryNews;
  stop: () => void;
}

const PACE = {
  /** How late the end of a key may be told; it is refused from the very instant. */
  sweepMs: 5_000,
  /** So much changed that a new table is cheaper for the workers than the changes. */
  manyChanges: 20_000,
};

/** Keys of the file name users and teams by id, which only the store can know. */
async function ownersMissing(
  entities: Store['entities'],
  keys: readonly KeyEntry[],
): Promise<{ key: string; missing: string }[]> {
  const found: { key: string; missing: string }[] = [];
  for (const { name, principal, team } of keys) {
    if (principal !== undefined && (await entities.get('user', principal)) === undefined)
      found.push({ key: name, missing: principal });
    if (team !== undefined && (await entities.get('team', team)) === undefined) found.push({ key: name, missing: team });
  }
  return found;
}

export function createDirectory(options: DirectoryOptions): MainDirectory {
  const { store, slots, pepper, snapshot, raise, log } = options;
  const nowMs = Date.now;
  const expiries = createExpiries();
  const force = createForce(options, expiries);
  const { timedId } = createIdSource(randomBytes);
  const newId = (prefix: string): string => timedId(prefix, nowMs());
  const service = createDirectoryService({ ...force, store, snapshot, slots, pepper, nowMs, random: randomBytes, newId, raise });
  const sweep = async (): Promise<void> => {
    const { ended, stored } = expiries.take(nowMs(), snapshot().keys);
    for (const { id, name } of ended) raise('key.expired', `key:${id}`, { name });
    if (stored.length > 0) await service.keys.retire(stored);
  };
  // What it cannot do while the store is down only saves memory.
  const timer = setInterval(() => void sweep().catch(() => undefined), options.pace?.sweepMs ?? PACE.sweepMs).unref();
  return {
    service,
    load: force.load,
    prepare: async (next) => {
      await force.fill();
      for (const { key, missing } of await ownersMissing(store.entities, next.keys)) {
        log('warn', { key, missing }, 'a key of the file belongs to somebody who does not exist, and is refused');
      }
      const rules = rulesOf(next);
      for (const scope of new Set([...rulesOf(snapshot()).keys(), ...rules.keys()])) slots.keep(scope, rules.get(scope));
    },
    fill: force.fill,
    whole: force.whole,
    stop: () => clearInterval(timer),
  };
}

/** By scope, all of a snapshot. */
function rulesOf({ rules: { models, targets, providers, tags }, keys, agents }: Snapshot): Map<Scope, Rules> {
  const own = [...keys, ...agents].flatMap(({ rules }) => rules ?? []);
  const all = [models, targets, providers, tags].flatMap((placed) => Object.values(placed));
  return new Map([...all, ...own].map((rules) => [rules.scope, rules]));
}

interface Force {
  load: () => Promise<void>;
  fill: () => Promise<void>;
  /** True: all workers know. */
  publish: (change: Unnumbered) => Promise<boolean>;
  whole: () => DirectoryNews;
}

/** What the workers are told, and the accounts of what they are told to count. */
function createForce({ store, slots, accounts, tell, log, pace }: DirectoryOptions, expiries: Expiries): Force {
  const manyChanges = pace?.manyChanges ?? PACE.manyChanges;
  const nowMs = Date.now;
  const desk = createDirectoryDesk();
  const windowOf = createWindows();
  const fill = (): Promise<void> =>
    slots.fillNew((fresh) => fillAccounts({ ledger: store.ledger, accounts, windowOf, nowMs }, fresh));
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
  let renewing: Promise<void> | undefined;
  const renew = (): void => {
    if (desk.changed() < manyChanges || renewing !== undefined) return;
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
  return { load, fill, publish, whole: desk.whole };
}
