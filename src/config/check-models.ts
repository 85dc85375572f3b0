/** Names that must be unique, and names that must exist. */
import { nearest } from '../lib/nearest.ts';
import type { ConfigIssue } from './issue.ts';
import { formatPlace, issueAt } from './issue.ts';
import { select, selectTexts } from './tree.ts';
import type { Found, ScalarNode, Tree } from './tree.ts';

/** Members of a body that Signalbox itself sets or reads; defaults must not touch them. */
const OWN_PARAMS = new Set(['model', 'stream', 'messages', 'input']);

export function checkModels(root: Tree): ConfigIssue[] {
  const models = select(root, 'models.*');
  return [
    ...duplicates(selectTexts(root, 'models.*.name'), 'a model'),
    ...duplicates(selectTexts(root, 'keys.*.name'), 'a key'),
    ...duplicates(selectTexts(root, 'guards.*.name'), 'a guard'),
    ...unknownProviders(root),
    ...ownParams(root),
    ...models.flatMap(duplicateTargets),
    ...twiceLimited(root),
    ...models.flatMap(strayWildcards),
  ];
}

type Text = Found<ScalarNode> & { text: string };

function duplicates(names: Text[], what: string): ConfigIssue[] {
  const first = new Map<string, Text>();
  return names.flatMap((name) => {
    const earlier = first.get(name.text);
    if (earlier === undefined) first.set(name.text, name);
    const message = earlier && `${what} of the name \`${shown(name)}\` is already defined at ${formatPlace(earlier.node.place)}`;
    return message === undefined ? [] : [issueAt(name.node.place, name.path, message)];
  });
}

function unknownProviders(root: Tree): ConfigIssue[] {
  const known = select(root, 'providers.*').map(({ path }) => String(path.at(-1)));
  return selectTexts(root, 'models.*.targets.*.provider')
    .filter(({ text }) => !known.includes(text))
    .map((found) =>
      issueAt(
        found.node.place,
        found.path,
        `there is no provider \`${shown(found)}\` under \`providers\``,
        nearest(found.text, known),
      ),
    );
}

function duplicateTargets(model: Found): ConfigIssue[] {
  const seen = new Map<string, Found>();
  return select(model.node, 'targets.*').flatMap((target) => {
    const [provider, name] = [selectTexts(target.node, 'provider')[0], selectTexts(target.node, 'model')[0]];
    if (provider === undefined || name === undefined) return [];
    const id = `${provider.text}/${name.text}`;
    const first = seen.get(id);
    if (first === undefined) seen.set(id, target);
    const message =
      first &&
      `the same provider and model as the target at ${formatPlace(first.node.place)}; give one target more weight instead`;
    return message === undefined ? [] : [issueAt(target.node.place, [...model.path, ...target.path], message)];
  });
}

/** A target counts once for all models that it serves: which of two limits would hold? */
function twiceLimited(root: Tree): ConfigIssue[] {
  const limited = new Map<string, Found>();
  return select(root, 'models.*.targets.*').flatMap((target) => {
    const limits = select(target.node, 'limits')[0];
    const [provider, name] = [selectTexts(target.node, 'provider')[0], selectTexts(target.node, 'model')[0]];
    if (limits === undefined || provider === undefined || name === undefined) return [];
    const id = `${provider.text}/${name.text}`;
    const first = limited.get(id);
    if (first === undefined) limited.set(id, limits);
    const message =
      first && `this target has limits already, at ${formatPlace(first.keyPlace)}; they hold for all models it serves`;
    return message === undefined ? [] : [issueAt(limits.keyPlace, [...target.path, ...limits.path], message)];
  });
}

function strayWildcards(model: Found): ConfigIssue[] {
  const name = selectTexts(model.node, 'name')[0];
  if (name === undefined || name.text.endsWith('*')) return [];
  return selectTexts(model.node, 'targets.*.model')
    .filter(({ text }) => text === '*')
    .map(({ node, path }) =>
      issueAt(
        node.place,
        [...model.path, ...path],
        '`*` needs a model whose own name ends in `*`; name the model of the provider',
      ),
    );
}

function ownParams(root: Tree): ConfigIssue[] {
  return ['params.*', 'drop_params.*']
    .flatMap((pattern) => select(root, `models.*.targets.*.${pattern}`))
    .filter(({ node, path }) =>
      OWN_PARAMS.has(String(node.kind === 'scalar' && path.includes('drop_params') ? node.value : path.at(-1))),
    )
    .map(({ keyPlace, path }) => issueAt(keyPlace, path, 'is set by the request or by Signalbox and cannot be changed here'));
}

/** What came by reference is shown as it was written. */
function shown({ node, text }: Text): string {
  return node.reference ?? text;
}
