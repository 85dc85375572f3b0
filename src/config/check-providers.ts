/** Providers against the catalog: a known type, somewhere to send to, and a credential where one is needed. */
import { needsBaseUrl, type ProviderRow } from '../core/provider-row.ts';
import { nearest } from '../lib/nearest.ts';
import type { Catalog } from './catalog-port.ts';
import type { ConfigIssue } from './issue.ts';
import { issueAt } from './issue.ts';
import { select, selectTexts } from './tree.ts';
import type { Found, MapNode, Tree } from './tree.ts';
import { providerNameProblem } from './values.ts';

export function checkProviders(root: Tree, catalog: Catalog): ConfigIssue[] {
  return select(root, 'providers.*').flatMap((provider) => checkProvider(provider, catalog));
}

function checkProvider(found: Found, catalog: Catalog): ConfigIssue[] {
  const name = String(found.path.at(-1));
  const nameProblem = providerNameProblem(name);
  const issues = nameProblem === undefined ? [] : [issueAt(found.keyPlace, found.path, nameProblem)];
  if (found.node.kind !== 'map') return issues;
  const provider = found as Found<MapNode>;
  const type = selectTexts(found.node, 'type')[0];
  const row = catalog.row(type?.text ?? name);
  if (row !== undefined) return [...issues, ...checkPlace(provider, row), ...checkCredentials(provider, row)];
  const known = nearest(type?.text ?? name, catalog.ids);
  const unknown =
    type === undefined
      ? issueAt(
          found.keyPlace,
          found.path,
          'no provider of this name is built in: give a `type`, such as `openai-compatible`',
          known,
        )
      : issueAt(type.node.place, [...found.path, 'type'], 'no such type of provider; docs/providers.md lists them', known);
  return [...issues, unknown];
}

function checkPlace({ node, path, keyPlace }: Found<MapNode>, row: ProviderRow): ConfigIssue[] {
  const endpoints = select(node, 'endpoints.*');
  const isGiven = node.entries.has('base_url') || (endpoints.length > 0 && endpoints.every((each) => has(each, 'base_url')));
  if (isGiven || !needsBaseUrl(row)) return [];
  const hint = row.baseUrl === undefined ? '' : `, such as ${row.baseUrl}`;
  return [issueAt(keyPlace, [...path, 'base_url'], `is missing: \`${row.id}\` has no address of its own${hint}`)];
}

function checkCredentials(provider: Found<MapNode>, row: ProviderRow): ConfigIssue[] {
  const { node, path, keyPlace } = provider;
  const complain = (key: string, message: string) =>
    issueAt(node.entries.get(key)?.keyPlace ?? keyPlace, [...path, key], message);
  if (node.entries.has('api_keys') && node.entries.has('api_key')) return [complain('api_keys', 'give `api_key` or `api_keys`')];
  if (node.entries.has('api_keys') && node.entries.has('endpoints')) {
    return [complain('api_keys', 'give each of the `endpoints` its `api_key` instead')];
  }
  if (row.auth === 'none') return unusedCredentials(provider, row);
  const endpoints = select(node, 'endpoints.*');
  const isGiven =
    ['api_key', 'api_keys'].some((key) => node.entries.has(key)) ||
    (endpoints.length > 0 && endpoints.every((each) => has(each, 'api_key')));
  const issues = doubledCredential(provider, row.auth.header);
  if (isGiven || row.local) return issues;
  const variable = row.env[0] ?? 'NAME';
  return [...issues, complain('api_key', `is missing: write "\${env:${variable}}", or \`none\` to send no credential`)];
}

function unusedCredentials({ node, path }: Found<MapNode>, row: ProviderRow): ConfigIssue[] {
  return ['api_key', 'api_keys.*', 'endpoints.*.api_key']
    .flatMap((pattern) => selectTexts(node, pattern))
    .filter(({ text }) => text !== 'none')
    .map((found) => issueAt(found.node.place, [...path, ...found.path], `\`${row.id}\` takes no credential`));
}

function doubledCredential({ node, path }: Found<MapNode>, header: string): ConfigIssue[] {
  if (selectTexts(node, 'api_key')[0]?.text === 'none') return [];
  return select(node, 'headers.*')
    .filter((found) => String(found.path.at(-1)).toLowerCase() === header)
    .map((found) =>
      issueAt(
        found.keyPlace,
        [...path, ...found.path],
        'this header carries the credential; set `api_key: none` to write it yourself',
      ),
    );
}

function has({ node }: Found, key: string): boolean {
  return node.kind === 'map' && node.entries.has(key);
}
