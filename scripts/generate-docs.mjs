/**
 * Writes the pages of docs/ that are tables of the source: `node scripts/generate-docs.mjs`.
 * With `--check` it writes nothing and exits 1 if a page is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { ERRORS } from '../src/core/errors.ts';
import { needsBaseUrl } from '../src/core/provider-row.ts';
import { CATALOG } from '../src/providers/catalog.ts';
import { adminPage } from './admin-page.mjs';
import { configurationPage } from './configuration-page.mjs';
import { code, table } from './markdown.mjs';
import { metricsPage } from './metrics-page.mjs';

const RETRY = {
  never: 'no: the same request fails again',
  later: 'yes, after Retry-After',
  now: 'yes',
};

function errorsPage() {
  const rows = Object.entries(ERRORS).map(([name, error]) => [code(name), error.status, `${error.message}.`, RETRY[error.retry]]);
  return `# Errors

Every way a request can fail at Signalbox, from \`src/core/errors.ts\`. The client's dialect decides the shape around the code: OpenAI surfaces
answer \`{"error": {"message", "type", "param", "code"}}\`, Anthropic surfaces \`{"type": "error", "error": {"type", "message"}, "request_id"}\`.
What a provider itself answers with another 4xx keeps its status and words.

${table(['Code', 'Status', 'Meaning', 'Worth asking again'], rows)}
`;
}

const baseUrlOf = (row) => (row.baseUrl === undefined ? 'yours' : `${code(row.baseUrl)}${needsBaseUrl(row) ? ' (yours)' : ''}`);
const surfacesOf = (row) =>
  ['chat', row.speaks.responses && 'responses', row.speaks.embeddings && 'embeddings', row.speaks.countTokens && 'count_tokens']
    .filter(Boolean)
    .join(', ');

const quirkText = {
  rename: (names) =>
    Object.entries(names)
      .filter(([ours]) => ours !== 'max_completion_tokens')
      .map(([ours, theirs]) => `${code(ours)} is sent as ${code(theirs)}`),
  unsupported: (names) => [`not sent: ${names.map(code).join(', ')}`],
  includeUsage: () => ['sends usage in streams unasked'],
  reasoningField: (field) => [`earlier reasoning goes back as ${code(field)}`],
  thinkingSwitch: () => [`reasoning is switched by ${code('thinking')}`],
  cacheControl: () => [`takes ${code('cache_control')}`],
};

const quirksOf = (row) => Object.entries(row.quirks).flatMap(([name, value]) => quirkText[name](value));

function providersPage() {
  const rows = CATALOG.map((row) => [
    code(row.id),
    row.docUrl === undefined ? row.name : `[${row.name}](${row.docUrl})`,
    row.dialect,
    baseUrlOf(row),
    row.env.map(code).join(' '),
    surfacesOf(row),
    row.priceProvider === undefined ? '' : 'yes',
  ]);
  const quirks = CATALOG.filter((row) => quirksOf(row).length > 0).map((row) => [code(row.id), quirksOf(row).join('; ')]);
  return `# Providers

Signalbox knows ${CATALOG.length} providers by name, from \`src/providers/catalog\`. Name one as the \`type\` of a provider entry, or give the entry the
provider's id as its own name and leave \`type\` out:

\`\`\`yaml
providers:
  groq: { api_key: "\${env:GROQ_API_KEY}" }
  europe: { type: azure, base_url: "https://my-resource.openai.azure.com/openai/v1", api_key: "\${env:AZURE_API_KEY}" }
  lab: { type: openai-compatible, base_url: "http://127.0.0.1:9100/v1", api_key: none }
\`\`\`

Anything else that speaks OpenAI chat or Anthropic messages is \`openai-compatible\` or \`anthropic-compatible\` with a \`base_url\`. OpenAI base URLs
carry their version path, Anthropic ones come without \`/v1\`. Where the base URL is marked as yours, \`base_url\` is required.

Without any configuration, a provider whose variable is set serves \`<provider>/<upstream model>\`. One variable serves one provider, the
first in this table. The demo needs neither account nor network.

"Priced" providers are in the bundled price list; a target of any other counts as unpriced until it has a \`price\` of its own.
Embeddings are relayed to every provider not known to lack them.

${table(['Id', 'Provider', 'Dialect', 'Base URL', 'Credential from', 'Surfaces', 'Priced'], rows)}

## What sets them apart

Most OpenAI-compatible providers know the output limit only as \`max_tokens\`, so \`max_completion_tokens\` is sent under that name when a request is
translated. Relayed bodies stay as the client wrote them. Beyond that:

${table(['Id', 'Quirks'], quirks)}
`;
}

const PAGES = {
  'docs/admin-api.md': adminPage(),
  'docs/configuration.md': configurationPage(),
  'docs/errors.md': errorsPage(),
  'docs/metrics.md': await metricsPage(),
  'docs/providers.md': providersPage(),
};

const urlOf = (path) => new URL(`../${path}`, import.meta.url);

function current(path) {
  try {
    return readFileSync(urlOf(path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

const stale = Object.entries(PAGES).filter(([path, text]) => current(path) !== text);
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} is stale: run node scripts/generate-docs.mjs`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) writeFileSync(urlOf(path), text);
  console.log(stale.length === 0 ? 'docs are up to date' : `written: ${stale.map(([path]) => path).join(', ')}`);
}
