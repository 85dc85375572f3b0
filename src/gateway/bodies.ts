/**
 * Bodies of exchanges whose key or model has them recorded: as the client sent the one and was sent the other, cut to what a record may hold, sealed before they are
 * written anywhere. What the edge answers in our own words (refusals) is no body; the log has it.
 */
import type { ServerResponse } from 'node:http';

import type { BodyFact } from '../core/fact.ts';
import type { Exchange } from './exchange.ts';

/** Of each body. Sealed and in base64 it stays below the frame of a journal. */
const MOST_BYTES = 256 * 1024;

export interface Recording {
  request: Piece;
  response: Piece;
}

/** The beginning of a body, and how long it is. */
interface Piece {
  chunks: Buffer[];
  kept: number;
  bytes: number;
}

/** Before anything is sent: from here on it is kept, too. */
export function recordBodies(exchange: Exchange, asked: Buffer, response: ServerResponse): void {
  const { caller, resolved } = exchange;
  const line = caller === undefined ? [] : [caller.key, ...caller.ancestors];
  if (resolved?.model.recordBodies !== true && !line.some((each) => each.recordBodies === true)) return;
  const recording: Recording = { request: newPiece(), response: newPiece() };
  keep(recording.request, asked);
  listen(response, recording.response);
  exchange.recording = recording;
}

/** At the end; once. */
export function writeBodies({ recording, id, plane }: Exchange): void {
  if (recording === undefined) return;
  for (const part of ['request', 'response'] as const) {
    const { chunks, bytes } = recording[part];
    if (bytes === 0) continue;
    const text = Buffer.concat(chunks).toString('utf8');
    const fact: BodyFact = { kind: 'body', id, atMs: plane.nowMs(), part, sealed: plane.sealBody({ id, part }, text), bytes };
    plane.record(fact);
  }
}

function newPiece(): Piece {
  return { chunks: [], kept: 0, bytes: 0 };
}

/** A copy, since buffers are used again. */
function keep(piece: Piece, chunk: Uint8Array): void {
  const some = Buffer.from(chunk.subarray(0, MOST_BYTES - piece.kept));
  if (some.length > 0) piece.chunks.push(some);
  piece.kept += some.length;
  piece.bytes += chunk.length;
}

/** Every way to the client ends in these two calls; only recorded exchanges pay for looking at them. */
function listen(response: ServerResponse, piece: Piece): void {
  for (const name of ['write', 'end'] as const) {
    const send = response[name].bind(response) as (...args: unknown[]) => never;
    response[name] = (...args: unknown[]) => {
      const [chunk, encoding] = args;
      if (typeof chunk === 'string')
        keep(piece, Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'));
      else if (chunk instanceof Uint8Array) keep(piece, chunk);
      return send(...args);
    };
  }
}
