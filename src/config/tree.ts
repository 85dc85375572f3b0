/**
 * YAML as a tree in which every value knows where it was written, so that every later complaint can name its line.
 * Aliases are unfolded; keys are strings.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node as YamlNode } from 'yaml';

import type { ConfigIssue, Path, Place } from './issue.ts';
import { formatPlace, issueAt } from './issue.ts';

export type Scalar = string | number | boolean | null;

export type Tree = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  kind: 'scalar';
  place: Place;
  value: Scalar;
  /** The text as written, where references were resolved in it. Shown instead of the value, which may be secret. */
  reference?: string;
}

export interface ListNode {
  kind: 'list';
  place: Place;
  items: Tree[];
}

export interface MapNode {
  kind: 'map';
  place: Place;
  entries: Map<string, Entry>;
}

export interface Entry {
  keyPlace: Place;
  value: Tree;
}

/** An alias may point at its own parent; and nothing of ours is that deep or that large. */
const MAX_DEPTH = 32;
const MAX_NODES = 200_000;

interface Walk {
  document: Document;
  placeOf: (offset: number) => Place;
  issues: ConfigIssue[];
  nodes: number;
  /** A limit was passed and said so; nothing more is unfolded. */
  full: boolean;
}

/** One file. A syntax error leaves an empty map beside the issues. */
export function parseTree(text: string, file: string): { root: MapNode; issues: ConfigIssue[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version: '1.2' });
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const issues = [...document.errors, ...document.warnings].map((error) =>
    issueAt(placeOf(error.pos[0]), [], `not valid YAML: ${withoutSource(error.message)}`),
  );
  const empty: MapNode = { kind: 'map', place: placeOf(0), entries: new Map() };
  if (issues.length > 0 || document.contents === null) return { root: empty, issues };
  const root = unfold(document.contents, [], { document, placeOf, issues, nodes: 0, full: false });
  if (root.kind === 'map') return { root, issues };
  if (root.kind === 'scalar' && root.value === null) return { root: empty, issues };
  return { root: empty, issues: [...issues, issueAt(root.place, [], 'the file must hold a mapping of settings')] };
}

/** The parser's words without what it quotes from the file, which may be a secret. */
function withoutSource(message: string): string {
  return message.split(/: |["`]/)[0]!.trim();
}

function unfold(node: YamlNode | null | undefined, path: Path, walk: Walk): Tree {
  const place = walk.placeOf(node?.range?.[0] ?? 0);
  walk.nodes += 1;
  if (walk.full || path.length > MAX_DEPTH || walk.nodes > MAX_NODES) {
    if (!walk.full) walk.issues.push(issueAt(place, [], `more than ${MAX_DEPTH} levels or ${MAX_NODES} values`));
    walk.full = true;
    return { kind: 'scalar', place, value: null };
  }
  if (isAlias(node)) return unfold(node.resolve(walk.document), path, walk);
  if (isMap(node)) return unfoldMap(node.items, place, path, walk);
  if (isSeq(node)) {
    const items = node.items.map((item, index) => unfold(item as YamlNode | null, [...path, index], walk));
    return { kind: 'list', place, items };
  }
  return { kind: 'scalar', place, value: isScalar(node) ? plainScalar(node.value) : null };
}

function unfoldMap(pairs: readonly { key: unknown; value: unknown }[], place: Place, path: Path, walk: Walk): MapNode {
  const entries = new Map<string, Entry>();
  for (const { key: keyNode, value } of pairs) {
    const keyPlace = isScalar(keyNode) ? walk.placeOf(keyNode.range?.[0] ?? 0) : place;
    const key = isScalar(keyNode) ? String(keyNode.value) : '';
    const first = entries.get(key);
    if (!isScalar(keyNode)) walk.issues.push(issueAt(keyPlace, path, 'a key must be a plain word'));
    else if (first !== undefined) {
      walk.issues.push(issueAt(keyPlace, [...path, key], `given twice; first at ${formatPlace(first.keyPlace)}`));
    } else {
      const node = unfold(value as YamlNode | null, [...path, key], walk);
      // An empty value has no place of its own worth naming: its key has.
      entries.set(key, { keyPlace, value: value === null ? { ...node, place: keyPlace } : node });
    }
  }
  return { kind: 'map', place, entries };
}

function plainScalar(value: unknown): Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

/** The tree as `JSON.parse` would give it. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toPlain);
  return Object.fromEntries([...tree.entries].map(([key, entry]) => [key, toPlain(entry.value)]));
}

/** The same tree with every scalar replaced. */
export function mapScalars(tree: Tree, map: (node: ScalarNode, path: Path) => ScalarNode, path: Path = []): Tree {
  if (tree.kind === 'scalar') return map(tree, path);
  if (tree.kind === 'list') return { ...tree, items: tree.items.map((item, index) => mapScalars(item, map, [...path, index])) };
  const entries = [...tree.entries].map(
    ([key, entry]) => [key, { ...entry, value: mapScalars(entry.value, map, [...path, key]) }] as const,
  );
  return { ...tree, entries: new Map(entries) };
}

export interface Found<Node extends Tree = Tree> {
  path: Path;
  node: Node;
  /** Where its key stands, or the value itself inside a list. */
  keyPlace: Place;
}

/** Every value at `pattern`, a dotted path in which `*` stands for any key or item: `models.*.targets.*.provider`. */
export function select(root: Tree, pattern: string): Found[] {
  let found: Found[] = [{ path: [], node: root, keyPlace: root.place }];
  for (const step of pattern.split('.')) found = found.flatMap((at) => children(at, step));
  return found;
}

/** As `select`, those that are strings. */
export function selectTexts(root: Tree, pattern: string): (Found<ScalarNode> & { text: string })[] {
  return select(root, pattern).flatMap(({ path, node, keyPlace }) =>
    node.kind === 'scalar' && typeof node.value === 'string' ? [{ path, node, keyPlace, text: node.value }] : [],
  );
}

function children(parent: Found, step: string): Found[] {
  const { node, path } = parent;
  if (node.kind === 'scalar') return [];
  if (node.kind === 'list') {
    if (step !== '*') return [];
    return node.items.map((item, index) => ({ path: [...path, index], node: item, keyPlace: item.place }));
  }
  return [...node.entries]
    .filter(([key]) => step === '*' || step === key)
    .map(([key, { keyPlace, value }]) => ({ path: [...path, key], node: value, keyPlace }));
}

/** The value at a path, or the nearest one above it that exists. */
export function locate(root: Tree, path: Path): Found {
  let at: Found = { path: [], node: root, keyPlace: root.place };
  for (const step of path) {
    const next = children(at, typeof step === 'number' ? '*' : step).find((child) => child.path.at(-1) === step);
    if (next === undefined) return at;
    at = next;
  }
  return at;
}
