/** Which headers cross the gateway. Both ways by allow-list: what is not named here stays on its side. */
import type { IncomingHttpHeaders } from 'node:http';

import type { DialectId } from '../core/dialect-id.ts';

/** The client's address on its way to the control plane; deleted from what arrives from outside. */
export const CLIENT_IP_HEADER = 'x-signalbox-client-ip';

/**
 * What a client may tell the provider on a relay, beside the body. Not `openai-organization` and `openai-project`: they belong to the
 * client's own account, and the credential is ours. No trace headers: the attempt writes its own.
 */
export const REQUEST_HEADERS: Readonly<Record<DialectId, readonly string[]>> = {
  'openai-chat': ['content-type', 'accept', 'openai-beta', 'idempotency-key'],
  'openai-responses': ['content-type', 'accept', 'openai-beta', 'idempotency-key'],
  'anthropic-messages': ['content-type', 'accept', 'anthropic-version', 'anthropic-beta', 'idempotency-key'],
};

/** The allowed ones of a client's headers. Our own name instead of the client's is set where the request leaves. */
export function upstreamHeaders(headers: IncomingHttpHeaders, allow: readonly string[]): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const name of allow) {
    const value = headers[name];
    if (typeof value === 'string') sent[name] = value;
  }
  return sent;
}

/** Anthropic's SDK shows `request-id` on answers and errors; the rest steers waiting or is asked for in support cases. */
const ANSWER_HEADERS = ['content-type', 'retry-after', 'retry-after-ms', 'x-should-retry', 'openai-processing-ms', 'request-id'];

/**
 * What a client learns of an upstream's headers. `x-request-id` is always ours, so the provider's own id travels as
 * `x-signalbox-upstream-request-id`; the provider's rate limits are those of our account and stay here.
 */
export function replyHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const name of ANSWER_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') sent[name] = value;
  }
  const upstreamId = headers['x-request-id'] ?? headers['request-id'];
  if (typeof upstreamId === 'string') sent['x-signalbox-upstream-request-id'] = upstreamId;
  return sent;
}
