import type { IncomingHttpHeaders } from 'node:http';

import type { Dispatcher } from 'undici';

import { GatewayError } from '../core/errors.ts';
import { badResponse, timedOut, transportFailure } from './failure.ts';
import { inflated } from './inflate.ts';
import type { Job, Lane, OriginPool } from './pool.ts';
import type { BodySink, DeliveryFailure, Dispatched, UpstreamAnswer, UpstreamBody, UpstreamRequest } from './types.ts';
import type { Timed, Wheel } from './wheel.ts';

/** What is taken of a body before anybody asked for it: small answers then need no pause and no second read. */
const EARLY_BYTES = 64 * 1024;
const MAX_HEADERS = 128;

/** One request on its way: undici's handler, the body it brings, and its deadlines, in one object per attempt. */
export class Attempt implements Job, Dispatched, UpstreamBody, Timed {
  readonly options: Dispatcher.DispatchOptions;
  readonly answer: Promise<UpstreamAnswer | DeliveryFailure>;
  lane: Lane | undefined;
  slot = -1;
  private readonly settle: (answer: UpstreamAnswer | DeliveryFailure) => void;
  private readonly pool: OriginPool;
  private readonly wheel: Wheel;
  private readonly timeouts: UpstreamRequest['timeouts'];
  private readonly stream: boolean;
  private readonly ours: boolean;
  private controller: Dispatcher.DispatchController | undefined;
  private sink: BodySink | undefined;
  private early: Buffer[] = [];
  private earlyBytes = 0;
  /** Nothing more comes: ended, failed or aborted. */
  private over = false;
  private failure: GatewayError | undefined;
  /** The sink has had its last word. */
  private told = false;
  private reused = false;
  private headed = false;
  private paused = false;
  /** Set by every chunk, taken by the wheel. */
  private touched = false;
  private flowing = false;
  private connectByMs = Infinity;
  private deadlineMs: number;

  constructor(
    options: Dispatcher.DispatchOptions,
    way: { pool: OriginPool; wheel: Wheel },
    request: Pick<UpstreamRequest, 'timeouts' | 'stream' | 'endpoint'>,
  ) {
    const { promise, resolve } = Promise.withResolvers<UpstreamAnswer | DeliveryFailure>();
    this.options = options;
    this.answer = promise;
    this.settle = resolve;
    this.pool = way.pool;
    this.wheel = way.wheel;
    this.timeouts = request.timeouts;
    this.stream = request.stream;
    this.ours = request.endpoint.socketPath !== undefined;
    const nowMs = way.wheel.now();
    this.deadlineMs = nowMs + (request.stream ? request.timeouts.firstByteMs : request.timeouts.totalMs);
    way.wheel.join(this);
    way.pool.take(this, nowMs);
  }

  // From the pool and from undici.

  connecting(): void {
    this.connectByMs = this.wheel.now() + this.timeouts.connectMs;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.connectByMs = Infinity;
    if (this.over) return controller.abort(new Error('aborted'));
    this.controller = controller;
    if (this.lane !== undefined) {
      this.reused = !this.lane.fresh;
      this.lane.fresh = false;
    }
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.over || (status < 200 && status !== 101)) return;
    const problem = unusable(status, controller.rawHeaders, this.ours);
    if (problem !== undefined) return this.stop(problem);
    const encoding = headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') return this.head({ failed: false, status, headers, body: this });
    const answer = inflated({ failed: false, status, headers, body: this }, this.stream);
    if (answer instanceof GatewayError) this.stop(answer);
    else this.head(answer);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    this.touched = true;
    // Data may come in spite of a pause: undici empties the socket when the other side closes.
    if (this.sink === undefined || this.paused) this.keepEarly(chunk);
    else if (!this.sink.data(chunk)) this.paused = true;
    if (this.paused) controller.pause();
  }

  onResponseEnd(): void {
    this.leave();
    if (this.over) return;
    this.over = true;
    this.tell();
  }

  onResponseError(_: unknown, error: Error): void {
    this.leave();
    if (this.over) return;
    this.over = true;
    this.deliver(transportFailure(error, this.headed ? 'answering' : this.stage()));
  }

  // From whoever reads the body.

  consume(sink: BodySink): void {
    this.sink = sink;
    this.paused = true;
    this.resume();
  }

  resume(): void {
    const { sink, controller } = this;
    if (!this.paused || sink === undefined) return;
    this.paused = false;
    // The time of a pause is the reader's, not the upstream's; but asking for bytes is not yet getting any.
    if (this.flowing) this.touched = true;
    while (this.early.length > 0 && !this.paused) this.paused = !sink.data(this.early.shift()!);
    // Once over, the socket behind the controller may already be reading another attempt's answer.
    if (this.over) this.tell();
    else if (this.paused) controller?.pause();
    else controller?.resume();
  }

  abort(): void {
    this.stop(new GatewayError('client_gone'));
  }

  // From the wheel.

  check(nowMs: number): void {
    const { timeouts, stream } = this;
    if (nowMs >= this.connectByMs) return this.stop(connectTimeout(timeouts.connectMs));
    const active = stream && (this.touched || (this.paused && this.flowing));
    if (active) {
      this.touched = false;
      this.flowing = true;
      this.deadlineMs = nowMs + timeouts.idleMs;
    } else if (nowMs >= this.deadlineMs) this.stop(this.late());
  }

  private late(): GatewayError {
    const { totalMs, firstByteMs, idleMs } = this.timeouts;
    if (this.connectByMs !== Infinity) return connectTimeout(this.stream ? firstByteMs : totalMs);
    if (!this.stream) return timedOut('did not answer', totalMs);
    return this.flowing ? timedOut('sent nothing', idleMs) : timedOut('sent no first byte', firstByteMs);
  }

  private stage(): 'unsent' | 'sent' {
    return this.controller === undefined ? 'unsent' : 'sent';
  }

  private head(answer: UpstreamAnswer): void {
    this.headed = true;
    this.settle(answer);
  }

  private keepEarly(chunk: Buffer): void {
    this.early.push(chunk);
    this.earlyBytes += chunk.length;
    if (this.earlyBytes >= EARLY_BYTES) this.paused = true;
  }

  /** Ends the attempt from our side, wherever it stands: waiting for a lane, connecting, sent, or in its body. */
  private stop(error: GatewayError): void {
    if (this.over) return;
    this.over = true;
    this.early = [];
    this.wheel.leave(this);
    const { controller, lane } = this;
    if (controller !== undefined) controller.abort(error);
    else if (lane === undefined) this.leave();
    else lane.opening?.cancel(error);
    this.deliver(error);
  }

  private deliver(error: GatewayError): void {
    this.failure = error;
    if (this.headed) this.tell();
    else this.settle({ failed: true, error, undelivered: this.controller === undefined, reusedSocket: this.reused });
  }

  /** The one last word to the sink, if there is one yet. */
  private tell(): void {
    if (this.sink === undefined || this.told || this.early.length > 0) return;
    this.told = true;
    if (this.failure === undefined) this.sink.end();
    else this.sink.fail(this.failure);
  }

  private leave(): void {
    this.wheel.leave(this);
    this.pool.release(this, this.wheel.now());
  }
}

/**
 * Redirects are never followed: the credential belongs to the configured origin. Where one points is not told either. Our own
 * control plane, behind its Unix socket, may answer the browser with one.
 */
function unusable(
  status: number,
  rawHeaders: Dispatcher.DispatchController['rawHeaders'],
  ours: boolean,
): GatewayError | undefined {
  if (status === 101) return badResponse('it switched protocols', status);
  if (status >= 300 && status < 400 && !ours)
    return badResponse(`it redirects (${status}), and redirects are not followed`, status);
  if (Array.isArray(rawHeaders) && rawHeaders.length > 2 * MAX_HEADERS) return badResponse('it has too many headers', status);
  return undefined;
}

function connectTimeout(limitMs: number): GatewayError {
  return new GatewayError('upstream_unreachable', {
    details: { message: `The upstream could not be reached: connecting took longer than ${limitMs} ms` },
  });
}
