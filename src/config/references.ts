/**
 * `${env:NAME}` and `${file:/path}` inside string values: the only way secrets enter the configuration.
 * `$${` stands for a literal `${`.
 */
import { dirname, resolve } from 'node:path';

import type { ConfigIssue, Path } from './issue.ts';
import { issueAt } from './issue.ts';
import { mapScalars } from './tree.ts';
import type { MapNode, ScalarNode } from './tree.ts';

export interface Sources {
  env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; rejects where it cannot be read. */
  readText: (path: string) => Promise<string>;
}

const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;
const FORMS = 'the forms are ${env:NAME} and ${file:/path}; write $${ for a literal ${';

type Lookup = { value: string } | { problem: string };

/** The tree with every reference resolved, and the absolute paths of the files that were asked for, existing or not. */
export async function resolveReferences(
  root: MapNode,
  sources: Sources,
): Promise<{ root: MapNode; issues: ConfigIssue[]; files: string[] }> {
  const texts = await readReferencedFiles(root, sources.readText);
  const issues: ConfigIssue[] = [];
  const lookup = (reference: string, file: string): Lookup => {
    const [scheme, name] = splitOnce(reference, ':');
    if (scheme === 'env' && name !== '') return envValue(name, sources.env);
    if (scheme === 'file' && name !== '') return texts.get(resolve(dirname(file), name))!;
    return { problem: `\${${scheme}…} is not a reference; ${FORMS}` };
  };
  const resolveScalar = (node: ScalarNode, path: Path): ScalarNode => {
    if (typeof node.value !== 'string' || !node.value.includes('${')) return node;
    let resolved = false;
    const value = node.value.replaceAll(REFERENCE, (whole, reference: string | undefined) => {
      if (reference === undefined) return '${';
      resolved = true;
      const found = lookup(reference, node.place.file);
      if ('problem' in found) issues.push(issueAt(node.place, path, found.problem));
      return 'value' in found ? found.value : whole;
    });
    return resolved ? { ...node, value, reference: node.value } : { ...node, value };
  };
  const resolved = mapScalars(root, resolveScalar) as MapNode;
  return { root: resolved, issues, files: [...texts.keys()] };
}

/** Written so that the loader reads back just this text. */
export function escaped(text: string): string {
  // By a function: in a replacement text, two dollars are one.
  return text.replaceAll('${', () => '$${');
}

/** True where the whole text is one reference, so that nothing of a secret stands in the file. */
export function isWholeReference(text: string | undefined): boolean {
  return text !== undefined && /^\$\{(env|file):[^}]+\}$/.test(text);
}

function envValue(name: string, env: Sources['env']): Lookup {
  const value = env[name];
  if (value === undefined) return { problem: `the environment variable ${name} is not set` };
  return value === '' ? { problem: `the environment variable ${name} is empty` } : { value };
}

async function readReferencedFiles(root: MapNode, readText: Sources['readText']): Promise<Map<string, Lookup>> {
  const paths = new Set<string>();
  mapScalars(root, (node) => {
    if (typeof node.value !== 'string') return node;
    for (const [, reference] of node.value.matchAll(REFERENCE)) {
      const [scheme, name] = splitOnce(reference ?? '', ':');
      if (scheme === 'file' && name !== '') paths.add(resolve(dirname(node.place.file), name));
    }
    return node;
  });
  return new Map(await Promise.all([...paths].map(async (path) => [path, await readFileValue(path, readText)] as const)));
}

async function readFileValue(path: string, readText: Sources['readText']): Promise<Lookup> {
  try {
    const value = (await readText(path)).replace(/\r?\n$/, '');
    return value === '' ? { problem: `the file ${path} is empty` } : { value };
  } catch (error) {
    return { problem: `the file ${path} cannot be read: ${readProblem(error)}` };
  }
}

/** Why a file could not be read, in words; the error's own message would repeat the path. */
export function readProblem(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
  return { ENOENT: 'it does not exist', EACCES: 'permission denied', EISDIR: 'it is a directory' }[code] ?? code;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
