/**
 * One record of a journal: `[length u32 LE][CRC-32 of the payload u32 LE][payload: JSON, UTF-8]`.
 *
 * A frame that was not wholly written fails its length or its checksum, so a reader always knows where the truth ends.
 */
import { crc32 } from 'node:zlib';

export const FRAME_HEADER_BYTES = 8;
/** Facts are some hundred bytes; a longer length is not a frame but damage. */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Writes the frame of `text` at `offset`, where `payloadBytes` (its UTF-8 length) plus the header fit; answers the offset behind it. */
export function writeFrame(target: Buffer, offset: number, text: string, payloadBytes: number): number {
  const start = offset + FRAME_HEADER_BYTES;
  const end = start + payloadBytes;
  target.write(text, start, payloadBytes, 'utf8');
  target.writeUInt32LE(payloadBytes, offset);
  target.writeUInt32LE(crc32(target.subarray(start, end)), offset + 4);
  return end;
}

export interface Frames {
  payloads: string[];
  /** Bytes of whole, sound frames. */
  consumed: number;
  /** A frame that can never become sound. False: the rest is only incomplete. */
  damaged: boolean;
}

/** All whole frames at the head of `bytes`. */
export function readFrames(bytes: Buffer): Frames {
  const payloads: string[] = [];
  let consumed = 0;
  while (bytes.length - consumed >= FRAME_HEADER_BYTES) {
    const length = bytes.readUInt32LE(consumed);
    if (length === 0 || length > MAX_PAYLOAD_BYTES) return { payloads, consumed, damaged: true };
    const start = consumed + FRAME_HEADER_BYTES;
    if (bytes.length < start + length) break;
    const payload = bytes.subarray(start, start + length);
    if (crc32(payload) !== bytes.readUInt32LE(consumed + 4)) return { payloads, consumed, damaged: true };
    payloads.push(payload.toString('utf8'));
    consumed = start + length;
  }
  return { payloads, consumed, damaged: false };
}
