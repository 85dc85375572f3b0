import type { ServerResponse } from 'node:http';

import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { BodySink, StreamResult, StreamStage, UpstreamBody } from './types.ts';
import type { Timed, Wheel } from './wheel.ts';

export interface PumpOptions {
  wheel: Wheel;
  /** An SSE comment goes out after this much silence, so that nobody on the way takes it for a dead connection. */
  idleCommentMs?: number;
  /** A client that takes nothing for this long while data waits for it has left. */
  stallMs?: number;
  /** What comes before the first content (a role, pings) is held so long, so that a failure there can still be answered with a status, or by another target. Absent: not at all. */
  holdMs?: number;
  /** Asked where the stream breaks: true, and the reply is left open as it stands, for whoever goes on with it. */
  mayContinue?: () => boolean;
  /** Called once, with the first content. */
  onContent?: () => void;
  /** Called at every turn of the wheel, while the stream is open, with the bytes written to the client so far. May abort the body. */
  watch?: (bytes: number) => void;
}

const IDLE_COMMENT_MS = 15_000;
const STALL_MS = 60_000;
/** After the terminal event the upstream has this long to end its body, which lets its connection be used again. */
const LINGER_MS = 1_000;
/** A role and some pings are a hundredth of it. */
const MOST_HELD = 65_536;
const COMMENT = ': keep-alive\n\n';

/**
 * Pumps a streamed answer to the client through a stage (the relay's tap, or a translation) and resolves, without ever rejecting, once the
 * client has all of it or has left. Set status and headers on `response` before, without `writeHead` or `flushHeaders`: they leave with the
 * first byte, or with the first comment, so that an upstream that fails before its first byte can still be answered with a status.
 *
 * Back-pressure: the upstream is paused while the client's socket is full; about 200 KiB wait at most (one read, two socket buffers).
 */
export function pumpStream(
  body: UpstreamBody,
  response: ServerResponse,
  stage: StreamStage,
  options: PumpOptions,
): Promise<StreamResult> {
  return new Pump({ body, response, stage }, options).run();
}

interface Ends {
  body: UpstreamBody;
  response: ServerResponse;
  stage: StreamStage;
}

/** One stream under way. */
export class Pump implements BodySink, Timed {
  slot = -1;
  private readonly body: UpstreamBody;
  private readonly response: ServerResponse;
  private readonly stage: StreamStage;
  private readonly wheel: Wheel;
  private readonly idleCommentMs: number;
  private readonly stallMs: number;
  private readonly watch: PumpOptions['watch'];
  private readonly mayContinue: () => boolean;
  /** Undefined once it was called. */
  private onContent: PumpOptions['onContent'];
  /** What the client does not have yet; undefined once it goes out as it comes. */
  private held: (Buffer | string)[] | undefined;
  private heldLength = 0;
  private readonly heldUntilMs: number;
  private readonly result: StreamResult = { end: 'incomplete', bytes: 0 };
  private readonly settle: (result: StreamResult) => void;
  private readonly settled: Promise<StreamResult>;
  /** The reply has its last byte, or never will. */
  private done = false;
  /** Nothing more comes from the upstream. */
  private drained = false;
  /** Set by every write, taken by the wheel. */
  private wrote = false;
  private quietSinceMs: number;
  private abortByMs = Infinity;

  constructor(ends: Ends, options: PumpOptions) {
    const { promise, resolve } = Promise.withResolvers<StreamResult>();
    this.settled = promise;
    this.settle = resolve;
    this.body = ends.body;
    this.response = ends.response;
    this.stage = ends.stage;
    this.wheel = options.wheel;
    this.idleCommentMs = options.idleCommentMs ?? IDLE_COMMENT_MS;
    this.stallMs = options.stallMs ?? STALL_MS;
    this.watch = options.watch;
    this.onContent = options.onContent;
    this.mayContinue = options.mayContinue ?? never;
    this.quietSinceMs = this.wheel.now();
    this.heldUntilMs = this.quietSinceMs + (options.holdMs ?? 0);
    if (options.holdMs !== undefined) this.held = [];
  }

  /** `first`: bytes for the client ahead of the body's. */
  run(first?: Buffer): Promise<StreamResult> {
    const { response } = this;
    if (response.destroyed) this.gone();
    else {
      response.on('close', this.onClose).on('drain', this.onDrain);
      // Node's own socket timeout sees the progress of a write under way, and costs nothing per chunk.
      response.setTimeout(this.stallMs, this.onTimeout);
      this.wheel.join(this);
      if (first !== undefined && first.length > 0) this.write(first);
      this.body.consume(this);
    }
    return this.settled;
  }

  // From the upstream's body.

  data(chunk: Buffer): boolean {
    if (this.done) return true;
    let out: Buffer | string | undefined;
    try {
      out = this.stage.push(chunk);
    } catch (thrown) {
      this.incomplete(toGatewayError(thrown));
      return true;
    }
    if (this.onContent !== undefined && this.stage.hasContent) this.tellContent(this.onContent);
    if (this.stage.state !== 'open') this.finish(out);
    else if (this.held !== undefined) return this.hold(out);
    else if (out !== undefined) return this.write(out);
    return true;
  }

  end(): void {
    this.drained = true;
    if (this.done) return this.wheel.leave(this);
    try {
      const out = this.stage.end();
      if (this.stage.state !== 'open') return this.finish(out);
      if (out !== undefined && this.held === undefined) this.write(out);
      this.incomplete(new GatewayError('upstream_incomplete'));
    } catch (thrown) {
      this.incomplete(toGatewayError(thrown));
    }
  }

  fail(error: GatewayError): void {
    this.drained = true;
    if (this.done) this.wheel.leave(this);
    else this.incomplete(error);
  }

  // From the wheel.

  check(nowMs: number): void {
    if (!this.done) this.watch?.(this.result.bytes);
    if (this.done) {
      if (nowMs >= this.abortByMs) this.body.abort();
    } else if (this.held !== undefined) {
      if (nowMs >= this.heldUntilMs) this.release();
    } else if (this.wrote) {
      this.wrote = false;
      this.quietSinceMs = nowMs;
    } else if (nowMs - this.quietSinceMs >= this.idleCommentMs && this.stage.atBoundary && !this.response.writableNeedDrain) {
      this.write(COMMENT);
    }
  }

  private tellContent(onContent: () => void): void {
    this.onContent = undefined;
    onContent();
  }

  private hold(out: Buffer | string | undefined): boolean {
    if (out !== undefined) this.held!.push(out);
    this.heldLength += out?.length ?? 0;
    return this.stage.hasContent || this.heldLength > MOST_HELD ? this.release() : true;
  }

  private release(): boolean {
    const held = this.held!;
    this.held = undefined;
    return held.length === 0 || this.write(joined(held)!);
  }

  private write(out: Buffer | string): boolean {
    this.count(out);
    return this.response.write(out);
  }

  private count(out: Buffer | string): void {
    this.wrote = true;
    this.result.firstByteAt ??= this.wheel.now();
    this.result.bytes += typeof out === 'string' ? Buffer.byteLength(out) : out.length;
  }

  /** The terminal event is in `out`: the client need not wait for the upstream's end. */
  private finish(out: Buffer | string | undefined): void {
    this.result.end = this.stage.state === 'error' ? 'upstream_error' : 'whole';
    if (this.stage.state === 'error' && (this.held === undefined ? this.mayContinue() : !this.stage.hasContent))
      return this.unsent();
    const rest = this.held === undefined ? out : joined(out === undefined ? this.held : [...this.held, out]);
    this.held = undefined;
    if (rest !== undefined) this.count(rest);
    this.close(rest);
    this.abortByMs = this.wheel.now() + LINGER_MS;
  }

  /** Tells the client in its stream that the rest is missing. Where nothing has been sent the caller does, with a status. */
  private incomplete(error: GatewayError): void {
    this.result.error = error;
    if (!this.response.headersSent || this.mayContinue()) return this.unsent();
    const last = this.stage.fail(error);
    if (last === undefined) this.response.destroy();
    else {
      this.count(last);
      this.close(last);
    }
    this.done = true;
    if (this.drained) this.wheel.leave(this);
    else this.body.abort();
  }

  /** What the client does not have the caller may still give him. */
  private unsent(): void {
    this.done = true;
    this.letGo();
    this.settle(this.result);
    if (!this.drained) this.body.abort();
  }

  private close(out: Buffer | string | undefined): void {
    this.done = true;
    this.response.end(out);
    if (this.drained) this.wheel.leave(this);
  }

  // From the client's side.

  private readonly onDrain = (): void => this.body.resume();

  private readonly onTimeout = (): void => {
    if (this.response.writableLength > 0) this.response.destroy();
  };

  private readonly onClose = (): void => {
    if (this.done && (this.response.writableFinished || this.result.error !== undefined)) this.settle(this.result);
    else this.gone();
  };

  private gone(): void {
    this.done = true;
    this.wheel.leave(this);
    this.result.end = 'client_gone';
    this.result.error = new GatewayError('client_gone');
    this.body.abort();
    this.settle(this.result);
  }

  /** Leaves the response to the caller as it was. */
  private letGo(): void {
    this.wheel.leave(this);
    this.response.off('close', this.onClose).off('drain', this.onDrain).off('timeout', this.onTimeout);
    this.response.setTimeout(0);
  }
}

function never(): boolean {
  return false;
}

function joined(parts: readonly (Buffer | string)[]): Buffer | string | undefined {
  if (parts.length < 2) return parts[0];
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}
