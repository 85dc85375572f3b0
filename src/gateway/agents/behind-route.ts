/**
 * The chats behind agents that are models. Main asks for them over the worker's own socket, in the name of whoever sent the message; they run on the line of all chats, so
 * that nothing that holds for a model can be gone round by calling it as an agent.
 */
import { BEHIND, BEHIND_PATH, writeError } from '../../core/agent-behind.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { EdgeSettings, Route } from '../../http/edge.ts';
import { serveExchange } from '../exchange-line.ts';
import { beginExchange } from '../exchange.ts';
import type { Plane } from '../plane.ts';
import { CHAT } from '../surface.ts';

/** The only route of a worker's own socket. */
export function behindRoute(plane: Plane): Route {
  return {
    method: 'POST',
    path: BEHIND_PATH,
    policy: { access: 'key', body: 'json', errors: CHAT.errorKind },
    async handle(request, response) {
      try {
        const view = plane.agents.book.get(String(request.headers[BEHIND.agent]));
        if (view === undefined) throw new GatewayError('agent_not_found');
        const named = request.headers[BEHIND.endUser];
        const endUser = typeof named === 'string' ? decodeURIComponent(named) : undefined;
        request.clientIp = String(request.headers[BEHIND.callerIp]);
        await serveExchange(Object.assign(beginExchange(plane, CHAT, request), { behind: { view, endUser } }), response);
      } catch (thrown) {
        if (!response.headersSent) response.setHeader(BEHIND.error, writeError(toGatewayError(thrown)));
        throw thrown;
      }
    },
  };
}

/** Settings of a worker's own socket: those of the port, without what only strangers need. The same object as long as the port's is. */
export function createBehindSettings(): (settings: EdgeSettings) => EdgeSettings {
  let made: { from: EdgeSettings; settings: EdgeSettings } | undefined;
  return (from) => {
    if (made?.from === from) return made.settings;
    const { tls: _, cors: __, publicUrl: ___, ...rest } = from;
    made = { from, settings: { ...rest, trustedProxies: [], maxBodyBytes: 2 * from.maxBodyBytes + CONVERSATION_BYTES } };
    return made.settings;
  };
}

/** What was said before, beside a message as large as one may be, whose text JSON may write twice as long. */
const CONVERSATION_BYTES = 1024 * 1024;
