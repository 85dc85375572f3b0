/**
 * The walls of ARCHITECTURE.md, checked: who may import whom, no cycles, no drawers, sizes, and the words that may not appear.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name));
const sources = files.filter((file) => !file.endsWith('.test.ts'));

/** Layer → what it may import of ours; a name with a slash is one file. `runtime`, `cli`, `build` and `main` may import anything. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: ['core'],
  lib: ['lib'],
  config: ['config', 'core', 'lib'],
  http: ['http', 'core', 'lib'],
  dialects: ['core', 'lib', 'dialects/dialect'],
  providers: ['providers', 'core', 'lib', 'dialects/dialect'],
  upstream: ['upstream', 'core', 'lib', 'providers'],
  ledger: ['ledger', 'core', 'lib', 'config/snapshot', 'providers/models', 'store/store', 'store/ports'],
  policy: ['policy', 'core', 'lib', 'config/snapshot', 'providers/models', 'ledger', 'store/store', 'store/ports'],
  routing: ['routing', 'core', 'lib', 'config/snapshot', 'providers/models', 'upstream'],
  agents: ['agents', 'core', 'lib', 'upstream', 'store/store', 'store/ports'],
  gateway: [
    'gateway',
    'agents',
    'core',
    'lib',
    'config',
    'http',
    'dialects',
    'providers',
    'upstream',
    'ledger',
    'policy',
    'routing',
    'telemetry',
  ],
  telemetry: ['telemetry', 'core', 'lib'],
  store: ['store', 'core', 'lib'],
  control: ['control', 'core', 'lib', 'config', 'ledger', 'agents', 'store/store', 'store/ports'],
};

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

const imports: Import[] = sources.flatMap((file) => {
  const text = readFileSync(file, 'utf8');
  const found = [...text.matchAll(/^(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'\s*\)/gm)];
  return found.map((match) => ({
    from: name(file),
    to: name(join(dirname(file), match[2] ?? match[3] ?? '')),
    typeOnly: match[1] !== undefined,
  }));
});

/** `core/chat` for src/core/chat.ts. */
function name(file: string): string {
  return relative(src, file).replace(/\.ts$/, '');
}

function layer(module: string): string {
  return module.split('/')[0]!;
}

function allowed(edge: Import): boolean {
  const mine = layer(edge.from);
  if (!edge.from.includes('/') || mine === 'runtime' || mine === 'cli') return true;
  const list = MAY_IMPORT[mine] ?? [];
  if (mine === 'dialects' && edge.from.split('/')[1] === edge.to.split('/')[1] && layer(edge.to) === 'dialects') return true;
  return list.some((each) => edge.to === each || edge.to.startsWith(`${each}/`));
}

describe('the walls', () => {
  test('every folder of src has a rule', () => {
    const folders = new Set(
      sources
        .map((file) => name(file))
        .filter((module) => module.includes('/'))
        .map(layer),
    );
    const known = new Set([...Object.keys(MAY_IMPORT), 'runtime', 'cli']);
    expect([...folders].filter((folder) => !known.has(folder))).toEqual([]);
  });

  test('nobody imports across a wall', () => {
    expect(imports.length).toBeGreaterThan(50);
    expect(imports.filter((edge) => !allowed(edge)).map((edge) => `${edge.from} → ${edge.to}`)).toEqual([]);
  });

  test('nothing imports the composition root, the entry, the command line or the runtime', () => {
    const isTop = (module: string): boolean => !module.includes('/') || ['cli', 'runtime'].includes(layer(module));
    const wrong = imports.filter((edge) => isTop(edge.to) && !isTop(edge.from));
    expect(wrong.map((edge) => `${edge.from} → ${edge.to}`)).toEqual([]);
  });

  test('there are no cycles', () => {
    const graph = new Map<string, string[]>();
    for (const edge of imports.filter((each) => !each.typeOnly)) graph.set(edge.from, [...(graph.get(edge.from) ?? []), edge.to]);
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (module: string, path: readonly string[]): void => {
      if (path.includes(module)) cycles.push([...path.slice(path.indexOf(module)), module].join(' → '));
      if (path.includes(module) || done.has(module)) return;
      for (const next of graph.get(module) ?? []) visit(next, [...path, module]);
      done.add(module);
    };
    for (const module of graph.keys()) visit(module, []);
    expect(cycles).toEqual([]);
  });
});

describe('the house', () => {
  test('there are no drawers and no barrels', () => {
    const drawers = sources.filter((file) =>
      /(^|\/)(utils?|helpers?|common|services?|managers?|index)(\/|\.ts$)/.test(relative(src, file)),
    );
    expect(drawers.map(name)).toEqual([]);
  });

  test('files stay readable: none above 400 lines, p90 ≤ 260, median ≤ 110 (data tables excepted)', () => {
    const data = /providers\/catalog|providers\/models\//;
    const sizes = sources
      .filter((file) => !data.test(file))
      .map((file) => ({ file: name(file), lines: readFileSync(file, 'utf8').split('\n').length - 1 }));
    const sorted = sizes.map((each) => each.lines).sort((a, b) => a - b);
    expect(sizes.filter((each) => each.lines > 400)).toEqual([]);
    expect(sorted[Math.floor(sorted.length * 0.9)]).toBeLessThanOrEqual(260);
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(110);
  });

  test('nothing executes and nothing leaves but through egress', () => {
    const offences = sources.flatMap((file) => {
      const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      const found = text.match(/node:child_process|\beval\(|new Function\(|(?<![.\w])fetch\(|from 'node:https?'(?!;)/g) ?? [];
      const dials = /\bundici\b/.test(text) && !name(file).startsWith('upstream/') ? ['undici outside upstream/'] : [];
      return [...found, ...dials].map((each) => `${name(file)}: ${each}`);
    });
    expect(offences).toEqual([]);
  });

  test('at most 25 runtime dependencies, each with a line of reason, none with an install script', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const reasons = readFileSync(join(root, 'docs/decisions/dependencies.md'), 'utf8');
    const names = Object.keys(manifest.dependencies);
    expect(names.length).toBeLessThanOrEqual(25);
    expect(names.filter((each) => !reasons.includes(`\`${each}\``))).toEqual([]);
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<
        string,
        { hasInstallScript?: boolean; dev?: boolean; devOptional?: boolean; integrity?: string; link?: boolean }
      >;
    };
    const runtime = Object.entries(lock.packages).filter(([, entry]) => entry.dev !== true && entry.devOptional !== true);
    expect(runtime.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => path)).toEqual([]);
  });
});
