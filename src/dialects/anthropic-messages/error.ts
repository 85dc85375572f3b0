/** How Anthropic says no. Source: platform.claude.com/docs/en/api/errors. */
import type { GatewayError } from '../../core/errors.ts';
import { decodeOpenAiFailure } from '../../core/openai-error.ts';
import type { UpstreamFailure } from '../../core/parts.ts';
import { isObject } from '../../core/read.ts';
import type { ErrorDialect, JsonObject } from '../dialect.ts';
import { entry, sse } from './wire.ts';

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

const typeOf = (status: number): string => TYPES[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error');

/** The status an error inside a 200 stream stands for. */
const STATUSES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Object.entries(TYPES).map(([status, type]) => [type, Number(status)])),
  api_error: 500,
};

/** The message, with the parameter and the names the caller may have meant where it does not mention them yet. */
function messageOf(error: GatewayError): string {
  const { param, model, nearest, message } = error.details;
  const base = message === undefined && model !== undefined ? `${error.message}: ${model}` : error.message;
  const named = param === undefined || base.includes(param) ? base : `${param}: ${base}`;
  const [first] = nearest ?? [];
  if (first === undefined || base.includes(first)) return named;
  return `${named}. Did you mean ${nearest?.join(', ')}?`;
}

function encode(error: GatewayError, requestId: string): JsonObject {
  return { type: 'error', error: { type: typeOf(error.status), message: messageOf(error) }, request_id: requestId };
}

/** An upstream's error of any shape; `details.error_code` is the code where Anthropic sends one. */
export function decodeFailure(status: number, body: unknown): UpstreamFailure {
  const failure = decodeOpenAiFailure(status, body);
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  const code = isObject(error.details) && typeof error.details.error_code === 'string' ? error.details.error_code : undefined;
  const known = status >= 400 || failure.type === undefined ? undefined : entry(STATUSES, failure.type);
  return { ...failure, ...(known !== undefined && { status: known }), ...(code !== undefined && { code }) };
}

/** An upstream's failure as an in-stream `error` event; Anthropic's own type words are kept, others follow the status. */
export function failureEvent(failure: UpstreamFailure): string {
  const type = failure.type !== undefined && entry(STATUSES, failure.type) !== undefined ? failure.type : typeOf(failure.status);
  return sse('error', { type: 'error', error: { type, message: failure.message } });
}

export const error: ErrorDialect = {
  encode,
  event: (cause, requestId) => sse('error', encode(cause, requestId)),
  decode: decodeFailure,
};
