/** The store without a server: for commands that prove what it holds. */
import { existsSync } from 'node:fs';

import { formatIssue } from '../config/issue.ts';
import { loadConfig } from '../config/load.ts';
import { CATALOG, catalogRow } from '../providers/catalog.ts';
import { type DataDir, openDataDir } from '../runtime/data-dir.ts';
import { EXIT_CONFIG, StartError, errorText } from '../runtime/start-error.ts';
import { storeLocation } from '../runtime/store-client.ts';
import { openStore } from '../store/sql/open.ts';
import type { Store } from '../store/store.ts';
import { configPath, dataPath } from './config-path.ts';
import type { CliIo } from './io.ts';

export interface StoreFlags {
  config?: string | undefined;
  data?: string | undefined;
}

export interface OfflineStore {
  store: Store;
  /** Which one it is, for people. */
  name: string;
  dataDir: DataDir;
  close(): Promise<void>;
}

/** Throws StartError: no such data directory, a server works on it, the configuration is not valid, the store cannot be opened. */
export async function openOffline(flags: StoreFlags, io: CliIo): Promise<OfflineStore> {
  const path = dataPath(flags.data, io);
  if (!existsSync(path)) throw new StartError(`there is no data directory ${path}`);
  const location = storeLocation(path, await configuredUrl(flags.config, io));
  const isFile = !location.startsWith('postgres');
  // An empty one made here would prove nothing, and say that all is well.
  if (isFile && !existsSync(location))
    throw new StartError(`there is no store ${location}; name the file that configures it by --config`);
  const dataDir = lockedDataDir(path);
  try {
    const store = await openStore(location);
    const close = async (): Promise<void> => {
      await store.close();
      dataDir.release();
    };
    return { store, name: isFile ? location : 'PostgreSQL', dataDir, close };
  } catch (error) {
    dataDir.release();
    throw new StartError(`the store cannot be opened: ${errorText(error)}`);
  }
}

function lockedDataDir(path: string): DataDir {
  try {
    return openDataDir(path);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new StartError(`${error.message}; this command works on it while no server runs`);
  }
}

async function configuredUrl(flag: string | undefined, io: CliIo): Promise<string | undefined> {
  const path = configPath(flag, io);
  const catalog = { row: catalogRow, ids: CATALOG.map(({ id }) => id) };
  const result = await loadConfig({ path, env: io.env, catalog });
  if (result.ok) return result.loaded.settings.store.url;
  throw new StartError(['the configuration is not valid:', ...result.issues.map(formatIssue)].join('\n'), EXIT_CONFIG);
}
