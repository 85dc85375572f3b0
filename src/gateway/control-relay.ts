import type { ServerResponse } from 'node:http';

import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import type { EdgeRequest, Route } from '../http/edge.ts';
import { CLIENT_IP_HEADER } from '../http/headers.ts';
import { isManagementToken } from '../core/key-format.ts';
import { agentGrantsOf } from '../policy/authorize.ts';
import { presentsAdminKey } from '../policy/authenticate.ts';
import { pipeBody } from '../upstream/unary.ts';
import { admitReader } from './admit.ts';
import type { Plane } from './plane.ts';

/** Paths that the control plane answers; it checks every one of them itself. */
const CONTROL_PATHS = [
  '/v1/agents',
  '/v1/agents/*',
  '/metrics',
  '/admin',
  '/admin/*',
  '/console',
  '/console/*',
  '/docs',
  '/docs/*',
  '/oidc/*',
];

const FORWARDED = [
  'accept',
  'authorization',
  'content-type',
  'cookie',
  'if-match',
  'if-none-match',
  'origin',
  'sec-fetch-site',
  'user-agent',
];
const CREDENTIALS = new Set(['authorization', 'cookie']);
const RETURNED = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-security-policy',
  'etag',
  'location',
  'retry-after',
  'referrer-policy',
  'set-cookie',
  'www-authenticate',
  'x-content-type-options',
  'x-signalbox-cut',
  'allow',
];
/** What the control plane reads at most. */
const MAX_BODY_BYTES = 1024 * 1024;
/** People's bodies that a worker holds at once, in bytes: whether they are people is known only to the control plane. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** The part of it that one address may take: strangers who announce bodies and never send them must not lock the people out. */
const MAX_HELD_OF_ADDRESS = 8 * 1024 * 1024;

/** Relays the control plane's paths to its Unix socket, by the same way out that serves upstreams. */
export function controlRoutes(plane: Plane, socketPath: string): Route[] {
  const policy = { access: 'control', body: 'raw', errors: 'plain' } as const;
  const relay = createRelay(plane, socketPath);
  return CONTROL_PATHS.map((path) => ({ method: '*', path, policy, handle: relay }));
}

function createRelay(plane: Plane, socketPath: string): Route['handle'] {
  const held = createHeld();
  return async (request, response) => {
    const sender = hasBody(request) ? senderOf(plane, request.headers) : 'stranger';
    const bytes = sender === 'stranger' ? 0 : bodySize(request);
    const give = held(sender === 'admin_key' ? 0 : bytes, request.clientIp);
    try {
      const body = bytes === 0 ? undefined : await request.body();
      const caller = await readerOf(plane, request);
      if (caller !== undefined) await admitReader(plane, caller);
      const grants = caller && JSON.stringify({ key: caller.key.id, grants: agentGrantsOf(caller) });
      await relay({ plane, socketPath, body, grants }, request, response);
    } finally {
      give();
    }
  };
}

/** Takes bytes on an address's account, and answers how to give them back. Throws overloaded. */
function createHeld(): (bytes: number, address: string) => () => void {
  const byAddress = new Map<string, number>();
  let all = 0;
  const add = (bytes: number, address: string): void => {
    const own = (byAddress.get(address) ?? 0) + bytes;
    all += bytes;
    if (own === 0) byAddress.delete(address);
    else byAddress.set(address, own);
  };
  return (bytes, address) => {
    const own = byAddress.get(address) ?? 0;
    if (bytes > 0 && (all + bytes > MAX_HELD_BYTES || own + bytes > MAX_HELD_OF_ADDRESS)) {
      throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
    }
    add(bytes, address);
    return () => add(-bytes, address);
  };
}

interface Relayed {
  plane: Plane;
  socketPath: string;
  body: Buffer | undefined;
  /** Of a virtual key that asks for agents. */
  grants: string | undefined;
}

/** Set by us alone: nothing of a request's own headers goes to the control plane but those named above. */
const AGENT_GRANTS_HEADER = 'x-signalbox-agent-grants';

async function callerOf(plane: Plane, headers: EdgeRequest['headers'], clientIp: string): Promise<Caller | undefined> {
  try {
    return await plane.line().authenticate(headers, plane.nowMs(), clientIp);
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.status === 401) return undefined;
    throw thrown;
  }
}

/** Virtual keys are known to the workers. Whoever manages is not asked for one. */
async function readerOf(plane: Plane, { path, headers, clientIp }: EdgeRequest): Promise<Caller | undefined> {
  if (!path.startsWith('/v1/agents') || managesByBearer(plane, headers)) return undefined;
  // Whoever proves nothing hears it from the control plane, like everybody there.
  return callerOf(plane, headers, clientIp);
}

async function relay(
  { plane, socketPath, body, grants }: Relayed,
  request: EdgeRequest,
  response: ServerResponse,
): Promise<void> {
  const sent = plane.send({
    endpoint: { baseUrl: 'http://control', headers: { [CLIENT_IP_HEADER]: request.clientIp }, weight: 1, socketPath },
    method: request.method as 'GET',
    path: request.path + request.query,
    headers: {
      // What the worker has checked goes no further.
      ...picked(request.headers, grants === undefined ? FORWARDED : FORWARDED.filter((name) => !CREDENTIALS.has(name))),
      'x-request-id': request.id,
      ...(grants !== undefined && { [AGENT_GRANTS_HEADER]: grants }),
    },
    body,
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

/** Bytes of a body. Throws body_too_large, and bad_header where the length is not announced. */
function bodySize(request: EdgeRequest): number {
  const declared = request.headers['content-length'];
  if (declared === undefined) {
    throw new GatewayError('bad_header', {
      details: { message: 'A body for the control plane must announce its content-length' },
    });
  }
  if (Number(declared) <= MAX_BODY_BYTES) return Number(declared);
  throw new GatewayError('body_too_large', { details: { message: `The request body is larger than ${MAX_BODY_BYTES} bytes` } });
}

/**
 * `people`: it looks like somebody who manages; the control plane asks again. Strangers' bodies are not read: they would fill the budget of bytes in flight, and the
 * control plane refuses them by their head.
 */
function senderOf(plane: Plane, headers: EdgeRequest['headers']): 'admin_key' | 'people' | 'stranger' {
  if (presentsAdminKey(plane.line().snapshot, headers)) return 'admin_key';
  // A cookie may be a session's.
  return headers.cookie !== undefined || presentsToken(headers) ? 'people' : 'stranger';
}

/** Cookies of others come along with keys too. */
function managesByBearer(plane: Plane, headers: EdgeRequest['headers']): boolean {
  return presentsAdminKey(plane.line().snapshot, headers) || presentsToken(headers);
}

function presentsToken({ authorization = '' }: EdgeRequest['headers']): boolean {
  const [, token = ''] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  return isManagementToken(token);
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
