/** Real configuration files in a temporary folder, read against the real catalog. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import type { Catalog } from '../../src/config/catalog-port.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { LoadOptions, LoadResult } from '../../src/config/load.ts';
import { CATALOG as ROWS, catalogRow } from '../../src/providers/catalog.ts';

export const CATALOG: Catalog = { row: catalogRow, ids: ROWS.map(({ id }) => id) };

/** A folder that holds these files; `await using` removes it. */
export async function configFolder(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'signalbox-config-'));
  const write = async (name: string, content: string): Promise<void> => {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  };
  for (const [name, content] of Object.entries(files)) await write(name, content);
  return {
    folder,
    write,
    path: (name: string) => join(folder, name),
    load: (options: Partial<LoadOptions> = {}): Promise<LoadResult> =>
      loadConfig({ path: join(folder, 'gateway.yaml'), env: {}, catalog: CATALOG, ...options }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
