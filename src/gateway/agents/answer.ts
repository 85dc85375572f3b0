/** The answer to a call: from which replica, by relay or by translation, and what happens where one does not answer. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { isSend, isStreaming } from '../../agents/a2a/methods.ts';
import type { AgentView, ReplicaView } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import { backoffMs } from '../../agents/backoff.ts';
import type { Exchange } from '../exchange.ts';
import { guardMs, isGuards } from '../guard.ts';
import { atReplica } from './at-replica.ts';
import type { AgentWork } from './call.ts';
import { chooseReplica, lookedAt, ownerOf, requireEnabled } from './choose.ts';
import { isAbsence, noteAbsence, replicaWith, requireNotAbsent } from './find-task.ts';
import { isRaw } from './interfaces.ts';
import { answerList } from './list.ts';
import { answerLong, answerOutlasted, mayOutlast, notePace } from './long-send.ts';
import { placePush } from './push-bind.ts';
import { Undelivered, judge, plainly } from './reach.ts';
import { type Relaying, askRaw, relayWhole } from './relay.ts';
import { answerStream } from './streams.ts';
import type { AgentSide } from './side.ts';
import { answerExtendedCard, translateWhole } from './translated.ts';
import { resultsOf } from './until-done.ts';

export interface Answering {
  exchange: Exchange;
  response: ServerResponse;
  side: AgentSide;
  work: AgentWork;
  baggage: string;
  finish: () => void;
  /** Present: it makes the answer of the results, which are those of 1.0. */
  take?: TakeResults;
}

export type Results = AsyncIterable<unknown> | Iterable<unknown>;
export type TakeResults = (results: Results) => Promise<void>;

/** Attempts at reading, which changes nothing. */
const READ_TRIES = 3;

export async function answerCall(answering: Answering): Promise<void> {
  const { side, work } = answering;
  const { call, record } = work;
  // Before that nobody knows its card, and so not how it is spoken to: not for tasks of an earlier run either.
  work.view = await lookedAt(side, work.view);
  const { view } = work;
  if (call.operation === 'list') return answerList(answering);
  // A task may still be told what it waits for; another one in its conversation is new work.
  if (isSend(call.operation) && call.refs.task === undefined) return answerNew(answering);
  if (record !== undefined) return answerFrom(answering, ownerOf(view, record.replica));
  if (call.refs.task !== undefined) return answerUnknown(answering, call.refs.task);
  return answerFrom(answering, anyReplica(view));
}

/** New work goes to the next replica where one provably did not take it; that of a conversation only to where it is held. */
async function answerNew(answering: Answering): Promise<void> {
  const { exchange, side, work } = answering;
  requireEnabled(work.view);
  const owner = work.record === undefined ? undefined : ownerOf(work.view, work.record.replica);
  const tried = new Set<string>();
  let last: unknown;
  for (;;) {
    work.view = await lookedAt(side, work.view);
    const choosing = { side, tried, ...(owner !== undefined && { only: owner.id }) };
    const { replica, trial } = await chooseReplica(exchange, work.view, choosing).catch((thrown: unknown) => {
      throw last ?? thrown;
    });
    tried.add(replica.id);
    if (trial === true) work.trial = true;
    try {
      return await attempt(answering, replica);
    } catch (thrown) {
      last = owner === undefined ? plainly(thrown) : ownerGone(thrown, work, replica);
      if (owner !== undefined || !mayGoElsewhere(thrown) || tried.size >= work.view.replicas.length) throw last;
    }
  }
}

/** It was not delivered, or refused for want of room with a word about when to come back. */
function mayGoElsewhere(thrown: unknown): boolean {
  if (thrown instanceof Undelivered) return true;
  if (!(thrown instanceof GatewayError)) return false;
  const { upstreamStatus, retryAfterS } = thrown.details;
  return upstreamStatus === 429 || (upstreamStatus === 503 && retryAfterS !== undefined);
}

/** What belongs to a task goes to its replica only. */
async function answerFrom(answering: Answering, replica: ReplicaView): Promise<void> {
  const { operation } = answering.work.call;
  if (isSend(operation) || operation === 'push_create') {
    return attempt(answering, replica).catch((thrown: unknown) => {
      throw ownerGone(thrown, answering.work, replica);
    });
  }
  return readFrom(answering, replica, () => attempt(answering, replica));
}

/** What only reads is asked again where that may help, as long as the client has nothing. Throws as the last attempt did, or task_owner_unavailable. */
export async function readFrom(
  { exchange, response, work }: Answering,
  replica: ReplicaView,
  read: () => Promise<void>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await read();
    } catch (thrown) {
      const mayRetry = isPassing(plainly(thrown)) && !response.headersSent && !exchange.gone;
      if (!mayRetry || tries >= READ_TRIES) throw ownerGone(thrown, work, replica);
      await sleep(backoffMs(tries, exchange.plane.random));
    }
  }
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return false;
  const { upstreamStatus } = error.details;
  if (upstreamStatus !== undefined) return upstreamStatus === 502 || upstreamStatus === 503 || upstreamStatus === 504;
  return error.code === 'upstream_unreachable' || error.code === 'upstream_incomplete';
}

/** Others of its replicas may be well: only this task cannot be reached. */
function ownerGone(thrown: unknown, { call, record, view }: AgentWork, { id }: ReplicaView): unknown {
  const error = plainly(thrown);
  if (record === undefined || !(error instanceof GatewayError) || error.code !== 'upstream_unreachable') return error;
  const what = call.refs.task === undefined ? 'conversation' : 'task';
  const message = `The replica \`${id}\` of the agent \`${view.name}\`, which has the ${what}, cannot be reached`;
  return new GatewayError('task_owner_unavailable', { cause: error, details: { message, retryAfterS: 5 } });
}

/** Of a task that nobody here knows. */
async function answerUnknown(answering: Answering, task: string): Promise<void> {
  const { replicas } = answering.work.view;
  if (replicas.length > 1) return answerFrom(answering, await replicaWith(answering, task));
  requireNotAbsent(answering, task);
  try {
    await answerFrom(answering, replicas[0]!);
  } catch (thrown) {
    if (isAbsence(thrown)) noteAbsence(answering, task);
    throw thrown;
  }
}

/** Cards are the same everywhere. */
function anyReplica({ replicas }: AgentView): ReplicaView {
  return replicas.find(({ state }) => state === 'healthy' || state === 'degraded') ?? replicas[0]!;
}

/** One replica. Throws what it answered instead of a result; the client has nothing then, unless a stream had begun. */
async function attempt(answering: Answering, replica: ReplicaView): Promise<void> {
  const { exchange, side, work } = answering;
  const { call } = work;
  await placePush(work, replica, side);
  const relaying = atReplica(answering, replica);
  const ownMs = (): number => performance.now() - guardMs(exchange);
  const startedMs = ownMs();
  const load = `${work.view.name}/${replica.id}`;
  side.loads.began(load);
  try {
    if (answering.take !== undefined) await answering.take(await resultsOf(answering, relaying));
    else if (call.operation === 'extended_card') await answerExtendedCard(answering, relaying);
    else if (isStreaming(call.operation)) await answerStream(answering, relaying);
    else if (!mayOutlast(answering) || !(await answerLong(answering, relaying))) await answerWhole(answering, relaying);
    judge(work, replica.id, exchange, undefined);
  } catch (thrown) {
    judge(work, replica.id, exchange, isGuards(thrown) ? undefined : thrown);
    if (answering.take !== undefined || !(await answerOutlasted(answering, relaying, thrown))) throw thrown;
  } finally {
    side.loads.ended(load);
    notePace(answering, replica.id, ownMs() - startedMs);
  }
}

async function answerWhole(answering: Answering, relaying: Relaying): Promise<void> {
  const { response, work } = answering;
  if (isRaw(work.call, work.upstream!)) await relayWhole(relaying, await askRaw(relaying), response);
  else await translateWhole(answering, relaying);
}
