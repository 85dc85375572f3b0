/** The shapes between the HTTP edge and what answers behind it. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

import type { GatewayError } from '../core/errors.ts';

/** Who may call a route, what it reads, and in whose words it refuses. A route without a policy does not compile. */
export interface RoutePolicy {
  /** `public`: anybody. `key`: a virtual key. `control`: relayed to the control plane, which decides itself. */
  access: 'public' | 'key' | 'control';
  body: 'none' | 'json' | 'raw';
  /** Whose error shape answers. */
  errors: 'openai' | 'openai-responses' | 'anthropic' | 'a2a' | 'plain';
}

export interface Route {
  method: 'GET' | 'HEAD' | 'POST' | '*';
  /**
   * `/v1/models/{id}` has one declared parameter (the rest of the path, percent-decoded once); of several, as in `/a2a/{agent}/push/{push}`, each is one segment; `/admin/*`
   * is a prefix.
   */
  path: string;
  policy: RoutePolicy;
  handle: (request: EdgeRequest, response: ServerResponse) => void | Promise<void>;
}

export interface EdgeRequest {
  /** `req_…`; echoes a valid `x-request-id` of the client. Handlers of `json` routes send it as `x-request-id`; for the others the edge does. */
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
  /** The whole body within the limits; throws GatewayError (body_too_large, request_timeout, overloaded, unsupported_*). `atMostBytes`: less than those limits. Call once. */
  body(atMostBytes?: number): Promise<Buffer>;
  /**
   * Instead of `body`, before a refusal: takes the body in and throws it away, so that the connection can be used again. Nothing happens where it was not announced, is
   * large, or is not on its way yet; then the refusal closes the connection. Never rejects.
   */
  dropBody(): Promise<void>;
  /** Takes bytes of the process-wide budget for what is held on behalf of this request; given back when its response closes. False: none left. */
  reserve(bytes: number): boolean;
  /** Hooks the client's leaving before the reply is whole; fires at most once, also if it has already left. */
  onGone(listener: () => void): void;
}

/** What the edge reads of the configuration (the snapshot's `server`); a new object means a reload. */
export interface EdgeSettings {
  publicUrl?: string;
  maxBodyBytes: number;
  maxHeaderBytes: number;
  headersTimeoutMs: number;
  bodyTimeoutMs: number;
  keepAliveTimeoutMs: number;
  trustedProxies: readonly string[];
  cors?: { origins: readonly string[]; maxAgeS: number };
  /** PEM texts. */
  tls?: { cert: string; key: string };
}

/** Turned away before any handler ran. */
export interface Refusal {
  requestId: string;
  /** Absent where the request had no valid target, or was no HTTP at all. */
  route: Route | undefined;
  error: GatewayError;
}

export interface EdgeOptions {
  settings: () => EdgeSettings;
  routes: readonly Route[];
  /** The body of an error in a route's own words. */
  errors: (kind: RoutePolicy['errors']) => (error: GatewayError, requestId: string) => object;
  newRequestId: () => string;
  /** The process-wide budget of bytes in flight; false: nothing left. */
  reserveBytes: (bytes: number) => boolean;
  releaseBytes: (bytes: number) => void;
  /** A failure of our own: a handler threw something that is not a refusal. */
  onFailure: (failure: { requestId: string; error: unknown }) => void;
  onRefused?: (refusal: Refusal) => void;
}

export interface Edge {
  /** Resolves with the bound address; rejects as `net.Server` does (EADDRINUSE…). Port 0 takes a free one. */
  listen(at: { host: string; port: number; reusePort?: boolean }): Promise<{ host: string; port: number }>;
  /** On a Unix socket instead, for this user only. */
  listenOn(socketPath: string): Promise<void>;
  /**
   * Stops listening, closes idle connections, marks every further answer `Connection: close`; resolves when no request is in flight.
   * Idempotent; waits as long as it takes: whoever calls it keeps the time and then calls `close`.
   */
  drain(): Promise<void>;
  /** Cuts every connection now. */
  close(): Promise<void>;
  inFlight(): number;
}
