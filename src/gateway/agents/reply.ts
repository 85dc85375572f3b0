/** What a client gets: results and errors in the form and the version in which it asked. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { type GatewayError, toGatewayError } from '../../core/errors.ts';
import { type ProtocolError, type Told, restError, retryAfterOf, rpcError, tell } from '../../agents/a2a/protocol.ts';
import { sendJson } from '../../http/reply.ts';
import type { Exchange } from '../exchange.ts';
import { guardAnswer, guardsOf } from '../guard.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import type { CallShape } from './call.ts';
import { streamHead } from './event-writer.ts';

/** REST of 1.0 has a media type of its own (§11.2). */
function jsonType({ form, version }: Pick<CallShape, 'form' | 'version'>): string {
  return form === 'rest' && version === '1.0' ? 'application/a2a+json' : 'application/json';
}

/** Ends the response with a result, which is wrapped as the form wants it. */
export function sendResult(exchange: Exchange, response: ServerResponse, shape: CallShape, result: unknown): void {
  sendWhole(exchange, response, { shape, status: 200, body: enveloped(shape, result) });
}

/** The same of what an agent says, as far as guards let it go. Throws guard_blocked, guard_unavailable. */
export function deliverResult(exchange: Exchange, response: ServerResponse, shape: CallShape, result: unknown): Promise<void> {
  return deliverWhole(exchange, response, { shape, status: 200, body: enveloped(shape, result) });
}

/** The same of bytes that are an answer already. */
export async function deliverWhole(exchange: Exchange, response: ServerResponse, answer: WholeAnswer): Promise<void> {
  const isJudged = guardsOf(exchange, 'response').length > 0;
  const body = isJudged ? await guardAnswer(exchange, Buffer.from(answer.body)) : answer.body;
  sendWhole(exchange, response, { ...answer, body });
}

function enveloped(shape: CallShape, result: unknown): string {
  return JSON.stringify(shape.form === 'rpc' ? { jsonrpc: '2.0', id: shape.rpcId, result: result ?? null } : (result ?? {}));
}

interface WholeAnswer {
  shape: CallShape;
  status: number;
  body: Buffer | string;
  headers?: OutgoingHttpHeaders;
}

/** Bytes that are an answer already. */
function sendWhole(exchange: Exchange, response: ServerResponse, { shape, status, body, headers = {} }: WholeAnswer): void {
  exchange.status = status;
  exchange.responseBytes = body.length;
  exchange.firstByteAt = performance.now();
  sendJson(response, status, { ...exchangeHeaders(exchange), 'content-type': jsonType(shape), ...headers }, body);
}

/**
 * An error where the answer has not begun. The gateway's own keep their HTTP status, so that proxies and clients without the protocol understand them; those of the
 * protocol travel with 200 over JSON-RPC. Clients of 0.3 that wait for a stream take nothing else (0.3.0 §3.3).
 */
export function sendError(
  exchange: Exchange,
  response: ServerResponse,
  shape: CallShape,
  error: GatewayError | ProtocolError,
): void {
  const told = tell(error);
  const isProtocols = 'data' in error;
  const retryAfterS = retryAfterOf(error);
  const headers: OutgoingHttpHeaders = {
    ...(retryAfterS !== undefined && { 'retry-after': String(retryAfterS) }),
    ...(told.status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(!isProtocols && error.details.shouldRetry === false && { 'x-should-retry': 'false' }),
  };
  const status = shape.form === 'rpc' && isProtocols ? 200 : told.status;
  exchange.status = status;
  if (shape.form === 'rpc' && isProtocols && shape.streams && shape.version === '0.3') {
    response.writeHead(200, streamHead(exchange));
    response.end(errorEvent(shape, error));
    return;
  }
  sendWhole(exchange, response, { shape, status, body: JSON.stringify(errorBody(shape, told, error)), headers });
}

function errorBody(shape: CallShape, told: Told, error: GatewayError | ProtocolError): object {
  const data = 'data' in error ? error.data : undefined;
  if (shape.form === 'rpc') return { jsonrpc: '2.0', id: shape.rpcId ?? null, error: rpcError(told, shape.version, data) };
  return restError(told, shape.version, data);
}

/** The error as the last event of a stream that has begun. */
export function errorEvent(shape: CallShape, thrown: unknown): string {
  const error = thrown instanceof Error && 'data' in thrown ? (thrown as ProtocolError) : toGatewayError(thrown);
  const body = errorBody(shape, tell(error), error);
  return `data: ${JSON.stringify(body)}\n\n`;
}

/** A result as an event, wrapped as the form wants it. */
export function eventOf(shape: CallShape, result: unknown): string {
  const body = shape.form === 'rpc' ? { jsonrpc: '2.0', id: shape.rpcId, result } : result;
  return `data: ${JSON.stringify(body)}\n\n`;
}
