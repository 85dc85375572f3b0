/**
 * The way of every call to the control plane, the same for all routes: who is it → which route → may he → is it well-formed → audit log → handler → answer cut
 * to the route's schema. Nothing of a body is read before the caller may do what he asks.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

import { ERRORS, type ErrorCode, GatewayError } from '../core/errors.ts';
import { openAiError } from '../core/openai-error.ts';
import { StoreError, type StoreErrorCode } from '../store/store.ts';
import { READERS, holdsAnywhere, holdsAt, notAllowed, requireAt } from './contract/access.ts';
import type { Identity } from './contract/actor.ts';
import type { AuditTrail } from './contract/audit.ts';
import { readInput } from './contract/input.ts';
import type { AdminRoute, Call, Change, Reply } from './contract/route.ts';
import type { Services } from './contract/ports.ts';
import { type Found, type RouteTable, mismatch } from './contract/table.ts';
import type { Pace } from './pace.ts';
import { readJson } from './read-json.ts';

/** The head of a call, as ways to prove one's identity see it. */
export interface CallHead {
  method: string;
  /** Without its query. */
  path: string;
  headers: IncomingHttpHeaders;
}

/**
 * Undefined: this way was not tried; null: it was, and proves nothing (unknown, revoked, expired, blocked: all the same). Throws forbidden where a proof must not be used like
 * this.
 */
export type Identify = (head: CallHead) => Identity | null | undefined | Promise<Identity | null | undefined>;

export interface MountParts {
  table: RouteTable;
  services: Services;
  audit: AuditTrail;
  pace: Pace;
  /** In this order; the first that is tried decides. */
  identify: readonly Identify[];
  onFailure: (error: unknown) => void;
}

export interface AdminHandler {
  /** Whether the path is for it: everything under /admin and /v1/agents, and the routes that stand elsewhere, which have no parameters. */
  takes(path: string): boolean;
  /** Never rejects. */
  answer(incoming: IncomingMessage): Promise<Response>;
}

const CLIENT_IP_HEADER = 'x-signalbox-client-ip';
const NOBODY: Identity = { actor: { kind: 'nobody' }, via: 'nothing' };

export function createAdminHandler(parts: MountParts): AdminHandler {
  const elsewhere = new Set<string>(parts.table.routes.map(({ path }) => path).filter((path) => !isGuarded(path)));
  return {
    takes: (path) => isGuarded(path) || elsewhere.has(path),
    answer: async (incoming) => {
      try {
        return await answer(parts, incoming);
      } catch (thrown) {
        const error = asGatewayError(thrown);
        if (error.code === 'internal') parts.onFailure(thrown);
        return errorResponse(error);
      }
    },
  };
}

async function answer(parts: MountParts, incoming: IncomingMessage): Promise<Response> {
  const { url = '', method = '', headers } = incoming;
  const cut = url.indexOf('?');
  const path = cut === -1 ? url : url.slice(0, cut);
  const found = parts.table.match(method, path);
  const isPublic = 'route' in found && found.route.access.on === 'public';
  // First of all, also before it is said what there is not: what exists is nobody's business.
  const identity = isPublic ? NOBODY : await identityOf(parts.identify, { method, path, headers });
  if ('allow' in found) return errorResponse(mismatch(found), found.allow);
  const { services } = parts;
  const call: Call = {
    ...identity,
    services,
    params: await permittedParams(found, identity, services),
    query: readInput(found.route.query, queryOf(cut === -1 ? '' : url.slice(cut + 1))),
    body: found.route.body === undefined ? undefined : readInput(found.route.body, await readJson(incoming)),
    ip: String(headers[CLIENT_IP_HEADER] ?? ''),
    requestId: String(headers['x-request-id'] ?? ''),
    header: (name) => textOf(headers[name]),
  };
  return toResponse(found.route, await handled(parts, found.route, call));
}

function isGuarded(path: string): boolean {
  return path === '/admin' || path.startsWith('/admin/') || isOfAgents(path);
}

/** The one part of the public API that the control plane answers: main has the registry. */
export function isOfAgents(path: string): boolean {
  return path === '/v1/agents' || path.startsWith('/v1/agents/');
}

async function identityOf(ways: readonly Identify[], head: CallHead): Promise<Identity> {
  for (const way of ways) {
    const identity = await way(head);
    if (identity === null) throw new GatewayError('invalid_key');
    if (identity !== undefined) return identity;
  }
  const message = 'Send the admin key or a management token (at /v1/agents also a virtual key) as `Authorization: Bearer …`';
  throw new GatewayError('missing_key', { details: { message } });
}

/** The parameters, where the caller may do this to what they name. */
async function permittedParams({ route, params }: Found, { actor }: Identity, services: Services): Promise<unknown> {
  const { access } = route;
  if (access.on === 'people' && actor.kind !== 'user') {
    throw new GatewayError('forbidden', { details: { message: 'Only people have things of their own; this is the admin key' } });
  }
  if (access.on === 'agents' && actor.kind !== 'caller' && !holdsAt(actor, {}, READERS)) throw notAllowed();
  if (access.on === 'installation' && !holdsAt(actor, {}, access.allow)) throw notAllowed();
  if (access.on === 'anywhere' && !holdsAnywhere(actor, access.allow)) throw notAllowed();
  const read = readInput(route.params, params());
  if (access.on === 'object') requireAt(actor, await access.place(read, services), access);
  return read;
}

/** A mutation is in the audit log before it is made, and what came of it before it is answered. */
async function handled({ audit, pace }: MountParts, route: AdminRoute, call: Call): Promise<Reply<unknown>> {
  if (route.audit === undefined) return route.handle(call);
  const { actor, via, ip, requestId } = call;
  pace(actor);
  const entry = await audit.begin({ actor, via, ip, requestId, action: route.audit, target: targetOf(call.params) });
  let done: Reply<unknown> & { change?: Change };
  try {
    done = await route.handle(call);
  } catch (thrown) {
    await entry.failed(asGatewayError(thrown).code);
    throw thrown;
  }
  if (done.change === undefined) throw new Error(`${route.audit} did not say what it changed`);
  await entry.done(done.change);
  return done;
}

function targetOf(params: unknown): string | undefined {
  const named = Object.entries(params as Record<string, string>).map(([kind, id]) => `${kind}:${id}`);
  return named.length === 0 ? undefined : named.join(' ');
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** A parameter that comes twice is a list, which few schemas take. */
function queryOf(text: string): Record<string, string | string[]> {
  const query = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const before = query.get(name);
    query.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(query);
}

function toResponse(route: AdminRoute, reply: Reply<unknown>): Response {
  const { status = route.answer.status, headers = {} } = reply;
  const common = { 'cache-control': 'no-store', ...headers };
  if ('text' in reply) {
    if (route.answer.text?.includes(reply.contentType) !== true)
      throw new Error(`${route.path} answers ${reply.contentType} undeclared`);
    return new Response(reply.text, { status, headers: { ...common, 'content-type': reply.contentType } });
  }
  return Response.json(route.answer.schema.parse(reply.body), { status, headers: common });
}

const STORE_ERRORS: Readonly<Record<StoreErrorCode, ErrorCode>> = {
  store_down: 'store_down',
  conflict: 'conflict',
  not_found: 'not_found',
  failed: 'internal',
};

function asGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError(thrown instanceof StoreError ? STORE_ERRORS[thrown.code] : 'internal', { cause: thrown });
}

const STORE_RETRY_S = 5;

export function errorResponse(error: GatewayError, allow: readonly string[] = []): Response {
  const { status, retry } = ERRORS[error.code];
  const { issues, retryAfterS = STORE_RETRY_S } = error.details;
  return Response.json(
    { error: { ...openAiError(error), ...(issues !== undefined && { issues }) } },
    {
      status,
      headers: {
        'cache-control': 'no-store',
        ...(status === 401 && { 'www-authenticate': 'Bearer' }),
        ...(retry === 'later' && { 'retry-after': String(retryAfterS) }),
        ...(allow.length > 0 && { allow: allow.join(', ') }),
      },
    },
  );
}
