/**
 * The operator's file with its `include`s, as one tree. Top-level lists are joined, top-level sections merged key by key;
 * the same key in two places is an error that names both.
 */
import { dirname, join, isAbsolute, resolve } from 'node:path';

import type { ConfigIssue, Place } from './issue.ts';
import { formatPlace, issueAt } from './issue.ts';
import { readProblem, resolveReferences } from './references.ts';
import type { Sources } from './references.ts';
import { parseTree, select } from './tree.ts';
import type { Entry, MapNode, Tree } from './tree.ts';

export interface ReadTree {
  root: MapNode;
  issues: ConfigIssue[];
  /** Absolute paths of every file that was asked for: the file itself, its includes and its referenced files. */
  files: string[];
}

/** Reads `file` and all that it includes, references resolved. */
export async function readTree(file: string, sources: Sources): Promise<ReadTree> {
  const reading: Reading = { sources, issues: [], files: new Set(), included: new Map() };
  const place = { file, line: 0, column: 0 };
  const root = await readOne({ file, from: place, parents: [] }, reading);
  return { root: root ?? { kind: 'map', place, entries: new Map() }, issues: reading.issues, files: [...reading.files] };
}

interface Reading {
  sources: Sources;
  issues: ConfigIssue[];
  files: Set<string>;
  /** Where each file was first included from, by absolute path. */
  included: Map<string, Place>;
}

interface Step {
  /** As it is shown to the operator. */
  file: string;
  from: Place;
  /** Absolute paths of the files that led here. */
  parents: string[];
}

async function readOne(step: Step, reading: Reading): Promise<MapNode | undefined> {
  const absolute = resolve(step.file);
  const problem = repetition(absolute, step, reading);
  if (problem !== undefined) {
    reading.issues.push(issueAt(step.from, ['include'], problem));
    return undefined;
  }
  reading.included.set(absolute, step.from);
  reading.files.add(absolute);
  const text = await readOrComplain(step, reading);
  if (text === undefined) return undefined;
  const parsed = parseTree(text, step.file);
  const resolved = await resolveReferences(parsed.root, reading.sources);
  reading.issues.push(...parsed.issues, ...resolved.issues);
  for (const path of resolved.files) reading.files.add(path);
  let root = withoutEmptySections(resolved.root);
  for (const next of includesOf(root, [...step.parents, absolute], reading.issues)) {
    const included = await readOne(next, reading);
    if (included !== undefined) root = mergeFiles(root, included, reading.issues);
  }
  root.entries.delete('include');
  return root;
}

function repetition(absolute: string, step: Step, reading: Reading): string | undefined {
  if (step.parents.includes(absolute)) return `${step.file} includes itself`;
  const first = reading.included.get(absolute);
  return first === undefined ? undefined : `${step.file} is included twice; first at ${formatPlace(first)}`;
}

async function readOrComplain(step: Step, reading: Reading): Promise<string | undefined> {
  try {
    return await reading.sources.readText(resolve(step.file));
  } catch (error) {
    const path = step.parents.length === 0 ? [] : ['include'];
    const subject = step.parents.length === 0 ? 'the configuration file' : step.file;
    reading.issues.push(issueAt(step.from, path, `${subject} cannot be read: ${readProblem(error)}`));
    return undefined;
  }
}

function includesOf(root: MapNode, parents: string[], issues: ConfigIssue[]): Step[] {
  const list = root.entries.get('include')?.value;
  if (list === undefined) return [];
  if (list.kind !== 'list') {
    issues.push(issueAt(list.place, ['include'], 'must be a list of files'));
    return [];
  }
  return select(list, '*').flatMap(({ node, path }) => {
    if (node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '') {
      const base = dirname(node.place.file);
      return [{ file: isAbsolute(node.value) ? node.value : join(base, node.value), from: node.place, parents }];
    }
    issues.push(issueAt(node.place, ['include', ...path], 'must be the path of a file'));
    return [];
  });
}

/** `keys:` with every item commented out means no keys, not a null. */
function withoutEmptySections(root: MapNode): MapNode {
  const entries = [...root.entries].filter(([, { value }]) => !(value.kind === 'scalar' && value.value === null));
  return { ...root, entries: new Map(entries) };
}

function mergeFiles(into: MapNode, from: MapNode, issues: ConfigIssue[]): MapNode {
  const entries = new Map(into.entries);
  for (const [key, entry] of from.entries) {
    const present = entries.get(key);
    entries.set(key, present === undefined ? entry : { ...present, value: mergeSections(key, present, entry, issues) });
  }
  return { ...into, entries };
}

function mergeSections(key: string, first: Entry, second: Entry, issues: ConfigIssue[]): Tree {
  const [a, b] = [first.value, second.value];
  if (a.kind === 'list' && b.kind === 'list') return { ...a, items: [...a.items, ...b.items] };
  if (a.kind !== 'map' || b.kind !== 'map') {
    issues.push(issueAt(second.keyPlace, [key], `already given at ${formatPlace(first.keyPlace)}`));
    return a;
  }
  const entries = new Map(a.entries);
  for (const [name, entry] of b.entries) {
    const present = entries.get(name);
    if (present === undefined) entries.set(name, entry);
    else issues.push(issueAt(entry.keyPlace, [key, name], `already given at ${formatPlace(present.keyPlace)}`));
  }
  return { ...a, entries };
}
