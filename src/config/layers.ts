/**
 * Two layers, one configuration: the operator's file, and the document that is edited over the API. Where both have an entry of one name, the file's holds and the
 * other is shadowed. The file stands by itself; an entry of the document that no longer fits is left out, with its reason, and everything else serves.
 */
import { needsBaseUrl } from '../core/provider-row.ts';
import type { ApiDocument, ApiSection } from './api-document.ts';
import { API_SECTIONS, apiTree, checkApiDocument, entryAt, isFromApi } from './api-document.ts';
import type { Catalog } from './catalog-port.ts';
import { checkModels } from './check-models.ts';
import { checkRouting } from './check-routing.ts';
import { checkProviders } from './check-providers.ts';
import type { ConfigIssue } from './issue.ts';
import { formatIssue, issueAt } from './issue.ts';
import type { LoadedConfig } from './load.ts';
import { escaped } from './references.ts';
import { select, selectTexts, toPlain } from './tree.ts';
import type { Entry, Found, MapNode, ScalarNode, Tree } from './tree.ts';
import { validate } from './validate.ts';
import { findWarnings } from './warnings.ts';

/** A provider's credential as it was set over the API, and what it was set for. */
export interface ApiCredential {
  boundTo: string;
  apiKey: string;
}

export interface LayerParts {
  catalog: Catalog;
  document: ApiDocument;
  /** By provider's name. */
  credentials: ReadonlyMap<string, ApiCredential>;
  /** What is wrong with an address that came over the API, as far as the URL alone tells. */
  addressProblem: (baseUrl: string, allowPrivate: readonly string[]) => string | undefined;
}

export type CredentialState = 'none' | 'file' | 'set' | 'missing';

/** One named entry of a section, of either layer. */
export interface LayerEntry {
  section: ApiSection;
  name: string;
  origin: 'file' | 'api' | 'shadowed';
  /** Why it is left out. */
  problem?: string;
  /** As written: in the file, references unresolved. */
  written: unknown;
  /** Of a provider: whether calls carry a credential. */
  credential?: CredentialState;
}

export interface Layered {
  loaded: LoadedConfig;
  /** Providers whose addresses came over the API. */
  apiProviders: ReadonlySet<string>;
  entries: LayerEntry[];
  /** All that is wrong with the document. `path` starts at the document. */
  issues: ConfigIssue[];
  warnings: ConfigIssue[];
}

/** Never throws for what stands in the document. `file` has passed all its checks. */
export function layer(file: LoadedConfig, parts: LayerParts): Layered {
  const root = apiTree(parts.document);
  const shadowed = (entry: ApiEntry): boolean => namesIn(file.root, entry.section).includes(entry.name);
  const entries = entriesOf(root);
  const problems = createProblems(root, entries);
  problems.take([...checkApiDocument(root), ...validate(known(root)).issues, ...badAddresses(root, file, parts)]);
  for (const entry of entries) if (shadowed(entry)) problems.leaveOut(entry);
  const { settings, merged } = settle(file, problems, parts);
  const kept = new Set(problems.kept());
  return {
    loaded: { settings, pems: file.pems, root: file.root },
    apiProviders: new Set([...kept].filter(({ section }) => section === 'providers').map(({ name }) => name)),
    entries: [
      ...fileEntries(file.root),
      ...entries.map((entry) => viewOf(entry, { shadowed: shadowed(entry), reason: problems.reasonOf(entry), parts })),
    ],
    issues: problems.issues,
    warnings: findWarnings(merged, parts.catalog).map(asOfDocument),
  };
}

/** Without sections that are refused as such. */
function known(root: MapNode): MapNode {
  return { ...root, entries: new Map([...root.entries].filter(([name]) => (API_SECTIONS as readonly string[]).includes(name))) };
}

/** What a provider's credential may be sent to: it ends with any change of this. Undefined: there is no such provider. */
export function bindingOf(document: ApiDocument, provider: string): string | undefined {
  const entry = entriesOf(apiTree(document)).find(({ section, name }) => section === 'providers' && name === provider);
  return entry && bindingOfEntry(entry);
}

function bindingOfEntry({ name, node }: ApiEntry): string {
  const type = selectTexts(node, 'type')[0]?.text ?? name;
  const urls = ['base_url', 'endpoints.*.base_url'].flatMap((pattern) => selectTexts(node, pattern));
  return JSON.stringify([type, ...new Set(urls.map(({ text }) => text.replace(/\/+$/, '')))]);
}

interface ApiEntry {
  section: ApiSection;
  name: string;
  node: Tree;
  keyPlace: Entry['keyPlace'];
}

function entriesOf(root: MapNode): ApiEntry[] {
  return API_SECTIONS.flatMap((section) =>
    select(root, `${section}.*`).flatMap(({ node, path, keyPlace }): ApiEntry[] => {
      const name = section === 'models' ? selectTexts(node, 'name')[0]?.text : String(path.at(-1));
      return name === undefined ? [] : [{ section, name, node, keyPlace }];
    }),
  );
}

function namesIn(root: MapNode, section: ApiSection): string[] {
  if (section === 'models') return selectTexts(root, 'models.*.name').map(({ text }) => text);
  return select(root, `${section}.*`).map(({ path }) => String(path.at(-1)));
}

/** Which entries are left out, and why. */
function createProblems(root: MapNode, entries: readonly ApiEntry[]) {
  const out = new Map<ApiEntry, string>();
  const issues: ConfigIssue[] = [];
  return {
    issues,
    kept: () => entries.filter((entry) => !out.has(entry)),
    reasonOf: (entry: ApiEntry) => out.get(entry),
    leaveOut: (entry: ApiEntry) => void out.set(entry, out.get(entry) ?? ''),
    /** An issue that names no entry is about all of them. */
    take(found: readonly ConfigIssue[]): void {
      issues.push(...found);
      for (const issue of found) {
        const about = entryAt(issue, root);
        for (const entry of entries) {
          const isMeant = about === undefined || (about.section === entry.section && about.name === entry.name);
          if (isMeant && !out.has(entry)) out.set(entry, formatIssue(issue));
        }
      }
    },
  };
}

type Problems = ReturnType<typeof createProblems>;

/** Takes out what does not fit until the rest does: a provider that goes takes the models with it that name it. */
function settle(
  file: LoadedConfig,
  problems: Problems,
  parts: LayerParts,
): { settings: LoadedConfig['settings']; merged: MapNode } {
  const merged = mergedTree(file.root, problems.kept(), parts);
  const { config, issues } = validate(merged);
  const found = [...issues, ...checkProviders(merged, parts.catalog), ...checkModels(merged), ...checkRouting(merged)];
  if (config !== undefined && found.length === 0) return { settings: config, merged };
  const before = problems.kept();
  if (before.length === 0) return { settings: file.settings, merged: file.root };
  problems.take(found.map(asOfDocument));
  if (problems.kept().length === before.length) for (const entry of before) problems.leaveOut(entry);
  return settle(file, problems, parts);
}

function mergedTree(root: MapNode, kept: readonly ApiEntry[], parts: LayerParts): MapNode {
  const entries = new Map(root.entries);
  for (const section of API_SECTIONS) {
    const added = kept.filter((entry) => entry.section === section);
    if (added.length > 0) entries.set(section, joined(section, entries.get(section), added, parts));
  }
  return { ...root, entries };
}

function joined(section: ApiSection, present: Entry | undefined, added: readonly ApiEntry[], parts: LayerParts): Entry {
  const { keyPlace, value } = present ?? { keyPlace: added[0]!.keyPlace, value: undefined };
  const place = value?.place ?? keyPlace;
  if (section === 'models') {
    const items = value?.kind === 'list' ? value.items : [];
    return { keyPlace, value: { kind: 'list', place, items: [...items, ...added.map(({ node }) => node)] } };
  }
  const entries = new Map(value?.kind === 'map' ? value.entries : []);
  for (const entry of added) {
    const node = section === 'providers' ? withCredential(entry, parts) : entry.node;
    entries.set(entry.name, { keyPlace: entry.keyPlace, value: node });
  }
  return { keyPlace, value: { kind: 'map', place, entries } };
}

/** With the credential that was set for just these addresses, else with none. */
function withCredential(entry: ApiEntry, { credentials }: LayerParts): Tree {
  const { node, name } = entry;
  if (node.kind !== 'map' || node.entries.has('api_key')) return node;
  const place = { ...node.place, file: `${node.place.file}/api_key` };
  const set = credentials.get(name);
  const value = set?.boundTo === bindingOfEntry(entry) ? set.apiKey : 'none';
  const scalar: Tree = { kind: 'scalar', place, value, reference: 'the credential set over the API' };
  return { ...node, entries: new Map(node.entries).set('api_key', { keyPlace: place, value: scalar }) };
}

function badAddresses(root: MapNode, file: LoadedConfig, { catalog, document, addressProblem }: LayerParts): ConfigIssue[] {
  const written = addressesOf(document).map(({ text, node, path }) => ({ text, place: node.place, path }));
  // A row of the catalog may lead to this machine, as that of Ollama does.
  const builtIn = select(root, 'providers.*').flatMap((provider) => {
    const row = catalog.row(selectTexts(provider.node, 'type')[0]?.text ?? String(provider.path.at(-1)));
    if (row === undefined || needsBaseUrl(row) || hasOwnAddress(provider)) return [];
    return [{ text: row.baseUrl!, place: provider.keyPlace, path: provider.path }];
  });
  return [...written, ...builtIn].flatMap(({ text, place, path }) => {
    const problem = addressProblem(text, file.settings.egress.allow_private);
    return problem === undefined ? [] : [issueAt(place, path, problem)];
  });
}

function hasOwnAddress({ node }: Found): boolean {
  return selectTexts(node, 'base_url').length > 0;
}

/** Every base URL that the document's providers name. */
export function addressesOf(document: ApiDocument): (Found<ScalarNode> & { text: string })[] {
  const root = apiTree(document);
  return ['providers.*.base_url', 'providers.*.endpoints.*.base_url'].flatMap((pattern) => selectTexts(root, pattern));
}

/** Models of the document stand behind those of the file: their numbers are counted from the document's own first one. */
function asOfDocument(issue: ConfigIssue): ConfigIssue {
  if (!isFromApi(issue)) return issue;
  const index = /^api:\/models\/(\d+)/.exec(issue.file)?.[1];
  return index === undefined ? issue : { ...issue, path: issue.path.replace(/^models\[\d+\]/, `models[${index}]`) };
}

function fileEntries(root: MapNode): LayerEntry[] {
  return entriesOf(root).map(({ section, name, node }): LayerEntry => {
    const entry: LayerEntry = { section, name, origin: 'file', written: asWritten(node) };
    if (section === 'providers') entry.credential = 'file';
    return entry;
  });
}

/** A value of the file as it stands there: references never as what they stand for. */
export function asWritten(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.reference ?? (typeof tree.value === 'string' ? escaped(tree.value) : tree.value);
  if (tree.kind === 'list') return tree.items.map(asWritten);
  return Object.fromEntries([...tree.entries].map(([key, entry]) => [key, asWritten(entry.value)]));
}

function viewOf(
  entry: ApiEntry,
  { shadowed, reason = '', parts }: { shadowed: boolean; reason: string | undefined; parts: LayerParts },
): LayerEntry {
  const { section, name, node } = entry;
  return {
    section,
    name,
    origin: shadowed ? 'shadowed' : 'api',
    ...(reason !== '' && { problem: reason }),
    written: toPlain(node),
    ...(section === 'providers' && { credential: credentialOf(entry, parts) }),
  };
}

function credentialOf(entry: ApiEntry, { credentials, catalog }: LayerParts): CredentialState {
  const { node, name } = entry;
  const takesNone = catalog.row(selectTexts(node, 'type')[0]?.text ?? name)?.auth === 'none';
  if (takesNone || selectTexts(node, 'api_key')[0]?.text === 'none') return 'none';
  return credentials.get(name)?.boundTo === bindingOfEntry(entry) ? 'set' : 'missing';
}
