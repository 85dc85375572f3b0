/** docs/clients.md names the versions that are really tested. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = read('docs/clients.md');

const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
const SDKS = /^(openai|ai|anthropic-sdk-0|@anthropic-ai\/sdk|@ai-sdk\/.*|openai-\d)$/;
const libraries = Object.entries(devDependencies)
  .filter(([name]) => SDKS.test(name))
  .map(([name, version]) => [name, version.replace(/^npm:.*@/, '')]);

const agents = [...read('scripts/agents/runs.mjs').matchAll(/^ {2}'([^']+)': '(\d+\.\d+\.\d+)',$/gm)].map(([, name, version]) => [
  name,
  version,
]);

it('there are eight libraries and four agents', () => {
  expect([libraries.length, agents.length]).toEqual([8, 4]);
});

it.each([...libraries, ...agents])('%s %s', (_name, version) => {
  expect(page).toMatch(new RegExp(`[ |]${version?.replaceAll('.', '\\.')}[ .,]`));
});
