/**
 * The way out against real servers that misbehave: what the client sees, what is learned of it, and what is left open afterwards.
 */
import { createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { GatewayError } from '../../src/core/errors.ts';
import type { StreamTap } from '../../src/core/tap.ts';
import { createEgress, type Egress, type EgressRules } from '../../src/upstream/egress.ts';
import { relayStream } from '../../src/upstream/relay.ts';
import { createSend, type Send } from '../../src/upstream/send.ts';
import type { DeliveryFailure, Dispatched, StreamResult, UpstreamAnswer } from '../../src/upstream/types.ts';
import { collect, type Collected, pipeBody } from '../../src/upstream/unary.ts';
import { createWheel, type Timed, type Wheel } from '../../src/upstream/wheel.ts';
import {
  chunk,
  type FaultUpstream,
  head,
  LAST_CHUNK,
  SSE_HEAD,
  startFaultUpstream,
  type Step,
  whole,
} from '../support/fault-upstream.ts';

const RULES: EgressRules = { allowPrivate: [], clientCertificates: [] };
const TIMEOUTS = { connectMs: 500, firstByteMs: 500, idleMs: 1_500, totalMs: 500 };
const TURN_MS = 50;
/** A deadline fires up to one turn late; the rest is this machine's. */
const LATE_MS = 400;

let upstream: FaultUpstream;
let egress: Egress;
let send: Send;
/** What stands in the wheel: nothing may be left there. */
const timedOnes = new Set<Timed>();
const open: (() => unknown)[] = [];

beforeEach(async () => {
  upstream = await startFaultUpstream(() => []);
  egress = createEgress(RULES, { wheel: watchedWheel(), userAgent: 'signalbox/test' });
  send = createSend(egress);
});

afterEach(async () => {
  egress.close();
  for (const close of open.splice(0)) await close();
  await upstream.close();
  await until(() => timedOnes.size === 0);
});

function watchedWheel(): Wheel {
  const wheel = createWheel({ turnMs: TURN_MS, now: () => performance.now() });
  return {
    now: () => wheel.now(),
    join(timed) {
      timedOnes.add(timed);
      wheel.join(timed);
    },
    leave(timed) {
      timedOnes.delete(timed);
      wheel.leave(timed);
    },
  };
}

interface Ask {
  baseUrl?: string;
  path?: string;
  stream?: boolean;
  body?: Buffer;
  timeouts?: Partial<typeof TIMEOUTS>;
  headers?: Record<string, string>;
}

function dispatch(ask: Ask = {}): Dispatched {
  return send({
    endpoint: { baseUrl: ask.baseUrl ?? `${upstream.url}/v1`, headers: { authorization: 'Bearer secret' }, weight: 1 },
    method: 'POST',
    path: ask.path ?? '/chat/completions',
    headers: { 'content-type': 'application/json', ...ask.headers },
    body: ask.body ?? Buffer.from('{"model":"m"}'),
    timeouts: { ...TIMEOUTS, ...ask.timeouts },
    stream: ask.stream ?? false,
  });
}

async function failure(dispatched: Dispatched): Promise<DeliveryFailure> {
  const answer = await dispatched.answer;
  if (!answer.failed) throw new Error(`answered ${answer.status}`);
  return answer;
}

async function answered(dispatched: Dispatched): Promise<UpstreamAnswer> {
  const answer = await dispatched.answer;
  if (answer.failed) throw answer.error;
  return answer;
}

async function body(dispatched: Dispatched, maxBytes = 1024 * 1024): Promise<Collected> {
  const answer = await answered(dispatched);
  return collect(answer.body, { maxBytes, contentLength: answer.headers['content-length'] });
}

async function bodyError(dispatched: Dispatched): Promise<GatewayError> {
  const collected = await body(dispatched);
  if (!('error' in collected)) throw new Error('the body was whole');
  return collected.error;
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; tookMs: number }> {
  const startedAt = performance.now();
  const value = await work;
  return { value, tookMs: performance.now() - startedAt };
}

async function until(condition: () => boolean, withinMs = 2_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await delay(5);
  }
}

describe('a request', () => {
  test('arrives as it was given, with our headers beside the caller’s and the endpoint’s', async () => {
    upstream.play(() => [{ send: whole(200, '{"ok":true}') }]);
    const collected = await body(dispatch({ headers: { 'x-extra': '1', authorization: 'Bearer caller' } }));
    expect('whole' in collected && collected.whole.toString()).toBe('{"ok":true}');
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/v1/chat/completions', body: Buffer.from('{"model":"m"}') });
    expect(request!.headers).toEqual({
      host: `127.0.0.1:${upstream.port}`,
      connection: 'keep-alive',
      'content-type': 'application/json',
      'x-extra': '1',
      authorization: 'Bearer secret',
      'user-agent': 'signalbox/test',
      'accept-encoding': 'identity',
      'content-length': '13',
    });
  });

  test('keeps a query of the base URL', async () => {
    upstream.play(() => [{ send: whole(200, '{}') }]);
    await body(dispatch({ baseUrl: `${upstream.url}/v1?api-version=7`, path: '/x?a=1' }));
    await body(dispatch({ baseUrl: `${upstream.url}?api-version=7`, path: '/y' }));
    expect(upstream.requests.map((each) => each.path)).toEqual(['/v1/x?a=1&api-version=7', '/y?api-version=7']);
  });

  test('uses its connection again, and says so when it breaks there', async () => {
    upstream.play((request) =>
      upstream.requests.length === 1 ? [{ send: whole(200, '{}') }] : request.connection === 0 ? ['reset'] : [],
    );
    await body(dispatch());
    await delay(20);
    const broken = await failure(dispatch());
    expect(broken).toMatchObject({ undelivered: false, reusedSocket: true });
    expect(broken.error.code).toBe('upstream_unreachable');
    expect(upstream.accepted).toBe(1);
  });

  test('that cannot be written fails undelivered, without its secret in any word', async () => {
    const broken = await failure(dispatch({ headers: { 'x-bad': 'se\r\ncret' } }));
    expect(broken).toMatchObject({ undelivered: true, error: { code: 'internal' } });
    expect(JSON.stringify([broken.error.message, broken.error.cause])).not.toContain('cret');
  });

  test('waits for a connection where all are taken, and can leave the queue', async () => {
    const narrow = createEgress(RULES, { wheel: egress.wheel, userAgent: 'x', connections: 1 });
    open.push(() => narrow.close());
    send = createSend(narrow);
    upstream.play(() => [{ waitMs: 100 }, { send: whole(200, '{}') }]);
    const [first, second, third] = [dispatch(), dispatch(), dispatch()];
    second.abort();
    expect(await failure(second)).toMatchObject({ undelivered: true, error: { code: 'client_gone' } });
    await Promise.all([body(first), body(third)]);
    expect(upstream.accepted).toBe(1);
    expect(upstream.requests).toHaveLength(2);
  });

  test('a hundred at once open a hundred connections, which then serve the next hundred', async () => {
    upstream.play(() => [{ waitMs: 50 }, { send: whole(200, '{}') }]);
    for (let round = 0; round < 2; round++) {
      await Promise.all(Array.from({ length: 100 }, async () => body(dispatch({ timeouts: { totalMs: 5_000 } }))));
      await delay(20);
    }
    expect(upstream.accepted).toBe(100);
    expect(upstream.requests).toHaveLength(200);
  });
});

describe('before the head', () => {
  test('a refused connection delivered nothing', async () => {
    await upstream.close();
    const { value, tookMs } = await timed(failure(dispatch()));
    expect(value).toMatchObject({ undelivered: true, reusedSocket: false });
    expect(value.error).toMatchObject({
      code: 'upstream_unreachable',
      message: 'The upstream could not be reached: connection refused',
    });
    expect(tookMs).toBeLessThan(200);
    upstream = await startFaultUpstream(() => [{ send: whole(200, '{}') }], { port: upstream.port });
    expect(await body(dispatch())).toHaveProperty('whole');
  });

  test('an unknown name delivered nothing', async () => {
    const broken = await failure(
      dispatch({ baseUrl: 'http://nowhere.invalid/v1', timeouts: { connectMs: 5_000, totalMs: 5_000 } }),
    );
    expect(broken).toMatchObject({ undelivered: true, error: { code: 'upstream_unreachable' } });
  });

  test.each<[string, Step[]]>([
    ['reset', ['reset']],
    ['FIN', ['fin']],
    ['a reset within the head', [{ send: 'HTTP/1.1 200 OK\r\ncontent-le' }, { waitMs: 20 }, 'reset']],
  ])('%s: something may have been delivered', async (_, steps) => {
    upstream.play(() => steps);
    const broken = await failure(dispatch());
    expect(broken).toMatchObject({ undelivered: false, reusedSocket: false, error: { code: 'upstream_unreachable' } });
  });

  test.each<[string, Step[]]>([
    ['garbage', [{ send: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' }]],
    ['a broken status line', [{ send: 'HTTP/1.1 abc\r\n\r\n' }]],
    ['two lengths', [{ send: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab' }]],
    [
      'headers without end',
      [{ send: 'HTTP/1.1 200 OK\r\n' }, { send: 'x-a: 1234567890123456789012345678901234567890\r\n'.repeat(2_000) }, 'hang'],
    ],
    [
      'too many headers',
      [
        {
          send: head(200, { ...Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`x-${n}`, '1'])), 'content-length': 0 }),
        },
      ],
    ],
    ['101', [{ send: 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n' }, 'hang']],
    ['101 without upgrade', [{ send: 'HTTP/1.1 101 Switching Protocols\r\n\r\n' }, 'hang']],
    ...['br', 'zstd', 'gzip, gzip', 'compress', '__proto__'].map((coding): [string, Step[]] => [
      `content-encoding: ${coding}`,
      [{ send: whole(200, brotliCompressSync('{}'), { 'content-encoding': coding }) }],
    ]),
  ])('%s cannot be read', async (_, steps) => {
    upstream.play(() => steps);
    const broken = await failure(dispatch());
    expect(broken).toMatchObject({ undelivered: false, error: { code: 'upstream_bad_response' } });
    await until(() => upstream.open() === 0);
  });

  test.each([301, 302, 303, 307, 308, 304])('%i is not followed, nor told where it points', async (status) => {
    upstream.play(() => [{ send: whole(status, '', { location: 'http://169.254.169.254/secret' }) }]);
    const { error } = await failure(dispatch());
    expect(error).toMatchObject({ code: 'upstream_bad_response', details: { upstreamStatus: status } });
    expect(error.message).toContain('redirects are not followed');
    expect(error.message).not.toContain('169.254');
    expect(upstream.requests).toHaveLength(1);
  });

  test('informational answers are passed over', async () => {
    upstream.play(() => [
      { send: 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n' },
      { send: 'HTTP/1.1 102 Processing\r\n\r\n' },
      { send: whole(200, '{}') },
    ]);
    expect((await answered(dispatch())).status).toBe(200);
  });

  test('silence ends at the total deadline for unary answers', async () => {
    upstream.play(() => ['hang']);
    const { value, tookMs } = await timed(failure(dispatch({ timeouts: { totalMs: 300 } })));
    expect(value).toMatchObject({ undelivered: false, error: { code: 'upstream_timeout' } });
    expect(tookMs).toBeGreaterThanOrEqual(300);
    expect(tookMs).toBeLessThan(300 + LATE_MS);
    await until(() => upstream.open() === 0);
  });

  test.each([
    ['the connect deadline', { connectMs: 200, totalMs: 5_000 }],
    ['the total deadline where that is sooner', { connectMs: 5_000, totalMs: 200 }],
  ])('a connection that is never accepted ends at %s, undelivered', async (_, timeouts) => {
    // A TLS handshake that nobody answers.
    const { value, tookMs } = await timed(failure(dispatch({ baseUrl: `https://127.0.0.1:${upstream.port}`, timeouts })));
    expect(value).toMatchObject({ undelivered: true, error: { code: 'upstream_unreachable' } });
    expect(value.error.message).toContain('200 ms');
    expect(tookMs).toBeLessThan(200 + LATE_MS);
    await until(() => upstream.open() === 0);
  });

  test('abort cancels an attempt that waits for its head, at once', async () => {
    upstream.play(() => ['hang']);
    const dispatched = dispatch({ timeouts: { totalMs: 60_000 } });
    await until(() => upstream.requests.length === 1);
    const abortedAt = performance.now();
    dispatched.abort();
    dispatched.abort();
    expect(await failure(dispatched)).toMatchObject({ undelivered: false, error: { code: 'client_gone' } });
    await until(() => upstream.closedAt.length === 1);
    expect(upstream.closedAt[0]! - abortedAt).toBeLessThan(100);
  });

  test('abort cancels an attempt that connects, at once', async () => {
    const dispatched = dispatch({
      baseUrl: `https://127.0.0.1:${upstream.port}`,
      timeouts: { connectMs: 60_000, totalMs: 60_000 },
    });
    await until(() => upstream.open() === 1);
    dispatched.abort();
    expect(await failure(dispatched)).toMatchObject({ undelivered: true, error: { code: 'client_gone' } });
    await until(() => upstream.open() === 0);
    await delay(50);
    expect(upstream.accepted).toBe(1);
  });

  test('abort right after dispatch opens nothing lasting', async () => {
    const dispatched = dispatch();
    dispatched.abort();
    expect(await failure(dispatched)).toMatchObject({ undelivered: true, error: { code: 'client_gone' } });
    await delay(50);
    expect(upstream.requests).toHaveLength(0);
    expect(upstream.open()).toBe(0);
  });
});

describe('a unary body', () => {
  test.each<[string, Step[]]>([
    ['a reset', [{ send: head(200, { 'content-length': 10 }) + 'abc' }, { waitMs: 20 }, 'reset']],
    ['FIN', [{ send: head(200, { 'content-length': 10 }) + 'abc' }, 'fin']],
    ['FIN on a closing connection', [{ send: head(200, { 'content-length': 10, connection: 'close' }) + 'abc' }, 'fin']],
    ['FIN between chunks', [{ send: head(200, { 'transfer-encoding': 'chunked' }) }, { send: chunk('abc') }, 'fin']],
    [
      'FIN between chunks on a closing connection',
      [{ send: head(200, { 'transfer-encoding': 'chunked', connection: 'close' }) }, { send: chunk('abc') }, 'fin'],
    ],
  ])('cut by %s is incomplete', async (_, steps) => {
    upstream.play(() => steps);
    expect((await bodyError(dispatch())).code).toBe('upstream_incomplete');
  });

  test('with a malformed chunk cannot be read, and the error holds none of it', async () => {
    upstream.play(() => [{ send: head(200, { 'transfer-encoding': 'chunked' }) + 'zz\r\nsecret-body\r\n' }]);
    const error = await bodyError(dispatch());
    expect(error.code).toBe('upstream_bad_response');
    expect(JSON.stringify(error.cause)).not.toContain('secret-body');
  });

  test('until FIN, without a length, is whole', async () => {
    upstream.play(() => [{ send: `${head(200)}to the end` }, 'fin']);
    const collected = await body(dispatch());
    expect('whole' in collected && collected.whole.toString()).toBe('to the end');
  });

  test('that drips on is cut at the total deadline', async () => {
    upstream.play(() => [{ send: head(200, { 'content-length': 1_000 }) }, { drip: 'x'.repeat(1_000), size: 1, everyMs: 20 }]);
    const { value, tookMs } = await timed(bodyError(dispatch({ timeouts: { totalMs: 300 } })));
    expect(value.code).toBe('upstream_timeout');
    expect(tookMs).toBeLessThan(300 + LATE_MS);
    await until(() => upstream.open() === 0);
  });

  test('is aborted at once when nobody wants it any more', async () => {
    upstream.play(() => [{ send: `${head(200, { 'content-length': 1_000 })}abc` }, 'hang']);
    const dispatched = dispatch({ timeouts: { totalMs: 60_000 } });
    const collecting = bodyError(dispatched);
    await until(() => upstream.requests.length === 1);
    await delay(20);
    const abortedAt = performance.now();
    dispatched.abort();
    expect((await collecting).code).toBe('client_gone');
    await until(() => upstream.closedAt.length === 1);
    expect(upstream.closedAt[0]! - abortedAt).toBeLessThan(100);
  });

  test('is not read on while nobody consumes it', async () => {
    let taken = 0;
    const slab = Buffer.alloc(64 * 1024, 'x');
    const many = Array.from({ length: 1_024 }, (): Step[] => [{ send: slab }, { run: () => void (taken += slab.length) }]);
    upstream.play(() => [{ send: head(200, { 'content-length': 64 * 1024 * 1024 }) }, ...many.flat()]);
    const answer = await answered(dispatch({ timeouts: { totalMs: 20_000 } }));
    await delay(300);
    // The kernel's two buffers take some MiB; the rest stays where it is.
    expect(taken).toBeLessThan(16 * 1024 * 1024);
    const collected = await collect(answer.body, {
      maxBytes: 128 * 1024 * 1024,
      contentLength: answer.headers['content-length'],
    });
    expect('whole' in collected && collected.whole.length).toBe(64 * 1024 * 1024);
  });

  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
  ])('in %s, unasked, is inflated', async (coding, encode) => {
    const text = JSON.stringify({ text: 'hello '.repeat(10_000) });
    upstream.play(() => [{ send: whole(200, encode(text), { 'content-encoding': coding }) }]);
    const answer = await answered(dispatch());
    expect(answer.headers).not.toHaveProperty('content-encoding');
    expect(answer.headers).not.toHaveProperty('content-length');
    const collected = await collect(answer.body, { maxBytes: 1024 * 1024, contentLength: answer.headers['content-length'] });
    expect('whole' in collected && collected.whole.toString()).toBe(text);
  });

  test.each([
    ['that is not gzip', Buffer.from('{"plain":true}')],
    ['that is cut', gzipSync('{"a":1}').subarray(0, 15)],
    ['that is a bomb', gzipSync(Buffer.alloc(100 * 1024 * 1024))],
    ['that is a layered bomb', gzipSync(gzipSync(Buffer.alloc(10 * 1024 * 1024)))],
  ])('in gzip %s', async (name, bytes) => {
    upstream.play(() => [{ send: whole(200, bytes, { 'content-encoding': 'gzip' }) }]);
    const collected = await body(dispatch({ timeouts: { totalMs: 10_000 } }), 128 * 1024 * 1024);
    // Only one layer is taken off; what is under it is for the reader to judge.
    if (name === 'that is a layered bomb') expect(collected).toHaveProperty('whole');
    else expect('error' in collected && collected.error.code).toBe('upstream_bad_response');
  });
});

interface Front {
  port: number;
  results: StreamResult[];
  /** Bytes waiting in the client's socket on our side. */
  held: () => number;
}

interface FrontOptions {
  timeouts?: Partial<typeof TIMEOUTS>;
  idleCommentMs?: number;
  stallMs?: number;
  serve?: (answer: UpstreamAnswer, response: ServerResponse) => Promise<StreamResult>;
}

/** A server in front, as the gateway is one: relays every request to the upstream. */
async function startFront(options: FrontOptions = {}): Promise<Front> {
  const responses: ServerResponse[] = [];
  const results: StreamResult[] = [];
  const serve = options.serve ?? ((answer, response) => relayOf(answer, response, options));
  const server: Server = createServer((request, response) => {
    request.resume();
    responses.push(response);
    const dispatched = dispatch({ stream: options.serve === undefined, timeouts: options.timeouts ?? {} });
    const gone = (): void => dispatched.abort();
    response.on('close', gone);
    void (async () => {
      const answer = await dispatched.answer;
      if (answer.failed) {
        response.writeHead(answer.error.status).end(answer.error.code);
        return;
      }
      response.off('close', gone);
      const result = await serve(answer, response);
      results.push(result);
      if (result.end === 'incomplete' && !response.headersSent) response.writeHead(result.error!.status).end(result.error!.code);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, results, held: () => responses.at(-1)?.writableLength ?? 0 };
}

/** The results, once there is one: the client may be done a moment before. */
async function settled(front: Front): Promise<StreamResult[]> {
  await until(() => front.results.length > 0);
  return front.results;
}

function relayOf(answer: UpstreamAnswer, response: ServerResponse, options: FrontOptions): Promise<StreamResult> {
  response.statusCode = answer.status;
  response.setHeader('content-type', 'text/event-stream');
  const { idleCommentMs, stallMs } = options;
  return relayStream({ body: answer.body, tap: chatTap(), failEvent }, response, {
    wheel: egress.wheel,
    ...(idleCommentMs === undefined ? {} : { idleCommentMs }),
    ...(stallMs === undefined ? {} : { stallMs }),
  });
}

const failEvent = (error: GatewayError): string => `data: {"error":{"code":"${error.code}"}}\n\n`;

/** Chat's ends; takes out what says `drop`. */
function chatTap(): StreamTap {
  let state: StreamTap['state'] = 'open';
  return {
    see(event) {
      if (event.includes('data: [DONE]')) state = 'done';
      if (event.includes('"error"')) state = 'error';
      return !event.includes('drop');
    },
    isDull: () => false,
    get state() {
      return state;
    },
    usage: undefined,
    finish: undefined,
    model: undefined,
    failure: undefined,
    sawContent: false,
  };
}

interface Reply {
  status: number;
  text: string;
  /** Ended in good HTTP order. */
  complete: boolean;
}

async function ask(front: Front, seen: (text: string) => void = () => {}): Promise<Reply> {
  const request = httpRequest({ port: front.port, host: '127.0.0.1', method: 'POST', agent: false });
  request.end();
  const response = await new Promise<IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject));
  let text = '';
  response.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    seen(part);
  });
  await new Promise<void>((resolve) => response.on('close', () => resolve()).on('error', () => {}));
  return { status: response.statusCode!, text, complete: response.complete };
}

const EVENTS = Array.from({ length: 12 }, (_, n) => `data: {"n":${n},"text":"wörd ${n}"}\n\n`);
const DONE = 'data: [DONE]\n\n';
const STREAM = EVENTS.join('') + DONE;

describe('a stream', () => {
  test.each([
    ['1-byte', () => 1],
    ['7-byte', () => 7],
    ['random', () => 1 + Math.floor(Math.random() * 60)],
  ])('in %s slices arrives byte for byte, the first event long before the last', async (_, size) => {
    const half = Math.floor(STREAM.length / 2);
    let seen: () => void = () => {};
    const firstEvent = new Promise<void>((resolve) => (seen = resolve));
    upstream.play(() => [
      { send: `${SSE_HEAD}${Buffer.byteLength(STREAM).toString(16)}\r\n` },
      { drip: STREAM.slice(0, half), size, everyMs: 1 },
      // Were anything held back until the end, there would be none.
      { run: () => firstEvent },
      { drip: STREAM.slice(half), size, everyMs: 1 },
      { send: `\r\n${LAST_CHUNK}` },
    ]);
    const front = await startFront({ timeouts: { idleMs: 5_000 } });
    const reply = await ask(front, (text) => {
      if (text.includes('\n\n')) seen();
    });
    expect(reply).toMatchObject({ status: 200, text: STREAM, complete: true });
    expect(await settled(front)).toMatchObject([{ end: 'whole', bytes: Buffer.byteLength(STREAM) }]);
  });

  test('leaves its upstream connection fit for the next', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(STREAM) }, { waitMs: 30 }, { send: LAST_CHUNK }]);
    const front = await startFront();
    expect((await ask(front)).text).toBe(STREAM);
    await delay(60);
    expect((await ask(front)).text).toBe(STREAM);
    expect(upstream.accepted).toBe(1);
  });

  test('ends for the client with its terminal event, even if the upstream stays; that one is let go soon', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(STREAM) }, 'hang']);
    const front = await startFront({ timeouts: { idleMs: 60_000 } });
    const { value, tookMs } = await timed(ask(front));
    expect(value).toMatchObject({ text: STREAM, complete: true });
    expect(tookMs).toBeLessThan(200);
    await until(() => upstream.open() === 0, 2_000);
  });

  test('is rewritten event by event where the tap asks for that', async () => {
    const dropped = 'data: {"drop":1}\n\n';
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk(EVENTS[0]! + dropped) },
      { waitMs: 20 },
      { send: chunk(dropped.slice(0, 5)) },
      { send: chunk(dropped.slice(5) + EVENTS[1]! + DONE) },
      { send: LAST_CHUNK },
    ]);
    expect((await ask(await startFront())).text).toBe(EVENTS[0]! + EVENTS[1]! + DONE);
  });

  const HALF = EVENTS[1]!.slice(0, 12);
  test.each<[string, Step[], string]>([
    ['a reset', ['reset'], 'upstream_incomplete'],
    ['FIN', ['fin'], 'upstream_incomplete'],
    ['an orderly end without a terminal event', [{ send: LAST_CHUNK }], 'upstream_incomplete'],
    ['a reset in the middle of an event', [{ send: chunk(HALF) }, { waitMs: 20 }, 'reset'], 'upstream_incomplete'],
    ['an orderly end in the middle of an event', [{ send: chunk(HALF) }, { send: LAST_CHUNK }], 'upstream_incomplete'],
    ['silence', ['hang'], 'upstream_timeout'],
    ['a malformed chunk', [{ send: 'not hex\r\n' }], 'upstream_bad_response'],
  ])('cut by %s ends with our error event at a boundary, in good order', async (_, steps, code) => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(EVENTS[0]!) }, { waitMs: 20 }, ...steps]);
    const front = await startFront({ timeouts: { idleMs: 200 } });
    const reply = await ask(front);
    expect(reply).toMatchObject({ status: 200, complete: true, text: `${EVENTS[0]}data: {"error":{"code":"${code}"}}\n\n` });
    expect(await settled(front)).toMatchObject([{ end: 'incomplete', error: { code } }]);
    await until(() => upstream.open() === 0 || steps.includes('hang') === false);
  });

  test.each<[string, Step[], string]>([
    ['silent after its head', ['hang'], 'upstream_timeout'],
    ['reset after its head', [{ waitMs: 20 }, 'reset'], 'upstream_incomplete'],
    ['empty', [{ send: LAST_CHUNK }], 'upstream_incomplete'],
    ['gone within its first event', [{ send: chunk('data: {"ha') }, { waitMs: 20 }, 'reset'], 'upstream_incomplete'],
  ])('%s is still answered with a status', async (_, steps, code) => {
    upstream.play(() => [{ send: SSE_HEAD }, ...steps]);
    const front = await startFront({ timeouts: { firstByteMs: 200 } });
    const { value, tookMs } = await timed(ask(front));
    expect(value).toMatchObject({ status: code === 'upstream_timeout' ? 504 : 502, text: code, complete: true });
    expect(await settled(front)).toMatchObject([{ end: 'incomplete', bytes: 0 }]);
    // The first byte's deadline, not the longer one for silence between bytes.
    expect(tookMs).toBeLessThan(200 + LATE_MS);
  });

  test("with the provider's own error event ends there, and nothing is appended", async () => {
    const said = 'data: {"error":{"message":"overloaded"}}\n\n';
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(EVENTS[0]! + said) }, { waitMs: 20 }, 'reset']);
    const front = await startFront();
    expect(await ask(front)).toMatchObject({ text: EVENTS[0]! + said, complete: true });
    expect(await settled(front)).toMatchObject([{ end: 'upstream_error' }]);
  });

  test('outlives every deadline as long as something comes', async () => {
    upstream.play(() => [
      { send: SSE_HEAD },
      ...EVENTS.flatMap((event): Step[] => [{ send: chunk(event) }, { waitMs: 100 }]),
      { send: chunk(DONE) },
      { send: LAST_CHUNK },
    ]);
    const front = await startFront({ timeouts: { firstByteMs: 300, idleMs: 300, totalMs: 300 } });
    expect((await ask(front)).text).toBe(STREAM);
  });

  test('gets a comment after silence, also ahead of its first event', async () => {
    upstream.play(() => [
      { send: SSE_HEAD },
      { waitMs: 250 },
      { send: chunk(EVENTS[0]!.slice(0, 9)) },
      { waitMs: 250 },
      { send: chunk(EVENTS[0]!.slice(9)) },
      { send: chunk(DONE) },
      { send: LAST_CHUNK },
    ]);
    const { text } = await ask(await startFront({ idleCommentMs: 150 }));
    expect(text).toBe(`: keep-alive\n\n: keep-alive\n\n${EVENTS[0]}${DONE}`);
  });

  test('inflates, still event by event', async () => {
    upstream.play(() => [
      { send: head(200, { 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' }) },
      { send: chunk(gzipSync(STREAM)) },
      { send: LAST_CHUNK },
    ]);
    expect((await ask(await startFront())).text).toBe(STREAM);
  });

  test('of 64 MiB in one chunk, or in one line, passes or ends cleanly', async () => {
    const size = 64 * 1024 * 1024;
    const event = Buffer.from(`data: "${'x'.repeat(1024 - 10)}"\n\n`);
    const many = Buffer.alloc(size, event);
    upstream.play(() => [
      { send: `${SSE_HEAD}${(size + DONE.length).toString(16)}\r\n` },
      { send: many },
      { send: `${DONE}\r\n${LAST_CHUNK}` },
    ]);
    const front = await startFront({ timeouts: { idleMs: 20_000, firstByteMs: 20_000 } });
    const reply = await ask(front);
    expect(reply.complete).toBe(true);
    expect(Buffer.from(reply.text).equals(Buffer.concat([many, Buffer.from(DONE)]))).toBe(true);
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk(EVENTS[0]!) },
      { send: `${size.toString(16)}\r\n` },
      { send: Buffer.alloc(size, 'x') },
    ]);
    expect(await ask(front)).toMatchObject({
      complete: true,
      text: `${EVENTS[0]}data: {"error":{"code":"upstream_bad_response"}}\n\n`,
    });
  });
});

/** A client that reads only when told to. */
async function openLazyClient(front: Front): Promise<Socket> {
  const socket = connect(front.port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.pause();
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
  open.push(() => socket.destroy());
  return socket;
}

describe('the client', () => {
  const endless = (): Step[] => [
    { send: SSE_HEAD },
    ...Array.from({ length: 1_000 }, (): Step => ({ send: chunk(EVENTS[0]!.repeat(2_000)) })),
  ];

  test.each<[string, Step[]]>([
    ['between events', [{ send: SSE_HEAD }, { send: chunk(EVENTS[0]!) }, 'hang']],
    ['before the first event', [{ send: SSE_HEAD }, 'hang']],
    ['before the head', ['hang']],
    ['in the middle of much', endless()],
  ])('that leaves %s ends the upstream within 100 ms', async (_, steps) => {
    upstream.play(() => steps);
    const front = await startFront({ timeouts: { idleMs: 60_000, firstByteMs: 60_000 } });
    const client = await openLazyClient(front);
    await until(() => upstream.requests.length === 1);
    await delay(100);
    const leftAt = performance.now();
    client.destroy();
    await until(() => upstream.closedAt.length === 1);
    expect(upstream.closedAt[0]! - leftAt).toBeLessThan(100);
    if (steps.length > 1) expect(await settled(front)).toMatchObject([{ end: 'client_gone' }]);
  });

  test('that reads slowly holds the upstream back, in bounded memory, and gets everything', async () => {
    const events = 400;
    const part = EVENTS[0]!.repeat(2_000);
    const all = part.length * events;
    let taken = 0;
    upstream.play(() => [
      { send: SSE_HEAD },
      ...Array.from({ length: events }, (): Step[] => [{ send: chunk(part) }, { run: () => void (taken += part.length) }]).flat(),
      { send: chunk(DONE) },
      { send: LAST_CHUNK },
    ]);
    const front = await startFront({ timeouts: { idleMs: 300 } });
    const client = await openLazyClient(front);
    await delay(800);
    const rss = process.memoryUsage().rss;
    // Held back: the kernel's buffers are full, ours hold next to nothing, and idle does not count while it is the client who waits.
    expect(taken).toBeLessThan(all / 2);
    expect(front.held()).toBeLessThan(256 * 1024);
    let read = 0;
    let mostHeld = 0;
    client.on('data', (bytes: Buffer) => {
      read += bytes.length;
      mostHeld = Math.max(mostHeld, front.held());
    });
    client.resume();
    await until(() => front.results.length === 1, 20_000);
    expect(await settled(front)).toMatchObject([{ end: 'whole', bytes: Buffer.byteLength(part) * events + DONE.length }]);
    expect(mostHeld).toBeLessThan(256 * 1024);
    expect(process.memoryUsage().rss - rss).toBeLessThan(64 * 1024 * 1024);
    expect(read).toBeGreaterThan(all);
  });

  test('that reads nothing for the stall time is left, and so is the upstream', async () => {
    upstream.play(endless);
    const front = await startFront({ stallMs: 300, timeouts: { idleMs: 60_000 } });
    await openLazyClient(front);
    await until(() => front.results.length === 1, 20_000);
    expect(await settled(front)).toMatchObject([{ end: 'client_gone' }]);
    await until(() => upstream.open() === 0);
  });

  test('that waits in a quiet stream is not mistaken for a stalled one', async () => {
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk(EVENTS[0]!) },
      { waitMs: 500 },
      { send: chunk(DONE) },
      { send: LAST_CHUNK },
    ]);
    const front = await startFront({ stallMs: 150, timeouts: { idleMs: 60_000 } });
    expect((await ask(front)).text).toBe(EVENTS[0]! + DONE);
  });
});

describe('a body too large to hold', () => {
  const serve = async (answer: UpstreamAnswer, response: ServerResponse): Promise<StreamResult> => {
    const length = answer.headers['content-length'];
    const collected = await collect(answer.body, { maxBytes: 100_000, contentLength: length });
    if (!('head' in collected)) throw new Error('held');
    response.writeHead(answer.status, length === undefined ? {} : { 'content-length': length });
    return pipeBody({ head: collected.head, body: answer.body, response, wheel: egress.wheel });
  };
  const large = Buffer.alloc(3 * 1024 * 1024, 'abcdefg');

  test('passes through', async () => {
    upstream.play(() => [{ send: whole(200, large) }]);
    const front = await startFront({ serve, timeouts: { totalMs: 5_000 } });
    const reply = await ask(front);
    expect(reply.complete && reply.text === large.toString()).toBe(true);
    expect(await settled(front)).toMatchObject([{ end: 'whole', bytes: large.length }]);
  });

  test.each([{ 'content-length': large.length }, { 'transfer-encoding': 'chunked' }])(
    'cut short is cut short for the client too: %o',
    async (headers) => {
      const half = large.subarray(0, large.length / 2);
      upstream.play(() => [{ send: head(200, headers) }, { send: 'content-length' in headers ? half : chunk(half) }, 'fin']);
      const front = await startFront({ serve, timeouts: { totalMs: 5_000 } });
      expect((await ask(front)).complete).toBe(false);
      expect(await settled(front)).toMatchObject([{ end: 'incomplete', error: { code: 'upstream_incomplete' } }]);
    },
  );
});
