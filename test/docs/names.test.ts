/** What the documents name exists: files of the tree, pages they link to, and the metrics. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;

const PAGES = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].concat(
  readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
);

/** Folders whose files documents name; in ARCHITECTURE.md those of src are named without it. */
const TOP = /^(src|test|scripts|bench|docs)\//;
const LAYERS = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

/** `src/http/`, `test/architecture.test.ts`, `http/server.ts`, `lib/json-scan.ts`: words that can only be paths of ours. */
function pathsIn(text: string): string[] {
  const words = text.match(/(?<![\w./:@-])[\w.-]+(?:\/[\w.-]+)*\/?(?=[\s`'",;:)(]|\.\s|\.$|$)/gm) ?? [];
  return words.flatMap((word) => {
    const path = word.replace(/\.$/, '');
    if (TOP.test(path)) return [path];
    const [first = ''] = path.split('/');
    return LAYERS.includes(first) && path.endsWith('.ts') ? [`src/${path}`] : [];
  });
}

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8');

  test('names only files and folders that exist', () => {
    expect(pathsIn(text).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('links only to pages that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, target = '']) => target);
    expect(links.filter((target) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([]);
  });
});

test('the paths are found: an invented one would be noticed', () => {
  const found = pathsIn(readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8'));
  expect(found.length).toBeGreaterThan(20);
  expect(pathsIn('see `http/nowhere.ts`, src/none/ and test/x.test.ts.')).toEqual([
    'src/http/nowhere.ts',
    'src/none/',
    'test/x.test.ts',
  ]);
});

test('every layer of src stands in the map of ARCHITECTURE.md', () => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  expect(LAYERS.filter((layer) => !text.includes(`src/${layer}/`))).toEqual([]);
});
