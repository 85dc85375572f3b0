/** Against real upstreams by the real way out: what flows, what holds it back, what ends it. */
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import {
  chunk,
  type FaultUpstream,
  head,
  LAST_CHUNK,
  SSE_HEAD,
  startFaultUpstream,
  whole,
} from '../../test/support/fault-upstream.ts';
import type { GatewayError } from '../core/errors.ts';
import { type Egress, createEgress } from './egress.ts';
import { createSend } from './send.ts';
import { type StreamFetch, type StreamFetchRequest, createStreamFetch } from './stream-fetch.ts';
import type { UpstreamRequest } from './types.ts';
import { createWheel } from './wheel.ts';

const TIMEOUTS = { connectMs: 1_000, firstByteMs: 5_000, idleMs: 5_000, totalMs: 5_000 };
const FOR_STREAMS = { headers: { Accept: 'text/event-stream' } };

let upstream: FaultUpstream;
let egress: Egress;
let asked: StreamFetchRequest[];
let failures: Error[];
let send: StreamFetch;

beforeEach(async () => {
  upstream = await startFaultUpstream(() => []);
  const wheel = createWheel({ turnMs: 50, now: () => performance.now() });
  egress = createEgress({ allowPrivate: [], clientCertificates: [] }, { wheel, userAgent: 'signalbox/test' });
  asked = [];
  failures = [];
  const sendOut = createSend(egress);
  send = createStreamFetch({
    dispatch(request) {
      asked.push(request);
      const { origin, pathname, search } = new URL(request.url);
      return sendOut({
        ...request,
        method: request.method as UpstreamRequest['method'],
        endpoint: { baseUrl: origin, headers: {}, weight: 1 },
        path: pathname + search,
        timeouts: TIMEOUTS,
      });
    },
    onFailure: (error) => failures.push(error),
  });
});

afterEach(async () => {
  egress.close();
  await upstream.close();
});

/** The upstream sees its connection go. */
const closed = (): Promise<void> => vi.waitFor(() => expect(upstream.open()).toBe(0), { timeout: 2_000 });

async function rejection(asking: Promise<unknown>): Promise<unknown> {
  try {
    await asking;
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}

describe('a whole answer', () => {
  test('with what was asked, and status, headers and body of the answer', async () => {
    upstream.play(() => [{ send: whole(404, '{"a":"é"}', { 'x-one': '1', 'set-cookie': 'a=1' }) }]);
    const url = `${upstream.url}/a/b?c=d`;
    const response = await send(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"ü":1}' });
    expect(response.status).toBe(404);
    expect(response.ok).toBe(false);
    expect(response.headers.get('x-one')).toBe('1');
    expect(await response.json()).toEqual({ a: 'é' });
    expect(upstream.requests[0]).toMatchObject({
      method: 'POST',
      path: '/a/b?c=d',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"ü":1}'),
    });
    expect(asked[0]).toMatchObject({ url, stream: false, headers: { 'content-type': 'application/json' } });
    expect(failures).toEqual([]);
  });

  test('without a method and a body', async () => {
    upstream.play(() => [{ send: whole(200, '') }]);
    expect(await (await send(upstream.url)).text()).toBe('');
    expect(asked[0]).toMatchObject({ method: 'GET', body: undefined, headers: {} });
  });

  test('that has none', async () => {
    upstream.play(() => [{ send: head(204) }]);
    const response = await send(upstream.url, { method: 'DELETE' });
    expect(response).toMatchObject({ status: 204, body: null });
    expect(failures).toEqual([]);
  });

  test('may be as large as a library can hold, and no larger', async () => {
    const limit = 10 * 1024 * 1024;
    upstream.play(() => [{ send: whole(200, Buffer.alloc(limit, 97)) }]);
    expect((await (await send(upstream.url)).text()).length).toBe(limit);
    upstream.play(() => [{ send: whole(200, Buffer.alloc(limit + 1, 97)) }, 'hang']);
    const thrown = await rejection((await send(upstream.url)).text());
    expect(thrown).toMatchObject({ name: 'GatewayError', code: 'upstream_bad_response' });
    expect(failures).toEqual([thrown]);
    await closed();
  });

  test.each([
    ['that nobody wanted as a stream', { headers: {} }, 200],
    ['that is a refusal', FOR_STREAMS, 500],
  ])('a stream %s is held to the same', async (_, init, status) => {
    const endless = Buffer.alloc(11 * 1024 * 1024, 97);
    upstream.play(() => [{ send: head(status, { 'content-type': 'text/event-stream' }) }, { send: endless }, 'hang']);
    const thrown = await rejection((await send(upstream.url, init)).text());
    expect(thrown).toMatchObject({ code: 'upstream_bad_response' });
    await closed();
  });
});

describe('a stream', () => {
  test('is asked for by `accept`, and flows piece by piece', async () => {
    const more = Promise.withResolvers<void>();
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk('data: 1\n\n') },
      { run: () => more.promise },
      { send: chunk('data: 2\n\n') },
      { send: LAST_CHUNK },
    ]);
    const response = await send(upstream.url, FOR_STREAMS);
    expect(asked[0]!.stream).toBe(true);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader.read()).toEqual({ done: false, value: 'data: 1\n\n' });
    more.resolve();
    expect(await reader.read()).toEqual({ done: false, value: 'data: 2\n\n' });
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(failures).toEqual([]);
  });

  test('waits for its reader, and loses nothing', async () => {
    const piece = chunk(Buffer.alloc(1024 * 1024, 97));
    let sentPieces = 0;
    const pieces = 64;
    upstream.play(() => [
      { send: SSE_HEAD },
      ...Array.from({ length: pieces }, () => [{ send: piece }, { run: () => void (sentPieces += 1) }]).flat(),
      { send: LAST_CHUNK },
    ]);
    const reader = (await send(upstream.url, FOR_STREAMS)).body!.getReader();
    let bytes = (await reader.read()).value!.length;
    // What is in the sockets' own buffers has left the upstream: several MB, but not all.
    await delay(300);
    const stoppedAt = sentPieces;
    expect(stoppedAt).toBeLessThan(pieces / 2);
    await delay(200);
    expect(sentPieces).toBe(stoppedAt);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
    }
    expect(bytes).toBe(pieces * 1024 * 1024);
  });

  test('is aborted by its reader', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk('data: 1\n\n') }, 'hang']);
    const reader = (await send(upstream.url, FOR_STREAMS)).body!.getReader();
    await reader.read();
    await reader.cancel();
    await closed();
    // Whoever leaves has not met a failure.
    expect(failures).toEqual([]);
  });

  test('is aborted by its reader while the upstream waits for it', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(Buffer.alloc(32 * 1024 * 1024)) }, 'hang']);
    const reader = (await send(upstream.url, FOR_STREAMS)).body!.getReader();
    await reader.read();
    await reader.cancel();
    await closed();
  });

  test('is aborted by its signal', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk('data: 1\n\n') }, 'hang']);
    const leaving = new AbortController();
    const reader = (await send(upstream.url, { ...FOR_STREAMS, signal: leaving.signal })).body!.getReader();
    await reader.read();
    const next = rejection(reader.read());
    leaving.abort();
    expect(await next).toMatchObject({ code: 'client_gone' });
    await closed();
  });

  test.each([
    ['reset', 'upstream_incomplete'],
    ['fin', 'upstream_incomplete'],
  ] as const)('that breaks off by %s says so, after what came', async (way, code) => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk('data: 1\n\n') }, { waitMs: 50 }, way]);
    const reader = (await send(upstream.url, FOR_STREAMS)).body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe('data: 1\n\n');
    const thrown = await rejection(reader.read());
    expect(thrown).toMatchObject({ name: 'GatewayError', code });
    expect(failures).toEqual([thrown]);
  });
});

describe('no answer', () => {
  test('where nobody listens', async () => {
    const { url } = upstream;
    await upstream.close();
    const thrown = await rejection(send(url));
    expect(thrown).toMatchObject({ name: 'GatewayError', code: 'upstream_unreachable' });
    expect(failures).toEqual([thrown]);
  });

  test('where the connection is reset before the head', async () => {
    upstream.play(() => ['reset']);
    const thrown = (await rejection(send(upstream.url, FOR_STREAMS))) as GatewayError;
    expect(thrown).toMatchObject({ name: 'GatewayError', code: 'upstream_unreachable' });
    expect(failures).toEqual([thrown]);
  });

  test('where the signal comes before the head', async () => {
    upstream.play(() => ['hang']);
    const leaving = new AbortController();
    const asking = rejection(send(upstream.url, { signal: leaving.signal }));
    await vi.waitFor(() => expect(upstream.requests).toHaveLength(1));
    leaving.abort();
    expect(await asking).toMatchObject({ code: 'client_gone' });
    await closed();
  });

  test('where the signal came already, and nobody is asked', async () => {
    expect(await rejection(send(upstream.url, { signal: AbortSignal.abort() }))).toMatchObject({ name: 'AbortError' });
    expect(asked).toEqual([]);
  });

  test('where the status is none that a Response can have', async () => {
    upstream.play(() => [{ send: head(700, { 'content-length': 1_000 }) }, { send: 'a' }, 'hang']);
    const thrown = await rejection(send(upstream.url));
    expect(thrown).toMatchObject({ code: 'upstream_bad_response', details: { upstreamStatus: 700 } });
    expect(failures).toEqual([thrown]);
    await closed();
  });

  test('where what should be sent is no text', async () => {
    expect(await rejection(send(upstream.url, { method: 'POST', body: new FormData() }))).toBeInstanceOf(TypeError);
    expect(asked).toEqual([]);
  });
});
