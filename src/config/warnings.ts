/** What is allowed but probably not meant. */
import { nearest } from '../lib/nearest.ts';
import type { Catalog } from './catalog-port.ts';
import type { ConfigIssue } from './issue.ts';
import { issueAt } from './issue.ts';
import { select, selectTexts } from './tree.ts';
import type { Tree } from './tree.ts';

export function findWarnings(root: Tree, catalog: Catalog): ConfigIssue[] {
  return [...doubledVersionPaths(root, catalog), ...grantsOfNothing(root)];
}

/** The paths of anthropic-messages begin with `/v1` themselves. */
function doubledVersionPaths(root: Tree, catalog: Catalog): ConfigIssue[] {
  return select(root, 'providers.*').flatMap(({ node, path }) => {
    const type = selectTexts(node, 'type')[0]?.text ?? String(path.at(-1));
    if (catalog.row(type)?.dialect !== 'anthropic-messages') return [];
    return ['base_url', 'endpoints.*.base_url']
      .flatMap((pattern) => selectTexts(node, pattern))
      .filter(({ text }) => /\/v1\/*$/.test(text))
      .map((found) =>
        issueAt(found.node.place, [...path, ...found.path], 'ends in /v1, which Signalbox adds itself for this provider'),
      );
  });
}

function grantsOfNothing(root: Tree): ConfigIssue[] {
  const names = selectTexts(root, 'models.*.name').map(({ text }) => text);
  const issues = (pattern: string, verb: string, known: readonly string[]) =>
    selectTexts(root, pattern)
      .filter(({ text }) => !known.some((name) => overlaps(text, name)))
      .map(({ node, path, text }) => issueAt(node.place, path, `${verb} no model that is configured`, nearest(text, names)));
  // To guards agents are models too, and the API may know more of them than the file.
  return [...issues('keys.*.models.*', 'grants', names), ...issues('guards.*.models.*', 'names', [...names, 'a2a/*'])];
}

/** Whether any name can match both, each a name or a `prefix*`. */
function overlaps(a: string, b: string): boolean {
  const [one, other] = [a.replace(/\*$/, ''), b.replace(/\*$/, '')];
  if (a.endsWith('*') && other.startsWith(one)) return true;
  return b.endsWith('*') ? one.startsWith(other) : a === b;
}
