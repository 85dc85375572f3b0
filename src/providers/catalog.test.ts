import { waitForUpdate } from '@pydantic/genai-prices';
import { describe, expect, it } from 'vitest';

import { DIALECT_IDS } from '../core/dialect-id.ts';
import { needsBaseUrl } from '../core/provider-row.ts';
import { CATALOG, catalogRow, providersInEnvironment } from './catalog.ts';

const pricedProviders = new Set((await waitForUpdate())?.map((provider) => provider.id));

/** Placeholders stand for one label or path segment, so that the rest of the address can be checked. */
const asUrl = (baseUrl: string): URL => new URL(baseUrl.replaceAll(/\{[a-z]+\}/g, 'placeholder'));

describe('the catalog', () => {
  it('is large, and every id is unique', () => {
    expect(CATALOG.length).toBeGreaterThan(150);
    expect(new Set(CATALOG.map((row) => row.id)).size).toBe(CATALOG.length);
  });

  it.each(CATALOG.map((row) => [row.id, row] as const))('%s', (id, row) => {
    expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(row.name).toBe(row.name.trim());
    expect(DIALECT_IDS).toContain(row.dialect);
    for (const variable of row.env) expect(variable).toMatch(/^[A-Z0-9]+(_[A-Z0-9]+)*$/);
    if (row.docUrl !== undefined) expect(new URL(row.docUrl).protocol).toBe('https:');
    if (row.priceProvider !== undefined) expect(pricedProviders).toContain(row.priceProvider);
    for (const header of Object.keys(row.fixedHeaders)) expect(header).toBe(header.toLowerCase());
    if (!row.local) expect(row.env.length).toBeGreaterThan(0);
    if (row.auth === 'none') expect(row.env).toEqual([]);
  });

  it.each(CATALOG.flatMap((row) => (row.baseUrl === undefined ? [] : [[row.id, row, row.baseUrl] as const])))(
    '%s has a usable base URL',
    (_id, row, baseUrl) => {
      const url = asUrl(baseUrl);
      expect(url.protocol).toBe(row.local ? 'http:' : 'https:');
      expect(baseUrl).not.toMatch(/\/$|\?|#|@|\s/);
      expect(baseUrl).not.toMatch(/\/(chat\/completions|messages|responses|embeddings)$/);
      if (row.dialect === 'anthropic-messages') expect(baseUrl).not.toMatch(/\/v1$/);
      expect(needsBaseUrl(row)).toBe(baseUrl.includes('{'));
    },
  );

  it('demands a base URL where the row has none or only a pattern', () => {
    expect(
      ['azure', 'bedrock', 'cloudflare', 'databricks', 'openai-compatible'].every((id) => needsBaseUrl(catalogRow(id)!)),
    ).toBe(true);
    expect(needsBaseUrl(catalogRow('openai')!)).toBe(false);
  });

  it('knows nothing of inherited names', () => {
    expect(catalogRow('constructor')).toBeUndefined();
    expect(catalogRow('toString')).toBeUndefined();
  });

  it('keeps the old name of max_tokens for all but those known to take the new one', () => {
    const renamed = CATALOG.filter((row) => row.quirks.rename?.['max_completion_tokens'] === 'max_tokens').length;
    expect(renamed).toBeGreaterThan(120);
    expect(catalogRow('openai')?.quirks.rename).toBeUndefined();
    expect(catalogRow('mistral')?.quirks.rename).toEqual({ max_completion_tokens: 'max_tokens', seed: 'random_seed' });
  });
});

describe('providersInEnvironment', () => {
  it('finds a provider by any of its variables, in order of preference', () => {
    expect(providersInEnvironment({ TOGETHERAI_API_KEY: 'x' })).toMatchObject([
      { row: { id: 'together' }, variable: 'TOGETHERAI_API_KEY' },
    ]);
    const both = providersInEnvironment({ TOGETHERAI_API_KEY: 'x', TOGETHER_API_KEY: 'y' });
    expect(both).toMatchObject([{ row: { id: 'together' }, variable: 'TOGETHER_API_KEY' }]);
  });

  it('gives one variable to one row, the first in the catalog', () => {
    expect(providersInEnvironment({ DEEPSEEK_API_KEY: 'x' }).map(({ row }) => row.id)).toEqual(['deepseek']);
    expect(providersInEnvironment({ MOONSHOT_API_KEY: 'x', MINIMAX_API_KEY: 'y' }).map(({ row }) => row.id)).toEqual([
      'moonshot',
      'minimax',
    ]);
  });

  it('leaves out empty variables and providers whose address nobody gave', () => {
    expect(providersInEnvironment({ OPENAI_API_KEY: '', AZURE_API_KEY: 'x', DATABRICKS_TOKEN: 'y' })).toEqual([]);
    expect(providersInEnvironment({})).toEqual([]);
  });
});
