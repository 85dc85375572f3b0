/** Events on their way to a client: with back-pressure, with a comment where there is silence, and past the guards. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

import { GatewayError } from '../../core/errors.ts';
import { endWith } from '../../http/reply.ts';
import type { Wheel } from '../../upstream/wheel.ts';
import type { Exchange } from '../exchange.ts';
import { guardAnswer } from '../guard.ts';
import { holdsStream, observerOf } from '../guard-stream.ts';
import { createHeldText } from '../held-text.ts';
import { exchangeHeaders } from '../reply-headers.ts';

export function streamHead(exchange: Exchange): OutgoingHttpHeaders {
  return {
    ...exchangeHeaders(exchange),
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    // Front proxies of the nginx kind would hold the events back.
    'x-accel-buffering': 'no',
  };
}

export interface EventWriter {
  /** Whether anything was written. */
  readonly hasBegun: boolean;
  /** Resolves when more may be written; false: the client has left. */
  write(event: Buffer | string): Promise<boolean>;
  /** Rejects with guard_blocked, guard_unavailable: nothing has been sent then. */
  end(): Promise<void>;
  /** Instead of `end`, before anything was written: something else is the answer. */
  leave(): void;
}

const COMMENT = ': keep-alive\n\n';
const SILENCE_MS = 15_000;
/** Who takes nothing for so long while events wait has left. */
const STALL_MS = 60_000;

/** Events to a client: as they come, or all at once where a guard wants to see them first. */
export function openEvents(exchange: Exchange, response: ServerResponse): EventWriter {
  return holdsStream(exchange) ? holdEvents(exchange, response) : passEvents(exchange, response, exchange.plane.wheel);
}

function holdEvents(exchange: Exchange, response: ServerResponse): EventWriter {
  const held = createHeldText(exchange, { tooMuch: tooLongToJudge });
  return {
    get hasBegun() {
      return held.size > 0;
    },
    write(event) {
      held.add(event);
      return Promise.resolve(!response.destroyed);
    },
    leave: () => undefined,
    async end() {
      if (response.destroyed) return;
      const bytes = await guardAnswer(exchange, held.take(), 'events');
      Object.assign(exchange, { status: 200, responseBytes: bytes.length, firstByteAt: performance.now() });
      response.writeHead(200, streamHead(exchange));
      endWith(response, bytes);
    },
  };
}

/** It says nothing of the agent, and another try would be as long. */
function tooLongToJudge(): GatewayError {
  const message = 'The answer is larger than 64 MiB, which is as much as guards are shown of a stream that is held for them';
  return new GatewayError('guard_unavailable', { details: { message, shouldRetry: false } });
}

/** The head with the first, back-pressure, and a comment where there is silence. What guards are to see afterwards is kept. */
function passEvents(exchange: Exchange, response: ServerResponse, wheel: Wheel): EventWriter {
  const observer = observerOf(exchange);
  let quietSinceMs = wheel.now();
  let isWaiting = false;
  const timed = {
    slot: -1,
    check(nowMs: number): void {
      if (isWaiting || nowMs - quietSinceMs < SILENCE_MS) return;
      quietSinceMs = nowMs;
      begin();
      response.write(COMMENT);
    },
  };
  const begin = (): void => {
    if (response.headersSent) return;
    exchange.status = 200;
    response.writeHead(200, streamHead(exchange));
  };
  const cork = corkOf(response);
  response.setTimeout(STALL_MS, () => void (response.writableLength > 0 && response.destroy()));
  wheel.join(timed);
  return {
    get hasBegun() {
      return response.headersSent;
    },
    async write(event) {
      if (response.destroyed) return false;
      observer?.see<Buffer | string>(event);
      begin();
      cork();
      exchange.firstByteAt ??= performance.now();
      exchange.responseBytes += event.length;
      quietSinceMs = wheel.now();
      if (response.write(event)) return true;
      isWaiting = true;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          response.off('drain', done).off('close', done);
          resolve();
        };
        response.on('drain', done).on('close', done);
      });
      isWaiting = false;
      return !response.destroyed;
    },
    leave: () => wheel.leave(timed),
    end() {
      wheel.leave(timed);
      observer?.judge();
      if (!response.destroyed) {
        begin();
        response.end();
      }
      return Promise.resolve();
    },
  };
}

/** Events of one packet leave in one: a write to the socket costs more than all the rest of an event. */
function corkOf(response: ServerResponse): () => void {
  let isCorked = false;
  return () => {
    if (isCorked) return;
    isCorked = true;
    response.cork();
    process.nextTick(() => {
      isCorked = false;
      response.uncork();
    });
  };
}
