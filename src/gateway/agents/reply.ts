/** What a client gets: results, streams and errors in the form and the version in which it asked. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { type GatewayError, toGatewayError } from '../../core/errors.ts';
import { type ProtocolError, type Told, restError, retryAfterOf, rpcError, tell } from '../../agents/a2a/protocol.ts';
import { sendJson } from '../../http/reply.ts';
import type { Wheel } from '../../upstream/wheel.ts';
import type { Exchange } from '../exchange.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import type { CallShape } from './call.ts';

/** REST of 1.0 has a media type of its own (§11.2). */
function jsonType({ form, version }: Pick<CallShape, 'form' | 'version'>): string {
  return form === 'rest' && version === '1.0' ? 'application/a2a+json' : 'application/json';
}

/** Ends the response with a result, which is wrapped as the form wants it. */
export function sendResult(exchange: Exchange, response: ServerResponse, shape: CallShape, result: unknown): void {
  const body = shape.form === 'rpc' ? { jsonrpc: '2.0', id: shape.rpcId, result: result ?? null } : (result ?? {});
  sendWhole(exchange, response, { shape, status: 200, body: JSON.stringify(body) });
}

/** Bytes that are an answer already. */
export function sendWhole(
  exchange: Exchange,
  response: ServerResponse,
  {
    shape,
    status,
    body,
    headers = {},
  }: { shape: CallShape; status: number; body: Buffer | string; headers?: OutgoingHttpHeaders },
): void {
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

/** The head of a stream. */
export function streamHead(exchange: Exchange): OutgoingHttpHeaders {
  return {
    ...exchangeHeaders(exchange),
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    // Front proxies of the nginx kind would hold the events back.
    'x-accel-buffering': 'no',
  };
}

/** A result as an event, wrapped as the form wants it. */
export function eventOf(shape: CallShape, result: unknown): string {
  const body = shape.form === 'rpc' ? { jsonrpc: '2.0', id: shape.rpcId, result } : result;
  return `data: ${JSON.stringify(body)}\n\n`;
}

export interface EventWriter {
  /** Resolves when more may be written; false: the client has left. */
  write(event: Buffer | string): Promise<boolean>;
  end(): void;
  /** Instead of `end`, before anything was written: something else is the answer. */
  leave(): void;
}

const COMMENT = ': keep-alive\n\n';
const SILENCE_MS = 15_000;
/** Who takes nothing for so long while events wait has left. */
const STALL_MS = 60_000;

/** Events to a client: the head with the first, back-pressure, and a comment where there is silence. */
export function openEvents(exchange: Exchange, response: ServerResponse, wheel: Wheel): EventWriter {
  let quietSinceMs = wheel.now();
  let isWaiting = false;
  const timed = {
    slot: -1,
    check(nowMs: number): void {
      if (isWaiting || nowMs - quietSinceMs < SILENCE_MS) return;
      quietSinceMs = nowMs;
      begin();
      response.write(COMMENT);
    },
  };
  const begin = (): void => {
    if (response.headersSent) return;
    exchange.status = 200;
    response.writeHead(200, streamHead(exchange));
  };
  // Events of one packet leave in one: a write to the socket costs more than all the rest of an event.
  let isCorked = false;
  const cork = (): void => {
    if (isCorked) return;
    isCorked = true;
    response.cork();
    process.nextTick(() => {
      isCorked = false;
      response.uncork();
    });
  };
  response.setTimeout(STALL_MS, () => void (response.writableLength > 0 && response.destroy()));
  wheel.join(timed);
  return {
    async write(event) {
      if (response.destroyed) return false;
      begin();
      cork();
      exchange.firstByteAt ??= performance.now();
      exchange.responseBytes += event.length;
      quietSinceMs = wheel.now();
      if (response.write(event)) return true;
      isWaiting = true;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          response.off('drain', done).off('close', done);
          resolve();
        };
        response.on('drain', done).on('close', done);
      });
      isWaiting = false;
      return !response.destroyed;
    },
    leave: () => wheel.leave(timed),
    end() {
      wheel.leave(timed);
      if (response.destroyed) return;
      begin();
      response.end();
    },
  };
}
