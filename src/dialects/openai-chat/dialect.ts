/** OpenAI Chat Completions: spoken by most clients and, with many accents, by most providers. */
import type { Dialect } from '../dialect.ts';
import { openaiChatErrors } from './error.ts';
import { decodeRequest } from './request-decode.ts';
import { encodeRequest } from './request-encode.ts';
import { decodeResponse, encodeResponse } from './response.ts';
import { openaiChatDecoder } from './stream-decode.ts';
import { openaiChatEncoder } from './stream-encode.ts';
import { openaiChatTap } from './tap.ts';
import { summarize } from './usage.ts';

export const openaiChat: Dialect = {
  id: 'openai-chat',
  path: '/chat/completions',
  request: { decode: decodeRequest, encode: encodeRequest },
  response: { decode: decodeResponse, encode: encodeResponse },
  stream: { decoder: openaiChatDecoder, encoder: openaiChatEncoder },
  error: openaiChatErrors,
  usage: { summarize, tap: openaiChatTap },
};
