import { type ErrorCode, GatewayError } from '../core/errors.ts';
import type { UpstreamFailure } from '../core/parts.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { Exchange } from './exchange.ts';

/** Our code for an upstream's status; any other 5xx is upstream_error, any other 4xx invalid_request. */
const CODE_BY_STATUS: Record<number, ErrorCode> = {
  401: 'upstream_auth',
  403: 'upstream_auth',
  404: 'upstream_model',
  408: 'upstream_timeout',
  413: 'body_too_large',
  429: 'upstream_rate_limited',
  503: 'upstream_overloaded',
  529: 'upstream_overloaded',
};

/** Statuses whose body a relay passes on: the caller's own mistakes and limits. The rest gets our words, since it speaks of our credential, model or upstream. */
export function isCallersOwn(exchange: Exchange, status: number): boolean {
  if (status === 404) return exchange.resolved!.viaWildcard;
  return status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 408;
}

/** An upstream's refusal as our error, with the provider's sentence, where it is the caller's business, and its Retry-After. */
export function refusalOf(exchange: Exchange, answer: UpstreamAnswer, failure: UpstreamFailure): GatewayError {
  const { status } = answer;
  const provider = exchange.target!.provider;
  const code = codeOf(exchange, status);
  const said = exchange.line.redact(failure.message).slice(0, 1000);
  const callers = isCallersOwn(exchange, status);
  const message = callers ? said : `${OUR_WORDS[code] ?? 'The upstream failed'} (provider \`${provider}\`, status ${status})`;
  const retryAfterS = retryAfter(answer, exchange.plane.nowMs());
  return new GatewayError(code, {
    cause: callers ? undefined : said,
    details: {
      message,
      provider,
      upstreamStatus: status,
      ...(failure.code === undefined ? {} : { upstreamCode: failure.code }),
      ...(failure.type === undefined ? {} : { upstreamType: failure.type }),
      ...(exchange.askedModel === undefined ? {} : { model: exchange.askedModel }),
      ...(failure.param === undefined ? {} : { param: failure.param }),
      ...(retryAfterS === undefined ? {} : { retryAfterS }),
      ...(answer.headers['x-should-retry'] === 'false' ? { shouldRetry: false } : {}),
    },
  });
}

const OUR_WORDS: Partial<Record<ErrorCode, string>> = {
  upstream_auth: 'The upstream refused the credential that is configured for it',
  upstream_model: 'The upstream does not know the configured model or path',
  upstream_timeout: 'The upstream gave up waiting',
  upstream_overloaded: 'The upstream is overloaded',
  upstream_error: 'The upstream answered with an error',
};

function codeOf(exchange: Exchange, status: number): ErrorCode {
  if (status === 404 && exchange.resolved!.viaWildcard) return 'model_not_found';
  return CODE_BY_STATUS[status] ?? (status >= 500 ? 'upstream_error' : 'invalid_request');
}

/** In seconds, rounded up, from either form of the header (RFC 9110 §10.2.3). */
function retryAfter({ headers }: UpstreamAnswer, nowMs: number): number | undefined {
  const value = headers['retry-after'] ?? '';
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.max(0, (Date.parse(value) - nowMs) / 1000);
  return Number.isFinite(seconds) ? Math.ceil(seconds) : undefined;
}
