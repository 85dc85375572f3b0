/** How a replica is spoken to. */
import type { AgentInterface, ReplicaView } from '../../core/agent.ts';
import type { AgentCall } from './call.ts';

/** The caller's own version and binding, else its version, else what the card names first. */
export function interfaceFor({ form, version }: AgentCall, { interfaces }: ReplicaView): AgentInterface {
  const binding = form === 'rpc' ? 'JSONRPC' : 'HTTP+JSON';
  const exact = interfaces.find((each) => each.version === version && each.binding === binding);
  return exact ?? interfaces.find((each) => each.version === version) ?? interfaces[0]!;
}

/** A tenant must be written into every request, and one of the caller's own taken out, which only the translation does. */
export function isRaw({ form, version, params, rest }: AgentCall, upstream: AgentInterface): boolean {
  const hasOwn = params.tenant !== undefined || rest?.query.has('tenant') === true;
  return (
    !hasOwn &&
    upstream.version === version &&
    upstream.binding === (form === 'rpc' ? 'JSONRPC' : 'HTTP+JSON') &&
    upstream.tenant === undefined
  );
}
