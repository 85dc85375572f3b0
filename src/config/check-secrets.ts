/** Secrets stand in the file by reference only, and no two keys are the same. No complaint holds a secret. */
import type { ConfigIssue } from './issue.ts';
import { formatPath, issueAt } from './issue.ts';
import { isWholeReference } from './references.ts';
import { selectTexts } from './tree.ts';
import type { Tree } from './tree.ts';

const KEYS = ['admin.key', 'keys.*.key'];
const CREDENTIALS = [
  'agents.*.api_key',
  'providers.*.api_key',
  'providers.*.api_keys.*',
  'providers.*.endpoints.*.api_key',
  'server.tls.key',
];
/** What only we and one service of the operator's know: without the word `none`. */
const SHARED_SECRETS = ['guards.*.secret', 'events.webhook.secret', 'oidc.client_secret'];
const HEADERS = ['agents.*.headers.*', 'providers.*.headers.*', 'telemetry.otlp.headers.*'];
const SECRET_HEADER = /auth|key|token|secret|cookie|password/i;

const LITERAL = 'a secret must not stand in the file: write a reference, ${env:NAME} or ${file:/path}';

export function checkSecrets(root: Tree): ConfigIssue[] {
  return [...literalSecrets(root), ...literalHeaders(root), ...urlPasswords(root), ...equalKeys(root)];
}

function literalSecrets(root: Tree): ConfigIssue[] {
  const isCredential = (pattern: string) => CREDENTIALS.includes(pattern);
  return [...KEYS, ...CREDENTIALS, ...SHARED_SECRETS].flatMap((pattern) =>
    selectTexts(root, pattern)
      .filter(({ node, text }) => !isWholeReference(node.reference) && !(isCredential(pattern) && text === 'none'))
      .map(({ node, path }) => issueAt(node.place, path, LITERAL)),
  );
}

/** Whether a header of that name usually carries a secret. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

/** Part of a value may be literal here: `Bearer ${env:TOKEN}`. */
function literalHeaders(root: Tree): ConfigIssue[] {
  return HEADERS.flatMap((pattern) => selectTexts(root, pattern))
    .filter(({ node, path }) => node.reference === undefined && isSecretHeader(String(path.at(-1))))
    .map(({ node, path }) => issueAt(node.place, path, LITERAL));
}

/** What of a URL is a secret: a proxy's user may be a token, a database's is a name. */
const URLS = { 'egress.proxy.url': /\/\/[^/]*@/, 'store.url': /\/\/[^/]*:[^/]*@|[?&]password=/ } as const;

function urlPasswords(root: Tree): ConfigIssue[] {
  return Object.entries(URLS).flatMap(([pattern, secret]) =>
    selectTexts(root, pattern)
      .filter(({ node, text }) => node.reference === undefined && secret.test(text))
      .map(({ node, path }) => issueAt(node.place, path, LITERAL)),
  );
}

function equalKeys(root: Tree): ConfigIssue[] {
  const seen = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  for (const { node, path, text } of KEYS.flatMap((pattern) => selectTexts(root, pattern))) {
    const isUnresolved = node.reference === text;
    const first = isUnresolved ? undefined : seen.get(text);
    if (first !== undefined) issues.push(issueAt(node.place, path, `has the same secret as ${first}`));
    if (!isUnresolved) seen.set(text, first ?? formatPath(path));
  }
  return issues;
}
