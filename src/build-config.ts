/** The configuration's part of the composition root: file and API layer with the catalog, the prices and the demo, as one snapshot. */
import { lookup } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

import { buildSnapshot } from './config/build-snapshot.ts';
import type { Catalog } from './config/catalog-port.ts';
import { formatIssue } from './config/issue.ts';
import { type Layered, layer } from './config/layers.ts';
import { loadConfig } from './config/load.ts';
import type { Snapshot } from './config/snapshot.ts';
import { type ConfigDesk, createConfigDesk } from './control/config/desk.ts';
import { createVault } from './control/vault.ts';
import type { PriceBook } from './ledger/price.ts';
import { CATALOG, catalogRow } from './providers/catalog.ts';
import { DEMO_ORIGIN } from './providers/catalog/local.ts';
import { modelFacts } from './providers/models/facts.ts';
import type { ControlContext, Log } from './runtime/messages.ts';
import { addressProblem, resolvedProblem } from './upstream/vet.ts';

/** Stands for the file in first-run mode, in watching and in messages. */
const NO_FILE = '(no configuration file)';

const catalog: Catalog = { row: catalogRow, ids: CATALOG.map((row) => row.id) };
const DEMO_URLS: ReadonlySet<string> = new Set(
  CATALOG.flatMap(({ baseUrl = '' }) => (baseUrl.startsWith(`${DEMO_ORIGIN}/`) ? [baseUrl] : [])),
);

export function buildDesk(context: ControlContext, prices: PriceBook, log: Log): ConfigDesk {
  const { config, store, kek } = context;
  const vault = createVault({
    store: store.documents,
    keyring: kek.ring,
    source: kek.source,
    nowMs: Date.now,
    onDamaged: (provider) => log('error', { provider }, 'the credential of a provider was tampered with and is not used'),
  });
  return createConfigDesk({
    documents: store.documents,
    vault,
    loadFile: () =>
      loadConfig({
        path: 'path' in config ? config.path : NO_FILE,
        env: context.environment,
        catalog,
        overrides: context.overrides,
        readText: (path) => ('text' in config && path.endsWith(NO_FILE) ? Promise.resolve(config.text) : readFile(path, 'utf8')),
      }),
    layer: (file, document, credentials) =>
      layer(file, { catalog, document, credentials, addressProblem: unlessDemo(addressProblem) }),
    snapshotOf: (layered) => snapshotOf(layered, context, prices),
    change: context.changeConfig,
    addressProblem: async (url, allowed) => (DEMO_URLS.has(url) ? undefined : resolvedProblem(url, allowed, lookup)),
    warn: (issue) => log('warn', {}, formatIssue(issue)),
    nowMs: Date.now,
  });
}

/** Addresses of this process's own demo are ours, whoever names them. */
function unlessDemo(problem: typeof addressProblem): typeof addressProblem {
  return (url, allowed) => (DEMO_URLS.has(url) ? undefined : problem(url, allowed));
}

function snapshotOf({ loaded, apiProviders }: Layered, context: ControlContext, prices: PriceBook): Snapshot {
  const snapshot = buildSnapshot(loaded, {
    catalog,
    prices,
    modelFacts,
    pepper: context.pepper,
    slotOf: context.slots.slotOf,
    nowMs: Date.now(),
    version: 1,
    platform: process.platform,
    cores: availableParallelism(),
    mintedAdminKeyDigest: context.minted.adminKeyDigest,
    mintedKeys: context.minted.keys,
    apiProviders,
  });
  return withDemo(snapshot, context.controlSocketPath);
}

/**
 * The demo provider answers on the control plane's socket, through the whole way out that real providers take. From the API just its own addresses lead there:
 * everything else behind that socket is the control plane itself.
 */
function withDemo(snapshot: Snapshot, socketPath: string): Snapshot {
  for (const endpoint of Object.values(snapshot.providers).flatMap((provider) => provider.endpoints)) {
    const isDemo = endpoint.outside === true ? DEMO_URLS.has(endpoint.baseUrl) : new URL(endpoint.baseUrl).origin === DEMO_ORIGIN;
    if (!isDemo) continue;
    endpoint.socketPath = socketPath;
    delete endpoint.outside;
  }
  return snapshot;
}
