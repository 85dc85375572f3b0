/** What is refused, what breaks, and who leaves: on every surface, relayed and translated, in the words of whoever asked. */
import { readFileSync } from 'node:fs';
import { type Socket, connect as connectTcp, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type Asked, type Reply, ask, inParallel } from '../support/ask.ts';
import { type ExchangeLog, type LogLine, exchangeLog } from '../support/exchange-log.ts';
import {
  type FaultUpstream,
  LAST_CHUNK,
  SSE_HEAD,
  type Step,
  chunk,
  head,
  startFaultUpstream,
  whole,
} from '../support/fault-upstream.ts';
import {
  ANSWERS,
  BEGIN,
  END,
  FRONTS,
  type Front,
  MIDDLE,
  TEXT,
  answerSteps,
  expectErrorEvent,
  expectRefusal,
  refusalOf,
  requestOf,
} from '../support/fronts.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const KEY = 'key-of-the-client-0001';
const SECOND_KEY = 'key-of-the-client-0002';
const NARROW_KEY = 'key-with-few-grants-01';
const BLOCKED_KEY = 'key-that-is-blocked-01';
const EXPIRED_KEY = 'key-that-is-expired-01';
const ADMIN_KEY = 'key-of-the-operator-01';
/** What no client and no log may ever see. */
const CREDENTIAL = 'canary-credential-4711-abcdef';
const HEADER_SECRET = 'canary-header-0815-fedcba';
const SECRETS = [CREDENTIAL, HEADER_SECRET, KEY, SECOND_KEY, NARROW_KEY, BLOCKED_KEY, EXPIRED_KEY, ADMIN_KEY];
const PROMPT = 'Is the line clear?';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
const HASTY_MS = 250;
/** 300 KB that become 300 MB. */
const BOMB = gzipSync(Buffer.alloc(300 * 1024 * 1024));
const MAX_BODY_BYTES = 1024 * 1024;

let upstream: FaultUpstream;
let secure: FaultUpstream;
let elsewhere: FaultUpstream;
let box: Signalbox;
let log: ExchangeLog;

beforeAll(async () => {
  upstream = await startFaultUpstream(() => []);
  elsewhere = await startFaultUpstream(() => [{ send: whole(200, '{}') }]);
  secure = await startFaultUpstream(() => [{ send: whole(200, '{}') }], {
    tls: { cert: fixture('cert.pem'), key: fixture('key.pem') },
  });
  const env = { KEY, SECOND_KEY, NARROW_KEY, BLOCKED_KEY, EXPIRED_KEY, ADMIN_KEY, CREDENTIAL, HEADER_SECRET };
  box = await startSignalbox({ config: await configText(), env });
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  for (const server of [upstream, secure, elsewhere]) await server?.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.play((request) => answerSteps(wireOf(request.path)));
});

const wireOf = (path: string): Front['wire'] =>
  path.includes('messages') ? 'messages' : path.includes('responses') ? 'responses' : 'chat';

async function configText(): Promise<string> {
  const places: Record<string, string> = {
    line: upstream.url,
    closed: `http://127.0.0.1:${await closedPort()}`,
    nowhere: 'http://no-such-host.invalid',
    selfsigned: secure.url,
    plain: upstream.url.replace('http:', 'https:'),
  };
  const credentials = { api_key: '${env:CREDENTIAL}', headers: { 'x-team-secret': '${env:HEADER_SECRET}' } };
  const providers = Object.entries(places).flatMap(([name, url]) => [
    [`${name}-chat`, { type: 'openai-compatible', base_url: `${url}/v1`, ...credentials }],
    [`${name}-messages`, { type: 'anthropic-compatible', base_url: url, ...credentials }],
  ]) as [string, object][];
  const hasty = { connect_ms: HASTY_MS, first_byte_ms: HASTY_MS, idle_ms: HASTY_MS, total_ms: HASTY_MS };
  const patient = { ...hasty, first_byte_ms: 30_000, idle_ms: 1_500, total_ms: 30_000 };
  const model = (name: string, provider: string, timeouts: object) => ({
    name,
    retries: 0,
    targets: [{ provider, model: 'upstream-model', timeouts }],
  });
  const models = providers.map(([name]) => model(name, name, patient));
  const impatient = ['chat', 'messages'].map((wire) => model(`hasty-${wire}`, `line-${wire}`, hasty));
  const key = (name: string, more: object = {}) => ({ name, key: `\${env:${name.toUpperCase()}}`, models: ['*'], ...more });
  return JSON.stringify({
    server: { workers: 1, max_body_bytes: MAX_BODY_BYTES },
    providers: Object.fromEntries(providers) as object,
    models: [
      ...models,
      ...impatient,
      { name: 'granted-by-prefix/one', targets: [{ provider: 'line-chat', model: 'm' }] },
      { name: 'wild/*', targets: [{ provider: 'line-chat', model: '*' }] },
    ],
    keys: [
      key('KEY'),
      key('SECOND_KEY'),
      key('NARROW_KEY', { models: ['line-chat', 'granted-by-prefix/*'] }),
      key('BLOCKED_KEY', { blocked: true }),
      key('EXPIRED_KEY', { expires_at: '2020-01-01T00:00:00Z' }),
    ],
    admin: { key: '${env:ADMIN_KEY}' },
    telemetry: { log: { format: 'json' } },
  });
}

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const modelOf = (place: string, { wire }: Front): string => `${place}-${wire === 'messages' ? 'messages' : 'chat'}`;

/** Asks on a front and checks that no secret of ours comes back, in whatever is answered. */
async function call(front: Front, { headers, ...asked }: Asked = {}): Promise<Reply> {
  const reply = await ask(box.url + front.path, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, ...headers },
    ...asked,
  });
  expectNoSecret(`${JSON.stringify(reply.headers)}\n${reply.text}`);
  return reply;
}

const send = (front: Front, place: string, more: object = {}): Promise<Reply> =>
  call(front, { body: requestOf(front, modelOf(place, front), more) });

/** What the log must say of exchanges, by request id: read once at the end, since lines are written in pieces. */
const booked: { requestId: string; test: string | undefined; line: LogLine }[] = [];

function expectLine(requestId: string | undefined, line: LogLine): void {
  booked.push({ requestId: requestId ?? '', test: expect.getState().currentTestName, line });
}

function expectNoSecret(text: string): void {
  for (const secret of SECRETS) expect(text.includes(secret), `${secret} shows in ${text.slice(0, 500)}`).toBe(false);
}

describe.each(FRONTS)('$name: who may ask', (front) => {
  const body = requestOf(front, modelOf('line', front));
  const refused = async (headers: Record<string, string>, message: string | RegExp, code = 'invalid_api_key'): Promise<void> => {
    const reply = await ask(box.url + front.path, { headers, body });
    expectNoSecret(reply.text);
    expectRefusal(front, reply, { status: 401, code, message, param: null });
    expect(upstream.requests).toEqual([]);
    expectLine(reply.headers['x-request-id'], { status: 401, outcome: 'refused', attempts: 0 });
  };

  it('nobody without a key', async () => {
    await refused({}, 'No key');
    await refused({ authorization: `Basic ${Buffer.from(KEY).toString('base64')}` }, 'No key');
  });
  it('nobody with an unknown, blocked or expired one, and they are not told apart', async () => {
    for (const key of ['sk-sb-unknown-key-000000', BLOCKED_KEY, EXPIRED_KEY])
      await refused({ authorization: `Bearer ${key}` }, /^The key is not known$/);
  });
  it('not with two different keys; the same key twice is one key', async () => {
    await refused({ authorization: `Bearer ${KEY}`, 'x-api-key': SECOND_KEY }, 'Two different keys');
    const reply = await call(front, { headers: { 'x-api-key': KEY, 'api-key': KEY }, body });
    expect(reply.status).toBe(200);
  });
  it('not with the admin key, which is told what it is for', async () => {
    await refused({ authorization: `Bearer ${ADMIN_KEY}` }, 'virtual key');
  });
  it('every header form lets a key in', async () => {
    for (const name of ['x-signalbox-key', 'x-api-key', 'x-goog-api-key', 'api-key']) {
      expect((await ask(box.url + front.path, { headers: { [name]: KEY }, body })).status).toBe(200);
    }
    // The client's own credential for somebody else does no harm beside a valid key.
    expect((await call(front, { headers: { 'x-api-key': 'sk-ant-placeholder' }, body })).status).toBe(200);
  });
});

describe.each(FRONTS)('$name: which model', (front) => {
  const asked = (model: unknown, key = KEY): Promise<Reply> =>
    call(front, { headers: { authorization: `Bearer ${key}` }, body: requestOf(front, model as string) });

  it('an unknown one is not there, with the nearest names', async () => {
    const reply = await asked('line-chta');
    const message = /^The model `line-chta` does not exist or you do not have access to it\. Did you mean `line-chat`/;
    expectRefusal(front, reply, { status: 404, code: 'model_not_found', message, param: 'model' });
    expectLine(reply.headers['x-request-id'], { status: 404, error: 'model_not_found', model: 'line-chta' });
  });
  it('an ungranted one looks the same, and only granted ones are named', async () => {
    const reply = await asked('line-messages', NARROW_KEY);
    expectRefusal(front, reply, { status: 404, code: 'model_not_found', message: 'does not exist', param: 'model' });
    const other = await asked('hasty-chta', NARROW_KEY);
    expect(other.status).toBe(404);
    expect(other.text).not.toContain('hasty-chat');
    expect((await asked('granted-by-prefix/onn', NARROW_KEY)).text).toContain('granted-by-prefix/one');
  });
  it('a wildcard is no name, and matches no empty rest', async () => {
    expect((await asked('wild/*', NARROW_KEY)).status).toBe(404);
    expect((await asked('wild/')).status).toBe(404);
  });
  it('names of any length and content are refused and cut', async () => {
    const long = await asked('x'.repeat(100_000));
    expect(long.status).toBe(404);
    expect(long.text.length).toBeLessThan(1_000);
    expect((await asked('line\r\nx-injected: 1')).status).toBe(404);
  });
});

describe.each(FRONTS)('$name: which body', (front) => {
  const model = modelOf('line', front);
  const good = JSON.stringify(requestOf(front, model));
  const members = good.slice(1, -1);
  const deep = `${'['.repeat(200)}${']'.repeat(200)}`;

  it.each([
    ['no JSON', '{"model": ', 'invalid_json', 'not valid JSON'],
    ['nothing', '', 'invalid_json', ''],
    ['something behind it', `${good}x`, 'invalid_json', 'not valid JSON'],
    ['two objects', good + good, 'invalid_json', 'not valid JSON'],
    ['a list', `[${good}]`, 'invalid_json', 'must be a JSON object'],
    ['a text', '"model"', 'invalid_json', 'must be a JSON object'],
    ['a byte order mark', `\uFEFF${good}`, 'ambiguous_body', 'byte order mark'],
    ['the model twice', `{"model":"${model}",${members}}`, 'ambiguous_body', 'twice'],
    ['another member twice', `{"user":1,"user":2,${members}}`, 'ambiguous_body', 'twice'],
    ['an escaped name', `{"mod\\u0065l":"other",${members}}`, 'ambiguous_body', 'escapes'],
    ['a prototype', `{"__proto__":{},${members}}`, 'ambiguous_body', '__proto__'],
    ['too many levels', `{"x":${deep},${members}}`, 'too_deep', '128 levels'],
    ['single quotes', good.replaceAll('"', "'"), 'invalid_json', 'not valid JSON'],
    ['NaN', `{"temperature":NaN,${members}}`, 'invalid_json', 'not valid JSON'],
  ])('%s is refused', async (_, body, code, message) => {
    const reply = await call(front, { body });
    expectRefusal(front, reply, { status: 400, code, message });
    expect(upstream.requests).toEqual([]);
    expectLine(reply.headers['x-request-id'], { outcome: 'refused', error: code });
  });

  it('bytes that are no UTF-8 are refused', async () => {
    const body = Buffer.concat([Buffer.from('{"user":"'), Buffer.from([0xc3, 0x28]), Buffer.from(`",${members}}`)]);
    expectRefusal(front, await call(front, { body }), { status: 400, code: 'invalid_json', message: 'UTF-8' });
  });

  it('only JSON is taken, by its content type', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16']) {
      const reply = await call(front, { headers: { 'content-type': type }, body: good });
      expectRefusal(front, reply, { status: 400, code: 'unsupported_content_type', message: 'application/json' });
    }
    const typed = await call(front, { headers: { 'content-type': 'application/json; charset=UTF-8' }, body: good });
    expect(typed.status).toBe(200);
  });

  it('an encoded body is not inflated', async () => {
    for (const [encoding, body] of [
      ['gzip', gzipSync(good)],
      ['br', brotliCompressSync(good)],
    ] as const) {
      const reply = await call(front, { headers: { 'content-encoding': encoding }, body });
      expectRefusal(front, reply, { status: 400, code: 'unsupported_encoding', message: encoding });
    }
  });

  it('a body beyond the limit is refused, announced or not', async () => {
    const body = JSON.stringify(requestOf(front, model, { padding: 'x'.repeat(MAX_BODY_BYTES) }));
    const refusal = { status: 413, code: 'body_too_large', message: String(MAX_BODY_BYTES), param: null };
    expectRefusal(front, await call(front, { body }), refusal);
    expectRefusal(front, await chunked(front, body), refusal);
  });

  it.each([
    ['model', { model: undefined }],
    ['model', { model: 7 }],
    ['model', { model: '' }],
    ['model', { model: null }],
    ['model', { model: ['line-chat'] }],
    ['stream', { stream: 'yes' }],
    ['stream', { stream: 1 }],
  ])('the routing key `%s` must have its type: %j', async (param, more) => {
    const reply = await call(front, { body: { ...requestOf(front, model), ...more } });
    expectRefusal(front, reply, { status: 400, code: 'invalid_request', message: `\`${param}\` must be`, param });
  });
});

/** The same body in chunks, as `fetch` sends a stream. */
async function chunked(front: Front, body: string): Promise<Reply> {
  const pieces = (function* () {
    for (let at = 0; at < body.length; at += 65_536) yield Buffer.from(body.slice(at, at + 65_536));
  })();
  const answer = await fetch(box.url + front.path, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: ReadableStream.from(pieces),
    duplex: 'half',
  });
  const text = await answer.text();
  return { status: answer.status, headers: Object.fromEntries(answer.headers), bytes: Buffer.from(text), text, arrivedAt: [] };
}

describe('what only a translation reads', () => {
  const relays = FRONTS.filter(({ isRelay, wire }) => isRelay && wire !== 'responses');
  const translations = FRONTS.filter(({ isRelay }) => !isRelay);
  const wrong: [string, object][] = [
    ['messages', { messages: 'hello' }],
    ['messages', { messages: [7] }],
    ['messages', { messages: undefined }],
    ['temperature', { temperature: 'hot' }],
    ['tools', { tools: 'hammer' }],
  ];

  it.each(translations)('$name: wrong types are refused by name', async (front) => {
    for (const [param, more] of wrong) {
      const reply = await send(front, 'line', more);
      expectRefusal(front, reply, { status: 400, code: 'invalid_request', message: /./ });
      expect(reply.text).toContain(param);
    }
    expect(upstream.requests).toEqual([]);
  });

  it.each(relays)('$name: the rest is for the upstream to judge, in its own words', async (front) => {
    const said = refusalOf(front.wire, 'messages: that is no list');
    upstream.play(() => [{ send: whole(400, said) }]);
    for (const [, more] of wrong) {
      const reply = await send(front, 'line', more);
      expect([reply.status, reply.text]).toEqual([400, said]);
    }
    expect(upstream.requests).toHaveLength(wrong.length);
  });

  it('Anthropic: without max_tokens a translation refuses, a relay asks the upstream', async () => {
    const [relay, translation] = FRONTS.filter(({ path }) => path === '/v1/messages') as [Front, Front];
    const refused = await send(translation, 'line', { max_tokens: undefined });
    expectRefusal(translation, refused, { status: 400, code: 'invalid_request', message: 'max_tokens' });
    const said = refusalOf('messages', 'max_tokens: Field required');
    upstream.play(() => [{ send: whole(400, said) }]);
    expect((await send(relay, 'line', { max_tokens: undefined })).text).toBe(said);
  });

  it('a surface that cannot be translated says so', async () => {
    const reply = await call(FRONTS[4]!, { body: requestOf(FRONTS[4]!, 'line-messages') });
    expectRefusal(FRONTS[4]!, reply, { status: 400, code: 'not_supported_here', message: '/v1/responses', param: 'model' });
    const embeddings = { path: '/v1/embeddings', words: 'openai' } as const;
    const other = await ask(`${box.url}/v1/embeddings`, {
      headers: { 'x-api-key': KEY },
      body: { model: 'line-messages', input: 'x' },
    });
    expectRefusal(embeddings, other, { status: 400, code: 'not_supported_here', message: '/v1/embeddings', param: 'model' });
  });
});

describe.each(FRONTS)('$name: an upstream that cannot be had', (front) => {
  it.each([
    ['closed', 'connection refused'],
    ['nowhere', 'host name'],
    ['selfsigned', 'self-signed'],
    ['plain', ''],
  ])('%s', async (place, message) => {
    for (const stream of [false, true]) {
      const reply = await send(front, place, { stream });
      expectRefusal(front, reply, { status: 502, code: 'upstream_unreachable', message, param: null });
      expect(reply.headers['x-signalbox-attempts']).toBe('1');
      expectLine(reply.headers['x-request-id'], { status: 502, outcome: 'upstream_error', error: 'upstream_unreachable' });
    }
  });

  it('that resets or closes before it answers', async () => {
    for (const steps of [['reset'], ['fin']] as Step[][]) {
      upstream.play(() => steps);
      for (const stream of [false, true]) {
        const reply = await send(front, 'line', { stream });
        expectRefusal(front, reply, { status: 502, code: 'upstream_unreachable', param: null });
      }
    }
  });

  it('that says nothing, is timed out', async () => {
    upstream.play(() => ['hang']);
    const closed = upstream.closedAt.length;
    for (const stream of [false, true]) {
      const startedAt = performance.now();
      const reply = await send(front, 'hasty', { stream });
      expectRefusal(front, reply, { status: 504, code: 'upstream_timeout', message: `${HASTY_MS} ms`, param: null });
      expect(performance.now() - startedAt).toBeLessThan(HASTY_MS + 2_000);
      expectLine(reply.headers['x-request-id'], { status: 504, error: 'upstream_timeout' });
    }
    await until(() => upstream.closedAt.length >= closed + 2);
  });

  it('that drips a whole answer, is timed out by the total', async () => {
    upstream.play(() => [{ send: head(200, { 'content-length': 1000 }) }, { drip: '{"id": "slowly"', size: 1, everyMs: 100 }]);
    const reply = await send(front, 'hasty');
    expectRefusal(front, reply, { status: 504, code: 'upstream_timeout', param: null });
  });
});

describe.each(FRONTS)('$name: whole answers that cannot be used', (front) => {
  const good = JSON.stringify(ANSWERS[front.wire]);
  const json = { 'content-type': 'application/json' };

  it.each<[string, Step[], string]>([
    ['a body cut by FIN', [{ send: head(200, { ...json, 'content-length': 5000 }) + good }, 'fin'], 'upstream_incomplete'],
    [
      'a body cut by RST',
      [{ send: head(200, { ...json, 'content-length': 5000 }) + good }, { waitMs: 30 }, 'reset'],
      'upstream_incomplete',
    ],
    [
      'chunks without an end',
      [{ send: head(200, { ...json, 'transfer-encoding': 'chunked' }) }, { send: chunk(good) }, 'fin'],
      'upstream_incomplete',
    ],
    ['what is no HTTP', [{ send: 'SSH-2.0-OpenSSH_9.6\r\n' }, 'fin'], 'upstream_bad_response'],
    [
      'two lengths',
      [{ send: `HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}` }, 'fin'],
      'upstream_bad_response',
    ],
    ['gzip that is none', [{ send: whole(200, good, { 'content-encoding': 'gzip' }) }], 'upstream_bad_response'],
    [
      'gzip that stops',
      [{ send: whole(200, gzipSync(good).subarray(0, 60), { 'content-encoding': 'gzip' }) }],
      'upstream_bad_response',
    ],
    ['Brotli', [{ send: whole(200, brotliCompressSync(good), { 'content-encoding': 'br' }) }], 'upstream_bad_response'],
    [
      'two codings',
      [{ send: whole(200, gzipSync(gzipSync(good)), { 'content-encoding': 'gzip, gzip' }) }],
      'upstream_bad_response',
    ],
    [
      'a switch of protocols',
      [{ send: 'HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n' }],
      'upstream_bad_response',
    ],
    ['a hundred kilobytes of headers', [{ send: head(200, { 'x-long': 'x'.repeat(100_000) }) }, 'fin'], 'upstream_bad_response'],
  ])('%s', async (_, steps, code) => {
    upstream.play(() => steps);
    const reply = await send(front, 'line');
    expectRefusal(front, reply, { status: 502, code, param: null });
    expectLine(reply.headers['x-request-id'], { status: 502, error: code, attempts: 1 });
  });

  it('a gzip bomb is not inflated to its end', async () => {
    upstream.play(() => [{ send: whole(200, BOMB, { 'content-encoding': 'gzip' }) }]);
    const before = await rssOf(box);
    const reply = await send(front, 'line');
    // Beyond what is held, a relay has begun to answer: then the answer breaks off.
    if (front.isRelay) expect([reply.status, reply.broken === undefined]).toEqual([200, false]);
    else expectRefusal(front, reply, { status: 502, code: 'upstream_bad_response', param: null });
    expectLine(reply.headers['x-request-id'], { error: 'upstream_bad_response' });
    expect((await rssOf(box)) - before).toBeLessThan(100 * 1024 * 1024);
  });

  it('gzip although identity was asked for is inflated', async () => {
    upstream.play(() => [{ send: whole(200, gzipSync(good), { 'content-encoding': 'gzip' }) }]);
    const reply = await send(front, 'line');
    expect(reply.status).toBe(200);
    expect(reply.headers).not.toHaveProperty('content-encoding');
    if (front.isRelay) expect(reply.text).toBe(good);
    else expect(reply.text).toContain(TEXT);
  });

  it('redirects are not followed, and where they point is not told', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      upstream.play(() => [{ send: whole(status, '', { location: `${elsewhere.url}/stolen` }) }]);
      const reply = await send(front, 'line');
      expectRefusal(front, reply, { status: 502, code: 'upstream_bad_response', message: 'redirect', param: null });
      expect(reply.text + JSON.stringify(reply.headers)).not.toContain(elsewhere.url);
    }
    expect(elsewhere.requests).toEqual([]);
  });

  it('a body longer than announced ends where it was announced, and the next exchange is sound', async () => {
    upstream.play(() => [{ send: head(200, { ...json, 'content-length': good.length }) + good + 'HTTP/1.1 200 OK\r\n\r\n' }]);
    const reply = await send(front, 'line');
    expect(reply.status).toBe(200);
    expect(reply.text).toContain(TEXT);
    upstream.play(() => answerSteps(front.wire));
    expect((await send(front, 'line')).text).toContain(TEXT);
  });

  it('a 200 that is not the dialect’s passes a relay, and is refused by a translation', async () => {
    for (const [type, body] of [
      ['text/html', '<html><title>Welcome</title></html>'],
      ['application/json', '[1,2,3]'],
      ['application/json', ''],
      ['application/json', '{"surprise":true}'],
    ] as const) {
      upstream.play(() => [{ send: whole(200, body, { 'content-type': type }) }]);
      const reply = await send(front, 'line');
      if (front.isRelay) expect([reply.status, reply.text, reply.headers['content-type']]).toEqual([200, body, type]);
      else expectRefusal(front, reply, { status: 502, code: 'upstream_bad_response', param: null });
    }
  });
});

/** Upstream statuses and what they become; `relayed`: the body passes a relay as it is. */
const STATUSES: readonly { upstream: number; status: number; code: string; relayed: boolean }[] = [
  { upstream: 400, status: 400, code: 'invalid_request', relayed: true },
  { upstream: 402, status: 400, code: 'invalid_request', relayed: true },
  { upstream: 409, status: 400, code: 'invalid_request', relayed: true },
  { upstream: 413, status: 413, code: 'body_too_large', relayed: true },
  { upstream: 422, status: 400, code: 'invalid_request', relayed: true },
  { upstream: 429, status: 429, code: 'rate_limit_exceeded', relayed: true },
  { upstream: 401, status: 502, code: 'upstream_auth', relayed: false },
  { upstream: 403, status: 502, code: 'upstream_auth', relayed: false },
  { upstream: 404, status: 502, code: 'upstream_model', relayed: false },
  { upstream: 408, status: 504, code: 'upstream_timeout', relayed: false },
  { upstream: 500, status: 502, code: 'upstream_error', relayed: false },
  { upstream: 502, status: 502, code: 'upstream_error', relayed: false },
  { upstream: 503, status: 503, code: 'upstream_overloaded', relayed: false },
  { upstream: 504, status: 502, code: 'upstream_error', relayed: false },
  { upstream: 529, status: 503, code: 'upstream_overloaded', relayed: false },
];

describe.each(FRONTS)('$name: an upstream that refuses', (front) => {
  const echo = `You sent ${CREDENTIAL} and Bearer ${CREDENTIAL} and ${HEADER_SECRET}, also sk-proj-abcdefghijklmnopqrstuvwxyz!`;
  const bodies: [string, string, string][] = [
    ['its dialect', 'application/json', refusalOf(front.wire, echo)],
    ['another JSON', 'application/json', JSON.stringify({ detail: [{ loc: ['body'], msg: echo }] })],
    ['HTML', 'text/html', `<html><head><title>${echo}</title></head></html>`],
    ['text', 'text/plain', echo],
    ['an event stream', 'text/event-stream', `event: error\ndata: ${refusalOf(front.wire, echo)}\n\n`],
  ];
  const clean = (text: string): string =>
    text
      .replaceAll(`Bearer ${CREDENTIAL}`, '[redacted]')
      .replaceAll(CREDENTIAL, '[redacted]')
      .replaceAll(HEADER_SECRET, '[redacted]')
      .replaceAll('sk-proj-abcdefghijklmnopqrstuvwxyz', '[redacted]');

  it.each(STATUSES)('with $upstream becomes $status', async ({ upstream: came, status, code, relayed }) => {
    for (const [kind, type, body] of bodies) {
      upstream.play(() => [{ send: whole(came, body, { 'content-type': type, 'retry-after': 7, 'x-echo': CREDENTIAL }) }]);
      for (const stream of [false, true]) {
        const reply = await send(front, 'line', { stream });
        if (front.isRelay && relayed) {
          expect([reply.status, reply.text, kind]).toEqual([came, clean(body), kind]);
          expect(reply.headers['content-type']).toBe(type);
        } else expectRefusal(front, reply, { status, code });
        if (came === 429 || came === 503) expect(reply.headers['retry-after']).toBe('7');
        expect(reply.text.includes('You sent')).toBe(relayed);
        expectLine(reply.headers['x-request-id'], { outcome: 'upstream_error' });
      }
    }
  });

  it('with two megabytes is held back or passed like any other refusal', async () => {
    const long = refusalOf(front.wire, `${echo} ${'x'.repeat(2_000_000)} ${echo}`);
    for (const came of [400, 401, 500]) {
      upstream.play(() => [{ send: whole(came, long) }]);
      const reply = await send(front, 'line');
      expect(reply.status).toBe(came === 400 ? 400 : 502);
      if (came !== 400) expectRefusal(front, reply, { status: 502, code: came === 401 ? 'upstream_auth' : 'upstream_error' });
    }
  });
});

describe.each(FRONTS)('$name: streams that break', (front) => {
  const { wire } = front;
  const begun = (...texts: string[]): Step[] => [
    { send: SSE_HEAD },
    { send: chunk(BEGIN[wire] + texts.map((text) => MIDDLE[wire](text)).join('')) },
  ];
  const streamed = (place = 'line'): Promise<Reply> => send(front, place, { stream: true });

  it.each<[string, Step[], code?: string]>([
    ['reset', [{ waitMs: 30 }, 'reset']],
    ['closed within a chunk', [{ send: '400\r\ndata: {"half' }, 'fin']],
    ['ended in good order', [{ send: LAST_CHUNK }]],
    ['ended in the middle of an event', [{ send: chunk('data: {"cho') }, { send: LAST_CHUNK }]],
    ['closed by what is no chunk', [{ send: 'zzz\r\n' }, 'fin'], 'upstream_bad_response'],
  ])('%s after the first event: told in the stream', async (_, steps, code = 'upstream_incomplete') => {
    upstream.play(() => [...begun('One ', 'two'), ...steps]);
    const reply = await streamed();
    const before = expectErrorEvent(front, reply, code);
    expect(before).toContain('two');
    expect(before).not.toContain('half');
    expectLine(reply.headers['x-request-id'], { status: 200, outcome: 'upstream_incomplete', error: code });
  });

  it.each<[string, Step[], string]>([
    ['reset', [{ waitMs: 30 }, 'reset'], 'upstream_incomplete'],
    ['closed', ['fin'], 'upstream_incomplete'],
    ['ended in good order', [{ send: LAST_CHUNK }], 'upstream_incomplete'],
    ['half an event', [{ send: chunk('data: {"cho') }, { send: LAST_CHUNK }], 'upstream_incomplete'],
  ])('%s before the first event: answered with a status', async (_, steps, code) => {
    upstream.play(() => [{ send: SSE_HEAD }, ...steps]);
    const reply = await streamed();
    expectRefusal(front, reply, { status: 502, code, param: null });
    expectLine(reply.headers['x-request-id'], { status: 502, error: code });
  });

  it('silent after the first event: timed out in the stream', async () => {
    upstream.play(() => [...begun('One'), 'hang']);
    const closed = upstream.closedAt.length;
    const reply = await streamed('hasty');
    expect(expectErrorEvent(front, reply, 'upstream_timeout')).toContain('One');
    expectLine(reply.headers['x-request-id'], { status: 200, error: 'upstream_timeout' });
    await until(() => upstream.closedAt.length > closed);
  });

  it('garbage between events: passes a relay, ends a translation', async () => {
    const garbage = 'this is no field\ndata: {"not json\n\n\u0000\u0001: \n\nid: 7\nretry: x\n\n';
    upstream.play(() => [
      ...begun('One'),
      { send: chunk(garbage) },
      { send: chunk(MIDDLE[wire]('two') + END[wire]) },
      { send: LAST_CHUNK },
    ]);
    const reply = await streamed();
    if (front.isRelay) expect(reply.text).toContain(garbage);
    else expect(expectErrorEvent(front, reply, 'upstream_bad_response')).toContain('One');
  });

  it('its own error event: passed on without our secrets, nothing is added', async () => {
    const words = `The upstream broke while it held ${CREDENTIAL}`;
    const event = `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: words } })}\n\n`;
    const plain = `data: ${JSON.stringify({ error: { message: words, type: 'server_error', param: null, code: null } })}\n\n`;
    upstream.play(() => [...begun('One'), { send: chunk(wire === 'chat' ? plain : event) }, { send: LAST_CHUNK }]);
    const reply = await streamed();
    expect(reply.text).toContain('The upstream broke while it held [redacted]');
    expect(reply.text).not.toContain('[DONE]');
    expect(reply.text.match(/The upstream broke/g)).toHaveLength(1);
    expect(reply.text.trimEnd().split('\n').at(-1)).toContain('The upstream broke');
    expectLine(reply.headers['x-request-id'], { status: 200, outcome: 'upstream_error', error: 'upstream_error' });
  });

  it('no stream at all: passes a relay, and is refused by a translation', async () => {
    upstream.play(() => answerSteps(wire));
    const reply = await streamed();
    if (front.isRelay) expect(JSON.parse(reply.text)).toEqual(ANSWERS[wire]);
    else expectRefusal(front, reply, { status: 502, code: 'upstream_bad_response', message: 'no stream', param: null });
  });

  it('gzip that lies: refused or ended, never garbage', async () => {
    const headers = { 'content-type': 'text/event-stream', 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' };
    upstream.play(() => [{ send: head(200, headers) }, { send: chunk(BEGIN[wire]) }, { send: LAST_CHUNK }]);
    expectRefusal(front, await streamed(), { status: 502, code: 'upstream_bad_response', param: null });
    upstream.play(() => [
      { send: head(200, { ...headers, 'content-encoding': 'br' }) },
      { send: chunk('x') },
      { send: LAST_CHUNK },
    ]);
    expectRefusal(front, await streamed(), { status: 502, code: 'upstream_bad_response', param: null });
    const zipped = gzipSync(BEGIN[wire] + MIDDLE[wire](TEXT) + END[wire]);
    upstream.play(() => [{ send: head(200, headers) }, { send: chunk(zipped) }, { send: LAST_CHUNK }]);
    expect((await streamed()).text).toContain('clear');
  });
});

describe('one byte a second, for longer than any silence may last', () => {
  it('is a healthy stream on every surface', async () => {
    upstream.play(({ path }) => {
      const wire = wireOf(path);
      const middle = MIDDLE[wire]('slow');
      const drops = [-3, -2, -1].flatMap((at): Step[] => [{ waitMs: 1_000 }, { send: chunk(middle.at(at) ?? '') }]);
      return [
        { send: SSE_HEAD },
        { send: chunk(BEGIN[wire] + middle.slice(0, -3)) },
        ...drops,
        { send: chunk(END[wire]) },
        { send: LAST_CHUNK },
      ];
    });
    for (const reply of await inParallel(FRONTS, 5, (front) => send(front, 'line', { stream: true }))) {
      expect(reply.text).toContain('slow');
      expectLine(reply.headers['x-request-id'], { status: 200, outcome: 'ok', output_tokens: 5 });
    }
  });
});

describe('64 MiB', () => {
  const MIB = 1024 * 1024;
  const sized = FRONTS.filter(({ wire }) => wire !== 'responses');

  it.each(sized)('$name: in one event ends the stream', async (front) => {
    const huge = chunk(Buffer.alloc(64 * MIB, 'data: x'));
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk(BEGIN[front.wire] + MIDDLE[front.wire]('One')) },
      { send: huge },
      'hang',
    ]);
    const before = await rssOf(box);
    const closed = upstream.closedAt.length;
    const reply = await send(front, 'line', { stream: true });
    expect(expectErrorEvent(front, reply, 'upstream_bad_response')).toContain('One');
    expect((await rssOf(box)) - before).toBeLessThan(120 * MIB);
    await until(() => upstream.closedAt.length > closed);
  });

  it.each(sized)('$name: in one chunk of many events passes', async (front) => {
    const event = MIDDLE[front.wire]('y'.repeat(4_000));
    const count = Math.floor((16 * MIB) / event.length);
    const huge = Buffer.concat([Buffer.from(BEGIN[front.wire]), Buffer.from(event.repeat(count)), Buffer.from(END[front.wire])]);
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(huge) }, { send: LAST_CHUNK }]);
    const reply = await send(front, 'line', { stream: true });
    expect(reply.text.match(/y{4000}/g)).toHaveLength(count);
    expectLine(reply.headers['x-request-id'], { outcome: 'ok', output_tokens: 5 });
  });

  it.each(sized)('$name: in a whole answer passes a relay, and is too large for a translation', async (front) => {
    const answer = JSON.stringify({ ...ANSWERS[front.wire], padding: 'z'.repeat(65 * MIB) });
    const { usage, ...rest } = ANSWERS[front.wire] as { usage: object };
    const body = Buffer.from(JSON.stringify({ ...rest, padding: 'z'.repeat(65 * MIB), usage }));
    expect(body.length).toBe(answer.length);
    upstream.play(() => [{ send: whole(200, body) }]);
    const reply = await send(front, 'line');
    if (!front.isRelay) return expectRefusal(front, reply, { status: 502, code: 'upstream_bad_response', param: null });
    expect(reply.bytes.equals(body)).toBe(true);
    expect(reply.headers['content-length']).toBe(String(body.length));
    expectLine(reply.headers['x-request-id'], { outcome: 'ok', input_tokens: 11, output_tokens: 5 });
  });
});

describe.each(FRONTS)('$name: a client that leaves', (front) => {
  it.each([
    ['before the answer', false],
    ['before the first event', true],
    ['in the stream', true],
    ['in a whole answer', false],
  ])('%s: the upstream is let go within 100 ms', async (when, stream) => {
    const { wire } = front;
    const steps: Record<string, Step[]> = {
      'before the answer': ['hang'],
      'before the first event': [{ send: SSE_HEAD }, 'hang'],
      'in the stream': [{ send: SSE_HEAD }, { send: chunk(BEGIN[wire] + MIDDLE[wire]('One')) }, 'hang'],
      'in a whole answer': [
        { send: head(200, { 'content-type': 'application/json', 'content-length': 9_999 }) + '{"id":' },
        'hang',
      ],
    };
    upstream.play(() => steps[when]!);
    const body = JSON.stringify(requestOf(front, modelOf('line', front), { stream }));
    // What counts is our own delay: on a busy machine one try may wait for a turn of the processor.
    let fastestMs = Infinity;
    for (let attempt = 0; attempt < 5 && fastestMs >= 100; attempt++) {
      const asked = upstream.requests.length;
      const closed = upstream.closedAt.length;
      const requestId = `leaving-${front.wire}-${front.words}-${when.replaceAll(' ', '-')}-${attempt}`;
      const client = sendRaw(front, body, [`x-request-id: ${requestId}`]);
      await until(() => upstream.requests.length > asked);
      if (when === 'in the stream') await until(() => client.came().includes('One'));
      else await delay(50);
      const leftAt = performance.now();
      client.socket.destroy();
      await until(() => upstream.closedAt.length > closed);
      fastestMs = Math.min(fastestMs, upstream.closedAt.at(-1)! - leftAt);
      expectLine(requestId, { status: 499, outcome: 'client_gone', error: 'client_gone' });
    }
    expect(fastestMs).toBeLessThan(100);
  });
});

/** A request on a socket of its own, whose end and pace are the test's. */
function sendRaw(front: Front, body: string, headers: string[]): { socket: Socket; came: () => string } {
  const socket = connectTcp(Number(new URL(box.url).port), '127.0.0.1');
  let came = '';
  socket.on('data', (bytes: Buffer) => (came = (came + bytes.toString('latin1')).slice(-2_000)));
  const lines = [
    `POST ${front.path} HTTP/1.1`,
    'host: 127.0.0.1',
    `authorization: Bearer ${KEY}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return { socket, came: () => came };
}

describe.each(FRONTS)('$name: a client that reads slowly', (front) => {
  it('holds the upstream back, in bounded memory, and gets everything', async () => {
    const MIB = 1024 * 1024;
    const event = MIDDLE[front.wire]('y'.repeat(8_000));
    const count = Math.floor((96 * MIB) / event.length);
    let written = 0;
    const many: Step[] = Array.from({ length: 96 }, () => [
      { send: chunk(event.repeat(Math.floor(count / 96))) },
      { run: () => void (written += 1) },
    ]).flat() as Step[];
    upstream.play(() => [
      { send: SSE_HEAD },
      { send: chunk(BEGIN[front.wire]) },
      ...many,
      { send: chunk(END[front.wire]) },
      { send: LAST_CHUNK },
    ]);
    const before = await rssOf(box);
    const body = JSON.stringify(requestOf(front, modelOf('line', front), { stream: true }));
    const { socket, came } = sendRaw(front, body, ['connection: close']);
    socket.pause();
    await until(() => written > 0);
    await delay(700);
    const held = written;
    // The kernel's own buffers on two connections take some MiB; what is left has to wait.
    expect(held).toBeLessThan(48);
    expect((await rssOf(box)) - before).toBeLessThan(64 * MIB);
    let size = 0;
    socket.on('data', (bytes: Buffer) => (size += bytes.length));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(written).toBe(96);
    expect(size).toBeGreaterThan(96 * Math.floor(count / 96) * 8_000);
    expect(came()).toContain(
      front.words === 'anthropic' ? 'message_stop' : front.path === '/v1/responses' ? 'response.completed' : '[DONE]',
    );
  });
});

describe('paths and methods', () => {
  it('are refused in the words of the API they look like', async () => {
    const wrong = await ask(`${box.url}/v1/chat/completion`, { headers: { 'x-api-key': KEY }, body: {} });
    expectRefusal({ words: 'openai', path: '' }, wrong, { status: 404, code: 'not_found', param: null });
    const other = await ask(`${box.url}/v1/messages/batches`, { headers: { 'x-api-key': KEY }, body: {} });
    expectRefusal({ words: 'anthropic', path: '' }, other, { status: 404, code: 'not_found' });
    const got = await ask(`${box.url}/v1/messages`);
    expectRefusal({ words: 'anthropic', path: '' }, got, { status: 405, code: 'method_not_allowed' });
    expect(got.headers['allow']).toBe('POST');
    const put = await ask(`${box.url}/v1/chat/completions`, { method: 'PUT', body: {} });
    expectRefusal({ words: 'openai', path: '' }, put, { status: 405, code: 'method_not_allowed', param: null });
    const twice = await ask(`${box.url}/v1//chat/completions`, { body: {} });
    expect([twice.status, twice.text.includes('bad_target')]).toEqual([400, true]);
  });
});

describe('the log', () => {
  it('has one line of every exchange, which says how it ended', async () => {
    expect(booked.length).toBeGreaterThan(0);
    for (const { requestId, test, line } of booked) expect(await log.of(requestId), test).toMatchObject(line);
    const ids = log.lines().flatMap((line) => (line['msg'] === 'exchange' ? [line['request_id']] : []));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('nothing that happened here left a secret or a prompt in the log', async () => {
    await inParallel(FRONTS, 5, (front) => send(front, 'line'));
    await delay(400);
    const written = box.stdout() + box.stderr();
    expectNoSecret(written);
    expect(written).not.toContain(PROMPT);
    expect(written).not.toContain(TEXT);
  });
});

async function rssOf({ process: child }: Signalbox): Promise<number> {
  await delay(100);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function until(condition: () => boolean, withinMs = 5_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await delay(5);
  }
}
