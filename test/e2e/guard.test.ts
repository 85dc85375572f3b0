/** The guard webhook through the whole product: what it sees, what it may do, and what happens where it fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, type LogLine, exchangeLog } from '../support/exchange-log.ts';
import { type FaultUpstream, SSE_HEAD, chunk, startFaultUpstream, whole } from '../support/fault-upstream.ts';
import {
  ANSWERS,
  BEGIN,
  FRONTS,
  type Front,
  MIDDLE,
  TEXT,
  answerSteps,
  expectRefusal,
  refusalOf,
  requestOf,
  streamSteps,
} from '../support/fronts.ts';
import { type Signalbox, runSignalbox, startSignalbox } from '../support/signalbox.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const KEY = 'key-of-the-client-0001';
const GUARDED_KEY = 'key-that-is-guarded-01';
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const PRICE = { input_usd_per_mtok: 1_000, output_usd_per_mtok: 1_000 };

let upstream: FaultUpstream;
let guard: WebhookReceiver;
let box: Signalbox;
let log: ExchangeLog;

beforeAll(async () => {
  upstream = await startFaultUpstream(() => []);
  guard = await startWebhookReceiver(SECRET);
  box = await startSignalbox({ config: configText(), env: { KEY, GUARDED_KEY, SECRET } });
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  await upstream?.close();
  await guard?.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  guard.calls.length = 0;
  guard.play(() => ({ action: 'allow' }));
  upstream.play((request) => {
    const wire = wireOf(request.path);
    return request.body.includes('"stream":true') ? streamSteps(wire) : answerSteps(wire);
  });
});

const wireOf = (path: string): Front['wire'] =>
  path.includes('messages') ? 'messages' : path.includes('responses') ? 'responses' : 'chat';

/** One guard per behaviour, each for the models of its name. */
function configText(): string {
  const provider = (type: string, base_url: string) => ({ type, base_url, api_key: 'none' });
  const model = (name: string, provider: string) => ({ name, targets: [{ provider, model: 'upstream-model', price: PRICE }] });
  const kinds = ['both', 'before', 'after', 'hold', 'open', 'free', 'two'];
  const one = (name: string, more: object) => ({ name, url: `${guard.url}/judge/${name}`, secret: '${env:SECRET}', ...more });
  return JSON.stringify({
    server: { workers: 1, max_body_bytes: 1_048_576 },
    providers: {
      chat: provider('openai-compatible', `${upstream.url}/v1`),
      messages: provider('anthropic-compatible', upstream.url),
    },
    models: [
      ...kinds.flatMap((kind) => ['chat', 'messages'].map((wire) => model(`${kind}-${wire}`, wire))),
      { name: 'wild/*', targets: [{ provider: 'chat', model: '*' }] },
    ],
    keys: [
      { name: 'client', key: '${env:KEY}' },
      { name: 'guarded', key: '${env:GUARDED_KEY}' },
    ],
    guards: [
      one('both', { on: ['request', 'response'], models: ['both-*'], timeout_ms: 300 }),
      one('before', { models: ['before-*', 'wild/*'] }),
      one('after', { on: ['response'], models: ['after-*'] }),
      one('hold', { on: ['response'], models: ['hold-*'], hold_streams: true, timeout_ms: 300 }),
      one('open', { on: ['request', 'response'], models: ['open-*'], timeout_ms: 300, on_failure: 'allow' }),
      one('first', { models: ['two-*'] }),
      one('second', { models: ['two-*'] }),
      one('of-a-key', { keys: ['guarded'], models: ['free-*'] }),
    ],
  });
}

function modelOf(kind: string, { wire }: Front): string {
  return `${kind}-${wire === 'messages' ? 'messages' : 'chat'}`;
}

function call(front: Front, kind: string, more: object = {}, key = KEY): Promise<Reply> {
  return ask(`${box.url}${front.path}`, {
    headers: { authorization: `Bearer ${key}` },
    body: requestOf(front, modelOf(kind, front), more),
  });
}

const lineOf = (reply: Reply): Promise<LogLine> => log.of(reply.headers['x-request-id']!);
const [CHAT] = FRONTS as [Front];
const EMBEDDINGS = { path: '/v1/embeddings', words: 'openai' } as const;
const COUNT = { path: '/v1/messages/count_tokens', words: 'anthropic' } as const;

describe.each(FRONTS)('$name', (front) => {
  it('asks about request and answer, signed, with the bytes of the client and of its answer', async () => {
    const reply = await call(front, 'both');
    expect(reply.status).toBe(200);
    const [before, after] = guard.calls as [WebhookReceiver['calls'][0], WebhookReceiver['calls'][0]];
    expect(guard.calls.map(({ genuine, path, body }) => [genuine, path, body['stage']])).toEqual([
      [true, '/judge/both', 'request'],
      [true, '/judge/both', 'response'],
    ]);
    expect(before.body['body']).toEqual(requestOf(front, modelOf('both', front)));
    expect(after.body['body']).toEqual(jsonOf(reply));
    expect(before.body['exchange']).toMatchObject({
      id: expect.stringMatching(/^ex_/),
      request_id: reply.headers['x-request-id'],
      model: modelOf('both', front),
      key: 'client',
      client_ip: '127.0.0.1',
      stream: false,
    });
    expect(after.body['exchange']).toMatchObject({ provider: front.wire === 'messages' ? 'messages' : 'chat' });
    expect(before.text + after.text).not.toContain(KEY);
    expect((await lineOf(reply))['guards']).toEqual(['both request allow', 'both response allow']);
  });

  it('blocks a request before anything is sent, in the words of the client', async () => {
    guard.play(() => ({ action: 'block', message: 'No station\nnames, please.' }));
    const reply = await call(front, 'before');
    expectRefusal(front, reply, { status: 400, code: 'guard_blocked', message: 'No station names, please.' });
    expect(upstream.requests).toEqual([]);
    expect(await lineOf(reply)).toMatchObject({ outcome: 'refused', error: 'guard_blocked', attempts: 0 });
  });

  it('sends what the guard made of the request', async () => {
    guard.play(({ text }) => {
      const { body } = JSON.parse(text.replace('Is the line clear?', 'Is [redacted] clear?')) as { body: object };
      return { action: 'replace', body };
    });
    const reply = await call(front, 'before');
    expect(reply.status).toBe(200);
    expect(upstream.requests[0]!.body.toString()).toContain('Is [redacted] clear?');
    expect((await lineOf(reply))['guards']).toEqual(['before request replace']);
  });

  it('keeps an answer back, and charges it all the same', async () => {
    guard.play(() => ({ action: 'block' }));
    const reply = await call(front, 'after');
    expectRefusal(front, reply, { status: 400, code: 'guard_blocked' });
    expect(reply.text).not.toContain(TEXT);
    expect(reply.headers['x-signalbox-cost-usd']).toBe('0.016');
    expect(await lineOf(reply)).toMatchObject({
      outcome: 'refused',
      cost_usd: '0.016',
      input_tokens: 11,
      output_tokens: 5,
      guards: ['after response block'],
    });
  });

  it('delivers what the guard made of the answer', async () => {
    guard.play(() => ({ action: 'replace', body: { clean: true } }));
    const reply = await call(front, 'after');
    expect(reply.status).toBe(200);
    expect(jsonOf(reply)).toEqual({ clean: true });
    expect((await lineOf(reply))['cost_usd']).toBe('0.016');
  });

  it('sends a stream as it comes and judges it afterwards: what it would have stopped is an event', async () => {
    const open = Promise.withResolvers<void>();
    guard.play(async () => {
      await open.promise;
      return { action: 'block', message: 'too late' };
    });
    const reply = await call(front, 'after', { stream: true });
    // The whole answer is here although the guard has not said anything yet.
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('clear.');
    expect((await lineOf(reply))['guards']).toEqual(['after response observed']);
    open.resolve();
    const [seen] = await guard.until(1);
    expect(seen!.body['body']).toBe(reply.text);
    await expect.poll(() => log.lines().some((line) => line['event'] === 'guard.flagged')).toBe(true);
  });

  it('holds a stream where it is told to: nothing of a blocked one is sent', async () => {
    const passed = await call(front, 'hold', { stream: true });
    expect(passed.status).toBe(200);
    expect(passed.headers['content-type']).toContain('text/event-stream');
    expect(passed.text).toContain('clear.');
    expect(guard.calls[0]!.body['body']).toBe(passed.text);
    guard.play(() => ({ action: 'block', message: 'Not this one.' }));
    const reply = await call(front, 'hold', { stream: true });
    expectRefusal(front, reply, { status: 400, code: 'guard_blocked', message: 'Not this one.' });
    expect(await lineOf(reply)).toMatchObject({ outcome: 'refused', cost_usd: '0.016' });
  });
});

it('what a guard keeps back is charged by what its provider told, also where that has no finish', async () => {
  const answer = { object: 'list', data: [], model: 'm', usage: { prompt_tokens: 7, total_tokens: 7 } };
  upstream.play(() => [{ send: whole(200, JSON.stringify(answer)) }]);
  guard.play(() => ({ action: 'block' }));
  const reply = await ask(`${box.url}${EMBEDDINGS.path}`, {
    headers: { authorization: `Bearer ${KEY}` },
    body: { model: 'after-chat', input: 'a long text '.repeat(100) },
  });
  expectRefusal(EMBEDDINGS, reply, { status: 400, code: 'guard_blocked' });
  const rows = async (): Promise<unknown> => {
    const headers = { authorization: `Bearer ${box.adminKey}` };
    const found = await ask(`${box.url}/admin/v1/requests?request_id=${reply.headers['x-request-id']!}`, { headers });
    return jsonOf(found)['data'];
  };
  await expect.poll(rows, { timeout: 10_000 }).toMatchObject([{ outcome: 'refused', cost_usd: 0.007, estimated: false }]);
});

describe('a held stream', () => {
  const held = () => call(CHAT, 'hold', { stream: true });

  it('is what the guard makes of it', async () => {
    guard.play(() => ({ action: 'replace', body: 'data: {"clean":true}\n\ndata: [DONE]\n\n' }));
    expect((await held()).text).toBe('data: {"clean":true}\n\ndata: [DONE]\n\n');
  });

  it('that breaks off is a 502, not a judged half', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(BEGIN.chat + MIDDLE.chat('half')) }, 'fin']);
    const reply = await held();
    expectRefusal(CHAT, reply, { status: 502, code: 'upstream_incomplete' });
    expect(guard.calls).toEqual([]);
  });

  it('ends its upstream when its client leaves', async () => {
    upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(BEGIN.chat) }, 'hang']);
    const closed = upstream.closedAt.length;
    const leave = new AbortController();
    const reply = ask(`${box.url}${CHAT.path}`, {
      headers: { authorization: `Bearer ${KEY}` },
      body: requestOf(CHAT, 'hold-chat', { stream: true }),
      signal: leave.signal,
    });
    reply.catch(() => undefined);
    await expect.poll(() => upstream.requests.length).toBe(1);
    leave.abort();
    await expect.poll(() => upstream.closedAt.length).toBeGreaterThan(closed);
  });
});

describe('which exchanges a guard is asked about', () => {
  it('those of its keys and models only', async () => {
    // Who has left a moment ago may still be judged.
    const asked = (): string[] => guard.calls.map(({ path }) => path).filter((path) => path !== '/judge/hold');
    expect((await call(CHAT, 'free')).status).toBe(200);
    expect(asked()).toEqual([]);
    expect((await call(CHAT, 'free', {}, GUARDED_KEY)).status).toBe(200);
    expect(asked()).toEqual(['/judge/of-a-key']);
  });

  it('the children of that key too', async () => {
    const made = await ask(`${box.url}/admin/v1/keys`, {
      headers: { authorization: `Bearer ${box.adminKey}` },
      body: { name: 'child', parent: 'guarded' },
    });
    await call(CHAT, 'free', {}, (jsonOf(made) as { key: string }).key);
    expect(guard.calls.map(({ path }) => path)).toEqual(['/judge/of-a-key']);
  });

  it('embeddings and counted tokens as well, by the name that was asked', async () => {
    guard.play(() => ({ action: 'block' }));
    const headers = { authorization: `Bearer ${KEY}` };
    const embedded = await ask(`${box.url}${EMBEDDINGS.path}`, { headers, body: { model: 'before-chat', input: 'secret' } });
    expectRefusal(EMBEDDINGS, embedded, { status: 400, code: 'guard_blocked' });
    const counted = await ask(`${box.url}${COUNT.path}`, { headers, body: requestOf(FRONTS[2]!, 'before-messages') });
    expectRefusal(COUNT, counted, { status: 400, code: 'guard_blocked' });
    const wild = await ask(`${box.url}${CHAT.path}`, { headers, body: requestOf(CHAT, 'wild/anything') });
    expectRefusal(CHAT, wild, { status: 400, code: 'guard_blocked' });
    expect(guard.calls.map(({ body }) => (body['exchange'] as { model: string }).model)).toEqual([
      'before-chat',
      'before-messages',
      'wild/anything',
    ]);
    expect(upstream.requests).toEqual([]);
  });

  it('all of them in their order, each on what the one before made of it', async () => {
    guard.play(({ path, body }) => {
      const asked = body['body'] as { seen?: string };
      return { action: 'replace', body: { ...asked, user: `${asked.seen ?? ''}${path}`, seen: `${asked.seen ?? ''}${path}` } };
    });
    expect((await call(CHAT, 'two')).status).toBe(200);
    expect(JSON.parse(upstream.requests[0]!.body.toString())).toMatchObject({ user: '/judge/first/judge/second' });
  });

  it('not an upstream refusal: it is passed on as it is', async () => {
    upstream.play(() => [{ send: whole(422, refusalOf('chat', 'no such voice')) }]);
    const reply = await call(CHAT, 'after');
    expect(reply.status).toBe(422);
    expect(guard.calls).toEqual([]);
  });
});

describe('a guard that fails', () => {
  const broken: [string, Parameters<WebhookReceiver['play']>[0]][] = [
    ['answers 500', () => 500],
    ['redirects', (_call, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['answers no JSON', (_call, response) => void response.writeHead(200).end('allow')],
    ['answers another word', () => ({ action: 'maybe' })],
    ['answers twice', (_call, response) => void response.writeHead(200).end('{"action":"block","action":"allow"}')],
    ['cuts its answer', (_call, response) => void response.writeHead(200, { 'content-length': 99 }).write('{"act')],
    ['says nothing in time', () => delay(1_500).then(() => ({ action: 'allow' }))],
    ['replaces by no object', () => ({ action: 'replace', body: 'text' })],
    ['replaces without a body', () => ({ action: 'replace' })],
  ];

  it.each(broken)('and must be asked: %s', async (_what, answer) => {
    guard.play(answer);
    const startedAt = performance.now();
    const reply = await call(CHAT, 'both');
    expectRefusal(CHAT, reply, { status: 503, code: 'guard_unavailable' });
    expect(reply.headers['retry-after']).toBe('1');
    expect(performance.now() - startedAt).toBeLessThan(1_400);
    expect(upstream.requests).toEqual([]);
    expect((await lineOf(reply))['guards']).toEqual(['both request failed']);
  });

  it.each(broken)('and may be passed by: %s', async (_what, answer) => {
    guard.play(answer);
    const reply = await call(CHAT, 'open');
    expect(jsonOf(reply)).toEqual(ANSWERS.chat);
    expect((await lineOf(reply))['guards']).toEqual(['open request failed', 'open response failed']);
  });

  it.each([
    ['names another model', { model: 'free-chat' }],
    ['turns the stream on', { stream: true }],
    ['nests too deep', { deep: JSON.parse('['.repeat(200) + ']'.repeat(200)) as unknown }],
  ])('by a request that %s', async (_what, more) => {
    guard.play(({ body }) => ({ action: 'replace', body: { ...(body['body'] as object), ...more } }));
    const reply = await call(CHAT, 'both');
    expectRefusal(CHAT, reply, { status: 503, code: 'guard_unavailable' });
    expect(upstream.requests).toEqual([]);
  });

  it('holding a stream, with nothing sent', async () => {
    guard.play(() => 500);
    const reply = await call(CHAT, 'hold', { stream: true });
    expectRefusal(CHAT, reply, { status: 503, code: 'guard_unavailable' });
    expect((await lineOf(reply))['cost_usd']).toBe('0.016');
  });

  it('is an event for the operator, without a word of the body', async () => {
    guard.play(() => 500);
    await call(CHAT, 'both');
    await expect.poll(() => log.lines().find((line) => line['event'] === 'guard.failing')).toMatchObject({ guard: 'both' });
    expect(box.stderr()).not.toContain('Is the line clear?');
    expect(box.stderr()).not.toContain('[redacted]');
    expect(box.stderr()).not.toContain(SECRET);
  });

  it('lets go when the client leaves', async () => {
    guard.play(() => delay(5_000).then(() => ({ action: 'allow' })));
    const leave = new AbortController();
    const asked = ask(`${box.url}${CHAT.path}`, {
      headers: { authorization: `Bearer ${KEY}`, 'x-request-id': 'left-early' },
      body: requestOf(CHAT, 'before-chat'),
      signal: leave.signal,
    });
    asked.catch(() => undefined);
    await guard.until(1);
    leave.abort();
    expect(await log.of('left-early')).toMatchObject({ outcome: 'client_gone', attempts: 0 });
    expect(upstream.requests).toEqual([]);
  });
});

describe('the configuration', () => {
  const check = async (more: object): Promise<string> => {
    const file = JSON.stringify({ guards: [{ name: 'g', url: 'http://127.0.0.1:1/', secret: '${env:SECRET}', ...more }] });
    const { writeFileSync, mkdtempSync } = await import('node:fs');
    const { join } = await import('node:path');
    const { tmpdir } = await import('node:os');
    const path = join(mkdtempSync(join(tmpdir(), 'signalbox-guard-')), 'gateway.yaml');
    writeFileSync(path, file);
    const { stdout, stderr } = await runSignalbox(['check', '--config', path], { env: { SECRET: 'fifteen-bytes-x' } });
    return stdout + stderr;
  };

  it('refuses a secret that is too short, or stands in the file', async () => {
    expect(await check({})).toContain('guards[0].secret: must have at least 16 bytes');
    expect(await check({ secret: 'a-secret-that-stands-in-the-file' })).toContain('a secret must not stand in the file');
  });
});
