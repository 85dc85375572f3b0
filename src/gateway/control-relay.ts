import type { ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import type { EdgeRequest, Route } from '../http/edge.ts';
import { CLIENT_IP_HEADER } from '../http/headers.ts';
import { presentsAdminKey } from '../policy/authenticate.ts';
import { pipeBody } from '../upstream/unary.ts';
import type { Plane } from './plane.ts';

/** Paths that the control plane answers; it checks every one of them itself. */
const CONTROL_PATHS = ['/metrics', '/admin', '/admin/*', '/console', '/console/*', '/docs', '/docs/*'];

const FORWARDED = [
  'accept',
  'authorization',
  'content-type',
  'cookie',
  'if-match',
  'if-none-match',
  'origin',
  'sec-fetch-site',
  'x-signalbox-key',
];
const RETURNED = [
  'content-type',
  'cache-control',
  'content-disposition',
  'etag',
  'location',
  'retry-after',
  'set-cookie',
  'www-authenticate',
];

/** Relays the control plane's paths to its Unix socket, by the same way out that serves upstreams. */
export function controlRoutes(plane: Plane, socketPath: string): Route[] {
  const policy = { access: 'control', body: 'raw', errors: 'plain' } as const;
  return CONTROL_PATHS.map((path) => ({
    method: '*',
    path,
    policy,
    handle: (request, response) => relay(plane, socketPath, request, response),
  }));
}

async function relay(plane: Plane, socketPath: string, request: EdgeRequest, response: ServerResponse): Promise<void> {
  const sent = plane.send({
    endpoint: { baseUrl: 'http://control', headers: { [CLIENT_IP_HEADER]: request.clientIp }, weight: 1, socketPath },
    method: request.method as 'GET',
    path: request.path + request.query,
    headers: { ...picked(request.headers, FORWARDED), 'x-request-id': request.id },
    body: await bodyOf(plane, request),
    timeouts: DEFAULT_TIMEOUTS,
    stream: false,
  });
  request.onGone(() => sent.abort());
  const answer = await sent.answer;
  if (answer.failed)
    throw new GatewayError('internal', { cause: answer.error, details: { message: 'The control plane does not answer' } });
  response.writeHead(answer.status, { ...picked(answer.headers, RETURNED), 'x-request-id': request.id });
  const end = await pipeBody({ head: Buffer.alloc(0), body: answer.body, response, wheel: plane.wheel });
  if (end.error !== undefined) throw end.error;
}

/** Strangers' bodies are not read: they would fill the budget of bytes in flight, and the control plane refuses them by their head. */
async function bodyOf(plane: Plane, request: EdgeRequest): Promise<Buffer | undefined> {
  const wanted = hasBody(request) && presentsAdminKey(plane.line().snapshot, request.headers);
  return wanted ? request.body() : undefined;
}

function hasBody(request: EdgeRequest): boolean {
  return request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
}

function picked(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) found[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return found;
}
