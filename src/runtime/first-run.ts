/**
 * Keys that nobody configured, and the configuration where there is none.
 *
 * Without a configuration file Signalbox serves this machine with the model `demo` and with the providers whose credentials it finds in
 * the environment. Keys are minted at the first start, shown once, and kept as digests.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { KeyEntry } from '../core/directory.ts';
import { keyDigest } from '../core/key-digest.ts';
import { mintKey } from '../core/key-format.ts';
import { DEMO_AGENTS } from '../agents/demo/scripts.ts';
import type { FoundProvider } from '../providers/catalog.ts';
import { DEMO_ORIGIN } from '../providers/catalog/local.ts';
import { writePrivateFile } from './data-dir.ts';
import { StartError } from './start-error.ts';

const STATE_FILE = 'first-run.json';
const ADMIN_KEY_FILE = 'admin-key';

/** What the data directory keeps: digests only. */
interface KeptDigests {
  admin?: string;
  key?: string;
}

export interface MintedKeys {
  adminKeyDigest: string;
  /** The virtual key of first-run mode; empty where a file configures keys. */
  keys: KeyEntry[];
  /** Minted just now, not yet written down: only `keep` makes them last. */
  freshAdminKey?: string;
  freshKey?: string;
  adminKeyPath: string;
  statePath: string;
  /** Writes the digests down, and the fresh admin key to its file. `admin: false` where the configuration names one, so ours is not used. */
  keep(used: { admin: boolean }): void;
}

export interface MintOptions {
  dataDir: string;
  pepper: string;
  /** A virtual key is needed too. */
  firstRun: boolean;
  random: (size: number) => Uint8Array;
}

/** Finds the kept digests or mints what is missing; nothing is written before `keep`, so a start that fails does not eat the only showing. */
export function mintKeys({ dataDir, pepper, firstRun, random }: MintOptions): MintedKeys {
  const statePath = join(dataDir, STATE_FILE);
  const adminKeyPath = join(dataDir, ADMIN_KEY_FILE);
  const kept = readKept(statePath);
  const freshAdminKey = kept.admin === undefined ? mintKey('admin', random) : undefined;
  const freshKey = firstRun && kept.key === undefined ? mintKey('key', random) : undefined;
  const digests: KeptDigests = {
    ...kept,
    ...(freshAdminKey !== undefined && { admin: keyDigest(pepper, freshAdminKey) }),
    ...(freshKey !== undefined && { key: keyDigest(pepper, freshKey) }),
  };
  return {
    adminKeyDigest: digests.admin ?? '',
    keys: firstRun && digests.key !== undefined ? [firstRunKey(digests.key)] : [],
    ...(freshAdminKey !== undefined && { freshAdminKey }),
    ...(freshKey !== undefined && { freshKey }),
    adminKeyPath,
    statePath,
    keep: ({ admin }) => {
      if (admin && freshAdminKey !== undefined) writePrivateFile(adminKeyPath, `${freshAdminKey}\n`);
      const lasting = admin ? digests : { ...digests, admin: kept.admin };
      if (JSON.stringify(lasting) !== JSON.stringify(kept)) writePrivateFile(statePath, `${JSON.stringify(lasting)}\n`);
    },
  };
}

function firstRunKey(digest: string): KeyEntry {
  return { id: 'first-run', name: 'first-run', digests: [{ digest }], models: ['*'], agents: ['*'], tags: [], blocked: false };
}

function readKept(path: string): KeptDigests {
  if (!existsSync(path)) return {};
  try {
    const { admin, key } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    return { ...(typeof admin === 'string' && { admin }), ...(typeof key === 'string' && { key }) };
  } catch {
    throw new StartError(`${path} is damaged; remove it to have new keys minted`);
  }
}

/** The configuration of first-run mode, as a text that the ordinary loader reads (JSON is YAML). */
export function firstRunConfigText(found: readonly FoundProvider[]): string {
  const providers = Object.fromEntries(found.map(({ row, variable }) => [row.id, { api_key: `\${env:${variable}}` }]));
  const wildcards = found.map(({ row }) => ({ name: `${row.id}/*`, targets: [{ provider: row.id, model: '*' }] }));
  const demo = { name: 'demo', targets: [{ provider: 'demo', model: 'demo', price: 'free' }] };
  const agents = DEMO_AGENTS.map(({ name, skill }) => ({ name, url: `${DEMO_ORIGIN}/demo/agents/${name}`, tags: skill.tags }));
  return JSON.stringify({ providers: { demo: {}, ...providers }, models: [demo, ...wildcards], agents }, null, 2);
}

/** What the operator is told at the start, a line each; secrets are shown here and nowhere else. */
export function greeting(
  minted: MintedKeys,
  options: { url: string; firstRun: boolean; adminUsed: boolean; isTerminal: boolean },
): string[] {
  const adminKey = options.adminUsed ? minted.freshAdminKey : undefined;
  const lines: string[] = [];
  if (options.firstRun)
    lines.push(
      'No configuration file: serving this machine only, with the model "demo" and the providers found in the environment.',
      `Demo agents: ${DEMO_AGENTS.map(({ name }) => `${options.url}/a2a/${name}/`).join(' and ')}, as models a2a/… too.`,
    );
  if (adminKey !== undefined)
    lines.push(`Admin key: written to ${minted.adminKeyPath}${options.isTerminal ? `: ${adminKey}` : ''}`);
  if (minted.freshKey !== undefined)
    lines.push(`Virtual key, shown only now: ${minted.freshKey}`, 'Try it:', curlLine(options.url, minted.freshKey));
  else if (options.firstRun)
    lines.push(
      `The virtual key was shown at the first start; to have new keys minted, remove ${minted.statePath} and start again.`,
    );
  return lines;
}

function curlLine(url: string, key: string): string {
  const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] });
  return `curl ${url}/v1/chat/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${body}'`;
}
