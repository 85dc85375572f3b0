/** Whole answers. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** A whole JSON answer with its length; bytes and text are sent as they are, anything else is serialised. Ends the response. */
export function sendJson(
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body: Buffer | string | object,
): void {
  const bytes = jsonBytes(body);
  response.writeHead(status, jsonHead(headers, bytes)).end(bytes);
}

export function jsonBytes(body: Buffer | string | object): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** `headers` win, except for the length. */
export function jsonHead(headers: OutgoingHttpHeaders, bytes: Buffer): OutgoingHttpHeaders {
  return { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers, 'content-length': bytes.length };
}
