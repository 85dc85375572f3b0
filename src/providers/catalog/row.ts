/** How catalog rows are written down: only what differs from the usual OpenAI-compatible provider. */
import type { ProviderAuth, ProviderRow } from '../../core/provider-row.ts';
import type { Quirks } from '../../core/quirks.ts';

const BEARER: ProviderAuth = { header: 'authorization', prefix: 'Bearer ' };
const X_API_KEY: ProviderAuth = { header: 'x-api-key', prefix: '' };
export const API_KEY: ProviderAuth = { header: 'api-key', prefix: '' };

/**
 * OpenAI renamed `max_tokens` to `max_completion_tokens`, and most others kept the old name: some ignore the new one silently, and an
 * answer without its limit is worse than an error.
 */
export const OLD_MAX_TOKENS: Quirks = { rename: { max_completion_tokens: 'max_tokens' } };

export type RowDraft = Pick<ProviderRow, 'id' | 'name' | 'env' | 'docUrl'> &
  Partial<Pick<ProviderRow, 'baseUrl' | 'auth' | 'local' | 'fixedHeaders' | 'quirks' | 'priceProvider'>> & {
    speaks?: Partial<ProviderRow['speaks']>;
  };

/**
 * An openai-chat row. Embeddings are taken for granted unless a row denies them: a provider without any answers 404 in its own
 * words. The Responses API is not, since a translation beats a 404.
 */
export function openaiRow(draft: RowDraft): ProviderRow {
  return {
    dialect: 'openai-chat',
    auth: BEARER,
    local: false,
    fixedHeaders: {},
    quirks: OLD_MAX_TOKENS,
    ...draft,
    speaks: { responses: false, embeddings: true, countTokens: false, ...draft.speaks },
  };
}

/** An anthropic-messages row. */
export function anthropicRow(draft: RowDraft): ProviderRow {
  return {
    dialect: 'anthropic-messages',
    auth: X_API_KEY,
    local: false,
    fixedHeaders: {},
    quirks: {},
    ...draft,
    speaks: { responses: false, embeddings: false, countTokens: false, ...draft.speaks },
  };
}

/** A server on the operator's own machine: plain http, the credential optional, streams report usage when asked. */
export function localRow(draft: RowDraft): ProviderRow {
  return openaiRow({ local: true, ...draft });
}
