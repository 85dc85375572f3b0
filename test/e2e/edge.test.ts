/** The edge against raw sockets: what Node's parser must refuse, what we refuse beyond it, and how every refusal stays readable. */
import { readFileSync } from 'node:fs';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';

import { Client } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';

import { GatewayError } from '../../src/core/errors.ts';
import type { Edge, EdgeRequest, EdgeSettings, Refusal, Route, RoutePolicy } from '../../src/http/edge.ts';
import { sendJson } from '../../src/http/reply.ts';
import { createEdge } from '../../src/http/server.ts';
import { askRaw, openRaw, parseAnswer } from '../support/raw-socket.ts';

const MIB = 1024 * 1024;
const PEM = new URL('../fixtures/tls/', import.meta.url);
const tls = { cert: readFileSync(new URL('cert.pem', PEM), 'utf8'), key: readFileSync(new URL('key.pem', PEM), 'utf8') };

const SETTINGS: EdgeSettings = {
  maxBodyBytes: 2 * MIB,
  maxHeaderBytes: 16_384,
  headersTimeoutMs: 600,
  bodyTimeoutMs: 1_000,
  keepAliveTimeoutMs: 75_000,
  trustedProxies: [],
};

const POLICY: RoutePolicy = { access: 'key', body: 'json', errors: 'openai' };

interface Setup {
  edge: Edge;
  port: number;
  settings: EdgeSettings;
  seen: EdgeRequest[];
  gone: string[];
  failures: unknown[];
  refusals: Refusal[];
  streams: ServerResponse[];
  reserved: () => number;
}

const edges: Edge[] = [];

afterEach(async () => {
  await Promise.all(edges.splice(0).map((edge) => edge.close()));
});

async function start(over: Partial<EdgeSettings> = {}, at: { host?: string; budgetBytes?: number } = {}): Promise<Setup> {
  const seen: EdgeRequest[] = [];
  let reserved = 0;
  const setup = {
    settings: { ...SETTINGS, ...over },
    seen,
    gone: [],
    failures: [],
    refusals: [],
    streams: [],
    reserved: () => reserved,
  };
  const { gone, failures, refusals, streams }: Omit<Setup, 'edge' | 'port'> = setup;
  const edge = createEdge({
    settings: () => setup.settings,
    routes: routesFor(seen, gone, streams),
    errors: (kind) => (error, requestId) => ({ kind, code: error.code, message: error.message, requestId }),
    newRequestId: () => 'req_new',
    reserveBytes(bytes) {
      if (reserved + bytes > (at.budgetBytes ?? Number.POSITIVE_INFINITY)) return false;
      reserved += bytes;
      return true;
    },
    releaseBytes: (bytes) => (reserved -= bytes),
    onFailure: ({ error }) => failures.push(error),
    onRefused: (refusal) => refusals.push(refusal),
  });
  edges.push(edge);
  const { port } = await edge.listen({ host: at.host ?? '127.0.0.1', port: 0 });
  return Object.assign(setup, { edge, port });
}

function routesFor(seen: EdgeRequest[], gone: string[], streams: ServerResponse[]): Route[] {
  const see = (request: EdgeRequest): void => {
    seen.push(request);
    request.onGone(() => gone.push(request.path));
  };
  const route = (method: Route['method'], path: string, handle: Route['handle'], policy: Partial<RoutePolicy> = {}): Route => ({
    method,
    path,
    policy: { ...POLICY, ...policy },
    handle(request, response) {
      see(request);
      return handle(request, response);
    },
  });
  return [
    route(
      'GET',
      '/health/live',
      (request, response) => sendJson(response, 200, {}, { ip: request.clientIp, query: request.query }),
      { body: 'none' },
    ),
    route('POST', '/v1/echo', async (request, response) => sendJson(response, 200, {}, await request.body())),
    route('POST', '/v1/messages', async (request, response) => sendJson(response, 200, {}, await request.body()), {
      errors: 'anthropic',
    }),
    route('POST', '/v1/deny', () => {
      throw new GatewayError('invalid_key', { details: { retryAfterS: 1.2, shouldRetry: false } });
    }),
    route('POST', '/v1/bug', () => Promise.reject(new TypeError('secret internals'))),
    route('GET', '/v1/slow', async (_request, response) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      sendJson(response, 200, {}, { slow: true });
    }),
    route('GET', '/v1/stream', (_request, response) => {
      streams.push(response);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
    }),
    route('GET', '/v1/stream-then-bug', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      return Promise.reject(new TypeError('late'));
    }),
    route('GET', '/v1/half', (_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      return Promise.reject(new TypeError('late'));
    }),
    route('GET', '/v1/large', (_request, response) => void response.end(Buffer.alloc(16 * MIB, 'x'))),
    route(
      '*',
      '/admin/*',
      (request, response) => sendJson(response, 200, {}, { headers: request.headers, raw: request.raw.rawHeaders }),
      {
        access: 'control',
        errors: 'plain',
      },
    ),
  ];
}

const post = (path: string, head: string, body = ''): string => `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${head}\r\n${body}`;
const JSON_HEAD = 'Content-Type: application/json\r\n';
const get = (path: string, head = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${head}\r\n`;

describe('hazards of framing', () => {
  const refused: [string, string, number][] = [
    ['length beside chunks', post('/v1/echo', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400],
    ['chunks beside length', post('/v1/echo', 'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'), 400],
    ['two equal lengths', post('/v1/echo', 'Content-Length: 3\r\nContent-Length: 3\r\n', 'abc'), 400],
    ['two lengths', post('/v1/echo', 'Content-Length: 3\r\nContent-Length: 4\r\n', 'abc'), 400],
    ['+3', post('/v1/echo', 'Content-Length: +3\r\n', 'abc'), 400],
    ['-3', post('/v1/echo', 'Content-Length: -3\r\n', 'abc'), 400],
    ['0x3', post('/v1/echo', 'Content-Length: 0x3\r\n', 'abc'), 400],
    ['3, 3', post('/v1/echo', 'Content-Length: 3, 3\r\n', 'abc'), 400],
    ['empty length', post('/v1/echo', 'Content-Length:\r\n', 'abc'), 400],
    ['unknown coding', post('/v1/echo', 'Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), 400],
    ['gzip, chunked', post('/v1/echo', 'Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 400],
    ['chunked, identity', post('/v1/echo', 'Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'), 400],
    ['two codings', post('/v1/echo', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400],
    ['space before the colon', post('/v1/echo', 'Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), 400],
    ['chunks in HTTP/1.0', 'POST /v1/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['folded header', get('/health/live', 'X: a\r\n b\r\n'), 400],
    ['bare LF', 'GET /health/live HTTP/1.1\nHost: localhost\n\n', 400],
    ['bare CR in a header', get('/health/live', 'X: a\rY: b\r\n'), 400],
    ['NUL in a header', get('/health/live', 'X: a\0b\r\n'), 400],
    ['NUL in the target', get('/health/live\0'), 400],
    ['high byte in the target', get('/health/live\xe9'), 400],
    ['no such method', 'FOO /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['HTTP/0.9', 'GET /health/live\r\n\r\n', 400],
    ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['HTTP/3.0', 'GET /health/live HTTP/3.0\r\nHost: localhost\r\n\r\n', 400],
    ['TLS on the plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n', 405],
    ['websocket', get('/health/live', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), 400],
    ['two hosts', get('/health/live', 'Host: localhost\r\n'), 400],
    ['no host', 'GET /health/live HTTP/1.1\r\n\r\n', 400],
    ['empty host', 'GET /health/live HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['Host: x/?', 'GET /health/live HTTP/1.1\r\nHost: localhost/?\r\n\r\n', 400],
    ['Host: x/#', 'GET /health/live HTTP/1.1\r\nHost: localhost/#\r\n\r\n', 400],
    ['a stranger as host', 'GET /health/live HTTP/1.1\r\nHost: evil.example\r\n\r\n', 400],
    ['absolute target', 'GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['asterisk target', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['two keys of one kind', get('/health/live', 'Authorization: Bearer a\r\nauthorization: Bearer b\r\n'), 400],
    ['two joined keys', get('/health/live', 'X-Api-Key: a\r\nx-api-key: b\r\n'), 400],
    ['headers too large', get('/health/live', `X: ${'a'.repeat(20_000)}\r\n`), 431],
    ['2,101 headers', get('/health/live', `${'a: 1\r\n'.repeat(2_100)}Authorization: Bearer x\r\n`), 431],
    ['128 headers', get('/health/live', 'a: 1\r\n'.repeat(127)), 431],
    ['encoded dots', get('/v1/%2e%2e/admin'), 400],
    ['unknown path', get('/nothing'), 404],
    ['unknown method of a known path', 'DELETE /v1/echo HTTP/1.1\r\nHost: localhost\r\n\r\n', 405],
  ];

  it.each(refused)('%s', async (_name, bytes, status) => {
    const { port, seen } = await start();
    const answer = await askRaw(port, bytes);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body)).toMatchObject({ message: expect.stringMatching(/\w/), requestId: 'req_new' });
    expect(answer.headers['x-request-id']).toBe('req_new');
    expect(seen).toEqual([]);
  });

  it('a broken chunk mid-body is a 400, and nothing behind it is a request', async () => {
    const { port, seen } = await start();
    for (const chunk of ['zz\r\n', '1;\n\r\na\r\n', '1\r\nab\r\n', 'fffffffffffffffff\r\n']) {
      const client = await openRaw(port);
      client.send(post('/v1/echo', `${JSON_HEAD}Transfer-Encoding: chunked\r\n`, `${chunk}0\r\n\r\n${get('/health/live')}`));
      await client.until(/\r\n\r\n\{.*\}$/);
      expect(parseAnswer(client.received()).status).toBe(400);
      expect(client.received().match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
      client.socket.destroy();
    }
    expect(seen.every(({ path }) => path === '/v1/echo')).toBe(true);
  });

  it('what is well-formed passes: HTTP/1.0 without Host, h2c offers, 127 headers, trailers, queries', async () => {
    const { port } = await start();
    expect((await askRaw(port, 'GET /health/live HTTP/1.0\r\n\r\n')).status).toBe(200);
    expect((await askRaw(port, get('/health/live', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n'))).status).toBe(200);
    expect((await askRaw(port, get('/health/live', 'a: 1\r\n'.repeat(126)))).status).toBe(200);
    expect((await askRaw(port, get('/health/live?beta=true&x=%00'))).body).toContain('?beta=true&x=%00');
    const trailed = post('/v1/echo', `${JSON_HEAD}Transfer-Encoding: chunked\r\n`, '2\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n');
    expect((await askRaw(port, trailed)).body).toBe('{}');
  });

  it('a 405 names the methods, in the words of the route', async () => {
    const { port, refusals } = await start();
    const answer = await askRaw(port, get('/v1/messages'));
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'anthropic', code: 'method_not_allowed' });
    expect(refusals).toMatchObject([{ route: { path: '/v1/messages' }, error: { code: 'method_not_allowed' } }]);
  });
});

describe('host', () => {
  it('on a loopback address: loopback names and the public url', async () => {
    const { port } = await start({ publicUrl: 'https://ai.example.com' });
    for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]', 'ai.example.com']) {
      expect((await askRaw(port, `GET /health/live HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status).toBe(200);
    }
    const answer = await askRaw(port, 'GET /health/live HTTP/1.1\r\nHost: rebound.example\r\n\r\n');
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'bad_host', message: expect.stringContaining('server.public_url') });
  });

  it('on all addresses: any name', async () => {
    const { port } = await start({}, { host: '0.0.0.0' });
    expect((await askRaw(port, 'GET /health/live HTTP/1.1\r\nHost: rebound.example\r\n\r\n')).status).toBe(200);
    expect((await askRaw(port, 'GET /health/live HTTP/1.1\r\nHost: x/?\r\n\r\n')).status).toBe(400);
  });
});

describe('identity of a request', () => {
  it('echoes a sound request id, replaces any other', async () => {
    const { port } = await start();
    expect((await askRaw(port, get('/health/live', 'X-Request-Id: abc-1:2.3_4\r\n'))).headers['x-request-id']).toBe(
      'abc-1:2.3_4',
    );
    for (const id of ['', 'a b', 'a"b', 'x'.repeat(129)]) {
      expect((await askRaw(port, get('/health/live', `X-Request-Id: ${id}\r\n`))).headers['x-request-id']).toBe('req_new');
    }
  });

  it('sees the client through trusted proxies only', async () => {
    const stranger = await start();
    const forwarded = get('/health/live', 'X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.1\r\n');
    expect((await askRaw(stranger.port, forwarded)).body).toContain('"127.0.0.1"');
    const trusting = await start({ trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] });
    expect((await askRaw(trusting.port, forwarded)).body).toContain('"203.0.113.9"');
  });

  it('takes the internal address header away from what comes from outside', async () => {
    const { port } = await start();
    const answer = await askRaw(
      port,
      get('/admin/v1/keys', 'X-Signalbox-Client-Ip: 6.6.6.6\r\nx-signalbox-client-ip: 7.7.7.7\r\n'),
    );
    expect(answer.status).toBe(200);
    expect(answer.body).not.toContain('6.6.6.6');
    expect(answer.body).not.toContain('7.7.7.7');
  });
});

describe('bodies', () => {
  it('come whole, announced or chunked', async () => {
    const { port, reserved } = await start();
    expect((await askRaw(port, post('/v1/echo', `${JSON_HEAD}Content-Length: 2\r\n`, '{}'))).body).toBe('{}');
    const chunked = post('/v1/echo', `${JSON_HEAD}Transfer-Encoding: chunked\r\n`, '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n');
    expect((await askRaw(port, chunked)).body).toBe('{}');
    expect((await askRaw(port, post('/v1/echo', 'Content-Length: 0\r\n'))).status).toBe(200);
    await expect.poll(reserved).toBe(0);
  });

  it.each([
    ['text/plain', 'Content-Type: text/plain\r\nContent-Length: 2\r\n', 'unsupported_content_type'],
    ['no type', 'Content-Length: 2\r\n', 'unsupported_content_type'],
    ['gzip', `${JSON_HEAD}Content-Encoding: gzip\r\nContent-Length: 2\r\n`, 'unsupported_encoding'],
    ['br', `${JSON_HEAD}Content-Encoding: br\r\nContent-Length: 2\r\n`, 'unsupported_encoding'],
  ])('%s is refused', async (_name, head, code) => {
    const { port } = await start();
    const answer = await askRaw(port, post('/v1/echo', head, '{}'));
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code });
  });

  it('Expect: 100-continue is answered when the body is wanted, and only then', async () => {
    const { port } = await start();
    const wanted = await openRaw(port);
    wanted.send(post('/v1/echo', `${JSON_HEAD}Expect: 100-continue\r\nContent-Length: 2\r\n`));
    await wanted.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    wanted.send('{}');
    await wanted.until(/HTTP\/1\.1 200 OK[^]*\{\}$/);

    const head = `${JSON_HEAD}Expect: 100-continue\r\n`;
    const large = await askRaw(port, post('/v1/echo', `${head}Content-Length: ${4 * MIB}\r\n`));
    expect(large).toMatchObject({ status: 413, headers: { connection: 'close' } });
    const denied = await askRaw(port, post('/v1/deny', `${head}Content-Length: 2\r\n`));
    expect(denied).toMatchObject({ status: 401, headers: { connection: 'close' } });
    const typed = await askRaw(port, post('/v1/echo', 'Expect: 100-continue\r\nContent-Length: 2\r\n'));
    expect(typed.status).toBe(400);
  });

  it('a refusal with an unread body says close, takes the rest in, and does not read it as a request', async () => {
    const { port, seen } = await start();
    const client = await openRaw(port);
    const smuggled = get('/health/live');
    client.send(post('/v1/deny', `${JSON_HEAD}Content-Length: ${smuggled.length}\r\n`));
    await client.until(/\{.*\}$/);
    client.send(smuggled + smuggled);
    expect(await client.closed()).toBe('end');
    expect(client.received().match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(seen.map(({ path }) => path)).toEqual(['/v1/deny']);
  });

  it.each(['undici', 'node'])('413 is readable by %s while it still uploads', async (kind) => {
    const { port } = await start();
    const pieces = Array.from({ length: 24 }, () => Buffer.alloc(MIB / 2, ' '));
    const total = pieces.length * (MIB / 2);
    const status = kind === 'undici' ? await uploadByUndici(port, pieces, total) : await uploadByNode(port, pieces, total);
    expect(status).toBe(413);
  });

  it('413 for chunks that grow past the limit, readable by a client that reads last', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    client.send(post('/v1/echo', `${JSON_HEAD}Transfer-Encoding: chunked\r\n`));
    const piece = Buffer.concat([Buffer.from('80000\r\n'), Buffer.alloc(0x80000, ' '), Buffer.from('\r\n')]);
    for (let sent = 0; sent < 16; sent += 1) client.send(piece);
    client.send('0\r\n\r\n');
    await client.until(/HTTP\/1\.1 413[^]*body_too_large/);
    expect(await client.closed()).toBe('end');
  });

  it('the bytes in flight are bounded and given back', async () => {
    const { port, reserved } = await start({ bodyTimeoutMs: 20_000 }, { budgetBytes: MIB + 1000 });
    const holder = await openRaw(port);
    holder.send(post('/v1/echo', `${JSON_HEAD}Content-Length: ${MIB}\r\n`, '{'));
    await expect.poll(reserved).toBe(MIB);
    const refused = await askRaw(port, post('/v1/echo', `${JSON_HEAD}Content-Length: 2000\r\n`, '{'));
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1', connection: 'close' } });
    expect((await askRaw(port, post('/v1/echo', `${JSON_HEAD}Content-Length: 2\r\n`, '{}'))).status).toBe(200);
    holder.socket.destroy();
    await expect.poll(reserved).toBe(0);
    expect((await askRaw(port, post('/v1/echo', `${JSON_HEAD}Content-Length: 2000\r\n`, ' '.repeat(2000)))).status).toBe(200);
  });
});

async function uploadByUndici(port: number, pieces: Buffer[], total: number): Promise<number> {
  const client = new Client(`http://127.0.0.1:${port}`);
  const headers = { 'content-type': 'application/json', 'content-length': String(total) };
  const { statusCode, body } = await client.request({
    method: 'POST',
    path: '/v1/echo',
    headers,
    body: Readable.from(slowly(pieces)),
  });
  const text = await body.text();
  expect(text).toContain('body_too_large');
  await client.destroy();
  return statusCode;
}

async function* slowly(pieces: Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    yield piece;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function uploadByNode(port: number, pieces: Buffer[], total: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': total };
    const request = httpRequest({ port, method: 'POST', path: '/v1/echo', headers, agent: false });
    request.on('error', reject).on('response', (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    for (const piece of pieces) request.write(piece);
    request.end();
  });
}

describe('time', () => {
  it('a head that drips gets 408', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    client.send('GET /health/live HTTP/1.1\r\nHost: localhost\r\n');
    const drip = setInterval(() => client.socket.writable && client.send('X: 1\r\n'), 50);
    await client.until(/HTTP\/1\.1 408/, 3_000);
    clearInterval(drip);
    expect(JSON.parse(parseAnswer(client.received()).body)).toMatchObject({ code: 'request_timeout' });
    client.socket.destroy();
  });

  it('a connection that says nothing is closed', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    await client.closed(3_000);
  });

  it('a body that drips gets 408 in the words of its route, and its bytes are given back', async () => {
    const { port, reserved } = await start();
    const client = await openRaw(port);
    client.send(post('/v1/messages', `${JSON_HEAD}Content-Length: 1000\r\n`, '{'));
    const drip = setInterval(() => client.socket.writable && client.send(' '), 50);
    await client.until(/HTTP\/1\.1 408[^]*\}$/, 4_000);
    clearInterval(drip);
    expect(JSON.parse(parseAnswer(client.received()).body)).toMatchObject({ kind: 'anthropic', code: 'request_timeout' });
    client.socket.destroy();
    await expect.poll(reserved).toBe(0);
  });

  it('a body that nobody reads meets the backstop', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    client.send(`GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{`);
    await client.until(/data: 1/);
    await client.closed(10_000);
  });

  it('keep-alive sockets idle for the configured time', async () => {
    const { port } = await start({ keepAliveTimeoutMs: 100 });
    const client = await openRaw(port);
    client.send(get('/health/live'));
    await client.until(/"query":""\}$/);
    expect(await client.closed(3_000)).toBe('end');
  });
});

describe('the boundary', () => {
  it('answers a refusal in the words of the route, with its hints', async () => {
    const { port, failures } = await start();
    const answer = await askRaw(port, post('/v1/deny', JSON_HEAD));
    expect(answer).toMatchObject({
      status: 401,
      headers: {
        'retry-after': '2',
        'x-should-retry': 'false',
        'x-request-id': 'req_new',
        'cache-control': 'no-store',
        connection: 'keep-alive',
      },
    });
    expect(failures).toEqual([]);
  });

  it('answers a bug with 500 and keeps its words inside', async () => {
    const { port, failures } = await start();
    const answer = await askRaw(port, post('/v1/bug', JSON_HEAD));
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain('secret internals');
    expect(failures).toMatchObject([{ message: 'secret internals' }]);
  });

  it('ends a stream in good order, and breaks a promised length visibly', async () => {
    const { port, failures } = await start();
    const stream = await openRaw(port);
    stream.send(get('/v1/stream-then-bug'));
    await stream.until(/data: 1\n\n\r\n0\r\n\r\n$/);
    const half = await openRaw(port);
    half.send(get('/v1/half'));
    await half.closed();
    expect(half.received()).toMatch(/half$/);
    expect(failures).toHaveLength(2);
    stream.socket.destroy();
  });

  it('tells once of a client that left, at once', async () => {
    const { port, gone, streams } = await start();
    const client = await openRaw(port);
    client.send(get('/v1/stream'));
    await client.until(/data: 1/);
    client.socket.destroy();
    const before = performance.now();
    await expect.poll(() => gone, { interval: 2 }).toEqual(['/v1/stream']);
    expect(performance.now() - before).toBeLessThan(100);
    // A late write is nothing.
    streams[0]?.write('data: 2\n\n');
    streams[0]?.end();
  });

  it('says nothing of a client that got everything', async () => {
    const { port, gone, edge } = await start();
    await askRaw(port, get('/health/live'));
    await expect.poll(() => edge.inFlight()).toBe(0);
    expect(gone).toEqual([]);
  });
});

describe('pipelining', () => {
  it('answers in order', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    client.send(get('/v1/slow') + get('/health/live?second') + post('/v1/echo', `${JSON_HEAD}Content-Length: 2\r\n`, '{}'));
    const text = await client.until(/\r\n\r\n\{\}$/);
    expect(text.indexOf('slow')).toBeLessThan(text.indexOf('?second'));
    client.socket.destroy();
  });

  it('tells queued requests, too, that their client left', async () => {
    const { port, gone, edge } = await start();
    const client = await openRaw(port);
    client.send(get('/v1/stream') + get('/v1/slow'));
    await client.until(/data: 1/);
    client.socket.destroy();
    await expect.poll(() => gone).toEqual(['/v1/stream', '/v1/slow']);
    expect(edge.inFlight()).toBe(0);
  });

  it('a malformed request behind a running answer never lands inside it', async () => {
    const { port } = await start();
    const client = await openRaw(port);
    client.send(get('/v1/stream'));
    await client.until(/data: 1/);
    client.send('nonsense\r\n\r\n');
    await client.closed();
    expect(client.received().match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
  });
});

describe('drain', () => {
  it('ends whole streams, closes idle and silent connections at once, takes no new ones', async () => {
    const { port, edge, streams } = await start({ headersTimeoutMs: 10_000 });
    const idle = await openRaw(port);
    idle.send(get('/health/live'));
    await idle.until(/"query":""\}$/);
    const silent = await openRaw(port);
    const live = await openRaw(port);
    live.send(get('/v1/stream'));
    await live.until(/data: 1/);
    const begun = await openRaw(port);
    begun.send('GET /health/live HTTP/1.1\r\n');
    await new Promise((resolve) => setTimeout(resolve, 20));

    let drained = false;
    const draining = edge.drain().then(() => (drained = true));
    await Promise.all([idle.closed(500), silent.closed(500)]);
    await expect(openRaw(port)).rejects.toThrow('ECONNREFUSED');
    // What had begun to arrive is still served, and told to go.
    begun.send('Host: localhost\r\n\r\n');
    await begun.until(/Connection: close/);
    expect(await begun.closed()).toBe('end');

    expect(drained).toBe(false);
    streams[0]?.write('data: 2\n\n');
    streams[0]?.end();
    await live.until(/data: 2\n\n\r\n0\r\n\r\n$/);
    await draining;
    await live.closed(500);
    await edge.drain();
  });

  it('an answer begun before the drain says close if it still can', async () => {
    const { port, edge } = await start();
    const client = await openRaw(port);
    client.send(get('/v1/slow'));
    await expect.poll(() => edge.inFlight()).toBe(1);
    const draining = edge.drain();
    await client.until(/Connection: close[^]*slow/);
    await draining;
    expect(await client.closed(500)).toBe('end');
  });

  it('does not cut an answer that a slow reader has not taken yet', async () => {
    const { port, edge } = await start();
    const client = await openRaw(port);
    client.socket.pause();
    client.send(get('/v1/large'));
    await expect.poll(() => edge.inFlight()).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const draining = edge.drain();
    client.socket.resume();
    await draining;
    await client.closed();
    const text = client.received();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(16 * MIB);
  });

  it('is over at once with nothing in flight', async () => {
    const { edge } = await start();
    await edge.drain();
  });
});

describe('CORS', () => {
  const preflight = (path: string, origin: string): string =>
    `OPTIONS ${path} HTTP/1.1\r\nHost: localhost\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: POST\r\n` +
    'Access-Control-Request-Headers: authorization,content-type,x-stainless-lang\r\n\r\n';

  it('is absent unless configured', async () => {
    const { port } = await start();
    const answer = await askRaw(port, preflight('/v1/echo', 'https://app.example'));
    expect(answer.status).toBe(405);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it('lets listed pages in: preflight, answers and errors, but not to the control plane', async () => {
    const { port, seen } = await start({ cors: { origins: ['https://app.example'], maxAgeS: 600 } });
    expect(await askRaw(port, preflight('/v1/echo', 'https://app.example'))).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': 'https://app.example',
        'access-control-allow-headers': 'authorization, content-type, x-stainless-lang',
        'access-control-allow-methods': 'POST',
      },
    });
    expect(seen).toEqual([]);
    const origin = 'Origin: https://app.example\r\n';
    for (const bytes of [
      get('/health/live', origin),
      get('/nothing', origin),
      post('/v1/deny', origin),
      post('/v1/echo', `${origin}Content-Length: 2\r\n`, '{}'),
    ]) {
      const { headers } = await askRaw(port, bytes);
      expect(headers).toMatchObject({ 'access-control-allow-origin': 'https://app.example', vary: 'Origin' });
    }
    expect((await askRaw(port, preflight('/admin/v1/keys', 'https://app.example'))).headers).not.toHaveProperty(
      'access-control-allow-origin',
    );
    expect((await askRaw(port, get('/admin/v1/keys', origin))).headers).not.toHaveProperty('access-control-allow-origin');
    const other = await askRaw(port, preflight('/v1/echo', 'https://evil.example'));
    expect(other.status).toBe(405);
    expect(other.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('TLS and reload', () => {
  it('serves by its own certificate', async () => {
    const { port } = await start({ tls });
    const status = await new Promise((resolve, reject) => {
      httpsRequest({ port, host: 'localhost', path: '/health/live', ca: tls.cert, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
  });

  it('hangs up on plain HTTP, and goes on', async () => {
    const { port, edge } = await start({ tls });
    const client = await openRaw(port);
    client.send(get('/health/live'));
    await client.closed(1_000);
    expect(client.received()).not.toContain('HTTP/1.1 200');
    expect(edge.inFlight()).toBe(0);
    const silent = await openRaw(port);
    await silent.closed(2_000);
  });

  it('refuses a certificate that is none', async () => {
    await expect(start({ tls: { cert: 'x', key: 'y' } })).rejects.toThrow();
  });

  it('follows new settings without a restart', async () => {
    const setup = await start();
    const body = post('/v1/echo', `${JSON_HEAD}Content-Length: 10\r\n`, '0123456789');
    expect((await askRaw(setup.port, body)).status).toBe(200);
    setup.settings = { ...setup.settings, maxBodyBytes: 5 };
    expect((await askRaw(setup.port, body)).status).toBe(413);
  });
});
