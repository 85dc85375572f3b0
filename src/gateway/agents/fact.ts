/** A call to an agent as it is recorded, once it is over. */
import { isSend } from '../../agents/a2a/methods.ts';
import type { AgentCallFact } from '../../core/agent.ts';
import type { AgentWork } from './call.ts';

export function agentCallFact({ view, call, verdicts, replica, upstream, answered, ...rest }: AgentWork): AgentCallFact {
  const { task, context, taskState, messageHash, repeated, told } = rest;
  return {
    agent: view.name,
    generation: view.generation,
    operation: call.operation,
    binding: call.form === 'rpc' ? 'JSONRPC' : 'HTTP+JSON',
    version: call.version,
    verdicts: verdicts.slice(told),
    ...(replica !== undefined && { replica: replica.id }),
    ...(upstream !== undefined && { upstreamVersion: upstream.version, upstreamBinding: upstream.binding }),
    ...(answered === true && repeated !== true && isSend(call.operation) && { invoked: true }),
    ...(task !== undefined && { task }),
    ...(context !== undefined && { context }),
    ...(taskState !== undefined && { taskState }),
    ...(messageHash !== undefined && { messageHash }),
  };
}
