/** Cross-origin access for browsers, off unless configured. Keys travel in headers, never in cookies, so credentials are never allowed. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

import type { EdgeSettings } from './edge.ts';
import type { Match, Mismatch, Router } from './router.ts';

/** What official SDKs send from a browser. */
const REQUEST_HEADERS = new Set([
  'accept',
  'authorization',
  'content-type',
  'idempotency-key',
  'anthropic-version',
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'openai-beta',
  'openai-organization',
  'openai-project',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'x-signalbox-key',
  'x-request-id',
  'x-client-request-id',
  'x-goog-api-client',
  'a2a-version',
  'a2a-extensions',
  'traceparent',
  'tracestate',
  'user-agent',
]);

const EXPOSED_HEADERS = [
  'x-request-id',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'openai-processing-ms',
  ...['provider', 'model', 'attempts', 'cost-usd', 'overhead-ms', 'worker', 'warnings', 'upstream-request-id'].map(
    (name) => `x-signalbox-${name}`,
  ),
  ...['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`]),
].join(', ');

type CorsSettings = NonNullable<EdgeSettings['cors']>;

/** One request of a page, with what it was matched to. */
export interface PageRequest {
  raw: IncomingMessage;
  response: ServerResponse;
  match: Match | Mismatch;
  router: Router;
}

/**
 * Marks the answer to a page of an allowed origin, errors too, so that the page may read it; for a preflight returns the headers of
 * its answer. Never on routes of the control plane: the console is same-origin with it, and nobody else's page has business there.
 */
export function admitOrigin(cors: CorsSettings | undefined, page: PageRequest): Record<string, string> | undefined {
  const { raw, response, match, router } = page;
  const { origin, 'access-control-request-method': asked } = raw.headers;
  if (cors === undefined || origin === undefined || match.route?.policy.access === 'control') return undefined;
  const headers = corsHeaders(cors, origin);
  if (headers === undefined) return undefined;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (raw.method !== 'OPTIONS' || asked === undefined) return undefined;
  const wanted = router.match(asked, raw.url ?? '');
  return 'error' in wanted || wanted.route.policy.access === 'control' ? undefined : preflightHeaders(cors, raw.headers, asked);
}

/** The headers of any answer to a page of this origin; undefined where the origin is not allowed. */
export function corsHeaders(cors: CorsSettings, origin: string): Record<string, string> | undefined {
  const anyOrigin = cors.origins.includes('*');
  if (!anyOrigin && !cors.origins.includes(origin)) return undefined;
  return {
    'access-control-allow-origin': anyOrigin ? '*' : origin,
    'access-control-expose-headers': EXPOSED_HEADERS,
    ...(!anyOrigin && { vary: 'Origin' }),
  };
}

/** What a preflight learns beside `corsHeaders`: of the headers it asks for, those a client of these APIs has reason to send. */
export function preflightHeaders(cors: CorsSettings, headers: IncomingHttpHeaders, methods: string): Record<string, string> {
  const asked = (headers['access-control-request-headers'] ?? '').toLowerCase().split(',');
  const allowed = asked
    .map((name) => name.trim())
    .filter((name) => REQUEST_HEADERS.has(name) || /^x-stainless-[a-z-]+$/.test(name));
  return {
    'access-control-allow-methods': methods,
    'access-control-max-age': String(cors.maxAgeS),
    ...(allowed.length > 0 && { 'access-control-allow-headers': allowed.join(', ') }),
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  };
}
