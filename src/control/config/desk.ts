/**
 * Where both layers of the configuration are brought together and the API's is edited. An edit is checked, written as a new version, and put in force in every
 * worker before it is answered; a version that was written survives whatever happens after.
 */
import { type ApiDocument, apiTree, entryAt } from '../../config/api-document.ts';
import type { ConfigIssue } from '../../config/issue.ts';
import type { Layered } from '../../config/layers.ts';
import { addressesOf, bindingOf } from '../../config/layers.ts';
import { issueAt } from '../../config/issue.ts';
import type { Candidate, Reload } from '../../config/live.ts';
import type { LoadResult, LoadedConfig } from '../../config/load.ts';
import type { ApiCredential } from '../../config/layers.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/errors.ts';
import type { DocumentVersion, DocumentsPort } from '../../store/ports/documents.ts';
import { StoreError } from '../../store/store.ts';
import type { Vault } from '../vault.ts';
import { differences } from './diff.ts';

export interface DeskParts {
  documents: DocumentsPort;
  vault: Vault;
  loadFile: () => Promise<LoadResult>;
  layer: (file: LoadedConfig, document: ApiDocument, credentials: ReadonlyMap<string, ApiCredential>) => Layered;
  snapshotOf: (layered: Layered) => Snapshot;
  /** Puts in force what `load` answers, in turn with reloads. */
  change: (load: () => Promise<Candidate>) => Promise<Reload>;
  /** What is wrong with an address, names resolved. */
  addressProblem: (baseUrl: string, allowPrivate: readonly string[]) => Promise<string | undefined>;
  warn: (issue: ConfigIssue) => void;
  nowMs: () => number;
}

export interface Edit {
  /** The version that the editor saw; absent: whichever is in force. */
  expected?: number | undefined;
  by: string;
  note: string;
}

export interface Edited {
  /** Of the version now in force. */
  number: number;
  before: ApiDocument;
  after: ApiDocument;
  /** Workers that do not run on it yet. */
  late: readonly number[];
  /** Providers whose credential went with its address. */
  cleared: readonly string[];
  warnings: readonly ConfigIssue[];
}

export interface Checked {
  issues: ConfigIssue[];
  warnings: ConfigIssue[];
  cleared: string[];
}

/** What is in force, and what it came from. */
export interface InForce {
  layered: Layered;
  file: LoadedConfig;
  number: number;
  document: ApiDocument;
}

export interface ConfigDesk {
  /** The file alone, for the time before there is a store. */
  loadFile: () => Promise<Candidate>;
  /** Both layers anew. */
  load: () => Promise<Candidate>;
  inForce: () => InForce;
  check: (document: ApiDocument) => Promise<Checked>;
  /** Throws invalid_request with all that is wrong, precondition_failed, conflict. */
  edit: (change: (document: ApiDocument) => ApiDocument, edit: Edit) => Promise<Edited>;
  version: (number: number) => Promise<DocumentVersion | undefined>;
  versions: DocumentsPort['list'];
  /** Answers the workers that are late. `apiKey` undefined: takes the credential back. */
  setCredential: (provider: string, apiKey: string | undefined, by: string) => Promise<readonly number[]>;
}

interface State extends InForce {
  files: readonly string[];
  credentials: ReadonlyMap<string, ApiCredential>;
}

const NO_VERSION = 0;

export function createConfigDesk(parts: DeskParts): ConfigDesk {
  let state: State | undefined;
  const warn = createTeller(parts.warn);
  const exclusive = createTurns();

  const inForce = (): State => {
    if (state === undefined) throw new GatewayError('store_down');
    return state;
  };
  const compose = (next: Omit<State, 'layered'>): Candidate => {
    const layered = parts.layer(next.file, next.document, next.credentials);
    warn(layered);
    const settled = (): void => {
      state = { ...next, layered };
    };
    return { ok: true, snapshot: parts.snapshotOf(layered), files: next.files, settled };
  };
  const putInForce = async (): Promise<readonly number[]> => {
    const reload = await parts.change(async () => compose({ ...inForce(), ...(await readLayer(parts)) }));
    if (reload.outcome === 'swapped') return reload.late;
    if (reload.outcome === 'unchanged') return [];
    throw reload.outcome === 'failed' ? reload.error : new Error('what was checked could not be loaded');
  };

  return {
    loadFile: async () => {
      const read = await parts.loadFile();
      if (!read.ok) return read;
      return { ok: true, snapshot: parts.snapshotOf(parts.layer(read.loaded, {}, new Map())), files: read.files };
    },
    load: async () => {
      const read = await parts.loadFile();
      if (!read.ok) return read;
      return compose({ file: read.loaded, files: read.files, ...(await readLayer(parts, state)) });
    },
    inForce,
    check: (document) => check(parts, inForce(), document),
    edit: (change, edit) =>
      exclusive(async () => {
        const written = await write(parts, inForce(), change, edit);
        return { ...written, late: written.number === written.from ? [] : await putInForce() };
      }),
    version: (number) => parts.documents.get(number),
    versions: (query) => parts.documents.list(query),
    setCredential: (provider, apiKey, by) =>
      exclusive(async () => {
        const boundTo = bindingOf(inForce().document, provider);
        if (boundTo === undefined) throw new GatewayError('not_found');
        if (apiKey !== undefined) await parts.vault.set({ provider, boundTo, apiKey, by });
        else if (!(await parts.vault.remove(provider))) throw new GatewayError('not_found');
        return putInForce();
      }),
  };
}

type LayerState = Pick<State, 'number' | 'document' | 'credentials'>;

/** While the store is down, what was read of it last still holds. */
async function readLayer({ documents, vault }: DeskParts, last?: State): Promise<LayerState> {
  try {
    const [head, credentials] = await Promise.all([documents.head(), vault.open()]);
    if (head === undefined) return { number: NO_VERSION, document: {}, credentials };
    return { number: head.number, document: JSON.parse(head.content) as ApiDocument, credentials };
  } catch (error) {
    if (last === undefined || !(error instanceof StoreError) || error.code !== 'store_down') throw error;
    return { number: last.number, document: last.document, credentials: last.credentials };
  }
}

async function check(parts: DeskParts, state: State, document: ApiDocument): Promise<Checked & { layered: Layered }> {
  const layered = parts.layer(state.file, document, state.credentials);
  const [old, found] = knownAndNew(layered.issues, state, document);
  const resolved = await resolvedIssues(parts, state, document);
  const said = new Set(found.map(({ file }) => file));
  const issues = [...found, ...resolved.filter(({ file }) => !said.has(file))];
  const cleared = [...state.credentials]
    .filter(([provider, { boundTo }]) => bindingOf(document, provider) !== boundTo)
    .map(([provider]) => provider);
  return { issues, warnings: [...layered.warnings, ...old], cleared, layered };
}

/** What the file has broken, and an edit leaves as it is, stays left out and does not stand in the way of everything else. */
function knownAndNew(issues: readonly ConfigIssue[], state: State, document: ApiDocument): [ConfigIssue[], ConfigIssue[]] {
  const root = apiTree(document);
  const changed = new Set(differences(state.document, document).map(({ section, name }) => `${section}/${name}`));
  const broken = new Set(
    state.layered.entries.flatMap(({ section, name, problem }) => (problem === undefined ? [] : [`${section}/${name}`])),
  );
  const isKnown = (issue: ConfigIssue): boolean => {
    const about = entryAt(issue, root);
    const entry = about && `${about.section}/${about.name}`;
    return entry !== undefined && broken.has(entry) && !changed.has(entry);
  };
  return [issues.filter(isKnown), issues.filter((issue) => !isKnown(issue))];
}

/** Names are resolved where they are new: at every other time connecting is what is checked. */
async function resolvedIssues({ addressProblem }: DeskParts, state: State, document: ApiDocument): Promise<ConfigIssue[]> {
  const known = new Set(addressesOf(state.document).map(({ text }) => text));
  const allowed = state.file.settings.egress.allow_private;
  const found = await Promise.all(
    addressesOf(document)
      .filter(({ text }) => !known.has(text))
      .map(async ({ text, node, path }) => {
        const problem = await addressProblem(text, allowed);
        return problem === undefined ? [] : [issueAt(node.place, path, problem)];
      }),
  );
  return found.flat();
}

type Written = Omit<Edited, 'late'> & { from: number };

async function write(
  parts: DeskParts,
  state: State,
  change: (document: ApiDocument) => ApiDocument,
  { expected, by, note }: Edit,
): Promise<Written> {
  const head = await parts.documents.head();
  const from = head?.number ?? NO_VERSION;
  if (expected !== undefined && expected !== from) throw new GatewayError('precondition_failed');
  const before = head === undefined ? {} : (JSON.parse(head.content) as ApiDocument);
  const after = change(before);
  const { issues, warnings, cleared, layered } = await check(parts, { ...state, document: before }, after);
  if (issues.length > 0) throw refusalOf(issues);
  if (JSON.stringify(after) === JSON.stringify(before)) return { number: from, from, before, after, cleared: [], warnings };
  // Throws where shared memory has no place for all its rules: written, it would stand in the way of the next start.
  parts.snapshotOf(layered);
  const number = from + 1;
  await append(parts.documents, { number, atMs: parts.nowMs(), by, note, content: JSON.stringify(after) }, cleared);
  return { number, from, before, after, cleared, warnings };
}

async function append(documents: DocumentsPort, version: DocumentVersion, cleared: readonly string[]): Promise<void> {
  try {
    await documents.append(version, cleared);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'conflict') throw new GatewayError('precondition_failed', { cause: error });
    throw error;
  }
}

/** 400 with every complaint: `param` from the document's root, `place` as a JSON pointer. */
function refusalOf(issues: readonly ConfigIssue[]): GatewayError {
  const all = issues.map(({ path, file, message, nearest = [] }) => {
    const names = nearest.map((name) => `\`${name}\``).join(' or ');
    return { param: path, place: file, message: names === '' ? message : `${message}; did you mean ${names}?` };
  });
  const { param, message } = all[0]!;
  return new GatewayError('invalid_request', { details: { message: `\`${param}\` ${message}`, param, issues: all } });
}

/** A file that is edited again and again is no reason to say the same things again. */
function createTeller(warn: DeskParts['warn']): (layered: Layered) => void {
  let told = '';
  return ({ warnings, issues }) => {
    const all = [...warnings, ...issues];
    const words = JSON.stringify(all);
    if (words !== told) for (const issue of all) warn(issue);
    told = words;
  };
}

/** One after the other. */
function createTurns(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
}
