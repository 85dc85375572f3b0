/** A message that was sent before is not sent again: clients try again after whatever kept them from the answer, and few agents notice. */
import { isSend } from '../../agents/a2a/methods.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { type Claimed, type SendOutcome, isConversation } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentCall, AgentWork } from './call.ts';
import type { AgentSide } from './side.ts';
import { ownerOfCaller } from './tasks.ts';

/** What the same message came to when it was sent before. */
export type Repeated = { task: string } | { answer: unknown };

/** Longer ones are not kept. */
const MAX_ANSWER = 16_384;

/** Undefined: this call is the first to send it, and settles it. Throws -32602 where the id stands for another message, agent_unavailable. */
export async function claimSend(exchange: Exchange, work: AgentWork, side: AgentSide): Promise<Repeated | undefined> {
  const { view, call, messageHash } = work;
  if (!isSend(call.operation)) return undefined;
  const { owner, endUser = '' } = ownerOfCaller(exchange.caller!, exchange.endUser);
  const key = [owner, endUser, view.name, call.refs.messageId].join('\n');
  const claimed = (await side.ask({
    ask: 'claim',
    claim: { key, body: messageHash!, waitMs: view.config.timeoutMs },
  })) as Claimed;
  if (claimed.is === 'yours') {
    work.claimed = key;
    return undefined;
  }
  work.repeated = true;
  return repeatedOf(claimed, call);
}

function repeatedOf(claimed: Exclude<Claimed, { is: 'yours' }>, call: AgentCall): Repeated {
  if (claimed.is === 'task') return { task: claimed.task };
  if (claimed.is === 'answer' && claimed.shape === shapeOf(call)) return { answer: JSON.parse(claimed.answer) };
  if (claimed.is === 'under_way') {
    const message = 'This message was sent before and is still being answered';
    throw new GatewayError('agent_unavailable', { details: { message, retryAfterS: 1 } });
  }
  const why = claimed.is === 'another' ? 'for another message' : 'before, and what was answered is not here any more';
  throw new ProtocolError(-32602, `message.messageId was used ${why}; every message needs an id of its own`);
}

/** What came of it, as far as it is known: whoever repeats it from now on gets that. */
export function settleSend(work: AgentWork, side: AgentSide): void {
  const { claimed: key } = work;
  if (key === undefined) return;
  delete work.claimed;
  side.ask({ ask: 'sent', key, outcome: outcomeOf(work) }).catch(() => undefined);
}

/** A stream's task is known long before its end. */
export function settleSoon(work: AgentWork, side: AgentSide): void {
  if (work.call.streams && work.task !== undefined && !isConversation(work.task)) settleSend(work, side);
}

function outcomeOf({ call, said, task }: AgentWork): SendOutcome {
  if (said === undefined) return task === undefined || isConversation(task) ? { is: 'nothing' } : { is: 'task', task };
  const answer = JSON.stringify(said);
  return answer.length > MAX_ANSWER ? { is: 'gone' } : { is: 'answer', answer, shape: shapeOf(call) };
}

/** Answers look alike only to calls alike. */
function shapeOf({ form, version, operation }: AgentCall): string {
  return `${form} ${version} ${operation}`;
}
