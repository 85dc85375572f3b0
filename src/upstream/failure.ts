import { type ErrorCode, GatewayError } from '../core/errors.ts';

/** How far an attempt had come when it failed. */
export type Stage = 'unsent' | 'sent' | 'answering';

/** What is known of a failure of the transport: a word for the reader, and the code where the stage alone does not decide it. */
interface Known {
  reason: string;
  code?: ErrorCode;
}

/** Error codes of Node, OpenSSL, undici and llhttp that say more than "it broke". */
const KNOWN: Readonly<Record<string, Known>> = {
  ECONNREFUSED: { reason: 'connection refused' },
  ECONNRESET: { reason: 'connection reset' },
  EPIPE: { reason: 'connection reset' },
  ENOENT: { reason: 'no such socket' },
  ENOTFOUND: { reason: 'host name not found' },
  EAI_AGAIN: { reason: 'host name lookup failed' },
  EHOSTUNREACH: { reason: 'host unreachable' },
  ENETUNREACH: { reason: 'network unreachable' },
  ETIMEDOUT: { reason: 'connecting took too long' },
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: 'its certificate is for another name' },
  CERT_HAS_EXPIRED: { reason: 'its certificate has expired' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { reason: 'its certificate is self-signed' },
  SELF_SIGNED_CERT_IN_CHAIN: { reason: 'its certificate is from an unknown authority' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { reason: 'its certificate is from an unknown authority' },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { reason: 'its certificate is from an unknown authority' },
  UND_ERR_HEADERS_OVERFLOW: { reason: 'its headers are too large', code: 'upstream_bad_response' },
  UND_ERR_INVALID_ARG: { reason: 'the request cannot be written', code: 'internal' },
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: { reason: 'the request cannot be written', code: 'internal' },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { reason: 'its body ended early', code: 'upstream_incomplete' },
  HPE_INVALID_EOF_STATE: { reason: 'its body ended early', code: 'upstream_incomplete' },
};

/** What undici says without a code of its own: answers 100 and 101 to a request that asked for neither, bytes nobody asked for. */
const BAD_ANSWERS = new Set(['bad response', 'bad upgrade']);

/** An error of the transport in our words. The cause is a short text: undici's own errors hold bytes of the body. */
export function transportFailure(error: unknown, stage: Stage): GatewayError {
  if (error instanceof GatewayError) return error;
  const { code, message } = firstOf(error);
  const known = KNOWN[code] ?? (code === 'HPE' || BAD_ANSWERS.has(message) ? UNREADABLE : undefined);
  const own = codeOf(known, stage);
  const sentence = SENTENCES[own];
  const details = known === undefined || sentence === undefined ? {} : { message: `${sentence}: ${known.reason}` };
  return new GatewayError(own, { cause: `${code} ${message}`.trim(), details });
}

function codeOf(known: Known | undefined, stage: Stage): ErrorCode {
  if (stage === 'answering') return known?.code ?? 'upstream_incomplete';
  // Nothing can end early that has not begun: a length that contradicts itself already in the head.
  return known?.code === 'upstream_incomplete' ? 'upstream_bad_response' : (known?.code ?? 'upstream_unreachable');
}

const UNREADABLE: Known = { reason: 'it is not HTTP/1.1', code: 'upstream_bad_response' };

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  upstream_unreachable: 'The upstream could not be reached',
  upstream_incomplete: 'The upstream ended its answer before it was complete',
  upstream_bad_response: 'The upstream sent an answer that cannot be read',
};

/** With several addresses Node throws them all in one; the first says as much as any. */
function firstOf(error: unknown): { code: string; message: string } {
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const { code, message, name } = first as { code?: unknown; message?: unknown; name?: unknown };
  const text = typeof message === 'string' ? message : String(first);
  // undici 8 loses llhttp's code on the way: name and message are what is left of it.
  if (name === 'HTTPParserError') return { code: text.includes('EOF') ? 'HPE_INVALID_EOF_STATE' : 'HPE', message: text };
  return { code: typeof code === 'string' ? code : '', message: text };
}

/** An answer we will not read, with the reason as a clause. */
export function badResponse(reason: string, upstreamStatus?: number): GatewayError {
  const message = `${SENTENCES.upstream_bad_response}: ${reason}`;
  return new GatewayError('upstream_bad_response', {
    details: upstreamStatus === undefined ? { message } : { message, upstreamStatus },
  });
}

/** A deadline of the attempt has passed. `what` completes "The upstream …". */
export function timedOut(what: string, limitMs: number): GatewayError {
  return new GatewayError('upstream_timeout', { details: { message: `The upstream ${what} within ${limitMs} ms` } });
}
