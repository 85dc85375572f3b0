/** The shapes between the data plane's line and the way out. */
import type { IncomingHttpHeaders } from 'node:http';

import type { GatewayError } from '../core/errors.ts';
import type { StreamTap } from '../core/tap.ts';
import type { Endpoint, Timeouts } from '../core/target.ts';

/** Whose word an address is: the operator's file is used as given, anything from outside is checked when connecting. */
export type Trust = 'operator' | 'outside';

export interface UpstreamRequest {
  endpoint: Endpoint;
  /** Absent: as the endpoint says. */
  trust?: Trust;
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

/** An answer whose head has arrived. Its body does not flow, beyond a first read of at most 64 KiB, until it is consumed. */
export interface UpstreamAnswer {
  failed: false;
  status: number;
  /** As received; without content-encoding and content-length where the body has been inflated. */
  headers: IncomingHttpHeaders;
  body: UpstreamBody;
}

export interface UpstreamBody {
  /**
   * Starts the flow; `data` answering false pauses it until `resume`. Exactly one of `end` and `fail` comes last.
   * Consuming again hands the rest to another sink.
   */
  consume(sink: BodySink): void;
  resume(): void;
  /** Closes the upstream connection now; the sink gets `fail(client_gone)` and nothing more. Idempotent. */
  abort(): void;
}

export interface BodySink {
  data(chunk: Buffer): boolean;
  end(): void;
  fail(error: GatewayError): void;
}

/** A dispatched attempt. `answer` never rejects; `abort` may come at any time, before the head too: `answer` is then a failure `client_gone`. */
export interface Dispatched {
  answer: Promise<UpstreamAnswer | DeliveryFailure>;
  abort(): void;
}

/** No head arrived, or one that cannot be used. */
export interface DeliveryFailure {
  failed: true;
  error: GatewayError;
  /** True only where provably not one byte of the request was written (refused, DNS, TLS, connect timeout): another attempt is safe. */
  undelivered: boolean;
  /**
   * The request went out on a kept-alive connection. A reset there before any answer is most often the server's idle timeout meeting
   * the request on its way, but no proof of that (RFC 9112 §9.3.1).
   */
  reusedSocket: boolean;
}

/** What became of a streamed reply. */
export interface StreamResult {
  end:
    | 'whole'
    /** The provider's own error event was passed on; or it came before all content and was not (`response.headersSent` is false). */
    | 'upstream_error'
    /**
     * Cut, stalled or unreadable upstream: our in-band error event was sent. Where the reply had not begun (`response.headersSent` is
     * false) nothing was sent: the caller answers with a status.
     */
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
}

/** What stands between an upstream's bytes and the client's: the relay's tap, or a translation. */
export interface StreamStage {
  /**
   * Upstream bytes in, the client's bytes out, undefined where there are none yet. A throw ends the stream as incomplete.
   * What is returned always ends at an event boundary, unless `atBoundary` says no.
   */
  push(chunk: Buffer): Buffer | string | undefined;
  /** The upstream ended its body in good order: what is left for the client. `state` is final after it. */
  end(): Buffer | string | undefined;
  /** Our failure after the first byte: the bytes that end the stream truthfully; undefined: there are none, cut the connection. */
  fail(error: GatewayError): string | undefined;
  /** `done`: the terminal event has been passed on. `error`: the provider's own error event has been. */
  readonly state: 'open' | 'done' | 'error';
  /** Content has come: text, a tool call or reasoning, not only a role or a ping. */
  readonly hasContent: boolean;
  /** Whether an SSE comment may be written now. */
  readonly atBoundary: boolean;
}
