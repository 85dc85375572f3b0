/** A push configuration that came along with a message: which task it is of shows only when the agent has said something. */
import { type AgentQuestion, type ReplicaView, isConversation } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AgentWork } from './call.ts';

import type { AgentSide } from './side.ts';

/** Main cannot tell: where these stand is the store's to say. */
export function askPush(side: AgentSide, question: AgentQuestion): Promise<unknown> {
  return side.ask(question).catch((cause: unknown) => {
    throw new GatewayError('store_down', { cause });
  });
}

/** The message goes there: what it posts before it answers comes from there. */
export async function placePush({ push }: AgentWork, { id }: ReplicaView, side: AgentSide): Promise<void> {
  if (push !== undefined) await askPush(side, { ask: 'push_bind', push, replica: id });
}

/** The task is known now; the client may ask for its configuration as soon as it has the answer. */
export async function bindPush(work: AgentWork, side: AgentSide): Promise<void> {
  const { push, task } = work;
  if (push === undefined || task === undefined || isConversation(task)) return;
  delete work.push;
  await askPush(side, { ask: 'push_bind', push, task });
}
