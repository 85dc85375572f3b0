/** What only several models together can get wrong about routing: names that must exist, or be unique, and fallbacks that go in circles. */
import { nearest } from '../lib/nearest.ts';
import type { ConfigIssue } from './issue.ts';
import { formatPlace, issueAt } from './issue.ts';
import { type Found, type ScalarNode, type Tree, select, selectTexts } from './tree.ts';

type Text = Found<ScalarNode> & { text: string };

const FALLBACK_LISTS = ['fallbacks.*', 'fallbacks_on.*.*'];

export function checkRouting(root: Tree): ConfigIssue[] {
  const known = namesOf(root);
  return [
    ...targetsOrModels(root),
    ...unknownFallbacks(root, known),
    ...takenAliases(root),
    ...strangeMembers(root),
    ...fallbackCircles(root, known),
  ];
}

/** All names under which models are asked for, with the name they are configured under. */
function namesOf(root: Tree): Map<string, string> {
  const names = new Map<string, string>();
  for (const { node } of select(root, 'models.*')) {
    const name = selectTexts(node, 'name')[0]?.text;
    if (name === undefined) continue;
    for (const { text } of selectTexts(node, 'aliases.*')) names.set(text, name);
    names.set(name, name);
  }
  return names;
}

/** The configured model behind a name, by wildcard too. */
function configuredName(name: string, known: ReadonlyMap<string, string>): string | undefined {
  const exact = known.get(name);
  if (exact !== undefined) return exact;
  const wildcards = [...known.keys()].filter((each) => each.endsWith('*') && name.startsWith(each.slice(0, -1)));
  return wildcards.toSorted((a, b) => b.length - a.length)[0];
}

function targetsOrModels(root: Tree): ConfigIssue[] {
  return select(root, 'models.*').flatMap(({ node, path, keyPlace }) => {
    const [targets, models] = [select(node, 'targets.*'), select(node, 'models.*')];
    if (targets.length > 0 && models.length > 0)
      return [issueAt(keyPlace, [...path, 'models'], 'a model has `targets` or `models`, not both')];
    return targets.length + models.length > 0
      ? []
      : [issueAt(keyPlace, [...path, 'targets'], 'a model needs `targets`, or `models` whose targets it has')];
  });
}

function unknownFallbacks(root: Tree, known: ReadonlyMap<string, string>): ConfigIssue[] {
  return FALLBACK_LISTS.flatMap((list) => selectTexts(root, `models.*.${list}`))
    .filter(({ text }) => text.endsWith('*') || configuredName(text, known) === undefined)
    .map(({ node, path, text }) =>
      issueAt(node.place, path, `there is no model \`${node.reference ?? text}\``, nearest(text, [...known.keys()])),
    );
}

function takenAliases(root: Tree): ConfigIssue[] {
  const taken = new Map<string, Text>();
  for (const name of selectTexts(root, 'models.*.name')) taken.set(name.text, name);
  return selectTexts(root, 'models.*.aliases.*').flatMap((alias) => {
    const { node, path, text } = alias;
    if (text.endsWith('*')) return [issueAt(node.place, path, 'an alias is one name; give the wildcard a model of its own')];
    const earlier = taken.get(text);
    if (earlier === undefined) taken.set(text, alias);
    return earlier === undefined
      ? []
      : [issueAt(node.place, path, `the name is already given at ${formatPlace(earlier.node.place)}`)];
  });
}

function strangeMembers(root: Tree): ConfigIssue[] {
  const models = new Map(
    select(root, 'models.*').flatMap((model) => selectTexts(model.node, 'name').map(({ text }) => [text, model] as const)),
  );
  return selectTexts(root, 'models.*.models.*').flatMap(({ node, path, text }) => {
    const member = models.get(text);
    if (member === undefined)
      return [issueAt(node.place, path, `there is no model \`${node.reference ?? text}\``, nearest(text, [...models.keys()]))];
    if (text.endsWith('*')) return [issueAt(node.place, path, 'a wildcard has no targets of its own to share')];
    return select(member.node, 'models.*').length > 0 ? [issueAt(node.place, path, 'is a group itself; name its models')] : [];
  });
}

/** Each circle once, at the fallback that closes it. */
function fallbackCircles(root: Tree, known: ReadonlyMap<string, string>): ConfigIssue[] {
  const fallbacks = select(root, 'models.*').flatMap((model) => {
    const from = selectTexts(model.node, 'name')[0];
    const lists = FALLBACK_LISTS.flatMap((pattern) => selectTexts(model.node, pattern));
    return from === undefined ? [] : lists.map((to) => ({ from, to, path: [...model.path, ...to.path] }));
  });
  const issues: ConfigIssue[] = [];
  const done = new Set<string>();
  const nameOf = ({ text }: Text): string => configuredName(text, known) ?? text;
  const visit = (model: Text, trail: readonly Text[]): void => {
    const way = [...trail, model];
    for (const { to, path } of fallbacks.filter(({ from }) => from.text === nameOf(model))) {
      const start = way.findIndex((each) => nameOf(each) === nameOf(to));
      if (start === -1 && !done.has(nameOf(to))) visit(to, way);
      if (start === -1) continue;
      const circle = [...way.slice(start), to].map(({ node, text }) => `\`${node.reference ?? text}\``).join(' → ');
      issues.push(issueAt(to.node.place, path, `the fallbacks go in a circle: ${circle}`));
    }
    done.add(nameOf(model));
  };
  for (const { from } of fallbacks) if (!done.has(from.text)) visit(from, []);
  return issues;
}
