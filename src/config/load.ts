/**
 * From the operator's file to a checked configuration, or to every complaint about it at once:
 * YAML → includes and references → schema → what only several keys together can get wrong → certificates.
 */
import { readFile } from 'node:fs/promises';

import type { Catalog } from './catalog-port.ts';
import { checkAgents } from './check-agents.ts';
import { checkModels } from './check-models.ts';
import { checkRouting } from './check-routing.ts';
import { checkPeople } from './check-people.ts';
import { checkProviders } from './check-providers.ts';
import { checkSecrets } from './check-secrets.ts';
import { readTree } from './include.ts';
import type { ReadTree } from './include.ts';
import type { ConfigIssue } from './issue.ts';
import { issueAt, sortIssues } from './issue.ts';
import type { Pems } from './pem.ts';
import { readPems } from './pem.ts';
import type { Sources } from './references.ts';
import type { Config } from './schema.ts';
import { select, selectTexts } from './tree.ts';
import type { Entry, MapNode } from './tree.ts';
import { validate } from './validate.ts';
import { isLoopbackHost } from './values.ts';
import { findWarnings } from './warnings.ts';

/** Flags of the command line; they win over the file. */
export interface Overrides {
  host?: string;
  port?: number;
  workers?: number | 'auto';
}

export interface LoadOptions {
  /** Absent: no file, all defaults. */
  path?: string | undefined;
  env: Sources['env'];
  catalog: Catalog;
  overrides?: Overrides;
  readText?: Sources['readText'];
}

export interface LoadedConfig {
  /** As written, defaults filled in, references resolved: holds secrets. */
  settings: Config;
  pems: Pems;
  /** What the settings were read from. */
  root: MapNode;
}

/** `files`: absolute paths of everything that was read or should have been; a change of one may change the result. */
export type LoadResult =
  | { ok: true; loaded: LoadedConfig; warnings: ConfigIssue[]; files: string[] }
  | { ok: false; issues: ConfigIssue[]; files: string[] };

const readUtf8 = (path: string) => readFile(path, 'utf8');

/** Never throws for what stands in the files. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const sources = { env: options.env, readText: options.readText ?? readUtf8 };
  const read = await readTreeOrNothing(options.path, sources);
  const root = override(read.root, options.overrides ?? {});
  const { config, issues } = validate(root);
  const found = [
    ...issues,
    ...checkSecrets(root),
    ...checkProviders(root, options.catalog),
    ...checkModels(root),
    ...checkAgents(root),
    ...checkRouting(root),
    ...checkHost(root),
    ...checkPeople(root),
  ];
  // A reference that could not be resolved is one complaint, not two; and an unreadable file is no file without models.
  const explained = new Set(read.issues.map(({ path }) => path));
  const problems = [...read.issues, ...(explained.has('') ? [] : found.filter(({ path }) => !explained.has(path)))];
  if (config === undefined || problems.length > 0) return { ok: false, issues: sortIssues(problems), files: read.files };
  const { pems, issues: pemIssues, files: pemFiles } = await readPems(config, root, sources.readText);
  const files = [...new Set([...read.files, ...pemFiles])];
  if (pemIssues.length > 0) return { ok: false, issues: sortIssues(pemIssues), files };
  return { ok: true, loaded: { settings: config, pems, root }, warnings: findWarnings(root, options.catalog), files };
}

async function readTreeOrNothing(path: string | undefined, sources: Sources): Promise<ReadTree> {
  if (path !== undefined) return readTree(path, sources);
  return { root: { kind: 'map', place: { file: 'no file', line: 0, column: 0 }, entries: new Map() }, issues: [], files: [] };
}

function override(root: MapNode, overrides: Overrides): MapNode {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined) as [string, string | number][];
  const server = root.entries.get('server') ?? { keyPlace: root.place, value: { ...root, entries: new Map<string, Entry>() } };
  if (given.length === 0 || server.value.kind !== 'map') return root;
  const entries = new Map(server.value.entries);
  for (const [key, value] of given) {
    const place = { file: `--${key}`, line: 0, column: 0 };
    entries.set(key, { keyPlace: place, value: { kind: 'scalar', place, value } });
  }
  return { ...root, entries: new Map(root.entries).set('server', { ...server, value: { ...server.value, entries } }) };
}

/** What others can reach must not be manageable by a key that only this machine's files hold. */
function checkHost(root: MapNode): ConfigIssue[] {
  if (select(root, 'admin.key').length > 0) return [];
  return selectTexts(root, 'server.host')
    .filter(({ text }) => !isLoopbackHost(text))
    .map(({ node, path }) => issueAt(node.place, path, 'listening beyond this machine needs an admin key: set `admin.key`'));
}
