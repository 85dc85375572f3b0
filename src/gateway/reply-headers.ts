import type { OutgoingHttpHeaders } from 'node:http';

import { formatUsd } from '../core/money.ts';
import { replyHeaders } from '../http/headers.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { Exchange } from './exchange.ts';
import { limitHeaders } from './limit-headers.ts';

/** What every answer of an exchange carries; errors too, as far as it is known by then. */
export function exchangeHeaders(exchange: Exchange): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    'x-request-id': exchange.request.id,
    // Under this name Anthropic's SDK shows it, on answers and errors.
    ...(exchange.surface.errorKind === 'anthropic' ? { 'request-id': exchange.request.id } : {}),
    'x-signalbox-worker': String(exchange.plane.worker),
    'x-signalbox-attempts': String(exchange.attempts.length),
    'x-signalbox-overhead-ms': overheadSoFar(exchange),
  };
  if (exchange.target !== undefined) headers['x-signalbox-provider'] = exchange.target.provider;
  if (exchange.resolved !== undefined) headers['x-signalbox-model'] = headerText(exchange.resolved.name);
  if (exchange.cost !== undefined && 'nanoUsd' in exchange.cost)
    headers['x-signalbox-cost-usd'] = formatUsd(exchange.cost.nanoUsd);
  if (exchange.admission !== undefined) Object.assign(headers, limitHeaders(exchange.admission));
  if (exchange.warnings.length > 0) headers['x-signalbox-warnings'] = warningText(exchange);
  return headers;
}

/** The exchange's headers under those of the upstream that a client may see: where Anthropic itself answers, its `request-id` counts. */
export function answerHeaders(exchange: Exchange, answer: UpstreamAnswer): OutgoingHttpHeaders {
  return { ...exchangeHeaders(exchange), ...replyHeaders(answer.headers) };
}

function overheadSoFar(exchange: Exchange): string {
  return Math.max(0, performance.now() - exchange.request.startedAt - exchange.waitedMs).toFixed(2);
}

const MAX_WARNINGS = 32;
const MAX_WARNINGS_LENGTH = 1024;

function warningText(exchange: Exchange): string {
  const first = exchange.warnings.slice(0, MAX_WARNINGS);
  const text = first.map(({ param, reason }) => `${param}: ${reason}`).join('; ');
  return headerText(text.slice(0, MAX_WARNINGS_LENGTH));
}

/** Visible ASCII only: model names and parameters may hold anything. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
