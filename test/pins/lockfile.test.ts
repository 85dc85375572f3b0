/**
 * `npm ci` must work from a fresh clone on every platform. npm leaves packages for other platforms out of the lock file where its
 * registry does not have them, and then refuses that lock file: each must be there, with the version and the platforms it is for.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Locked {
  version?: string;
  os?: string[];
  optionalDependencies?: Record<string, string>;
}

const { packages } = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, Locked>;
};

test('every optional dependency in the lock file is locked itself', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => lookUp(path, name)?.version === undefined)
      .map((name) => `${path} needs ${name}`),
  );
  expect(missing).toEqual([]);
});

/** As Node finds it: in the package's own node_modules, then in those above. */
function lookUp(path: string, name: string): Locked | undefined {
  const found = packages[`${path === '' ? '' : `${path}/`}node_modules/${name}`];
  if (found !== undefined || path === '') return found;
  const above = path.lastIndexOf('/node_modules/');
  return lookUp(above < 0 ? '' : path.slice(0, above), name);
}
