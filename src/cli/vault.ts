/** `signalbox vault`: the key that seals credentials in the store, while no server runs. */
import { randomBytes } from 'node:crypto';

import { type Vault, VaultLocked, createVault } from '../control/vault.ts';
import { MASTER_KEY_BYTES, createKeyring } from '../lib/seal.ts';
import { readKek, writeKek } from '../runtime/kek.ts';
import { StartError } from '../runtime/start-error.ts';
import type { Store } from '../store/store.ts';
import type { CliIo } from './io.ts';
import { type StoreFlags, openOffline } from './offline-store.ts';

/** Seals everything with a new key. The one before stays for what is not sealed anew (recorded bodies), until the next rotation. */
export function rotateVault(flags: StoreFlags, io: CliIo): Promise<number> {
  return withStore(flags, io, async (store, dataDir) => {
    const kek = readKek(dataDir, io.env);
    const [current, ...older] = kek.keys;
    const keys = kek.isFile ? [randomBytes(MASTER_KEY_BYTES), current!, ...older] : kek.keys;
    // Written before anything is sealed with it: a crash in between leaves all keys that are in use.
    if (kek.isFile) writeKek(dataDir, keys);
    const count = await vaultOf(store, keys, kek.source).reseal();
    if (kek.isFile) writeKek(dataDir, keys.slice(0, 2));
    io.out(`${count} ${count === 1 ? 'credential was' : 'credentials were'} sealed anew; the key is in ${kek.source}\n`);
    if (!kek.isFile) io.out(`${kek.source} may now hold its first key alone, unless recorded bodies are to be read\n`);
  });
}

/** For a key that is lost: removes what it sealed, to be entered again. */
export function forgetLost(flags: StoreFlags, io: CliIo): Promise<number> {
  return withStore(flags, io, async (store, dataDir) => {
    const { keys, source } = readKek(dataDir, io.env);
    const providers = await vaultOf(store, keys, source).forgetLost();
    io.out(providers.length === 0 ? 'every credential opens\n' : `removed the credentials of ${providers.join(', ')}\n`);
  });
}

function vaultOf({ documents }: Store, keys: readonly Buffer[], source: string): Vault {
  const keyring = createKeyring(keys, randomBytes);
  return createVault({ store: documents, keyring, source, nowMs: Date.now, onDamaged: () => undefined });
}

async function withStore(flags: StoreFlags, io: CliIo, work: (store: Store, dataDir: string) => Promise<void>): Promise<number> {
  try {
    const offline = await openOffline(flags, io);
    try {
      await work(offline.store, offline.dataDir.path);
      return 0;
    } finally {
      await offline.close();
    }
  } catch (error) {
    if (!(error instanceof StartError || error instanceof VaultLocked)) throw error;
    io.err(`signalbox: ${error.message}\n`);
    return error instanceof StartError ? error.exitCode : 1;
  }
}
