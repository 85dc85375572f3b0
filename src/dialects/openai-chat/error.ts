/** How this dialect says no: OpenAI's error object, which core holds because Responses and Embeddings share it. */
import { decodeOpenAiFailure, openAiErrorBody } from '../../core/openai-error.ts';
import type { UpstreamFailure } from '../../core/parts.ts';
import { type Json, listOf } from '../../core/read.ts';
import type { ErrorDialect } from '../dialect.ts';
import { sse } from './wire.ts';

export const openaiChatErrors: ErrorDialect = {
  encode: (error) => ({ ...openAiErrorBody(error) }),
  // No `event:` line: the SDKs look for `error` in the data, and some parsers drop named events.
  event: (error) => sse({ ...openAiErrorBody(error) }),
  decode: decodeOpenAiFailure,
};

/** An error sent inside a 200, in a whole answer or in a chunk: at its top, or in the first choice (OpenRouter); undefined where none is. */
export function failureIn(body: Json): UpstreamFailure | undefined {
  const error = body.error ?? listOf(body.choices)[0]?.error;
  return error === undefined || error === null ? undefined : decodeOpenAiFailure(200, { ...body, error });
}
