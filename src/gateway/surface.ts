import type { Provider } from '../config/snapshot.ts';
import type { DialectId } from '../core/dialect-id.ts';
import type { AnswerSummary, StreamTap } from '../core/tap.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/dialect.ts';
import type { Dialect, ErrorDialect, JsonObject, TapOptions } from '../dialects/dialect.ts';
import { openaiChat } from '../dialects/openai-chat/dialect.ts';
import { summarizeEmbeddings } from '../dialects/openai-embeddings/usage.ts';
import { responsesErrors } from '../dialects/openai-responses/error.ts';
import { responsesTap, summarizeResponse } from '../dialects/openai-responses/usage.ts';
import type { RoutePolicy } from '../http/edge.ts';
import { encodeEdgeError } from './agents/edge-errors.ts';

/** A public path with the dialect spoken there, and all that a governed relay must know of it. */
export interface Surface {
  /** How facts and labels name it. */
  name: 'chat' | 'messages' | 'count_tokens' | 'responses' | 'embeddings' | 'a2a';
  path: string;
  /** Under a provider's base URL. */
  upstreamPath: string;
  errorKind: RoutePolicy['errors'];
  errors: ErrorDialect;
  /** Providers that speak this surface as it is: for them bodies and answers are relayed. */
  isNative: (provider: Provider) => boolean;
  /** Present where other providers can be reached by translation. */
  dialect?: Dialect;
  summarize: (answer: JsonObject) => AnswerSummary;
  tap: (options: TapOptions) => StreamTap;
}

const speaks = (dialect: DialectId) => (provider: Provider) => provider.dialect === dialect;

export const CHAT: Surface = {
  name: 'chat',
  path: '/v1/chat/completions',
  upstreamPath: openaiChat.path,
  errorKind: 'openai',
  errors: openaiChat.error,
  isNative: speaks('openai-chat'),
  dialect: openaiChat,
  summarize: openaiChat.usage.summarize,
  tap: openaiChat.usage.tap,
};

export const MESSAGES: Surface = {
  name: 'messages',
  path: '/v1/messages',
  upstreamPath: anthropicMessages.path,
  errorKind: 'anthropic',
  errors: anthropicMessages.error,
  isNative: speaks('anthropic-messages'),
  dialect: anthropicMessages,
  summarize: anthropicMessages.usage.summarize,
  tap: anthropicMessages.usage.tap,
};

/** Counting costs nothing and answers no tokens: nothing to summarize. */
export const COUNT_TOKENS: Surface = {
  name: 'count_tokens',
  path: '/v1/messages/count_tokens',
  upstreamPath: '/v1/messages/count_tokens',
  errorKind: 'anthropic',
  errors: anthropicMessages.error,
  tap: anthropicMessages.usage.tap,
  isNative: (provider) => provider.speaks.countTokens,
  summarize: () => ({ usage: undefined, finish: undefined, model: undefined }),
};

export const RESPONSES: Surface = {
  name: 'responses',
  path: '/v1/responses',
  upstreamPath: '/responses',
  errorKind: 'openai-responses',
  errors: responsesErrors,
  isNative: (provider) => provider.speaks.responses,
  summarize: summarizeResponse,
  tap: responsesTap,
};

export const EMBEDDINGS: Surface = {
  name: 'embeddings',
  path: '/v1/embeddings',
  upstreamPath: '/embeddings',
  errorKind: 'openai',
  errors: openaiChat.error,
  isNative: (provider) => provider.speaks.embeddings,
  summarize: summarizeEmbeddings,
  tap: openaiChat.usage.tap,
};

const NO_SUMMARY = { usage: undefined, finish: undefined, model: undefined };

/** Calls to agents: they have a line of their own (agents/line.ts), and share what every exchange has. */
export const A2A: Surface = {
  name: 'a2a',
  path: '/a2a/*',
  upstreamPath: '',
  errorKind: 'a2a',
  errors: { ...openaiChat.error, encode: encodeEdgeError },
  isNative: () => false,
  summarize: () => NO_SUMMARY,
  tap: openaiChat.usage.tap,
};

/** The chat dialects by id: what a provider of another dialect is translated through. */
export function chatDialect(id: DialectId): Dialect | undefined {
  return [openaiChat, anthropicMessages].find((dialect) => dialect.id === id);
}
