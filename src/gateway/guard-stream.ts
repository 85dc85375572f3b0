/** Guards and streams: a stream is held until it is whole and judged, or sent as it comes and judged afterwards. */
import type { ServerResponse } from 'node:http';

import { GatewayError, toGatewayError } from '../core/errors.ts';
import { endWith } from '../http/reply.ts';
import { type HeldBytes, createHeldBytes } from '../lib/held-bytes.ts';
import type { StreamResult, StreamStage } from '../upstream/types.ts';
import { collect } from '../upstream/unary.ts';
import type { Served } from './open-attempt.ts';
import { releaseLeases } from './admit.ts';
import type { Exchange } from './exchange.ts';
import { type Guard, guardAnswer, guardsOf, noteVerdict, reasonOf } from './guard.ts';

/** How much of a stream is shown to a guard that sees it afterwards; also what such streams hold of memory. */
const OBSERVED_BYTES = 1024 * 1024;
const OBSERVED_STEP_BYTES = 64 * 1024;
/** As long as whole answers may be. */
const HELD_BYTES = 64 * 1024 * 1024;

/** Whether one of the guards wants to judge a stream before any of it is delivered; then all of them do. */
export function holdsStream(exchange: Exchange): boolean {
  return guardsOf(exchange, 'response').some((guard) => guard.holdsStreams);
}

/** A stream that was taken in whole. */
export interface HeldStream {
  result: StreamResult;
  /** What the client would have got. */
  bytes: Buffer;
}

/** Takes in the whole stream and puts it through the stage. Never rejects: `result` says how it ended. */
export async function holdStream(exchange: Exchange, { answer }: Served, stage: StreamStage): Promise<HeldStream> {
  const reserve = (bytes: number): boolean => exchange.request.reserve(bytes);
  const collected = await collect(answer.body, { maxBytes: HELD_BYTES, contentLength: undefined, reserve });
  const held = createHeldBytes();
  const result: StreamResult = { end: 'incomplete', bytes: 0, firstByteAt: performance.now() };
  if (!('whole' in collected)) {
    answer.body.abort();
    result.error = 'error' in collected ? collected.error : new GatewayError('upstream_bad_response');
    return { result, bytes: held.take() };
  }
  try {
    for (const part of [stage.push(collected.whole), stage.end()]) if (part !== undefined) held.add(Buffer.from(part));
    if (stage.state === 'open') result.error = new GatewayError('upstream_incomplete');
    else result.end = stage.state === 'error' ? 'upstream_error' : 'whole';
  } catch (thrown) {
    result.error = toGatewayError(thrown);
  }
  return { result, bytes: held.take() };
}

/** Has a held stream judged and sends what came of it. Throws guard_blocked, guard_unavailable, with nothing sent. */
export async function deliverHeld(exchange: Exchange, held: HeldStream, response: ServerResponse): Promise<void> {
  const bytes = await guardAnswer(exchange, held.bytes, 'events');
  exchange.responseBytes = bytes.length;
  releaseLeases(exchange);
  endWith(response, bytes);
}

/** The stage, with what it gives the client kept for the guards that look at it afterwards; the very stage where there are none. */
export function observed(exchange: Exchange, stage: StreamStage): { stage: StreamStage; judge: () => void } {
  const observer = observerOf(exchange);
  if (observer === undefined) return { stage, judge: () => {} };
  return {
    stage: {
      push: (chunk) => observer.see(stage.push(chunk)),
      end: () => observer.see(stage.end()),
      fail: (error) => stage.fail(error),
      get state() {
        return stage.state;
      },
      get hasContent() {
        return stage.hasContent;
      },
      get atBoundary() {
        return stage.atBoundary;
      },
    },
    judge: observer.judge,
  };
}

export interface Observer {
  /** What the client gets; answers the same. */
  see: <Part extends Buffer | string | undefined>(part: Part) => Part;
  /** At the end; once. */
  judge: () => void;
}

/** Keeps what the client gets for the guards that look at it afterwards. Undefined: there are none. */
export function observerOf(exchange: Exchange): Observer | undefined {
  const guards = guardsOf(exchange, 'response');
  if (guards.length === 0) return undefined;
  const kept = keep(exchange);
  return {
    see: kept.see,
    judge: () => {
      for (const guard of guards) noteVerdict(exchange, { name: guard.name, stage: 'response', verdict: 'observed', ms: 0 });
      // Nobody waits for it: the answer is sent, and the exchange must not be held open for a verdict that changes nothing.
      void judgeAll(exchange, guards, kept);
    },
  };
}

interface Kept {
  held: HeldBytes;
  cut: boolean;
  see: Observer['see'];
}

function keep(exchange: Exchange): Kept {
  let reserved = 0;
  const hasRoom = (size: number): boolean => {
    if (size > OBSERVED_BYTES) return false;
    while (reserved < size) {
      if (!exchange.request.reserve(OBSERVED_STEP_BYTES)) return false;
      reserved += OBSERVED_STEP_BYTES;
    }
    return true;
  };
  const kept: Kept = {
    held: createHeldBytes(),
    cut: false,
    see(part) {
      if (part === undefined || kept.cut) return part;
      const bytes: Buffer = Buffer.isBuffer(part) ? part : Buffer.from(part);
      if (hasRoom(kept.held.size + bytes.length)) kept.held.add(bytes);
      else kept.cut = true;
      return part;
    },
  };
  return kept;
}

/** What a guard would have stopped becomes an event. Never rejects. */
async function judgeAll(exchange: Exchange, guards: readonly Guard[], { held, cut }: Kept): Promise<void> {
  const { plane, caller, resolved, agentWork } = exchange;
  const bytes = held.take();
  const about = { exchange: exchange.id, model: resolved?.model.name ?? (agentWork && `a2a/${agentWork.view.name}`) ?? '' };
  const scope = caller === undefined ? undefined : (`key:${caller.key.id}` as const);
  for (const guard of guards) {
    try {
      const verdict = await guard.judge(exchange, { stage: 'response', form: 'events', bytes, ...(cut && { cut }) });
      if (verdict.action !== 'allow')
        plane.raise('guard.flagged', scope, { guard: guard.name, action: verdict.action, ...about });
    } catch (thrown) {
      plane.raise('guard.failing', `guard:${guard.name}`, { guard: guard.name, stage: 'response', reason: reasonOf(thrown) });
    }
  }
}
