/** What is held until it is whole: counted as memory, and no longer than answers may be. */
import { GatewayError } from '../core/errors.ts';
import { createHeldBytes } from '../lib/held-bytes.ts';
import type { Exchange } from './exchange.ts';

export const MOST_HELD_BYTES = 64 * 1024 * 1024;
const STEP_BYTES = 256 * 1024;

export interface Holding {
  mostBytes?: number;
  /** What it is where there is more. */
  tooMuch?: () => GatewayError;
}

export interface HeldText {
  readonly size: number;
  /** Throws overloaded, and upstream_bad_response or what is too much. */
  add: (piece: Buffer | string) => void;
  /** All of it; nothing is held afterwards. */
  take: () => Buffer;
}

export function createHeldText(
  { request }: Pick<Exchange, 'request'>,
  { mostBytes = MOST_HELD_BYTES, tooMuch = tooLarge }: Holding = {},
): HeldText {
  const held = createHeldBytes();
  let reserved = 0;
  return {
    get size() {
      return held.size;
    },
    add(piece) {
      if (piece.length === 0) return;
      held.add(Buffer.isBuffer(piece) ? piece : Buffer.from(piece));
      for (; reserved < held.size; reserved += STEP_BYTES)
        if (!request.reserve(STEP_BYTES)) throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
      if (held.size > mostBytes) throw tooMuch();
    },
    take: () => held.take(),
  };
}

function tooLarge(): GatewayError {
  return new GatewayError('upstream_bad_response', { details: { message: 'The answer is larger than 64 MiB' } });
}
