/** A provider's refusal that is the caller's own business goes to him as it came, our secrets taken out; once nothing else may be tried. */
import type { ServerResponse } from 'node:http';

import type { GatewayError } from '../core/errors.ts';
import { sendJson } from '../http/reply.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import { endAdmission } from './admit.ts';
import { cleanBytes } from './clean.ts';
import type { Exchange } from './exchange.ts';
import { answerHeaders } from './reply-headers.ts';

export interface RelayableRefusal {
  error: GatewayError;
  answer: UpstreamAnswer;
  bytes: Buffer;
}

export function sendRefusal(exchange: Exchange, response: ServerResponse): void {
  const { error, answer, bytes } = exchange.relayable!;
  exchange.failure = error;
  exchange.outcome = 'upstream_error';
  const clean = cleanBytes(bytes, exchange.line.redact);
  exchange.status = answer.status;
  exchange.responseBytes = clean.length;
  endAdmission(exchange);
  // What we have tried again, clients need not.
  const spent = exchange.attempts.length > 1 ? { 'x-should-retry': 'false' } : {};
  sendJson(response, answer.status, { ...answerHeaders(exchange, answer), ...spent }, clean);
}
