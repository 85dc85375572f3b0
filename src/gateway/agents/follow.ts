/** A task as it stands now and as it goes on from here, asked of the replica that has it, by translation: in the version of the call, as JSON-RPC has it. */
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import type { Answering } from './answer.ts';
import type { Relaying } from './relay.ts';
import { upstreamOf } from './translated.ts';

/** The task. */
export async function taskNow({ side, work }: Answering, relaying: Relaying, task: string): Promise<unknown> {
  const { version, params } = work.call;
  const { historyLength } = (params.configuration ?? {}) as { historyLength?: unknown };
  const told = { id: task, ...(typeof historyLength === 'number' && { historyLength }) };
  const answer = await side.translator.translate({ version, operation: 'get', params: told }, upstreamOf(relaying));
  return 'result' in answer ? answer.result : undefined;
}

/** Its snapshot, then its events. One that has ended is only read. */
export async function* taskFromNow(
  answering: Answering,
  relaying: Relaying,
  task: string,
): AsyncGenerator<unknown, void, undefined> {
  const { side, work } = answering;
  const { version } = work.call;
  try {
    const answer = await side.translator.translate(
      { version, operation: 'subscribe', params: { id: task } },
      upstreamOf(relaying),
    );
    if ('events' in answer) yield* answer.events;
    else yield answer.result;
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown;
    yield asResult(answering, await taskNow(answering, relaying, task));
  }
}

/** A task as the result of a send, or as an event. */
export function asResult({ work }: Pick<Answering, 'work'>, task: unknown): unknown {
  return work.call.version === '1.0' ? { task } : task;
}
