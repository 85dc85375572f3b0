/** The product that the tests start: the sources with all that they import, in a few files: some hundred starts would load nine hundred modules each, which takes twice as long. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { type BuildOptions, build } from 'rolldown';
import type { TestProject } from 'vitest/node';

import { ROOT } from './command.ts';

const CACHE = join(ROOT, 'node_modules/.cache');

/** Where threads are started from, and where the version stands, as in the sources. */
const optionsAt = (home: string): BuildOptions => ({
  cwd: ROOT,
  platform: 'node',
  logLevel: 'warn',
  input: {
    main: 'src/main.ts',
    'runtime/worker': 'src/runtime/worker.ts',
    'runtime/store-thread': 'src/runtime/store-thread.ts',
  },
  output: { dir: join(home, 'dist'), entryFileNames: '[name].js', chunkFileNames: 'runtime/[name]-[hash].js' },
});

export default async function setup(project: TestProject): Promise<() => void> {
  mkdirSync(CACHE, { recursive: true });
  const home = mkdtempSync(join(CACHE, 'signalbox-'));
  copyFileSync(join(ROOT, 'package.json'), join(home, 'package.json'));
  const make = async (): Promise<void> => void (await build(optionsAt(home)));
  await make();
  project.onTestsRerun(make);
  process.env['SIGNALBOX_ENTRY'] = join(home, 'dist/main.js');
  return () => rmSync(home, { recursive: true, force: true });
}
