import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const run = promisify(execFile);

it('the generated pages (configuration, errors, metrics, providers) say what the source says', async () => {
  await expect(run(process.execPath, ['scripts/generate-docs.mjs', '--check'], { cwd: ROOT })).resolves.toMatchObject({
    stderr: '',
  });
});

it('every provider and error has its line', () => {
  const page = readFileSync(new URL('docs/providers.md', ROOT), 'utf8');
  expect(page.match(/^\| `[a-z0-9-]+` \| \[?/gm)?.length).toBeGreaterThan(150);
  expect(page).not.toMatch(/undefined|\[object|NaN/);
  expect(readFileSync(new URL('docs/errors.md', ROOT), 'utf8')).toContain('| `upstream_timeout` | 504 |');
  expect(readFileSync(new URL('docs/metrics.md', ROOT), 'utf8')).toMatch(
    /^\| `signalbox_requests_total` \| counter \| `surface` `model` /m,
  );
});
