import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';

import { GatewayError } from '../core/errors.ts';
import { badResponse } from './failure.ts';
import type { BodySink, UpstreamAnswer, UpstreamBody } from './types.ts';

/** zlib's own decoders only; Node's Brotli decoder is never called (CVE-2026-111497: any Brotli body could write out of bounds). */
const DECODERS: Readonly<Record<string, () => Gunzip | Inflate>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
};

/** What a whole answer may grow to. A stream has no such end: there back-pressure bounds what is held. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024;
/** JSON rarely shrinks below a thirtieth; a bomb is a thousandth. Small answers are let be. */
const MAX_RATIO = 100;
const RATIO_COUNTS_FROM_BYTES = 1024 * 1024;

/**
 * The answer with its body decoded, for upstreams that encode although `accept-encoding: identity` was sent;
 * upstream_bad_response for codings we do not read and for several at once.
 */
export function inflated(answer: UpstreamAnswer, stream: boolean): UpstreamAnswer | GatewayError {
  const coding = String(answer.headers['content-encoding']).trim().toLowerCase();
  const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  if (decoder === undefined) return badResponse('its content-encoding was not asked for and is not read', answer.status);
  const { 'content-encoding': _, 'content-length': __, ...headers } = answer.headers;
  const body = new InflatedBody(answer.body, decoder(), stream ? Infinity : MAX_INFLATED_BYTES);
  return { ...answer, headers, body };
}

/** Between an encoded body and its reader. Either side's pause reaches the other through zlib's own buffer (16 KiB each way). */
class InflatedBody implements UpstreamBody, BodySink {
  private readonly inner: UpstreamBody;
  private readonly decoder: Gunzip | Inflate;
  private readonly maxBytes: number;
  private sink: BodySink | undefined;
  private encodedBytes = 0;
  private decodedBytes = 0;
  private over = false;

  constructor(inner: UpstreamBody, decoder: Gunzip | Inflate, maxBytes: number) {
    this.inner = inner;
    this.decoder = decoder;
    this.maxBytes = maxBytes;
  }

  consume(sink: BodySink): void {
    const first = this.sink === undefined;
    this.sink = sink;
    if (!first) return this.resume();
    this.decoder.on('data', (chunk: Buffer) => this.decoded(chunk));
    this.decoder.on('drain', () => this.inner.resume());
    this.decoder.on('end', () => this.finish(undefined));
    this.decoder.on('error', (error) => this.refuse(badResponse(`its content-encoding is broken (${error.message})`)));
    this.inner.consume(this);
  }

  resume(): void {
    this.decoder.resume();
  }

  abort(): void {
    this.inner.abort();
  }

  data(chunk: Buffer): boolean {
    this.encodedBytes += chunk.length;
    return this.decoder.write(chunk);
  }

  end(): void {
    this.decoder.end();
  }

  fail(error: GatewayError): void {
    this.finish(error);
  }

  private decoded(chunk: Buffer): void {
    if (this.over) return;
    this.decodedBytes += chunk.length;
    const { decodedBytes, encodedBytes } = this;
    if (decodedBytes > this.maxBytes) return this.refuse(badResponse(`it inflates to more than ${this.maxBytes} bytes`));
    if (decodedBytes > RATIO_COUNTS_FROM_BYTES && decodedBytes > encodedBytes * MAX_RATIO) {
      return this.refuse(badResponse(`it inflates to more than ${MAX_RATIO} times its size`));
    }
    if (this.sink?.data(chunk) === false) this.decoder.pause();
  }

  private refuse(error: GatewayError): void {
    this.finish(error);
    this.inner.abort();
  }

  private finish(error: GatewayError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.decoder.destroy();
    if (error === undefined) this.sink?.end();
    else this.sink?.fail(error);
  }
}
