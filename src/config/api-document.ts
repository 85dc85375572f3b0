/**
 * The document that is edited over the API: the file's language, as far as it may be spoken there. What it may not say is checked here: nothing that reads this
 * machine's secrets or leads into its network.
 */
import { isSecretHeader } from './check-secrets.ts';
import type { ConfigIssue, Path, Place } from './issue.ts';
import { issueAt } from './issue.ts';
import { select, selectTexts } from './tree.ts';
import type { Entry, MapNode, Scalar, Tree } from './tree.ts';

export const API_SECTIONS = ['providers', 'models', 'tags'] as const;
export type ApiSection = (typeof API_SECTIONS)[number];

/** JSON, as it was sent. */
export interface ApiDocument {
  providers?: Readonly<Record<string, unknown>>;
  models?: readonly unknown[];
  tags?: Readonly<Record<string, unknown>>;
}

const ROOT = 'api:';
const REFERENCE = /\$\{(env|file):/;

/** Every value knows where it stands, as a JSON pointer (RFC 6901) behind `api:`. */
export function apiTree(document: ApiDocument): MapNode {
  return treeOf(document, ROOT) as MapNode;
}

export function isFromApi({ file }: Pick<Place, 'file'>): boolean {
  return file.startsWith(ROOT);
}

function treeOf(value: unknown, at: string): Tree {
  const place: Place = { file: at, line: 0, column: 0 };
  if (Array.isArray(value)) return { kind: 'list', place, items: value.map((item, index) => treeOf(item, `${at}/${index}`)) };
  if (typeof value !== 'object' || value === null) return { kind: 'scalar', place, value: value as Scalar };
  const entries = Object.entries(value).map(([key, member]): [string, Entry] => {
    const inner = treeOf(member, `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    return [key, { keyPlace: inner.place, value: inner }];
  });
  return { kind: 'map', place, entries: new Map(entries) };
}

/** Which entry of the document an issue is about; undefined: about the document as a whole. */
export function entryAt(place: Pick<Place, 'file'>, root: MapNode): { section: ApiSection; name: string } | undefined {
  const [, section = '', step] = isFromApi(place) ? place.file.split('/') : [];
  if (step === undefined || !isSection(section)) return undefined;
  const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
  const name = section === 'models' ? selectTexts(root.entries.get(section)!.value, '*.name')[Number(key)]?.text : key;
  return name === undefined ? undefined : { section, name };
}

function isSection(word: string): word is ApiSection {
  return (API_SECTIONS as readonly string[]).includes(word);
}

/** What the file may say and this document may not. The schema and the rest of the checks are the file's. */
export function checkApiDocument(root: MapNode): ConfigIssue[] {
  return [...strangeSections(root), ...references(root, []), ...credentials(root), ...secretHeaders(root), ...twins(root)];
}

function strangeSections(root: MapNode): ConfigIssue[] {
  return [...root.entries]
    .filter(([name]) => !isSection(name))
    .map(([name, { keyPlace }]) =>
      issueAt(keyPlace, [name], `is not a section of this document; it has ${API_SECTIONS.join(', ')}, the rest is the file's`),
    );
}

/** They would read this machine's environment and files. */
function references(tree: Tree, path: Path): ConfigIssue[] {
  if (tree.kind === 'list') return tree.items.flatMap((item, index) => references(item, [...path, index]));
  if (tree.kind === 'map') {
    return [...tree.entries].flatMap(([key, { value, keyPlace }]) =>
      REFERENCE.test(key) ? issueAt(keyPlace, path, NO_REFERENCE) : references(value, [...path, key]),
    );
  }
  const isReference = typeof tree.value === 'string' && REFERENCE.test(tree.value);
  return isReference ? [issueAt(tree.place, path, NO_REFERENCE)] : [];
}

const NO_REFERENCE = 'references to the environment and to files stand in the file only';
const NO_CREDENTIAL = 'a credential is never part of this document: set it with PUT /admin/v1/providers/{provider}/credential';

/** `none` says that there is none; which is no secret. */
function credentials(root: MapNode): ConfigIssue[] {
  const given = ['providers.*.api_key', 'providers.*.endpoints.*.api_key', 'providers.*.api_keys'].flatMap((pattern) =>
    select(root, pattern),
  );
  return given
    .filter(({ node, path }) => path.at(-1) === 'api_keys' || node.kind !== 'scalar' || node.value !== 'none')
    .map(({ keyPlace, path }) => issueAt(keyPlace, path, NO_CREDENTIAL));
}

function secretHeaders(root: MapNode): ConfigIssue[] {
  return select(root, 'providers.*.headers.*')
    .filter(({ path }) => isSecretHeader(String(path.at(-1))))
    .map(({ keyPlace, path }) => issueAt(keyPlace, path, 'looks like a credential; such headers stand in the file only'));
}

/** Models are a list, so that two may have one name. */
function twins(root: MapNode): ConfigIssue[] {
  const seen = new Set<string>();
  return selectTexts(root, 'models.*.name').flatMap(({ text, node, path }) => {
    const isFirst = !seen.has(text);
    seen.add(text);
    return isFirst ? [] : [issueAt(node.place, path, 'there is a model of this name in the document already')];
  });
}
