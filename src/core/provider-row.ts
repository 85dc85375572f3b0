/**
 * The shape of a catalog row: all that Signalbox knows about a provider before an operator names a credential.
 * It stands in core because both the catalog, which fills it, and the configuration, which resolves it, need it.
 */
import type { DialectId } from './dialect-id.ts';
import type { Quirks } from './quirks.ts';

/** Where the credential goes: `{header}: {prefix}{credential}`; `none` where the provider takes none. */
export type ProviderAuth = { header: 'authorization' | 'x-api-key' | 'api-key'; prefix: string } | 'none';

/** The surfaces beside chat that the provider speaks natively. */
export interface Speaks {
  responses: boolean;
  embeddings: boolean;
  countTokens: boolean;
}

export interface ProviderRow {
  /** Lower case; what `type` in the operator's file names. */
  id: string;
  name: string;
  dialect: DialectId;
  /**
   * Without a trailing slash: openai-chat with its version path, anthropic-messages without `/v1`.
   * Absent, or holding a `{placeholder}`: the operator must give `base_url`; see `needsBaseUrl`.
   */
  baseUrl?: string;
  /** Environment variables that hold a credential, in order of preference; the first one set serves first-run mode. */
  env: readonly string[];
  auth: ProviderAuth;
  /** A server on the operator's own machine or network: plain http is usual, and a credential may be missing. */
  local: boolean;
  /** Headers every request of this provider carries, lower case names. The dialect's own (`anthropic-version`) are not among them. */
  fixedHeaders: Readonly<Record<string, string>>;
  quirks: Quirks;
  speaks: Speaks;
  /** The provider's id in @pydantic/genai-prices; absent where that list does not know it. */
  priceProvider?: string;
  docUrl?: string;
}

/** True where the row alone does not say where to send: the configuration then refuses a provider without `base_url`. */
export function needsBaseUrl(row: ProviderRow): boolean {
  return row.baseUrl === undefined || row.baseUrl.includes('{');
}
