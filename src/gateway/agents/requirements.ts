/** What an agent does not do, by its operator's word or its card's, is refused here in the protocol's own terms. */
import type { AgentView } from '../../core/agent.ts';
import { isPush, isSend } from '../../agents/a2a/methods.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { unclearIn } from '../../agents/a2a/read.ts';
import type { AgentCall } from './call.ts';

/** Why nobody can be told of this agent's tasks. `publicUrl`: under which the agent would call us back. */
export function pushProblem({ pushes }: AgentView, publicUrl: string | undefined): string | undefined {
  if (!pushes) return 'This agent sends no push notifications';
  return publicUrl === undefined ? 'Push notifications are not supported here: `server.public_url` is not set' : undefined;
}

/** Throws a ProtocolError. */
export function requireFits(call: AgentCall, view: AgentView, publicUrl: string | undefined): void {
  const { operation, refs } = call;
  const noPush = isPush(operation) || refs.wantsPush ? pushProblem(view, publicUrl) : undefined;
  if (noPush !== undefined) throw new ProtocolError(-32003, noPush);
  if (operation === 'cancel' && view.config.refuses.cancel === true) {
    throw new ProtocolError(-32002, 'Tasks of this agent cannot be cancelled');
  }
  // Whoever has no card may stream all the same.
  if (operation === 'stream' && view.card !== undefined && !view.streaming) {
    throw new ProtocolError(-32004, 'This agent does not stream');
  }
  if (isSend(operation)) requireMessageFits(call, view);
}

function requireMessageFits({ refs, params }: AgentCall, { config: { refuses, capabilities } }: AgentView): void {
  const unclear = unclearIn(params);
  if (unclear !== undefined) throw new ProtocolError(-32602, `This message could be read in two ways: ${unclear}`);
  if (refuses.followUps === true && (refs.task !== undefined || refs.context !== undefined)) {
    throw new ProtocolError(-32004, 'This agent takes one message only: no message may name a task or a context');
  }
  if (refuses.files === true && refs.hasFiles) throw new ProtocolError(-32005, 'This agent takes no files');
  const { maxInputLength = Infinity } = capabilities;
  if (refs.textLength > maxInputLength) {
    throw new ProtocolError(-32602, `The message has ${refs.textLength} characters of text; this agent takes ${maxInputLength}`);
  }
}
