import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { Endpoint } from '../core/target.ts';
import { Attempt } from './attempt.ts';
import type { Egress, Route } from './egress.ts';
import type { Dispatched, UpstreamRequest } from './types.ts';

export type Send = (request: UpstreamRequest) => Dispatched;

/**
 * How attempts leave. Beside the caller's headers and the endpoint's go only `user-agent`, `accept-encoding: identity`, `host`,
 * `connection` and `content-length`. Nothing is retried and no redirect followed. Never throws: what fails before the way out is a failure too.
 */
export function createSend(egress: Egress): Send {
  // Endpoints live as long as their snapshot; their URL is parsed once.
  const routes = new WeakMap<Endpoint, Route>();
  const fixed = { 'user-agent': egress.userAgent, 'accept-encoding': 'identity' };

  const routeOf = (request: UpstreamRequest): Route => {
    const { endpoint } = request;
    const own = endpoint.outside === true ? 'outside' : 'operator';
    const trust = request.trust ?? own;
    const known = trust === own ? routes.get(endpoint) : undefined;
    if (known !== undefined && !known.pool.closed) return known;
    const route = egress.route(endpoint.baseUrl, trust, endpoint.socketPath);
    if (trust === own) routes.set(endpoint, route);
    return route;
  };

  return (request) => {
    try {
      const route = routeOf(request);
      const options = {
        path: pathOf(route, request.path),
        method: request.method,
        headers: { ...request.headers, ...request.endpoint.headers, ...fixed },
        body: request.body ?? null,
      };
      return new Attempt(options, { pool: route.pool, wheel: egress.wheel }, request);
    } catch (thrown) {
      return failedBefore(toGatewayError(thrown));
    }
  };
}

function pathOf(route: Route, path: string): string {
  if (route.query === '') return route.prefix + path;
  return `${route.prefix}${path}${path.includes('?') ? '&' : '?'}${route.query}`;
}

function failedBefore(reason: GatewayError): Dispatched {
  return {
    answer: Promise.resolve({ failed: true, error: reason, undelivered: true, reusedSocket: false }),
    abort() {},
  };
}
