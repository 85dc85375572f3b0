/** The paths of agents. One prefix, because the protocol puts colons and slashes of its own beneath an agent's name. */
import { GatewayError } from '../../core/errors.ts';
import type { Route } from '../../http/edge.ts';
import type { Plane } from '../plane.ts';
import { type Asked, askedBy } from './call.ts';
import { serveAgent } from './line.ts';
import { pushRoute } from './push-callback.ts';
import type { AgentSide } from './side.ts';

const METHODS: { readonly [At in Asked['at']]?: readonly string[] } = { rpc: ['POST'], card: ['GET', 'HEAD'] };

function otherMethod(method: string, allowed: readonly string[]): GatewayError {
  const message = `${method} means nothing at this path; it takes ${allowed.join(' and ')}`;
  return new GatewayError('method_not_allowed', { details: { message } });
}

/** `/v1/a2a` is how clients of LiteLLM know it. */
const PREFIXES = ['/a2a/*', '/v1/a2a/*'];

export function agentRoutes(plane: Plane, side: AgentSide): Route[] {
  const called = PREFIXES.map((path): Route => ({
    method: '*',
    path,
    policy: { access: 'key', body: 'json', errors: 'a2a' },
    handle(request, response) {
      const asked = askedBy(request.path);
      if (asked === undefined) throw new GatewayError('not_found');
      const allowed = METHODS[asked.at];
      if (allowed !== undefined && !allowed.includes(request.method)) throw otherMethod(request.method, allowed);
      return serveAgent(plane, side, { request, response, asked });
    },
  }));
  return [pushRoute(plane, side), ...called];
}
