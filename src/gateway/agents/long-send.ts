/**
 * Sends that wait for the end of their task, at a replica that streams and has been slow before: such a send goes out as a stream, so that its task is known before it
 * ends, and is answered with the task as it stands where that outlasts the agent's timeout. The answer is the agent's own task, read from it. Where nobody knew that it
 * would take so long, an agent of 1.0 is asked for the task that has the message. One of 0.3 could not be, so its first send is a stream too.
 */
import { isConversation } from '../../core/agent.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { type Seen, objectOf } from '../../agents/a2a/read.ts';
import { GatewayError } from '../../core/errors.ts';
import { guardMs } from '../guard.ts';
import type { Answering } from './answer.ts';
import { asideAt } from './at-replica.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { endingOf } from './ending.ts';
import { asResult, taskNow } from './follow.ts';
import type { Relaying } from './relay.ts';
import { deliverResult } from './reply.ts';
import { clientCall, inForm, upstreamOf } from './translated.ts';

/** A part of the timeout: who answers within it is not expected to outlast the whole. */
const FAST_PART = 0.5;

export function mayOutlast({ side, work }: Pick<Answering, 'side' | 'work'>): boolean {
  const { call, view, replica, upstream } = work;
  if (call.operation !== 'send' || !view.streaming || !isBlocking(call)) return false;
  const unseenMs = upstream?.version === '1.0' ? 0 : Infinity;
  const slowestMs = side.paces.get(paceKey(work, replica!.id)) ?? unseenMs;
  return slowestMs > view.config.timeoutMs * FAST_PART;
}

/** Unless the client says otherwise, in both versions. */
function isBlocking({ params }: AgentCall): boolean {
  const { returnImmediately, blocking } = objectOf(params.configuration) ?? {};
  return returnImmediately !== true && blocking !== false;
}

const FORGETTING = 0.1;

/** How long a whole send took. Whoever was slow once is believed to be fast again after many fast ones only. */
export function notePace({ side, work }: Pick<Answering, 'side' | 'work'>, replica: string, ms: number): void {
  if (work.call.operation !== 'send') return;
  const key = paceKey(work, replica);
  const before = side.paces.get(key) ?? 0;
  side.paces.set(key, Math.max(ms, before - FORGETTING * (before - ms)));
}

function paceKey({ view }: AgentWork, replica: string): string {
  return `${view.generation} ${view.name}/${replica}`;
}

/** False: the agent takes no streams after all, and has done nothing. Throws what it answered instead of a result. */
export async function answerLong(answering: Answering, relaying: Relaying): Promise<boolean> {
  const { exchange, response, work, finish } = answering;
  try {
    const said = await saidWithin(answering, relaying);
    const result = said ?? asResult(answering, await taskNow(answering, relaying, work.task!));
    work.answered = true;
    finish();
    await deliverResult(exchange, response, work.call, inForm(work.call, result));
    return true;
  } catch (thrown) {
    if (thrown instanceof ProtocolError && NO_STREAMS.has(thrown.code) && work.task === undefined) return false;
    throw thrown;
  }
}

const NO_STREAMS = new Set([-32004, -32601]);

async function* eventsOf({ side, work }: Answering, relaying: Relaying): AsyncGenerator<unknown, void, undefined> {
  const answer = await side.translator.translate({ ...clientCall(work.call), operation: 'stream' }, upstreamOf(relaying));
  if ('events' in answer) yield* answer.events;
  else yield answer.result;
}

/** The message that was answered. Undefined: it became a task, which has ended, or goes on. Throws where there is neither. */
async function saidWithin(answering: Answering, relaying: Relaying): Promise<unknown> {
  const { exchange, work } = answering;
  const { timeoutMs } = work.view.config;
  const events = eventsOf(answering, relaying);
  const isTask = (): boolean => work.task !== undefined && !isConversation(work.task);
  const ending = endingOf(work.call.refs.task !== undefined);
  const late = alarm(timeoutMs - (performance.now() - exchange.request.startedAt - guardMs(exchange)));
  try {
    for (;;) {
      const next = await Promise.race([events.next(), late.rings]);
      if (next === 'late') throw new GatewayError('upstream_timeout', { details: { message: lateText(work, timeoutMs) } });
      if (next.done === true) throw new GatewayError('upstream_incomplete');
      const seen: Seen | undefined = await relaying.learn(next.value);
      if (seen?.kind === 'message') return next.value;
      if (ending.after(seen) && isTask()) return undefined;
    }
  } catch (thrown) {
    // It goes on without us.
    if (isTask() && !(thrown instanceof ProtocolError)) return undefined;
    throw thrown;
  } finally {
    late.off();
    exchange.abort();
    events.return().catch(() => undefined);
  }
}

function lateText({ view }: AgentWork, timeoutMs: number): string {
  return `The agent \`${view.name}\` did not answer within ${timeoutMs} ms, and has told of no task`;
}

function alarm(ms: number): { rings: Promise<'late'>; off: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const rings = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), Math.max(0, ms));
  });
  return { rings, off: () => clearTimeout(timer) };
}

/** So long a replica whose time is over is asked which task came of the message, ms. */
const FIND_MS = 2_000;

/** What became of a send that outlasted its time, if the replica can say. False: it cannot, and the client has nothing. */
export async function answerOutlasted(answering: Answering, relaying: Relaying, thrown: unknown): Promise<boolean> {
  const { exchange, response, work, finish } = answering;
  if (!hasOutlasted(answering, thrown)) return false;
  const found = idOfSent(answering).catch(() => undefined);
  const late = alarm(FIND_MS);
  const id = await Promise.race([found, late.rings.then(() => undefined)]).finally(late.off);
  if (id === undefined) return false;
  const result = asResult(answering, await taskNow(answering, relaying, id));
  await relaying.learn(result);
  work.answered = true;
  finish();
  await deliverResult(exchange, response, work.call, inForm(work.call, result));
  return true;
}

function hasOutlasted({ exchange, response, work }: Answering, thrown: unknown): boolean {
  const isLate = thrown instanceof GatewayError && thrown.code === 'upstream_timeout';
  const isSend = work.call.operation === 'send' && isBlocking(work.call) && work.upstream?.version === '1.0';
  return isLate && isSend && !exchange.gone && exchange.cut === undefined && !response.headersSent;
}

/** Among the replica's latest tasks, the one whose history has the message. */
async function idOfSent(answering: Answering): Promise<string | undefined> {
  const { side, work } = answering;
  const { messageId, context } = work.call.refs;
  const upstream = upstreamOf(asideAt(answering, work.replica!));
  const params = { pageSize: 100, historyLength: 20, ...(context !== undefined && { contextId: context }) };
  const answer = await side.translator.translate({ version: '1.0', operation: 'list', params }, upstream);
  const { tasks } = ('result' in answer ? objectOf(answer.result) : undefined) ?? {};
  const hasSent = (task: unknown): boolean => {
    const { history } = objectOf(task) ?? {};
    return Array.isArray(history) && history.some((message) => objectOf(message)?.messageId === messageId);
  };
  const id = Array.isArray(tasks) ? objectOf(tasks.find(hasSent))?.id : undefined;
  return typeof id === 'string' ? id : undefined;
}
