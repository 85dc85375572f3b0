/** The shapes between the HTTP edge and what answers behind it. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** Who may call a route, what it reads, and in whose words it refuses. A route without a policy does not compile. */
export interface RoutePolicy {
  /** `public`: anybody. `key`: a virtual key. `control`: relayed to the control plane, which decides itself. */
  access: 'public' | 'key' | 'control';
  body: 'none' | 'json' | 'raw';
  /** Whose error shape answers. */
  errors: 'openai' | 'openai-responses' | 'anthropic' | 'plain';
}

export interface Route {
  method: 'GET' | 'HEAD' | 'POST' | '*';
  /** `/v1/models/{id}` has one declared parameter (the rest of the path, percent-decoded once); `/admin/*` is a prefix. */
  path: string;
  policy: RoutePolicy;
  handle: (request: EdgeRequest, response: ServerResponse) => void | Promise<void>;
}

export interface EdgeRequest {
  /** `req_…`; echoes a valid `x-request-id` of the client. */
  id: string;
  route: Route;
  method: string;
  /** Path without query, and the query with its `?`, or ''. */
  path: string;
  query: string;
  params: Readonly<Record<string, string>>;
  headers: IncomingHttpHeaders;
  /** The client's address, seen through trusted proxies. */
  clientIp: string;
  /** performance.now() when the headers had arrived. */
  startedAt: number;
  raw: IncomingMessage;
  /** The whole body within the limits; throws GatewayError (body_too_large, request_timeout, overloaded, unsupported_*). Call once. */
  body(): Promise<Buffer>;
  /** Hooks the client's leaving before the reply is whole; fires at most once, also if it has already left. */
  onGone(listener: () => void): void;
}
