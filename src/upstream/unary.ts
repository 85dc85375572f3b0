import type { ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import { type HeldBytes, createHeldBytes } from '../lib/held-bytes.ts';
import { Pump } from './stream.ts';
import type { BodySink, StreamResult, StreamStage, UpstreamBody } from './types.ts';
import type { Wheel } from './wheel.ts';

const EMPTY = Buffer.alloc(0);

/** A whole body; or its beginning, more than `maxBytes` of it, with the body paused behind it; or why there is none. */
export type Collected = { whole: Buffer } | { head: Buffer } | { error: GatewayError };

export interface CollectOptions {
  maxBytes: number;
  /** The answer's header, if it has one: then the bytes are copied once, into their place. */
  contentLength: string | undefined;
  /** Takes bytes of a budget; whoever hands this in gives them back. Absent: nothing is counted. */
  reserve?: (bytes: number) => boolean;
}

/** Held without asking; beyond it, bytes are reserved in such steps. Most answers are smaller and never touch the shared counter. */
const STEP_BYTES = 256 * 1024;

/** Holds a body until it is whole or too large to hold; `overloaded` where the budget ends. Never rejects; aborting the body settles it with `client_gone`. */
export function collect(body: UpstreamBody, options: CollectOptions): Promise<Collected> {
  return new Promise((resolve) => {
    body.consume(new Collector(options, resolve));
  });
}

export interface PipeOptions {
  head: Buffer;
  body: UpstreamBody;
  response: ServerResponse;
  wheel: Wheel;
  /** Sees every chunk after the head. */
  see?: (chunk: Buffer) => void;
}

/**
 * Passes on what is held and then the rest, with back-pressure; a body that ends early takes the client's connection with it.
 * Resolves, never rejects, once the client has all of it, or `error` says why not. Call with the head of the response written.
 */
export function pipeBody(options: PipeOptions): Promise<StreamResult> {
  const { body, response, wheel } = options;
  return new Pump({ body, response, stage: createPlainStage(options.see) }, { wheel, idleCommentMs: Infinity }).run(options.head);
}

/** Bytes as they are. A declared length cannot be completed with an error of ours, so there is none. */
function createPlainStage(see: ((chunk: Buffer) => void) | undefined): StreamStage {
  let state: StreamStage['state'] = 'open';
  return {
    push(chunk) {
      see?.(chunk);
      return chunk;
    },
    end() {
      state = 'done';
      return undefined;
    },
    fail: () => undefined,
    get state() {
      return state;
    },
    hasContent: true,
    atBoundary: false,
  };
}

class Collector implements BodySink {
  private readonly maxBytes: number;
  private readonly expected: number;
  private readonly reserve: (bytes: number) => boolean;
  private reserved = STEP_BYTES;
  private readonly resolve: (collected: Collected) => void;
  /** The first chunk, which may be the only one. */
  private first: Buffer = EMPTY;
  /** Of the declared length, once a first chunk turned out to be only a part of it. */
  private place: Buffer | undefined;
  /** Where no length was declared, or more came than that. */
  private held: HeldBytes | undefined;
  private size = 0;

  constructor(options: CollectOptions, resolve: (collected: Collected) => void) {
    this.maxBytes = options.maxBytes;
    this.expected = Number(options.contentLength ?? Number.NaN);
    this.reserve = options.reserve ?? (() => true);
    this.resolve = resolve;
  }

  data(chunk: Buffer): boolean {
    this.keep(chunk);
    this.size += chunk.length;
    if (!this.hasRoom()) {
      this.resolve({ error: new GatewayError('overloaded', { details: { retryAfterS: 1 } }) });
      return false;
    }
    if (this.size <= this.maxBytes) return true;
    this.resolve({ head: this.joined() });
    return false;
  }

  end(): void {
    this.resolve({ whole: this.joined() });
  }

  fail(error: GatewayError): void {
    this.resolve({ error });
  }

  private hasRoom(): boolean {
    while (this.reserved < this.size) {
      if (!this.reserve(STEP_BYTES)) return false;
      this.reserved += STEP_BYTES;
    }
    return true;
  }

  /** Several chunks of a known length go straight into one buffer of that length; the only chunk stays what it is. */
  private keep(chunk: Buffer): void {
    const { expected, maxBytes, size } = this;
    if (size === 0 && chunk.length < expected && expected <= maxBytes) this.place = Buffer.allocUnsafe(expected);
    if (this.place !== undefined && size + chunk.length <= expected) chunk.copy(this.place, size);
    else if (size === 0) this.first = chunk;
    else this.heldSoFar().add(chunk);
  }

  private heldSoFar(): HeldBytes {
    if (this.held !== undefined) return this.held;
    this.held = createHeldBytes();
    this.held.add(this.place?.subarray(0, this.size) ?? this.first);
    this.place = undefined;
    return this.held;
  }

  private joined(): Buffer {
    return this.held?.take() ?? this.place?.subarray(0, this.size) ?? this.first;
  }
}
