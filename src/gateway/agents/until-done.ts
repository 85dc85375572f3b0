/**
 * What a call comes to, result by result, until its task has ended or waits for its caller: for callers who know of no tasks, and could not ask again. Where the agent
 * breaks off, or answers with a task that it still works on, the task is taken up where it stands.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { isSend } from '../../agents/a2a/methods.ts';
import { type Seen, isTerminal } from '../../agents/a2a/read.ts';
import { backoffMs } from '../../agents/backoff.ts';
import { isConversation } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { Answering, Results } from './answer.ts';
import type { AgentWork } from './call.ts';
import { type Ending, endingOf } from './ending.ts';
import { taskFromNow } from './follow.ts';
import { Undelivered, judge } from './reach.ts';
import type { Relaying } from './relay.ts';
import { clientCall, startingWith, upstreamOf } from './translated.ts';

/** Of a send, each result is known everywhere before it is passed on, and what goes wrong before the first is thrown here. Other calls have one result, which tells of no task. */
export async function resultsOf(answering: Answering, relaying: Relaying): Promise<Results> {
  const { side, work } = answering;
  const answer = await side.translator.translate(clientCall(work.call), upstreamOf(relaying));
  const told = 'events' in answer ? answer.events : [answer.result];
  if (!isSend(work.call.operation)) return told;
  const results = untilDone(answering, relaying, told);
  return startingWith(await results.next(), results);
}

const BREAKS = 3;
/** Of pauses between two looks at a task that goes on. */
const LONGEST_STEP = 4;

/** Throws what it broke off with, upstream_incomplete, upstream_timeout. */
async function* untilDone(answering: Answering, relaying: Relaying, first: Results): AsyncGenerator<unknown, void, undefined> {
  const { exchange, work } = answering;
  let results = first;
  const heard: Heard = { ending: endingOf(work.call.refs.task !== undefined), state: undefined };
  let openSinceMs: number | undefined;
  for (let round = 1, breaks = 0; ; round++) {
    const { isDone, broken, hasMoved } = yield* learned(relaying, results, heard);
    if (isDone) return;
    if (!isTask(work.task)) throw broken ?? new GatewayError('upstream_incomplete');
    if (broken !== undefined && (!isPassing(broken) || ++breaks > BREAKS)) throw round === 1 ? broken : lastWord(broken);
    judge(work, work.replica!.id, exchange, broken);
    if (hasMoved) openSinceMs = undefined;
    if (broken === undefined) requireTime(work, (openSinceMs ??= performance.now()));
    await pause(exchange, round);
    results = taskFromNow(answering, relaying, work.task);
    heard.ending = endingOf(heard.ending.isOpen);
  }
}

/** Throws why nobody waits any more. */
async function pause(exchange: Exchange, round: number): Promise<void> {
  const requireReader = (): void => {
    if (exchange.cut !== undefined || exchange.gone) throw exchange.cut ?? new GatewayError('client_gone');
  };
  requireReader();
  await sleep(backoffMs(Math.min(round, LONGEST_STEP), exchange.plane.random));
  requireReader();
}

/** What was told of the task so far. */
interface Heard {
  ending: Ending;
  state: string | undefined;
}

/** `hasMoved`: there was more than how it stands, in the same words as before. */
interface Learned {
  isDone: boolean;
  broken?: unknown;
  hasMoved: boolean;
}

/** Results as they are learnt, and how they ended. */
async function* learned(
  { work, learn, finish }: Relaying,
  results: Results,
  heard: Heard,
): AsyncGenerator<unknown, Learned, undefined> {
  const { ending } = heard;
  let isDone = false;
  let hasMoved = false;
  try {
    for await (const result of results) {
      work.answered = true;
      const seen = await learn(result);
      hasMoved = isNews(heard, seen) || hasMoved;
      isDone = ending.after(seen);
      if (isDone) finish();
      yield result;
      // Whoever waits for its caller may leave the stream open.
      if (isDone && !isTerminal(seen?.state)) break;
    }
    if (ending.atLast()) finish();
    return { isDone: ending.atLast(), hasMoved };
  } catch (thrown) {
    return { isDone, hasMoved, ...(!isDone && { broken: thrown }) };
  }
}

function isNews(heard: Heard, seen: Seen | undefined): boolean {
  if (seen?.state === undefined) return seen?.kind === 'artifact';
  const isSame = seen.state === heard.state;
  heard.state = seen.state;
  return !isSame;
}

/** Whatever kept us from a task that was begun: it must not look like work that nobody took. */
function lastWord(broken: unknown): unknown {
  const isOurs = broken instanceof GatewayError && !broken.code.startsWith('upstream_');
  return isOurs ? broken : new GatewayError('upstream_incomplete', { cause: broken });
}

/** The agent's timeout holds for the time in which there is nothing to do but look again. */
function requireTime({ task = '', view: { name, config } }: AgentWork, sinceMs: number): void {
  if (performance.now() - sinceMs < config.timeoutMs) return;
  const message = `The agent \`${name}\` still works on the task ${JSON.stringify(task.slice(0, 128))}; ask for it at /a2a/${name}`;
  throw new GatewayError('upstream_timeout', { details: { message } });
}

/** What the agent says itself is its last word; what we say, too. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof Undelivered || (thrown instanceof GatewayError && thrown.code.startsWith('upstream_'));
}

function isTask(task: string | undefined): task is string {
  return task !== undefined && !isConversation(task);
}
