/** What the configuration must know of the built-in providers; handed in, because it may not import them. */
import type { ProviderRow } from '../core/provider-row.ts';
import type { ProviderQuirks } from '../providers/quirks.ts';

export type CatalogRow = ProviderRow<ProviderQuirks>;

export interface Catalog {
  row: (id: string) => CatalogRow | undefined;
  ids: readonly string[];
}
