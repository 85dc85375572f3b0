/** The shapes between the data plane's line and the way out. */
import type { IncomingHttpHeaders } from 'node:http';

import type { GatewayError } from '../core/errors.ts';
import type { StreamTap } from '../core/tap.ts';
import type { Endpoint, Timeouts } from '../core/target.ts';

export interface UpstreamRequest {
  endpoint: Endpoint;
  method: 'GET' | 'POST' | 'HEAD' | 'PUT' | 'PATCH' | 'DELETE';
  /** Appended to the endpoint's base URL, query included. */
  path: string;
  /** Beside the endpoint's own headers, which win. Lower case names. */
  headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
  timeouts: Timeouts;
  /** Streams are timed by first byte and idle, unary answers by total. */
  stream: boolean;
}

/** An answer whose head has arrived. Its body does not flow until it is consumed. */
export interface UpstreamAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: UpstreamBody;
}

export interface UpstreamBody {
  /** Starts the flow; `data` answering false pauses it until `resume`. Exactly one of `end` and `fail` comes last. */
  consume(sink: BodySink): void;
  resume(): void;
  /** Closes the upstream connection now; nothing more reaches the sink. Idempotent. */
  abort(): void;
}

export interface BodySink {
  data(chunk: Buffer): boolean;
  end(): void;
  fail(error: GatewayError): void;
}

/** A dispatched attempt: `answer` rejects with a GatewayError; `abort` may come at any time, before the head too. */
export interface Dispatched {
  answer: Promise<UpstreamAnswer>;
  abort(): void;
}

/** Thrown inside `answer`'s rejection as `cause`-independent knowledge: was any byte of the request possibly delivered? */
export interface DeliveryFailure {
  error: GatewayError;
  /** True only where the connection provably delivered nothing (refused, DNS, TLS, connect timeout): another attempt is safe. */
  undelivered: boolean;
}

/** What became of a streamed reply. */
export interface StreamResult {
  end:
    | 'whole'
    /** The provider's own error event was passed on. */
    | 'upstream_error'
    /** Cut, stalled or unreadable upstream: our in-band error event was sent. */
    | 'incomplete'
    | 'client_gone';
  error?: GatewayError;
  bytes: number;
  /** performance.now() of the first byte written to the client, if any. */
  firstByteAt?: number;
}

export interface StreamRelay {
  body: UpstreamBody;
  tap: StreamTap;
  /** The bytes of the surface's in-band error event. */
  failEvent: (error: GatewayError) => string;
  /** True: every event passes through the tap before it is written, because some are changed. False: bytes are written as they come. */
  rewrite: boolean;
}
