import type { ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import type { StreamTap } from '../core/tap.ts';
import { CR, LF } from '../lib/ascii.ts';
import { createSseSplitter, type SseSplitter } from '../lib/sse-split.ts';
import { type PumpOptions, pumpStream } from './stream.ts';
import type { StreamRelay, StreamResult, StreamStage } from './types.ts';

export interface RelayOptions extends PumpOptions {
  maxEventBytes?: number;
}

/** Images come as base64 inside one event, several MiB of it. What is larger ends the stream: its end could no longer be told. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;
const BLANK_LINE = Buffer.from('\n\n');

/** Relays a stream of the surface's own dialect to the client; see `pumpStream`. */
export function relayStream(relay: StreamRelay, response: ServerResponse, options: RelayOptions): Promise<StreamResult> {
  return pumpStream(relay.body, response, createRelayStage(relay, options.maxEventBytes), options);
}

/**
 * The same bytes, event by event: an event leaves when its last byte has come, never in halves. No reader can use half an event, but half an
 * event followed by a cut cannot be taken back: a reader would join it with our error event, or choke on its broken JSON instead of seeing the error.
 * So after a cut the unfinished event is dropped, and the stream ends at a boundary with our own event.
 */
export function createRelayStage(relay: Omit<StreamRelay, 'body'>, maxEventBytes: number = MAX_EVENT_BYTES): StreamStage {
  const { tap, failEvent } = relay;
  const splitter = createSseSplitter({ maxEventBytes });

  const push = (chunk: Buffer): Buffer | undefined => {
    if (splitter.atBoundary && endsPlainly(chunk) && tap.isDull(chunk)) return chunk;
    const held = splitter.pending;
    const events = splitter.push(chunk);
    if (splitter.overflowed) throw tooLarge(maxEventBytes);
    const kept = look(tap, events);
    if (tap.state !== 'open' && splitter.pending > 0) return Buffer.concat([...kept, splitter.rest()]);
    if (kept.length <= 1) return kept[0];
    // Events that fill their chunk one after the other are that chunk: nothing to join.
    return kept === events && held === 0 ? chunk.subarray(0, chunk.length - splitter.pending) : Buffer.concat(kept);
  };

  return {
    push,
    end: () => lastEvent(tap, splitter),
    fail: failEvent,
    get state() {
      return tap.state;
    },
    get hasContent() {
      return tap.sawContent;
    },
    // Held bytes are ours: the client always stands at a boundary.
    atBoundary: true,
  };
}

/** Ends with a blank line of the common kind, and so at a boundary wherever the chunk began at one. */
function endsPlainly(chunk: Buffer): boolean {
  return chunk.length > 1 && chunk[chunk.length - 1] === LF && chunk[chunk.length - 2] === LF && !chunk.includes(CR);
}

/** What of the events goes on; the same array where nothing is changed. */
function look(tap: StreamTap, events: Buffer[]): Buffer[] {
  let kept: Buffer[] | undefined;
  for (let index = 0; index < events.length; index++) {
    const event = events[index]!;
    const verdict = tap.see(event);
    if (verdict !== true) kept ??= events.slice(0, index);
    if (verdict === true) kept?.push(event);
    else if (verdict !== false) kept?.push(verdict);
  }
  return kept ?? events;
}

/** Some providers leave out the blank line after their terminal event: if that is what is held, it passes as it came. */
function lastEvent(tap: StreamTap, splitter: SseSplitter): Buffer | undefined {
  const rest = splitter.rest();
  if (rest.length === 0) return undefined;
  tap.see(Buffer.concat([rest, BLANK_LINE]));
  return tap.state === 'open' ? undefined : rest;
}

function tooLarge(maxEventBytes: number): GatewayError {
  const message = `The upstream sent an answer that cannot be read: an event is larger than ${maxEventBytes} bytes`;
  return new GatewayError('upstream_bad_response', { details: { message } });
}
