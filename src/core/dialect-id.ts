/** The wire formats Signalbox speaks. `openai-responses` is relayed only, until its translation is built. */
export const DIALECT_IDS = ['openai-chat', 'openai-responses', 'anthropic-messages'] as const;
export type DialectId = (typeof DIALECT_IDS)[number];
