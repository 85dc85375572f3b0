/** What the configuration must know of the built-in providers; handed in, because it may not import them. */
import type { ProviderRow } from '../core/provider-row.ts';

export interface Catalog {
  row: (id: string) => ProviderRow | undefined;
  ids: readonly string[];
}
