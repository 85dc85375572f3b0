/** Anthropic's Messages API, towards clients and towards providers. */
import type { Dialect } from '../dialect.ts';
import { error } from './error.ts';
import { decodeRequest, encodeRequest } from './request.ts';
import { decodeResponse, encodeResponse } from './response.ts';
import { messagesEncoder } from './stream-encoder.ts';
import { messagesDecoder } from './stream.ts';
import { messagesTap } from './tap.ts';
import { summarize } from './usage.ts';

export const anthropicMessages: Dialect = {
  id: 'anthropic-messages',
  path: '/v1/messages',
  request: { decode: decodeRequest, encode: encodeRequest },
  response: { decode: decodeResponse, encode: encodeResponse },
  stream: { decoder: messagesDecoder, encoder: messagesEncoder },
  error,
  // Usage is part of every stream here; `stripUsage` has nothing to take out.
  usage: { summarize, tap: messagesTap },
};
