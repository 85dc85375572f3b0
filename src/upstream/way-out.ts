import type { IncomingHttpHeaders } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import { type EgressRules, createEgress } from './egress.ts';
import { type Send, createSend } from './send.ts';
import type { Trust, UpstreamRequest } from './types.ts';
import { collect } from './unary.ts';
import { createWheel } from './wheel.ts';

export interface WholeRequest {
  /** Absolute, with path and query. */
  url: string;
  method: UpstreamRequest['method'];
  /** Lower case names. */
  headers?: Readonly<Record<string, string>>;
  body?: Buffer;
  /** From the request to the last byte. */
  timeoutMs: number;
  /** Of the answer's body. */
  maxBytes: number;
  /** Absent: operator. */
  trust?: Trust;
}

export interface WholeAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Resolves with any status below 300 or above 399; rejects with a GatewayError where no whole answer came. Follows no redirect. */
export type AskWhole = (request: WholeRequest) => Promise<WholeAnswer>;

/** One small question and its whole answer. */
export function askBy(send: () => Send): AskWhole {
  return async ({ url, method, headers = {}, body, timeoutMs, maxBytes, trust }) => {
    const { origin, pathname, search } = URL.parse(url) ?? { origin: url, pathname: '', search: '' };
    const sent = send()({
      endpoint: { baseUrl: origin, headers: {}, weight: 1 },
      ...(trust !== undefined && { trust }),
      method,
      path: pathname + search,
      headers,
      body,
      timeouts: { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs },
      stream: false,
    });
    const answer = await sent.answer;
    if (answer.failed) throw answer.error;
    const collected = await collect(answer.body, { maxBytes, contentLength: answer.headers['content-length'] });
    if ('whole' in collected) return { status: answer.status, headers: answer.headers, body: collected.whole };
    answer.body.abort();
    throw 'error' in collected ? collected.error : tooLarge(maxBytes);
  };
}

function tooLarge(maxBytes: number): GatewayError {
  const message = `The upstream sent an answer that cannot be read: it is larger than ${maxBytes} bytes`;
  return new GatewayError('upstream_bad_response', { details: { message } });
}

/** The main thread's way out: it asks little, and follows the rules of the configuration in force. */
export interface WayOut {
  ask: AskWhole;
  /** For what has an endpoint. */
  send: Send;
  use(rules: EgressRules): void;
}

const TURN_MS = 500;

export function createWayOut(userAgent: string): WayOut {
  const wheel = createWheel({ turnMs: TURN_MS, now: () => performance.now() });
  let inUse: { rules: string; egress: ReturnType<typeof createEgress>; send: Send } | undefined;
  const current = (): Send => {
    if (inUse === undefined) throw new GatewayError('internal', { details: { message: 'There is no way out yet' } });
    return inUse.send;
  };
  return {
    ask: askBy(current),
    send: (request) => current()(request),
    use(rules) {
      const wanted = JSON.stringify(rules);
      if (inUse?.rules === wanted) return;
      inUse?.egress.close();
      const egress = createEgress(rules, { wheel, userAgent });
      inUse = { rules: wanted, egress, send: createSend(egress) };
    },
  };
}
