/** Real configuration files in a temporary folder, and a small catalog to read them against. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import type { Catalog, CatalogRow } from '../../src/config/catalog-port.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { LoadOptions, LoadResult } from '../../src/config/load.ts';

const ROW: CatalogRow = {
  id: 'openai',
  name: 'OpenAI',
  dialect: 'openai-chat',
  baseUrl: 'https://api.openai.com/v1',
  env: ['OPENAI_API_KEY'],
  auth: { header: 'authorization', prefix: 'Bearer ' },
  local: false,
  fixedHeaders: {},
  quirks: {},
  speaks: { responses: true, embeddings: true, countTokens: false },
  priceProvider: 'openai',
  docUrl: 'https://platform.openai.com/docs',
};

const { baseUrl: _baseUrl, priceProvider: _priceProvider, ...BARE } = ROW;

const ROWS: CatalogRow[] = [
  ROW,
  { ...BARE, id: 'openai-compatible', env: [] },
  {
    ...ROW,
    id: 'anthropic',
    dialect: 'anthropic-messages',
    baseUrl: 'https://api.anthropic.com',
    env: ['ANTHROPIC_API_KEY'],
    auth: { header: 'x-api-key', prefix: '' },
    fixedHeaders: { 'x-fixed': 'yes' },
    quirks: { looseErrors: true },
    priceProvider: 'anthropic',
  },
  { ...ROW, id: 'azure', baseUrl: 'https://{resource}.openai.azure.com/openai/v1' },
  { ...ROW, id: 'ollama', baseUrl: 'http://127.0.0.1:11434/v1', env: [], local: true },
  { ...ROW, id: 'demo', baseUrl: 'http://127.0.0.1:1', env: [], auth: 'none' },
];

export const CATALOG: Catalog = { row: (id) => ROWS.find((row) => row.id === id), ids: ROWS.map(({ id }) => id) };

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
