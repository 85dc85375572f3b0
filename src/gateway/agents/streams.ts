/**
 * Streams of an agent: relayed or translated event by event. One that breaks off before its task has ended is taken up again by subscribing to the task, and what the
 * client missed follows as updates, so that its stream keeps a legal order.
 */
import { isConversation } from '../../core/agent.ts';
import { setTimeout as sleep } from 'node:timers/promises';

import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { type Seen, endsStream, seenIn } from '../../agents/a2a/read.ts';
import { backoffMs } from '../../agents/backoff.ts';
import { GatewayError } from '../../core/errors.ts';
import { isGuards } from '../guard.ts';
import type { Answering } from './answer.ts';
import { isRaw } from './interfaces.ts';

import { taskFromNow } from './follow.ts';
import { missedIn } from './missed.ts';
import { judge } from './reach.ts';
import { type Relaying, askRaw, isEventStream, readWhole, relayEvents } from './relay.ts';
import { type EventWriter, openEvents } from './event-writer.ts';
import { errorEvent, eventOf } from './reply.ts';
import { clientCall, eventInForm, startingWith, upstreamOf } from './translated.ts';

const RESUMES = 3;

/** Throws what went wrong before the client had anything; after that the stream itself says it. */
export async function answerStream(answering: Answering, relaying: Relaying): Promise<void> {
  const isSame = isRaw(relaying.work.call, relaying.work.upstream!);
  await writeEvents(answering, relaying, isSame ? await beginRaw(relaying) : await beginTranslated(answering, relaying));
}

/** What has begun, to its task's end or to a word about why it ends before. Throws as above. */
export async function writeEvents(answering: Answering, relaying: Relaying, begun: Begun): Promise<void> {
  const { exchange, response } = answering;
  const writer = openEvents(exchange, response);
  let isAnswer = true;
  try {
    let broken: unknown;
    const last = await begun(writer).catch((thrown: unknown) => {
      broken = thrown;
      return undefined;
    });
    if (exchange.gone || exchange.cut !== undefined) return await tellCut(answering, writer);
    if (broken === undefined && last !== undefined && endsStream(last)) return;
    if ((!writer.hasBegun && broken !== undefined) || isGuards(broken)) {
      isAnswer = false;
      throw broken;
    }
    // It was the agent's own word, and has been passed on or is told now.
    if (broken instanceof ProtocolError) return await tell(answering, writer, broken);
    await resume(answering, relaying, { writer, broken: broken ?? new GatewayError('upstream_incomplete') });
  } finally {
    if (isAnswer) await writer.end();
    else writer.leave();
  }
}

type Begun = (writer: EventWriter) => Promise<Seen | undefined>;

/** The head has come. An agent that answers a stream with one whole result has said all there is. */
async function beginRaw(relaying: Relaying): Promise<Begun> {
  const answer = await askRaw(relaying);
  if (isEventStream(answer)) return (writer) => relayEvents(relaying, answer, writer);
  const { result } = await readWhole(relaying, answer);
  return async (writer) => {
    relaying.finish();
    await writer.write(eventOf(relaying.work.call, result));
    return seenIn(result) ?? { kind: 'message' };
  };
}

async function beginTranslated({ side, work }: Answering, relaying: Relaying): Promise<Begun> {
  const answer = await side.translator.translate(clientCall(work.call), upstreamOf(relaying));
  return begin(relaying, 'events' in answer ? answer.events : one(answer.result));
}

/** What goes wrong before the first event can still be told by a status. */
export async function begin(relaying: Relaying, events: AsyncGenerator<unknown, void, undefined>): Promise<Begun> {
  const first = await events.next();
  return (writer) => passOn(relaying, writer, startingWith(first, events));
}

// oxlint-disable-next-line require-await -- it stands where streams do
async function* one(result: unknown): AsyncGenerator<unknown, void, undefined> {
  yield result;
}

/** Events of a translation. Answers what the last one that told a state said. */
async function passOn(relaying: Relaying, writer: EventWriter, events: AsyncIterable<unknown>): Promise<Seen | undefined> {
  let last: Seen | undefined;
  for await (const event of events) {
    relaying.work.answered = true;
    const seen = await relaying.learn(event);
    if (seen?.state !== undefined || seen?.kind === 'message' || last === undefined) last = seen ?? last;
    if (seen !== undefined && endsStream(seen)) relaying.finish();
    if (!(await writer.write(eventOf(relaying.work.call, eventInForm(relaying.work.call, event))))) return last;
  }
  return last;
}

interface Broken {
  writer: EventWriter;
  broken: unknown;
}

/** The task goes on without its reader; it is taken up where it stands. */
async function resume(answering: Answering, relaying: Relaying, { writer, broken }: Broken): Promise<void> {
  const { exchange, work } = answering;
  judge(work, work.replica!.id, exchange, broken);
  const { task } = work;
  if (task === undefined || isConversation(task)) return tell(answering, writer, broken);
  for (let tries = 1; tries <= RESUMES; tries++) {
    await sleep(backoffMs(tries, exchange.plane.random));
    try {
      const last = await passOn(relaying, writer, followed(answering, relaying, task));
      if (exchange.cut !== undefined) return await tellCut(answering, writer);
      if (exchange.gone || (last !== undefined && endsStream(last))) return;
    } catch (thrown) {
      if (exchange.cut !== undefined) return tellCut(answering, writer);
      if (thrown instanceof ProtocolError) return tell(answering, writer, broken);
    }
  }
  await tell(answering, writer, broken);
}

/** What the client has missed, as updates, then what follows. */
async function* followed(answering: Answering, relaying: Relaying, task: string): AsyncGenerator<unknown, void, undefined> {
  for await (const event of taskFromNow(answering, relaying, task)) yield* missedIn(event);
}

async function tell({ exchange, work }: Answering, writer: EventWriter, thrown: unknown): Promise<void> {
  exchange.outcome = 'upstream_incomplete';
  exchange.failure ??= thrown instanceof GatewayError ? thrown : new GatewayError('upstream_incomplete', { cause: thrown });
  await writer.write(errorEvent(work.call, thrown));
}

async function tellCut({ exchange, work }: Answering, writer: EventWriter): Promise<void> {
  if (exchange.cut !== undefined) await writer.write(errorEvent(work.call, exchange.cut));
}
