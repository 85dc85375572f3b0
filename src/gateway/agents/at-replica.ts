/** A call at one replica of its agent: how it is spoken to, by which way, and who learns from what it answers. */
import { seenIn } from '../../agents/a2a/read.ts';
import type { ReplicaView } from '../../core/agent.ts';
import type { Answering } from './answer.ts';
import { settleSoon } from './claim.ts';
import { headersTo } from './headers.ts';
import { interfaceFor, isRaw } from './interfaces.ts';
import { bindPush } from './push-bind.ts';
import { reachOf } from './reach.ts';
import type { Relaying } from './relay.ts';
import { learn } from './tasks.ts';
import { tellTrial } from './tell.ts';
import { toForm } from './translated.ts';

export function atReplica({ exchange, side, work, baggage, finish }: Answering, replica: ReplicaView): Relaying {
  const { call } = work;
  const upstream = interfaceFor(call, replica);
  Object.assign(work, { replica, upstream });
  return {
    exchange,
    work,
    reach: reachOf(exchange, work, replica, side),
    headers: headersTo(exchange, work, baggage),
    async learn(result) {
      const seen = seenIn(result);
      if (seen?.kind === 'message') work.said = isRaw(call, upstream) ? result : toForm(call, result);
      await learn(exchange, work, seen, side);
      await bindPush(work, side);
      settleSoon(work, side);
      await tellTrial(exchange, work, side);
      return seen;
    },
    finish,
  };
}

/** A question of our own beside the call: what it shows changes nothing of what the call is. */
export function asideAt({ exchange, side, work, baggage }: Answering, replica: ReplicaView): Relaying {
  const own = { ...work, verdicts: [], replica, upstream: interfaceFor(work.call, replica) };
  return {
    exchange,
    work: own,
    reach: reachOf(exchange, own, replica, side),
    headers: headersTo(exchange, own, baggage),
    learn: (result) => Promise.resolve(seenIn(result)),
    finish: () => undefined,
  };
}
