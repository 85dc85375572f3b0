/** How this dialect says no. */
import { decodeOpenAiFailure, openAiError, openAiErrorBody } from '../../core/openai-error.ts';
import type { UpstreamFailure } from '../../core/parts.ts';
import type { Json } from '../../core/read.ts';
import type { ErrorDialect } from '../dialect.ts';
import { ERROR_EVENT } from './wire.ts';

export const responsesErrors: ErrorDialect = {
  encode: (error) => ({ ...openAiErrorBody(error) }),
  /**
   * The flat form of the SDK's ResponseErrorEvent, which the AI SDK reads too. The sequence number cannot be known without reading the
   * stream that ends here; no client orders by it. A `response.failed` is not sent: it would need the id of the response under way.
   */
  event(error) {
    const { code, message, param } = openAiError(error);
    const data = JSON.stringify({ type: ERROR_EVENT, code, message, param, sequence_number: 0 });
    return `event: ${ERROR_EVENT}\ndata: ${data}\n\n`;
  },
  decode: decodeOpenAiFailure,
};

/** The failure in an `error` event: flat as documented, or nested under `error` as OpenAI really sends it. */
export function failureOfEvent(data: Json): UpstreamFailure {
  const { type: _event, ...flat } = data;
  return decodeOpenAiFailure(200, { error: data.error ?? flat });
}

/** The failure of a response object whose status is `failed`. */
export function failureOfResponse(response: Json): UpstreamFailure {
  return decodeOpenAiFailure(200, { error: response.error });
}
