/** Reads whole request bodies: within a size, a total time, a minimum rate and the process-wide budget of bytes in flight. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

import { type ErrorCode, GatewayError } from '../core/errors.ts';
import { type HeldBytes, createHeldBytes } from '../lib/held-bytes.ts';
import type { RoutePolicy } from './edge.ts';

const EMPTY = Buffer.alloc(0);
const NOTHING = { only: undefined, target: undefined, held: undefined };

/** A length that is only announced reserves no more than this: a liar must send what he wants to occupy. */
const RESERVE_STEP_BYTES = 1024 * 1024;

const GRACE_MS = 10_000;
const MIN_BYTES_PER_MS = 1024 / 1000;
const SWEEP_MS = 1_000;

export interface BodyPlan {
  /** The announced length; undefined for chunks. */
  declared: number | undefined;
  maxBytes: number;
  timeoutMs: number;
  /** Nothing is kept; the body that comes out is empty. */
  drops?: boolean;
  /** Takes bytes of the budget; whoever hands this in gives them back when the exchange is over. */
  reserve: (bytes: number) => boolean;
}

export interface BodyReader {
  /**
   * The whole body, in one allocation where its length was announced and in none where it came in one chunk.
   * `onAccepted` is called once nothing speaks against reading. Throws body_too_large, request_timeout, overloaded, client_gone; stops listening to the request then.
   */
  read(raw: IncomingMessage, plan: BodyPlan, onAccepted?: () => void): Promise<Buffer>;
}

/** A body that has not ended yet. */
interface Pending {
  plan: BodyPlan;
  startedAt: number;
  received: number;
  reserved: number;
  /** The first piece, while it may be the only one. */
  only: Buffer | undefined;
  /** Where the pieces of an announced length go. */
  target: Buffer | undefined;
  /** The pieces of a length that nobody announced. */
  held: HeldBytes | undefined;
  fail: (error: GatewayError) => void;
}

/** One timer watches all pending bodies; it stops when it finds none. `nowMs` is monotonic. */
export function createBodyReader(options: { nowMs: () => number }): BodyReader {
  const pending = new Set<Pending>();
  let timer: NodeJS.Timeout | undefined;

  function sweep(): void {
    const nowMs = options.nowMs();
    for (const body of pending) if (isTooSlow(body, nowMs)) body.fail(tooSlow(body));
    if (pending.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  function watch(body: Pending): void {
    pending.add(body);
    timer ??= setInterval(sweep, SWEEP_MS).unref();
  }

  return {
    read(raw, plan, onAccepted) {
      if (plan.declared === 0) return Promise.resolve(EMPTY);
      if ((plan.declared ?? 0) > plan.maxBytes) return Promise.reject(tooLarge(plan.maxBytes));
      if (raw.destroyed && !raw.readableEnded) return Promise.reject(new GatewayError('client_gone'));
      return new Promise((resolve, reject) => {
        const body: Pending = { plan, startedAt: options.nowMs(), received: 0, reserved: 0, ...NOTHING, fail };
        if (!reserveUpTo(body, Math.min(plan.declared ?? 0, RESERVE_STEP_BYTES))) {
          reject(overloaded());
          return;
        }
        watch(body);
        onAccepted?.();
        raw.on('data', take).on('end', end).on('close', leave);

        function take(chunk: Buffer): void {
          const error = append(body, chunk);
          if (error !== undefined) fail(error);
        }
        function end(): void {
          pending.delete(body);
          resolve(whole(body));
        }
        function leave(): void {
          // `close` comes after every `end` too; an error made for nothing costs 11 µs, for its stack.
          if (pending.has(body)) fail(new GatewayError('client_gone'));
        }
        function fail(error: GatewayError): void {
          pending.delete(body);
          raw.off('data', take);
          Object.assign(body, NOTHING);
          reject(error);
        }
      });
    },
  };
}

function append(body: Pending, chunk: Buffer): GatewayError | undefined {
  const { plan } = body;
  body.received += chunk.length;
  if (body.received > plan.maxBytes) return tooLarge(plan.maxBytes);
  if (plan.drops === true) return undefined;
  if (!reserveUpTo(body, body.received)) return overloaded();
  keep(body, chunk);
  return undefined;
}

function keep(body: Pending, chunk: Buffer): void {
  const { declared } = body.plan;
  const before = body.received - chunk.length;
  if (chunk.length === declared || (declared === undefined && before === 0)) body.only = chunk;
  else if (declared === undefined) heldOf(body).add(chunk);
  else {
    body.target ??= Buffer.allocUnsafeSlow(declared);
    chunk.copy(body.target, before);
  }
}

function heldOf(body: Pending): HeldBytes {
  if (body.held === undefined) {
    body.held = createHeldBytes();
    if (body.only !== undefined) body.held.add(body.only);
  }
  return body.held;
}

/** In steps, so that the shared counter is not touched for each chunk. */
function reserveUpTo(body: Pending, bytes: number): boolean {
  const missing = bytes - body.reserved;
  if (missing <= 0) return true;
  const ahead = Math.min((body.plan.declared ?? 0) - body.reserved, RESERVE_STEP_BYTES);
  const step = Math.max(missing, ahead);
  if (!body.plan.reserve(step)) return false;
  body.reserved += step;
  return true;
}

function whole({ target, held, only }: Pending): Buffer {
  return target ?? held?.take() ?? only ?? EMPTY;
}

function isTooSlow({ startedAt, received, plan }: Pending, nowMs: number): boolean {
  const elapsedMs = nowMs - startedAt;
  return elapsedMs > plan.timeoutMs || (elapsedMs > GRACE_MS && received < (elapsedMs - GRACE_MS) * MIN_BYTES_PER_MS);
}

function tooSlow({ received }: Pending): GatewayError {
  const message = `The request body was not received in time (${received} bytes came)`;
  return new GatewayError('request_timeout', { details: { message } });
}

export function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('body_too_large', { details: { message: `The request body is larger than ${maxBytes} bytes` } });
}

function overloaded(): GatewayError {
  const message = 'Signalbox is at capacity: too many bytes are in flight';
  return new GatewayError('overloaded', { details: { message, retryAfterS: 1 } });
}

const JSON_TYPE = /^application\/(?:json|[\w.+-]+\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

/**
 * What may be said against a body before it is read: unsupported_encoding, and for `json` unsupported_content_type.
 * An encoded body would have to be inflated to be routed, and an inflater is an attack surface (bombs, Brotli's decoder).
 */
export function formFault(headers: IncomingHttpHeaders, kind: RoutePolicy['body']): GatewayError | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return refused(
      'unsupported_encoding',
      `Encoded request bodies are not accepted (content-encoding '${encoding}'): send it as it is`,
    );
  }
  const type = headers['content-type'];
  if (kind !== 'json' || type === 'application/json' || (type !== undefined && JSON_TYPE.test(type))) return undefined;
  return refused(
    'unsupported_content_type',
    type === undefined
      ? 'The content type is missing: send application/json'
      : `The content type '${type}' is not supported: send application/json in UTF-8`,
  );
}

function refused(code: ErrorCode, message: string): GatewayError {
  return new GatewayError(code, { details: { message } });
}
