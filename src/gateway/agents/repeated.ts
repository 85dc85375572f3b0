/** The answer to a message that was sent before: what it came to, as it stands now. */
import { type Answering, readFrom } from './answer.ts';
import { atReplica } from './at-replica.ts';
import { lookedAt, ownerOf } from './choose.ts';
import type { Repeated } from './claim.ts';
import { asResult, taskFromNow, taskNow } from './follow.ts';
import { openEvents } from './event-writer.ts';
import { deliverResult, eventOf } from './reply.ts';
import { begin, writeEvents } from './streams.ts';
import { ownerOfCaller, taskOf } from './tasks.ts';
import { inForm } from './translated.ts';

export async function answerRepeated(answering: Answering, repeated: Repeated): Promise<void> {
  const { exchange, response, work } = answering;
  const { call } = work;
  if ('task' in repeated) return answerTask(answering, repeated.task);
  if (!call.streams) return deliverResult(exchange, response, call, repeated.answer);
  const writer = openEvents(exchange, response);
  await writer.write(eventOf(call, repeated.answer));
  await writer.end();
}

async function answerTask(answering: Answering, task: string): Promise<void> {
  const { exchange, response, side, work } = answering;
  work.view = await lookedAt(side, work.view);
  const { view, call } = work;
  const record = await taskOf(side, view, task, ownerOfCaller(exchange.caller!, exchange.endUser));
  if (record !== undefined) work.record = record;
  const replica = record === undefined ? view.replicas[0]! : ownerOf(view, record.replica);
  return readFrom(answering, replica, async () => {
    const relaying = atReplica(answering, replica);
    if (call.streams) return writeEvents(answering, relaying, await begin(relaying, taskFromNow(answering, relaying, task)));
    const result = asResult(answering, await taskNow(answering, relaying, task));
    return deliverResult(exchange, response, call, inForm(call, result));
  });
}
