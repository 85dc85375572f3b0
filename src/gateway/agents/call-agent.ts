/** A call to an agent from the moment it has been read, whichever surface it came by. */
import type { ServerResponse } from 'node:http';

import { isPush, isSend } from '../../agents/a2a/methods.ts';
import { rulesOfAgent } from '../../core/agent.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { hashText } from '../../routing/hash.ts';
import { admitAgent, releaseLeases } from '../admit.ts';
import type { Exchange } from '../exchange.ts';
import { isGuards } from '../guard.ts';
import { refuseWhileStoreIsBehind } from '../store-behind.ts';
import { type Answering, type TakeResults, answerCall } from './answer.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { lookedAt } from './choose.ts';
import { claimSend, settleSend } from './claim.ts';
import { joined } from './hops.ts';
import { answerPush, takePushAlong } from './push.ts';
import { answerRepeated } from './repeated.ts';
import { requireFits } from './requirements.ts';
import type { AgentSide } from './side.ts';
import { type AgentSpend, endCall, reserveCall } from './spend.ts';
import { ownerOfCaller, placeOf, type TaskOwner } from './tasks.ts';
import { tellGone } from './tell.ts';

export interface Calling {
  exchange: Exchange;
  response: ServerResponse;
  side: AgentSide;
}

/**
 * A call that has been read: does it fit → whose is its task → limits → health → money → the answer. `take`: who makes an answer of the results, as 1.0 has them; absent, the
 * client gets them in its own form. Throws what it comes to instead, ProtocolErrors among it.
 */
export async function callAgent({ exchange, response, side }: Calling, work: AgentWork, take?: TakeResults): Promise<void> {
  const { call } = work;
  const aboutPush = isPush(call.operation) || call.refs.wantsPush;
  // Whether it calls back, its card says.
  if (aboutPush) work.view = await lookedAt(side, work.view);
  const { view } = work;
  requireFits(call, view, exchange.line.snapshot.server.publicUrl);
  const who = ownerOfCaller(exchange.caller!, exchange.endUser);
  const record = await placeOf(side, view, call.refs, who);
  if (record !== undefined) work.record = record;
  await admitAgent(exchange, rulesOfAgent(view));
  refuseWhileStoreIsBehind(exchange);
  const baggage = side.hopsOf(exchange.line.snapshot.pepper).enter(joined(exchange.request.headers.baggage), view.name);
  if (isSend(call.operation)) work.messageHash ??= messageHashOf(call);
  const answering = { exchange, response, side, work, baggage, ...(take !== undefined && { take }) };
  // What a model is asked has no id of the client's.
  const repeated = take === undefined ? await claimSend(exchange, work, side) : undefined;
  if (repeated !== undefined) return answerRepeated({ ...answering, finish: () => releaseLeases(exchange) }, repeated);
  try {
    await takePushAlong(exchange, side, work, who);
    await answerPaid(answering, who);
  } finally {
    settleSend(work, side);
  }
}

export function messageHashOf({ params }: AgentCall): number {
  return hashText(JSON.stringify(params.message ?? params.request ?? null));
}

async function answerPaid(unpaid: Omit<Answering, 'finish'>, who: TaskOwner): Promise<void> {
  const { exchange, work } = unpaid;
  const { operation } = work.call;
  const spend = isSend(operation) ? await reserveCall(exchange, work) : undefined;
  // The chat behind it takes them again: whoever may have one call at once must not wait for himself.
  if (work.view.config.model !== undefined && isSend(operation)) releaseLeases(exchange);
  const finish = (): void => finishCall(exchange, work, spend);
  const answering: Answering = { ...unpaid, finish };
  try {
    await (isPush(operation) ? answerPush(answering, who) : answerCall(answering));
    endOf(exchange, work, spend);
  } catch (thrown) {
    endOf(exchange, work, spend, thrown);
    await tellGone(exchange, work, unpaid.side);
    throw thrown;
  }
}

/** An error is an answer too, but nobody pays for it. What was charged before stays so. */
function endOf(exchange: Exchange, work: AgentWork, spend: AgentSpend | undefined, thrown?: unknown): void {
  const isError = thrown instanceof ProtocolError;
  const isGiven = !isError && hasLeft(exchange);
  if (isError || isGiven) work.answered = true;
  // What is kept back has been given, too.
  const isPaid = thrown === undefined || work.taskState !== undefined || isGiven || isGuards(thrown);
  if (isPaid) finishCall(exchange, work, spend);
  if (spend !== undefined) endCall(exchange, spend, 0);
}

/** Whoever leaves a stream before its first event has had the work all the same, unless it never arrived there. */
function hasLeft({ gone, stream, attempts }: Exchange): boolean {
  return gone && stream && attempts.some(({ error }) => error !== 'upstream_unreachable');
}

/** A send that was answered with a result costs what it costs. */
function finishCall(exchange: Exchange, work: AgentWork, spend: AgentSpend | undefined): void {
  if (spend !== undefined && work.answered === true) endCall(exchange, spend, spend.nanoUsd);
  releaseLeases(exchange);
}
