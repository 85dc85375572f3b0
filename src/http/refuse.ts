/** How an error leaves the edge: whole, readable by a client that is still sending, and never inside another answer. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import { ERRORS, type ErrorCode, GatewayError } from '../core/errors.ts';
import { STATUS_CODES } from '../lib/node-http.ts';
import { declaredLength } from './inbound.ts';
import { jsonBytes, jsonHead } from './reply.ts';

/** How much of an unwanted body is still taken, so that closing does not reset the connection under the unread answer. */
const LINGER_BYTES = 64 * 1024 * 1024;
const LINGER_MS = 5_000;

export interface ErrorAnswer {
  error: GatewayError;
  requestId: string;
  body: object;
  allow?: string | undefined;
}

/** What every error answer carries beside its body. */
function errorHeaders({ error, requestId, allow }: Omit<ErrorAnswer, 'body'>): OutgoingHttpHeaders {
  const { retryAfterS } = error.details;
  return {
    'x-request-id': requestId,
    ...(allow !== undefined && { allow }),
    ...(retryAfterS !== undefined && { 'retry-after': String(Math.max(0, Math.ceil(retryAfterS))) }),
    ...(isHopeless(error) && { 'x-should-retry': 'false' }),
  };
}

/** Would a client that retries every 5xx by itself, as SDKs do, only repeat the failure? */
function isHopeless({ code, status, details }: GatewayError): boolean {
  return details.shouldRetry === false || (status >= 500 && ERRORS[code].retry === 'never');
}

/** Is there a body on its way that nobody will read? */
export function hasUnreadBody(raw: IncomingMessage): boolean {
  return !raw.complete && declaredLength(raw) !== 0;
}

/** Answers, or ends what has been begun. With an unread body the connection closes after a linger. */
export function answerError(raw: IncomingMessage, response: ServerResponse, answer: ErrorAnswer): void {
  if (response.headersSent) {
    endBegun(response);
    return;
  }
  const bytes = jsonBytes(answer.body);
  const unread = hasUnreadBody(raw);
  if (unread) response.shouldKeepAlive = false;
  // Anthropic's SDKs, which always send their version, look for the id under this name.
  if (raw.headers['anthropic-version'] !== undefined) response.setHeader('request-id', answer.requestId);
  response.writeHead(answer.error.status, jsonHead(errorHeaders(answer), bytes));
  if (!unread) {
    // As text, in one write with the head; see reply.ts.
    response.end(bytes.toString('latin1'), 'latin1');
    return;
  }
  response.flushHeaders();
  // Complete for the client by its content-length; `end` comes later, because it makes Node close the connection.
  if (raw.method !== 'HEAD') response.write(bytes);
  linger(raw, response);
}

/** Chunks can be ended in good order; a promised length that will not come must be seen to break, or the client waits forever. */
function endBegun(response: ServerResponse): void {
  if (response.writableEnded) return;
  if (response.chunkedEncoding) response.end();
  else response.destroy();
}

function linger(raw: IncomingMessage, response: ServerResponse): void {
  let taken = 0;
  const timer = setTimeout(finish, LINGER_MS).unref();
  raw.on('data', drop).once('end', finish).once('close', finish).resume();

  function drop(chunk: Buffer): void {
    taken += chunk.length;
    if (taken > LINGER_BYTES) finish();
  }
  function finish(): void {
    clearTimeout(timer);
    raw.off('data', drop);
    if (!response.writableEnded) response.end();
  }
}

const PARSER_ERRORS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_INVALID_METHOD: 'bad_target',
  HPE_INVALID_URL: 'bad_target',
  HPE_INVALID_VERSION: 'bad_target',
  HPE_PAUSED_H2_UPGRADE: 'bad_target',
};

/** What Node's parser or its timers refused, in our words. */
export function parserFault(code: string | undefined): GatewayError {
  const error = PARSER_ERRORS[code ?? ''] ?? 'bad_header';
  if (error !== 'bad_header') return new GatewayError(error);
  return new GatewayError('bad_header', { details: { message: 'The request is not well-formed HTTP/1.1' } });
}

/** For a connection without a response object: writes the whole answer, and closes once the client has had time to read it. */
export function answerRaw(socket: Duplex, answer: ErrorAnswer): void {
  const bytes = jsonBytes(answer.body);
  const { status } = answer.error;
  const head = Object.entries({ connection: 'close', date: new Date().toUTCString(), ...jsonHead(errorHeaders(answer), bytes) });
  const lines = head.map(([name, value]) => `${name}: ${String(value)}`).join('\r\n');
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${lines}\r\n\r\n`), bytes]));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
