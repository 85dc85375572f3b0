/** What a hostile client, or a hostile upstream, does to a running Signalbox, and what must not come of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { ExchangeFact } from '../../src/core/exchange.ts';
import { readFrames } from '../../src/runtime/journal-frame.ts';
import { ask } from '../support/ask.ts';
import { exchangeLog, type ExchangeLog } from '../support/exchange-log.ts';
import { chunk, type FaultUpstream, head, LAST_CHUNK, startFaultUpstream, whole } from '../support/fault-upstream.ts';
import { openRaw } from '../support/raw-socket.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ENV = { LAB: 'lab-credential-0123456789', KEY: 'client-key-abcdefghij', ADMIN: 'admin-key-zyxwvutsrq' };
const AUTH = { authorization: `Bearer ${ENV.KEY}` };
const ADMIN = { authorization: `Bearer ${ENV.ADMIN}` };
const MIB = 1024 * 1024;

const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'up',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
});
const MESSAGE = JSON.stringify({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 10, output_tokens: 2 },
});

const PRICE = '{ input_usd_per_mtok: 1, output_usd_per_mtok: 1 }';

let upstream: FaultUpstream;
let box: Signalbox;
let log: ExchangeLog;

const port = (): number => Number(new URL(box.url).port);
const residentMib = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${box.process.pid}/status`, 'utf8'))?.[1]) / 1024;
const post = (body: object, path = '/v1/chat/completions') => ask(box.url + path, { headers: AUTH, body });
const chat = (over: object = {}) => post({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...over });

/** The fact of an exchange, from the journal: a segment stays for as long as its worker writes to it. */
async function factOf(requestId: string | undefined): Promise<ExchangeFact> {
  await log.of(requestId ?? '');
  const dir = join(box.dataDir, 'journal');
  const payloads = readdirSync(dir).flatMap((file) => readFrames(readFileSync(join(dir, file))).payloads);
  return payloads
    .map((text) => JSON.parse(text) as ExchangeFact)
    .find((fact) => fact.kind === 'exchange' && fact.requestId === requestId)!;
}

async function metric(line: RegExp): Promise<number> {
  const { text } = await ask(`${box.url}/metrics`, { headers: ADMIN });
  return Number(
    text
      .split('\n')
      .find((each) => line.test(each))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  );
}

function postHead(path: string, headers: Record<string, string | number>): string {
  const all = { host: 'localhost', 'content-type': 'application/json', ...headers };
  return `POST ${path} HTTP/1.1\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
}

beforeAll(async () => {
  upstream = await startFaultUpstream(() => []);
  box = await startSignalbox({
    env: ENV,
    config: `
server: { workers: 1, drain_s: 1, max_inflight_bytes: ${32 * MIB}, max_body_bytes: ${8 * MIB} }
providers:
  lab: { type: openai-compatible, base_url: "${upstream.url}/v1", api_key: "\${env:LAB}" }
  claude: { type: anthropic, base_url: "${upstream.url}", api_key: "\${env:LAB}" }
models:
  - { name: m, retries: 0, targets: [{ provider: lab, model: up, price: ${PRICE} }] }
  - { name: "lab/*", retries: 0, targets: [{ provider: lab, model: "*", price: ${PRICE} }] }
  - { name: c, retries: 0, targets: [{ provider: claude, model: claude-sonnet-4-5, price: ${PRICE} }] }
keys: [{ name: k, key: "\${env:KEY}", models: ["*"] }]
admin: { key: "\${env:ADMIN}" }
telemetry: { log: { level: debug, format: json } }
`,
  });
  log = exchangeLog(box);
});

beforeEach(() => {
  upstream.requests.length = 0;
  upstream.play(({ path }) => [{ send: whole(200, path.includes('/messages') ? MESSAGE : ANSWER) }]);
});

afterAll(async () => {
  await box.stop();
  await upstream.close();
});

describe('memory', () => {
  test('a body of single bytes costs its bytes, not an object each', async () => {
    const before = residentMib();
    const client = await openRaw(port());
    client.send(postHead('/v1/chat/completions', { ...AUTH, 'transfer-encoding': 'chunked' }));
    const piece = Buffer.from('1\r\n \r\n'.repeat(100_000));
    for (let sent = 0; sent < 10; sent++) await new Promise((resolve) => client.socket.write(piece, resolve));
    await sleep(300);
    expect(residentMib() - before).toBeLessThan(200);
    client.socket.destroy();
  }, 60_000);

  test('an answer of single bytes does not either', async () => {
    const before = residentMib();
    let most = 0;
    const piece = Buffer.from('1\r\n \r\n'.repeat(50_000));
    const padding = Array.from({ length: 20 }, () => [
      { send: piece },
      { run: () => void (most = Math.max(most, residentMib())) },
    ]).flat();
    upstream.play(() => [
      { send: head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }) },
      ...padding,
      { send: Buffer.concat([chunk(ANSWER), Buffer.from(LAST_CHUNK)]) },
    ]);
    const reply = await chat({ model: 'c', max_tokens: 5 });
    expect(reply.status).toBe(502);
    expect(most - before).toBeLessThan(250);
  }, 60_000);
});

describe('facts that nobody can make too large to be recorded', () => {
  test('by nine hundred long parameters that the provider does not know', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`p${index}${'y'.repeat(2000)}`, 1]));
    const reply = await chat({ model: 'c', max_tokens: 5, ...unknown });
    expect(reply.status).toBe(200);
    expect(await log.of(reply.headers['x-request-id']!)).toMatchObject({ outcome: 'ok', cost_usd: '0.000012' });
  });

  test.each([
    ['too long', `lab/${'x'.repeat(300)}`],
    ['with a line break', 'lab/a\nb'],
    ['with an escape of a terminal', 'lab/\u001b[2J'],
  ])('by a model name behind a wildcard that is %s', async (_, model) => {
    const reply = await chat({ model });
    expect(reply.status).toBe(404);
    expect(upstream.requests).toHaveLength(0);
    expect((await chat({ model: 'lab/llama-3.1:8b' })).status).toBe(200);
  });
});

describe('strangers', () => {
  test.each(['/admin/v1/keys', '/metrics', '/console/login', '/v1/chat/completions', '/v1/messages', '/nothing'])(
    'cannot fill the budget of bytes in flight by bodies for %s',
    async (path) => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => openRaw(port())));
      for (const client of clients) {
        client.send(postHead(path, { authorization: 'Bearer not-the-key-of-anybody', 'content-length': 8 * MIB }));
        client.send(Buffer.alloc(8 * MIB - 1, ' '));
      }
      await sleep(300);
      expect(await metric(/^signalbox_inflight_bytes /)).toBeLessThan(MIB);
      expect((await chat()).status).toBe(200);
      for (const client of clients) client.socket.destroy();
    },
  );

  test('cannot keep people from managing by bodies that they announce with a cookie', async () => {
    const begin = async (length: number, address?: string) => {
      const client = await openRaw(port(), address);
      client.send(postHead('/admin/v1/me/keys', { cookie: 'a=b', 'content-length': length }) + '{');
      return client;
    };
    const slow = await Promise.all(Array.from({ length: 8 }, () => begin(MIB)));
    await sleep(100);
    const ninth = await begin(MIB);
    expect(await ninth.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 503 /);
    expect((await ask(`${box.url}/admin/v1/orgs`, { headers: ADMIN, body: { name: 'acme' } })).status).toBe(201);
    const elsewhere = await begin(2, '127.0.0.2');
    elsewhere.send('}');
    expect(await elsewhere.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 401 /);
    for (const { socket } of [...slow, ninth, elsewhere]) socket.destroy();
    await sleep(100);
    const after = await begin(2);
    after.send('}');
    expect(await after.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 401 /);
    after.socket.destroy();
  });

  test.each(['/demo/v1/models', '//demo/v1/models', '/admin/../demo/v1/models', '/admin/%2e%2e/demo/v1/models', '/metrics/demo'])(
    'cannot reach the demo provider on the control socket by %s',
    async (path) => {
      const client = await openRaw(port());
      client.send(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${ENV.ADMIN}\r\n\r\n`);
      expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 40[04] /);
      client.socket.destroy();
    },
  );
});

describe('answers that cannot be passed on', () => {
  test.each([
    [
      'a stream that nobody asked for',
      'c',
      [
        { send: head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }) },
        { send: chunk('event: ping\ndata: {"type":"ping"}\n\n') },
        'hang',
      ],
    ],
    [
      'a header that no HTTP/1.1 server may send on',
      'm',
      [
        { send: head(200, { 'content-type': 'text/event-stream', 'request-id': 'r\u{1}d', 'transfer-encoding': 'chunked' }) },
        { send: chunk('data: {}\n\n') },
        'hang',
      ],
    ],
    [
      'a header that only some parsers take',
      'm',
      [
        { send: head(200, { 'content-type': 'text/event-stream', 'request-id': 'r\u{7f}d', 'transfer-encoding': 'chunked' }) },
        { send: chunk('data: {}\n\n') },
        'hang',
      ],
    ],
  ] as const)(
    '%s: the upstream is let go, and says why',
    async (_, model, steps) => {
      upstream.play(() => [...steps]);
      const open = upstream.open();
      const reply = await chat({ model, max_tokens: 5, stream: model === 'm' });
      expect([500, 502]).toContain(reply.status);
      await sleep(100);
      expect(upstream.open()).toBeLessThanOrEqual(open);
      expect(await metric(/^signalbox_inflight_exchanges/)).toBe(0);
      const { attempts } = await factOf(reply.headers['x-request-id']);
      expect(attempts).toMatchObject([{ error: expect.any(String) }]);
      expect(attempts[0]!.totalMs).toBeGreaterThan(0);
    },
    10_000,
  );

  test('what was billed is booked, also where the answer cannot be read', async () => {
    const { content: _, ...empty } = JSON.parse(MESSAGE) as Record<string, unknown>;
    upstream.play(() => [{ send: whole(200, JSON.stringify(empty)) }]);
    const reply = await chat({ model: 'c', max_tokens: 5 });
    expect(reply.status).toBe(502);
    expect(await factOf(reply.headers['x-request-id'])).toMatchObject({
      usage: { inputTokens: 10, outputTokens: 2 },
      costNanoUsd: 12_000,
      attempts: [{ status: 200, error: 'upstream_bad_response' }],
    });
  });

  test("a refusal in the provider's words and one in ours both say in the fact what the attempt ended with", async () => {
    for (const [status, error] of [
      [400, 'invalid_request'],
      [401, 'upstream_auth'],
    ] as const) {
      upstream.play(() => [{ send: whole(status, '{"error":{"message":"no"}}') }]);
      const reply = await chat();
      expect((await factOf(reply.headers['x-request-id'])).attempts).toMatchObject([{ status, error }]);
    }
  });
});

describe('answers that nobody takes', () => {
  const large = (bytes: number): string => JSON.stringify({ ...(JSON.parse(ANSWER) as object), padding: 'x'.repeat(bytes) });

  test('what is held for clients counts as in flight, and is given back', async () => {
    upstream.play(() => [
      { send: head(200, { 'content-type': 'application/json', 'content-length': 900_000 }) },
      { send: Buffer.alloc(800_000, ' ') },
      'hang',
    ]);
    const leaving = new AbortController();
    const waiting = Array.from({ length: 8 }, () =>
      ask(`${box.url}/v1/chat/completions`, { headers: AUTH, body: { model: 'm', messages: [] }, signal: leaving.signal }).catch(
        () => undefined,
      ),
    );
    await expect.poll(() => metric(/^signalbox_inflight_bytes /), { timeout: 5_000 }).toBeGreaterThan(4 * MIB);
    leaving.abort();
    await Promise.all(waiting);
    await expect.poll(() => metric(/^signalbox_inflight_bytes /), { timeout: 5_000 }).toBe(0);
  });

  test('answers beyond the budget are refused, and others still pass', async () => {
    upstream.play(({ body }) =>
      body.includes('big') ? [{ send: whole(200, large(40 * MIB)) }] : [{ send: whole(200, ANSWER) }],
    );
    const reply = await post({ model: 'c', max_tokens: 5, messages: [{ role: 'user', content: 'big' }] });
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('1');
    expect((await chat()).status).toBe(200);
    await expect.poll(() => metric(/^signalbox_inflight_bytes /), { timeout: 5_000 }).toBe(0);
  });
});

describe('one connection', () => {
  test('with thousands of pipelined exchanges is stopped by the budget, and leaves nothing behind', async () => {
    upstream.play(() => ['hang']);
    const client = await openRaw(port());
    const body = JSON.stringify({ model: 'm', messages: [] });
    client.send(`${postHead('/v1/chat/completions', { ...AUTH, 'content-length': body.length })}${body}`.repeat(4_000));
    await expect.poll(() => metric(/^signalbox_inflight_bytes /), { timeout: 10_000 }).toBeGreaterThan(31 * MIB);
    expect(await metric(/^signalbox_inflight_exchanges/)).toBeLessThanOrEqual(2_048);
    client.socket.destroy();
    await expect.poll(() => metric(/^signalbox_inflight_exchanges/), { timeout: 10_000 }).toBe(0);
    expect(await metric(/^signalbox_inflight_bytes /)).toBe(0);
  });
});

describe("an upstream's own way of writing", () => {
  test.each(['c', 'm'])('Retry-After as a date, model %s: the client learns of it', async (model) => {
    const date = new Date(Date.now() + 30_500).toUTCString();
    upstream.play(() => [{ send: whole(503, '{}', { 'retry-after': date }) }]);
    const reply = await chat({ model, max_tokens: 5 });
    expect(reply.status).toBe(503);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(25);
  });

  test('an event stream by a name in capitals is one', async () => {
    upstream.play(() => [
      { send: head(200, { 'content-type': 'Text/Event-Stream', 'transfer-encoding': 'chunked' }) },
      { send: chunk('data: {"choices":[{"delta":{"content":"x"}}]}\n\n') },
      { waitMs: 300 },
      { send: Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(LAST_CHUNK)]) },
    ]);
    const reply = await chat({ stream: true });
    expect(reply.arrivedAt.at(-1)! - reply.arrivedAt[0]!).toBeGreaterThan(200);
  });
});
