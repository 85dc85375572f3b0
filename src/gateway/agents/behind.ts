/** Calls to agents that are models: what goes to main with them, and what main says where the model could not be asked. */
import { BEHIND, CALLERS_HEADERS, readError } from '../../core/agent-behind.ts';
import type { GatewayError } from '../../core/errors.ts';
import type { EdgeRequest } from '../../http/edge.ts';
import type { DeliveryFailure, UpstreamAnswer } from '../../upstream/types.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentWork } from './call.ts';
import { joined } from './hops.ts';
import { ownerOfCaller } from './tasks.ts';

/** What main must know beside the message. */
export function headersToMain({ request, caller, endUser, plane }: Exchange, { record }: AgentWork): Record<string, string> {
  return {
    ...callersOwn(request),
    'x-request-id': request.id,
    [BEHIND.worker]: String(plane.worker),
    [BEHIND.owner]: record?.owner ?? ownerOfCaller(caller!, endUser).owner,
    [BEHIND.callerIp]: request.clientIp,
    ...(endUser !== undefined && { [BEHIND.endUser]: encodeURIComponent(endUser) }),
  };
}

function callersOwn({ headers }: EdgeRequest): Record<string, string> {
  return Object.fromEntries(
    CALLERS_HEADERS.flatMap((name) => {
      const value = joined(headers[name]);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** What main says of a model that could not be asked is said in our own words already. */
export function orOwnError(answer: UpstreamAnswer | DeliveryFailure): UpstreamAnswer | DeliveryFailure {
  const error = answer.failed ? undefined : readError(answer.headers[BEHIND.error]);
  if (answer.failed || error === undefined) return answer;
  answer.body.abort();
  return { failed: true, error, undelivered: false, reusedSocket: false };
}

/** Said by us, of a chat that no provider has seen. */
export function isOurRefusal({ code }: GatewayError): boolean {
  return !code.startsWith('upstream_') && code !== 'invalid_request' && code !== 'client_gone';
}
