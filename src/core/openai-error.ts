/**
 * OpenAI's error shape, which chat, responses and embeddings share, and which most providers imitate badly.
 * It lives in core because a dialect never imports another.
 */
import { ERRORS, type ErrorCode, type GatewayError } from './errors.ts';
import type { UpstreamFailure } from './parts.ts';

/** The object under `error`. All four fields are always there: OpenAI's SDKs copy them onto the exception they throw. */
export interface OpenAiError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

/** Codes that SDKs and agents act upon go by OpenAI's own name; all others keep ours. */
const WELL_KNOWN_CODES: Partial<Record<ErrorCode, string>> = {
  missing_key: 'invalid_api_key',
  invalid_key: 'invalid_api_key',
  conflicting_keys: 'invalid_api_key',
  admin_key_on_inference: 'invalid_api_key',
  // codex and the AI SDK back off on this word.
  rate_limited: 'rate_limit_exceeded',
  upstream_rate_limited: 'rate_limit_exceeded',
};

function typeOfStatus(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

function messageOf(error: GatewayError): string {
  const { message, model, nearest } = error.details;
  if (message !== undefined || error.code !== 'model_not_found' || model === undefined) return error.message;
  const hint =
    nearest === undefined || nearest.length === 0 ? '' : ` Did you mean ${nearest.map((name) => `\`${name}\``).join(', ')}?`;
  return `The model \`${model}\` does not exist or you do not have access to it.${hint}`;
}

/** Our error as OpenAI would put it; 401 is an `invalid_request_error` there too, told apart by its code. */
export function openAiError(error: GatewayError): OpenAiError {
  return {
    message: messageOf(error),
    type: typeOfStatus(ERRORS[error.code].status),
    param: error.details.param ?? (error.code === 'model_not_found' ? 'model' : null),
    code: WELL_KNOWN_CODES[error.code] ?? error.code,
  };
}

/** The whole unary body: `{ error: { message, type, param, code } }`. */
export function openAiErrorBody(error: GatewayError): { error: OpenAiError } {
  return { error: openAiError(error) };
}

/** A provider's failure met inside a translated stream, in OpenAI's shape: its own type and code where it sent them. */
export function openAiFailure(failure: UpstreamFailure): OpenAiError {
  return {
    message: failure.message,
    type: failure.type ?? typeOfStatus(failure.status),
    param: failure.param ?? null,
    code: failure.code ?? null,
  };
}

const MAX_MESSAGE_CHARS = 2_000;

type Fields = Readonly<Record<string, unknown>>;

/**
 * An upstream's error body, whatever it holds: OpenAI's object, a bare string (xAI, Ollama), `{detail}` (FastAPI: Mistral, vLLM), `{message}` (Cohere, Bedrock),
 * an array around any of these (Gemini), JSON as text, HTML of a proxy, nothing. Never throws. `status` is the HTTP status;
 * where that is no error (a failure inside a 200 stream) it is read from the error itself.
 */
export function decodeOpenAiFailure(status: number, body: unknown): UpstreamFailure {
  const top = unwrap(body);
  if (typeof top === 'string') return failureOf(status, { message: top });
  const inner = unwrap(top.error ?? top.errors);
  // xAI puts the code beside a bare string: {code, error: "…"}.
  return failureOf(
    status,
    typeof inner === 'string' ? { ...top, message: inner || messageIn(top) } : hasMessage(inner) ? inner : top,
  );
}

/** The object or plain text inside arrays, Buffers and JSON text. */
function unwrap(value: unknown): Fields | string {
  // One level only: a hostile nest of arrays must not become recursion.
  if (Array.isArray(value)) return Array.isArray(value[0]) ? '' : unwrap(value[0]);
  if (Buffer.isBuffer(value)) return unwrap(value.toString('utf8'));
  if (typeof value === 'string') return unwrapText(value.trim());
  return typeof value === 'object' && value !== null ? (value as Fields) : '';
}

function unwrapText(text: string): Fields | string {
  if (/^[[{"]/.test(text)) {
    try {
      const parsed: unknown = JSON.parse(text);
      return typeof parsed === 'string' ? parsed : unwrap(parsed);
    } catch {
      return text;
    }
  }
  // An HTML page says what happened in its title; the rest is decoration.
  return text.startsWith('<') ? (/<title>([^<]*)<\/title>/i.exec(text)?.[1]?.trim() ?? '') : text;
}

const hasMessage = (fields: Fields): boolean => messageIn(fields) !== '';

function messageIn(fields: Fields): string {
  for (const name of ['message', 'detail', 'msg', 'error_description', 'title']) {
    const text = textOf(fields[name]);
    if (text !== '') return text;
  }
  return '';
}

/** A sentence, or FastAPI's list of complaints `[{loc, msg}]`, or one object around a sentence. */
function textOf(value: unknown): string {
  if (!Array.isArray(value)) return complaintOf(value);
  return value.map(complaintOf).filter(Boolean).join('; ');
}

function complaintOf(value: unknown): string {
  if (typeof value === 'string') return value.trim();
  if (typeof value !== 'object' || value === null) return '';
  const { message, msg } = value as Fields;
  if (typeof message === 'string') return message.trim();
  return typeof msg === 'string' ? msg.trim() : '';
}

function failureOf(httpStatus: number, fields: Fields): UpstreamFailure {
  const type = wordOf(fields.type) ?? wordOf(fields.status);
  const code = wordOf(fields.code);
  const param = wordOf(fields.param);
  const status = httpStatus >= 400 ? httpStatus : statusOf(code, type);
  return {
    status,
    message: messageIn(fields).slice(0, MAX_MESSAGE_CHARS) || `The upstream answered ${status} and did not say why`,
    ...(type !== undefined && { type }),
    ...(code !== undefined && { code }),
    ...(param !== undefined && { param }),
  };
}

function wordOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined;
}

/** Words of providers' types and codes, and the HTTP status they stand for; the first that occurs decides. */
const STATUS_WORDS: readonly (readonly [RegExp, number])[] = [
  [/rate_?limit|insufficient_quota|resource_exhausted|too_many/i, 429],
  [/overload|unavailable/i, 503],
  [/timeout|deadline/i, 504],
  [/authentication|invalid_api_key|unauthenticated/i, 401],
  [/permission/i, 403],
  [/not_found/i, 404],
  [/invalid|context_length|bad_request|tool_use_failed|content_filter|content_policy/i, 400],
];

/** The status a failure inside a 200 stream stands for: a numeric code (OpenRouter, Gemini), else its words, else 500. */
function statusOf(code: string | undefined, type: string | undefined): number {
  const numeric = Number(code);
  if (Number.isInteger(numeric) && numeric >= 400 && numeric <= 599) return numeric;
  const words = `${code ?? ''} ${type ?? ''}`;
  return STATUS_WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? 500;
}
