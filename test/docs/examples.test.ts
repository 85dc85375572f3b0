/** Every piece of configuration that the documents show is valid. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { formatIssue } from '../../src/config/issue.ts';
import { loadConfig } from '../../src/config/load.ts';
import { jsonSchema } from '../../src/config/schema.ts';
import { CATALOG, catalogRow } from '../../src/providers/catalog.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs')).flatMap((file) => (file.endsWith('.md') ? [`docs/${file}`] : []))];
const SECTIONS = Object.keys((jsonSchema() as { properties: object }).properties);

const EXAMPLES = PAGES.flatMap((page) =>
  [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)]
    .map(([, text = '']) => ({ page, text, first: /^(\w+):/m.exec(text)?.[1] ?? '' }))
    .filter(({ first }) => SECTIONS.includes(first)),
);

/** Every variable is set; certificates are those of the tests. */
const env = new Proxy<Record<string, string>>({}, { get: (_, name) => `a-value-of-${String(name)}` });
const readText = (path: string, text: string): Promise<string> => {
  if (!path.startsWith('/etc/')) return Promise.resolve(text);
  return Promise.resolve(readFileSync(join(ROOT, 'test/fixtures/tls', path.endsWith('.key') ? 'key.pem' : 'cert.pem'), 'utf8'));
};

test('examples are found', () => {
  expect(EXAMPLES.length).toBeGreaterThanOrEqual(4);
});

test.each(EXAMPLES)('$page: $first', async ({ text }) => {
  const catalog = { row: catalogRow, ids: CATALOG.map(({ id }) => id) };
  const result = await loadConfig({ path: '/gateway.yaml', env, catalog, readText: (path) => readText(path, text) });
  expect(result.ok ? result.warnings.map(formatIssue) : result.issues.map(formatIssue)).toEqual([]);
});
