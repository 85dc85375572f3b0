/** The public surface beside plain relaying: models, counting, targets, parameters, prices, traces, metrics. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { calcPrice } from '@pydantic/genai-prices';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type Asked, type Reply, ask, inParallel, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, type LogLine, exchangeLog } from '../support/exchange-log.ts';
import { type FaultRequest, type FaultUpstream, startFaultUpstream, whole } from '../support/fault-upstream.ts';
import { FRONTS, type Front, answerSteps, expectRefusal, refusalOf, requestOf, streamSteps } from '../support/fronts.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const KEY = 'key-of-the-client-0001';
const NARROW_KEY = 'key-with-few-grants-01';
const ADMIN_KEY = 'key-of-the-operator-01';
const CHAT = '/v1/chat/completions';
const MESSAGES = '/v1/messages';

let upstream: FaultUpstream;
let collector: FaultUpstream;
let box: Signalbox;
let log: ExchangeLog;

beforeAll(async () => {
  upstream = await startFaultUpstream(() => []);
  collector = await startFaultUpstream(() => [{ send: whole(200, '') }]);
  const env = { KEY, NARROW_KEY, ADMIN_KEY, FIRST: 'credential-first', SECOND: 'credential-second' };
  box = await startSignalbox({ config: await configText(), env });
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  for (const server of [upstream, collector]) await server?.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.play(answerInKind);
});

/** A sound answer in the request's own dialect, streamed if that was asked for. */
function answerInKind({ path, body }: FaultRequest): ReturnType<typeof answerSteps> {
  const wire = path.includes('messages') ? 'messages' : path.includes('responses') ? 'responses' : 'chat';
  return body.includes('"stream":true') ? streamSteps(wire) : answerSteps(wire);
}

const CHAT_PRICE = { input_usd_per_mtok: 1, output_usd_per_mtok: 2, per_request_usd: 0.01 };

async function configText(): Promise<string> {
  const url = upstream.url;
  const closed = `http://127.0.0.1:${await closedPort()}`;
  const compatible = (more: object) => ({ type: 'openai-compatible', api_key: 'none', ...more });
  const providers = {
    chat: compatible({ base_url: `${url}/v1` }),
    claude: { type: 'anthropic-compatible', base_url: url, api_key: 'none' },
    'claude-closed': { type: 'anthropic-compatible', base_url: closed, api_key: 'none' },
    openai: { base_url: `${url}/v1`, api_key: '${env:FIRST}' },
    anthropic: { base_url: url, api_key: '${env:FIRST}' },
    'openai-old': compatible({ base_url: `${url}/v1`, quirks: { include_usage: false } }),
    renaming: compatible({
      base_url: `${url}/v1`,
      quirks: { rename: { max_completion_tokens: 'max_tokens' }, unsupported: ['seed'] },
    }),
    credentials: compatible({ base_url: `${url}/v1`, api_key: undefined, api_keys: ['${env:FIRST}', '${env:SECOND}'] }),
    endpoints: compatible({
      endpoints: [
        { base_url: `${url}/heavy/v1`, weight: 3 },
        { base_url: `${url}/light/v1`, weight: 1 },
      ],
    }),
    'half-closed': compatible({
      endpoints: [
        { base_url: `${closed}/v1`, weight: 1 },
        { base_url: `${url}/alive/v1`, weight: 0 },
      ],
    }),
    closed: compatible({ base_url: `${closed}/v1` }),
    nowhere: compatible({ base_url: 'http://no-such-host.invalid/v1' }),
    breaking: compatible({ base_url: `${url}/breaking/v1` }),
  };
  const model = (name: string, provider: string, more: object = {}) => ({
    name,
    targets: [Object.assign({ provider, model: 'upstream-model' }, more)],
  });
  /** The first is always tried first. */
  const inTurn = (name: string, first: string, second: string) => ({
    name,
    targets: [
      { provider: first, model: 'first-model', weight: 1 },
      { provider: second, model: 'second-model', weight: 0 },
    ],
  });
  return JSON.stringify({
    server: { workers: 2 },
    providers,
    models: [
      model('chat', 'chat'),
      model('claude', 'claude'),
      model('old', 'openai-old'),
      model('renaming', 'renaming'),
      model('credentials', 'credentials'),
      model('endpoints', 'endpoints'),
      model('half-closed', 'half-closed'),
      model('priced', 'chat', { price: CHAT_PRICE }),
      model('free', 'chat', { price: 'free' }),
      model('listed', 'openai', { model: 'gpt-4o-mini' }),
      model('shaped', 'chat', { params: { temperature: 0.25, user: 'us', n: 1 }, drop_params: ['seed', 'logit_bias'] }),
      model('shaped-claude', 'claude', { params: { temperature: 0.25, max_tokens: 77 }, drop_params: ['top_k'] }),
      model('shaped-renaming', 'renaming', { params: { max_tokens: 10 } }),
      model('dropping-renaming', 'renaming', { drop_params: ['max_tokens'] }),
      {
        name: 'weighted',
        targets: [
          { provider: 'chat', model: 'heavy', weight: 3 },
          { provider: 'claude', model: 'light', weight: 1 },
        ],
      },
      inTurn('after-closed', 'closed', 'chat'),
      inTurn('after-nowhere', 'nowhere', 'chat'),
      inTurn('after-closed-claude', 'claude-closed', 'claude'),
      inTurn('after-breaking', 'breaking', 'chat'),
      inTurn('both-closed', 'closed', 'nowhere'),
      { name: 'openai/*', targets: [{ provider: 'openai', model: '*' }] },
      { name: 'openai/ft:*', targets: [{ provider: 'chat', model: '*' }] },
      {
        name: 'org/team/model',
        context_window: 1234,
        max_output_tokens: 56,
        capabilities: ['tools'],
        targets: [{ provider: 'chat', model: 'x' }],
      },
      { name: 'team:model@1+x', targets: [{ provider: 'chat', model: 'y' }] },
    ],
    keys: [
      { name: 'client', key: '${env:KEY}', models: ['*'] },
      { name: 'narrow', key: '${env:NARROW_KEY}', models: ['chat', 'org/*'] },
    ],
    admin: { key: '${env:ADMIN_KEY}' },
    telemetry: {
      log: { format: 'json' },
      otlp: { endpoint: collector.url, headers: { 'x-tenant': 'north' }, service_name: 'the-box', sample_ratio: 0 },
    },
  });
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const call = (path: string, { headers, ...asked }: Asked = {}): Promise<Reply> =>
  ask(box.url + path, { headers: { authorization: `Bearer ${KEY}`, ...headers }, ...asked });

const chat = (model: string, more: object = {}, headers: Record<string, string> = {}): Promise<Reply> =>
  call(CHAT, { headers, body: requestOf(FRONTS[0]!, model, more) });

const messages = (model: string, more: object = {}, headers: Record<string, string> = {}): Promise<Reply> =>
  call(MESSAGES, { headers, body: requestOf(FRONTS[2]!, model, more) });

const lineOf = (reply: Reply): Promise<LogLine> => log.of(reply.headers['x-request-id'] ?? '');

/** The body of the last request that arrived upstream. */
const sentBody = (): Record<string, unknown> =>
  JSON.parse(upstream.requests.at(-1)!.body.toString('utf8')) as Record<string, unknown>;
const sentText = (): string => upstream.requests.at(-1)!.body.toString('utf8');

describe('models', () => {
  const ANTHROPIC = { 'anthropic-version': '2023-06-01' };
  interface Listed {
    id: string;
  }
  const idsOf = (reply: Reply): string[] => (jsonOf(reply)['data'] as Listed[]).map(({ id }) => id);

  it('as OpenAI lists them: what the key may use, without wildcards', async () => {
    const reply = await call('/v1/models?limit=1');
    const { object, data } = jsonOf(reply) as { object: string; data: Record<string, unknown>[] };
    expect(object).toBe('list');
    expect(data.length).toBeGreaterThan(15);
    expect(data.find(({ id }) => id === 'org/team/model')).toEqual({
      id: 'org/team/model',
      object: 'model',
      created: expect.any(Number),
      owned_by: 'chat',
      context_window: 1234,
      max_output_tokens: 56,
      capabilities: ['tools'],
    });
    expect(data.find(({ id }) => id === 'priced')).toMatchObject({
      pricing: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 },
    });
    expect(data.find(({ id }) => id === 'free')).toMatchObject({ pricing: { input_usd_per_mtok: 0, output_usd_per_mtok: 0 } });
    expect(data.find(({ id }) => id === 'listed')).toMatchObject({
      context_window: 128_000,
      pricing: { input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6 },
    });
    expect(data.some(({ id }) => String(id).includes('*'))).toBe(false);
    expect(idsOf(await call('/v1/models', { headers: { authorization: `Bearer ${NARROW_KEY}` } }))).toEqual([
      'chat',
      'org/team/model',
    ]);
  });

  it('as Anthropic lists them, in pages', async () => {
    const all = idsOf(await call('/v1/models?limit=1000', { headers: ANTHROPIC }));
    expect(idsOf(await call('/v1/models'))).toEqual(all);
    const first = jsonOf(await call('/v1/models?limit=2', { headers: ANTHROPIC }));
    expect(first).toEqual({
      data: [
        expect.objectContaining({ type: 'model', id: all[0], display_name: all[0] }),
        expect.objectContaining({ id: all[1] }),
      ],
      has_more: true,
      first_id: all[0],
      last_id: all[1],
    });
    const [model] = first['data'] as { created_at: string }[];
    expect(new Date(model!.created_at).getTime()).toBeGreaterThan(0);
    const walked: string[] = [];
    for (let after = ''; ;) {
      const page = jsonOf(await call(`/v1/models?limit=7${after}`, { headers: ANTHROPIC }));
      walked.push(...(page['data'] as Listed[]).map(({ id }) => id));
      if (page['has_more'] === false) break;
      after = `&after_id=${encodeURIComponent(String(page['last_id']))}`;
    }
    expect(walked).toEqual(all);
    const before = await call(`/v1/models?limit=2&before_id=${encodeURIComponent(all[3]!)}`, { headers: ANTHROPIC });
    expect([idsOf(before), jsonOf(before)['has_more']]).toEqual([[all[1], all[2]], true]);
    expect(idsOf(await call('/v1/models', { headers: ANTHROPIC }))).toHaveLength(Math.min(20, all.length));
    for (const limit of ['0', '1001', 'many', '1.5', '-1']) {
      const refused = await call(`/v1/models?limit=${limit}`, { headers: ANTHROPIC });
      expectRefusal({ words: 'anthropic', path: '' }, refused, { status: 400, code: 'invalid_request', message: 'limit' });
    }
  });

  it('one by one, with slashes and signs in their names, in both shapes', async () => {
    for (const path of ['/v1/models/org/team/model', '/v1/models/org%2Fteam%2Fmodel', '/v1/models/org%2fteam/model?x=1']) {
      expect(jsonOf(await call(path))).toMatchObject({ id: 'org/team/model', object: 'model', context_window: 1234 });
      expect(jsonOf(await call(path, { headers: ANTHROPIC }))).toMatchObject({ id: 'org/team/model', type: 'model' });
    }
    const named = await call(`/v1/models/${encodeURIComponent('team:model@1+x')}`);
    expect(jsonOf(named)['id']).toBe('team:model@1+x');
    expect(jsonOf(await call('/v1/models/openai/gpt-4o'))).toMatchObject({ id: 'openai/gpt-4o', owned_by: 'openai' });
  });

  it('that are not there, or not for this key, are refused in the words of who asks', async () => {
    const refusal = { status: 404, code: 'model_not_found', message: 'does not exist', param: 'model' };
    for (const path of ['/v1/models/chet', '/v1/models/nothing/here']) {
      expectRefusal({ words: 'openai', path }, await call(path), refusal);
      expectRefusal({ words: 'anthropic', path }, await call(path, { headers: ANTHROPIC }), refusal);
    }
    const narrow = await call('/v1/models/priced', { headers: { authorization: `Bearer ${NARROW_KEY}` } });
    expectRefusal({ words: 'openai', path: '' }, narrow, refusal);
  });

  it('are shown to nobody without a key', async () => {
    for (const path of ['/v1/models', '/v1/models/chat']) {
      const refusal = { status: 401, code: 'invalid_api_key', param: null };
      expectRefusal({ words: 'openai', path }, await ask(box.url + path), refusal);
      expectRefusal({ words: 'anthropic', path }, await ask(box.url + path, { headers: ANTHROPIC }), refusal);
    }
    const head = await ask(`${box.url}/v1/models`, { method: 'HEAD', headers: { 'x-api-key': KEY } });
    expect([head.status, head.text]).toEqual([200, '']);
  });
});

describe('health', () => {
  it('needs no key and tells the snapshot', async () => {
    expect(await ask(`${box.url}/health/live`)).toMatchObject({ status: 200, text: '{"status":"live"}' });
    const ready = await ask(`${box.url}/health/ready?verbose=1`);
    expect(jsonOf(ready)).toEqual({ status: 'ready', snapshot: expect.stringMatching(/^[0-9a-f]{16}$/) });
    const head = await ask(`${box.url}/`, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(jsonOf(await ask(`${box.url}/?beta=true`))).toEqual({ name: 'signalbox', version: expect.any(String) });
  });
});

describe.each(FRONTS)('$name: what is told beside the answer', (front: Front) => {
  const model = front.wire === 'messages' ? 'claude' : 'chat';

  it('the query goes with a relay; the path with any', async () => {
    const reply = await call(`${front.path}?beta=true&x=%2F..%2F`, { body: requestOf(front, model) });
    expect(reply.status).toBe(200);
    const path = { chat: CHAT, messages: MESSAGES, responses: '/v1/responses' }[front.wire];
    expect(upstream.requests.at(-1)!.path).toBe(front.isRelay ? `${path}?beta=true&x=%2F..%2F` : path);
  });

  it('Anthropic’s version and betas: the client’s on a relay, pinned on a translation', async () => {
    const headers = { 'anthropic-version': '2099-12-31', 'anthropic-beta': 'beta-1,beta-2' };
    await call(front.path, { headers, body: requestOf(front, model) });
    const sent = upstream.requests.at(-1)!.headers;
    if (front.wire !== 'messages') expect(Object.keys(sent).filter((name) => name.startsWith('anthropic-'))).toEqual([]);
    else if (front.isRelay) expect(sent).toMatchObject(headers);
    else expect([sent['anthropic-version'], sent['anthropic-beta']]).toEqual(['2023-06-01', undefined]);
  });

  it('our headers, streamed or not', async () => {
    for (const stream of [false, true]) {
      const reply = await call(front.path, {
        headers: { 'x-request-id': `mine-${front.wire}-${front.words}-${stream}` },
        body: requestOf(front, model, { stream }),
      });
      expect(reply.headers).toMatchObject({
        'x-request-id': `mine-${front.wire}-${front.words}-${stream}`,
        'x-signalbox-provider': front.wire === 'messages' ? 'claude' : 'chat',
        'x-signalbox-model': model,
        'x-signalbox-attempts': '1',
        'x-signalbox-overhead-ms': expect.stringMatching(/^\d+\.\d\d$/),
        'x-signalbox-worker': expect.stringMatching(/^[01]$/),
        'content-type': expect.stringMatching(stream ? /^text\/event-stream/ : /^application\/json/),
      });
      expect(reply.headers).not.toHaveProperty('x-signalbox-warnings');
    }
  });
});

describe('warnings', () => {
  it('tell what the target cannot express, in a header and in the log', async () => {
    const reply = await chat('claude', { seed: 7, logit_bias: { 5: 1 }, max_completion_tokens: 50 });
    expect(reply.status).toBe(200);
    expect(reply.headers['x-signalbox-warnings']).toMatch(/seed: .+; logit_bias: /);
    expect(await lineOf(reply)).toMatchObject({ warnings: ['seed', 'logit_bias'] });
    expect(sentBody()).not.toHaveProperty('seed');
    const streamed = await chat('claude', { seed: 7, stream: true });
    expect(streamed.headers['x-signalbox-warnings']).toMatch(/^seed: /);
  });

  it('are those of the attempt that answered, once', async () => {
    const reply = await chat('after-closed-claude', { seed: 7 });
    expect(reply.headers['x-signalbox-attempts']).toBe('2');
    expect(await lineOf(reply)).toMatchObject({ warnings: ['seed'], attempts: 2 });
  });

  it('cannot break a header', async () => {
    const reply = await chat('claude', { ünï: 1 });
    expect(reply.headers['x-signalbox-warnings']).toMatch(/^\?n\?: /);
  });
});

describe('stream_options', () => {
  const stream = true;

  it('on a relay: usage is asked for, whatever the client says', async () => {
    const plain = await chat('chat', { stream });
    expect(sentText()).toMatch(/^\{"stream_options":\{"include_usage":true\},"model":"upstream-model"/);
    expect(plain.text).not.toContain('usage');
    expect(await lineOf(plain)).toMatchObject({ input_tokens: 11, output_tokens: 5 });
    const declined = await chat('chat', { stream, stream_options: { include_usage: false, include_obfuscation: false } });
    expect(sentBody()['stream_options']).toEqual({ include_usage: true, include_obfuscation: false });
    expect(declined.text).toBe(plain.text);
    const asked = await chat('chat', { stream, stream_options: { include_usage: true } });
    expect(asked.text).toContain('"usage":{"prompt_tokens":11');
    expect(asked.text).toContain('"usage":null');
  });

  it('not where the provider refuses them, nor without a stream', async () => {
    const old = await chat('old', { stream });
    expect(sentBody()).not.toHaveProperty('stream_options');
    expect(old.text).toContain('"usage":{"prompt_tokens":11');
    await chat('chat', { stream: false });
    expect(sentBody()).not.toHaveProperty('stream_options');
  });

  it('on a translation: the client gets usage where it asked, and in Messages always', async () => {
    expect((await chat('claude', { stream })).text).not.toContain('usage');
    const asked = await chat('claude', { stream, stream_options: { include_usage: true } });
    expect(asked.text).toMatch(/"usage":\{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16/);
    const translated = await messages('chat', { stream });
    expect(sentBody()['stream_options']).toEqual({ include_usage: true });
    const delta = /event: message_delta\ndata: (.*)\n/.exec(translated.text)?.[1] ?? '{}';
    expect(JSON.parse(delta)).toMatchObject({
      delta: { stop_reason: 'end_turn' },
      usage: { input_tokens: 11, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    });
  });
});

describe('count_tokens', () => {
  const path = `${MESSAGES}/count_tokens`;
  const ask4 = (model: string): object => ({ model, messages: [{ role: 'user', content: 'How many tokens are these?' }] });

  it('is relayed to a provider that counts', async () => {
    upstream.play(() => [{ send: whole(200, '{"input_tokens": 14}') }]);
    const reply = await call(`${path}?beta=true`, { headers: { 'anthropic-version': '2023-06-01' }, body: ask4('claude') });
    expect([reply.status, reply.text]).toEqual([200, '{"input_tokens": 14}']);
    expect(upstream.requests.at(-1)!.path).toBe(`${path}?beta=true`);
    expect(sentBody()['model']).toBe('upstream-model');
    expect(reply.headers).not.toHaveProperty('x-signalbox-cost-usd');
    expect(await lineOf(reply)).toMatchObject({ surface: 'count_tokens', outcome: 'ok', attempts: 1 });
    upstream.play(() => [{ send: whole(400, refusalOf('messages', 'messages: too many')) }]);
    expect(await call(path, { body: ask4('claude') })).toMatchObject({
      status: 400,
      text: refusalOf('messages', 'messages: too many'),
    });
  });

  it('is estimated elsewhere, and says so', async () => {
    const reply = await call(path, { body: ask4('chat') });
    expect(jsonOf(reply)).toEqual({ input_tokens: expect.any(Number) });
    const { input_tokens: tokens } = jsonOf(reply) as { input_tokens: number };
    expect(tokens).toBeGreaterThan(6);
    expect(tokens).toBeLessThan(60);
    expect(reply.headers['x-signalbox-warnings']).toContain('estimated');
    expect(reply.headers['x-signalbox-attempts']).toBe('0');
    expect(upstream.requests).toEqual([]);
    expect(await lineOf(reply)).toMatchObject({ surface: 'count_tokens', outcome: 'ok', status: 200 });
  });

  it('refuses in Anthropic’s words', async () => {
    const words = { words: 'anthropic', path } as const;
    expectRefusal(words, await call(path, { body: { model: 'chat' } }), {
      status: 400,
      code: 'invalid_request',
      message: 'messages',
    });
    expectRefusal(words, await call(path, { body: ask4('chta') }), { status: 404, code: 'model_not_found', message: '`chat`' });
    expectRefusal(words, await ask(box.url + path, { body: ask4('chat') }), { status: 401, code: 'missing_key' });
  });
});

describe('targets', () => {
  it('share by weight, across dialects', async () => {
    const replies = await inParallel(Array.from({ length: 400 }), 16, () => chat('weighted'));
    const heavy = replies.filter(({ headers }) => headers['x-signalbox-provider'] === 'chat').length;
    // Four standard deviations around 300.
    expect(heavy).toBeGreaterThan(265);
    expect(heavy).toBeLessThan(335);
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(upstream.requests.filter(({ path }) => path === CHAT)).toHaveLength(heavy);
  });

  it('only those that speak a surface without translation serve it', async () => {
    const replies = await inParallel(Array.from({ length: 30 }), 8, () =>
      call('/v1/responses', { body: requestOf(FRONTS[4]!, 'weighted') }),
    );
    expect(new Set(replies.map(({ headers }) => headers['x-signalbox-provider']))).toEqual(new Set(['chat']));
    const counted = await call(`${MESSAGES}/count_tokens`, { body: { model: 'weighted', messages: [] } });
    expect(counted.headers['x-signalbox-provider']).toBe('claude');
  });

  it('use all credentials of a provider', async () => {
    await inParallel(Array.from({ length: 60 }), 16, () => chat('credentials'));
    const used = new Set(upstream.requests.map(({ headers }) => headers['authorization']));
    expect(used).toEqual(new Set(['Bearer credential-first', 'Bearer credential-second']));
  });

  it('use all endpoints of a provider, by weight', async () => {
    await inParallel(Array.from({ length: 200 }), 16, () => chat('endpoints'));
    const heavy = upstream.requests.filter(({ path }) => path === '/heavy/v1/chat/completions').length;
    expect(upstream.requests.filter(({ path }) => path === '/light/v1/chat/completions')).toHaveLength(200 - heavy);
    expect(heavy).toBeGreaterThan(125);
    expect(heavy).toBeLessThan(175);
  });

  it.each(['after-closed', 'after-nowhere', 'half-closed'])(
    '%s: the next is asked, since nothing was delivered',
    async (model) => {
      for (const stream of [false, true]) {
        const reply = await chat(model, { stream });
        expect(reply.status).toBe(200);
        expect(reply.headers['x-signalbox-attempts']).toBe('2');
        expect(reply.headers['x-signalbox-provider']).toBe(model === 'half-closed' ? model : 'chat');
        expect(await lineOf(reply)).toMatchObject({ outcome: 'ok', attempts: 2 });
      }
      expect(upstream.requests).toHaveLength(2);
    },
  );

  it.each<[string, Parameters<FaultUpstream['play']>[0]]>([
    ['a reset', () => ['reset']],
    ['an error', () => [{ send: whole(500, '{}') }]],
    ['half an answer', () => [{ send: 'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{' }, 'fin']],
    // Last: it is left alone after that.
    ['a refusal', () => [{ send: whole(429, '{"error":{"message":"slow down"}}') }]],
  ])('the next is asked after %s, since the client has nothing of it', async (_, script) => {
    upstream.play((request) => (request.path.startsWith('/breaking') ? script(request) : answerInKind(request)));
    const reply = await chat('after-breaking');
    expect(reply.status).toBe(200);
    // A reset of a connection that was kept alive may have been its idle timeout: the same target is asked once more.
    const paths = upstream.requests.map(({ path }) => path);
    expect(new Set(paths.slice(0, -1))).toEqual(new Set(['/breaking/v1/chat/completions']));
    expect(paths.at(-1)).toBe('/v1/chat/completions');
    expect(reply.headers['x-signalbox-attempts']).toBe(String(paths.length));
  });

  it('none is asked after what every target would refuse alike', async () => {
    upstream.play(() => [{ send: whole(400, '{"error":{"message":"no such parameter"}}') }]);
    const reply = await chat('after-breaking');
    expect(reply.status).toBe(400);
    expect(upstream.requests).toHaveLength(1);
  });

  it('all of them gone: the last failure is told', async () => {
    const reply = await chat('both-closed');
    expectRefusal(FRONTS[0]!, reply, { status: 502, code: 'upstream_unreachable', message: '', param: null });
    expect(Number(reply.headers['x-signalbox-attempts'])).toBeGreaterThanOrEqual(2);
    expect(reply.headers['x-should-retry']).toBe('false');
  });
});

describe('large bodies', () => {
  it('a request of 20 MB goes up to the byte', async () => {
    const body = `{"model":"chat" , "messages":[{"role":"user","content":"${'€uro '.repeat(3_300_000)}"}]}`;
    const reply = await call(CHAT, { body });
    expect(reply.status).toBe(200);
    expect(sentText() === body.replace('"chat"', '"upstream-model"')).toBe(true);
  });

  it('embeddings of 3 MB pass, and their usage is found behind them', async () => {
    const data = [{ object: 'embedding', index: 0, embedding: Array.from({ length: 150_000 }, (_, at) => Math.sin(at)) }];
    const answer = JSON.stringify({ object: 'list', data, model: 'x', usage: { prompt_tokens: 12_345, total_tokens: 12_345 } });
    upstream.play(() => [{ send: whole(200, answer) }]);
    const reply = await call('/v1/embeddings?x=1', { body: { model: 'priced', input: 'x', encoding_format: 'float' } });
    expect(reply.text === answer).toBe(true);
    expect(upstream.requests.at(-1)!.path).toBe('/v1/embeddings?x=1');
    expect(await lineOf(reply)).toMatchObject({ surface: 'embeddings', input_tokens: 12_345, cost_usd: '0.022345' });
  });
});

describe('parameters', () => {
  it('of the model: set where the caller sent none, taken out where they are to go', async () => {
    await chat('shaped', { seed: 1, logit_bias: { 1: 2 }, temperature: 1.5 });
    expect(sentBody()).toEqual({
      model: 'upstream-model',
      messages: expect.any(Array),
      temperature: 1.5,
      user: 'us',
      n: 1,
    });
    await messages('shaped', { top_k: 5 });
    expect(sentBody()).toMatchObject({ temperature: 0.25, user: 'us' });
    await messages('shaped-claude', { top_k: 5, temperature: 0.75 });
    expect(sentBody()).toEqual({ model: 'upstream-model', max_tokens: 100, messages: expect.any(Array), temperature: 0.75 });
    await chat('shaped-claude');
    expect(sentBody()).toMatchObject({ temperature: 0.25 });
  });

  it('of another name there keep their bytes, unless both were sent', async () => {
    await call(CHAT, { body: '{"model":"renaming","messages":[],"max_completion_tokens":1e2 ,"seed":3}' });
    const text = sentText();
    expect(text).toContain('"max_tokens":1e2');
    expect(text).not.toContain('max_completion_tokens');
    expect(JSON.parse(text)).toEqual({ model: 'upstream-model', messages: [], max_tokens: 100, seed: 3 });
    await chat('renaming', { max_completion_tokens: 5, max_tokens: 6 });
    expect(sentBody()).toMatchObject({ max_completion_tokens: 5, max_tokens: 6 });
    await messages('renaming', { max_tokens: 9 });
    expect(sentBody()['max_tokens']).toBe(9);
    expect(sentBody()).not.toHaveProperty('max_completion_tokens');
  });

  it('renamed and defaulted, or renamed and dropped: the caller’s counts, under its name there', async () => {
    await chat('shaped-renaming', { max_completion_tokens: 5 });
    expect(sentBody()).toMatchObject({ max_tokens: 5 });
    await chat('shaped-renaming');
    expect(sentBody()).toMatchObject({ max_tokens: 10 });
    await chat('dropping-renaming', { max_completion_tokens: 5 });
    expect(Object.keys(sentBody())).toEqual(['model', 'messages']);
  });
});

describe('cost', () => {
  it('by the operator’s price', async () => {
    const reply = await chat('priced');
    expect(reply.headers['x-signalbox-cost-usd']).toBe('0.010021');
    expect(await lineOf(reply)).toMatchObject({ cost_usd: '0.010021' });
    const streamed = await chat('priced', { stream: true });
    expect(streamed.headers).not.toHaveProperty('x-signalbox-cost-usd');
    expect(await lineOf(streamed)).toMatchObject({ cost_usd: '0.010021' });
    expect((await messages('priced')).headers['x-signalbox-cost-usd']).toBe('0.010021');
  });

  it('free is an amount, unpriced is none', async () => {
    const free = await chat('free');
    expect(free.headers['x-signalbox-cost-usd']).toBe('0');
    expect(await lineOf(free)).toMatchObject({ cost_usd: '0' });
    const unpriced = await chat('chat');
    expect(unpriced.headers).not.toHaveProperty('x-signalbox-cost-usd');
    const line = await lineOf(unpriced);
    expect(line).toMatchObject({ unpriced: true });
    expect(line).not.toHaveProperty('cost_usd');
  });

  it('of a wildcard’s model by the list, from its first call on', async () => {
    const expected = calcPrice({ input_tokens: 11, output_tokens: 5 }, 'gpt-4o-mini', { providerId: 'openai' })!.total_price;
    for (const model of ['openai/gpt-4o-mini', 'openai/gpt-4o-mini', 'listed']) {
      expect(Number((await chat(model)).headers['x-signalbox-cost-usd'])).toBeCloseTo(expected, 9);
    }
    expect((await chat('openai/no-such-model')).headers).not.toHaveProperty('x-signalbox-cost-usd');
    const streamed = await chat('openai/gpt-4o', { stream: true });
    const listed = calcPrice({ input_tokens: 11, output_tokens: 5 }, 'gpt-4o', { providerId: 'openai' })!.total_price;
    expect(Number((await lineOf(streamed))['cost_usd'])).toBeCloseTo(listed, 9);
  });

  it('nothing where nothing was used', async () => {
    upstream.play(() => [{ send: whole(400, '{"error":{"message":"no"}}') }]);
    const refused = await chat('priced');
    expect(refused.headers).not.toHaveProperty('x-signalbox-cost-usd');
    expect(await lineOf(refused)).not.toHaveProperty('cost_usd');
  });
});

describe('wildcards', () => {
  it('the longest prefix decides, the rest is the upstream model', async () => {
    const reply = await chat('openai/ft:mine:x/y');
    expect(sentBody()['model']).toBe('mine:x/y');
    expect(reply.headers).toMatchObject({ 'x-signalbox-provider': 'chat', 'x-signalbox-model': 'openai/ft:mine:x/y' });
    expect(await lineOf(reply)).toMatchObject({ model: 'openai/ft:mine:x/y', target: 'chat/mine:x/y' });
  });

  it('an upstream model that is not there is the caller’s mistake, elsewhere the operator’s', async () => {
    const said = JSON.stringify({ error: { message: 'The model `nope` does not exist', type: 'x', param: null, code: 'y' } });
    upstream.play(() => [{ send: whole(404, said) }]);
    expect(await chat('openai/nope')).toMatchObject({ status: 404, text: said });
    expectRefusal(FRONTS[0]!, await chat('listed'), { status: 502, code: 'upstream_model', param: null });
    const translated = await messages('openai/nope');
    expectRefusal(FRONTS[3]!, translated, { status: 404, code: 'model_not_found', message: 'does not exist' });
  });
});

describe('traces', () => {
  const trace = (digit: string): string => digit.repeat(32);
  const parent = '00f067aa0ba902b7';
  const spanIn = (): string[] => upstream.requests.at(-1)!.headers['traceparent']?.split('-') ?? [];

  it('go on upstream and to the collector, where the client samples', async () => {
    const reply = await chat('priced', {}, { traceparent: `00-${trace('a')}-${parent}-01`, tracestate: 'vendor=1' });
    const [version, traceId, spanId, flags] = spanIn();
    expect([version, traceId, flags]).toEqual(['00', trace('a'), '01']);
    expect(spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(spanId).not.toBe(parent);
    expect(upstream.requests.at(-1)!.headers['tracestate']).toBe('vendor=1');
    expect(await lineOf(reply)).toMatchObject({ trace_id: trace('a') });

    await messages('chat', { stream: true }, { traceparent: `00-${trace('b')}-${parent}-01` });
    await until(() => exported(trace('b')) !== undefined);
    const batch = exported(trace('a'))!;
    expect(batch.path).toBe('/v1/traces');
    expect(batch.headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'x-tenant': 'north' });
    for (const id of [parent, spanId!]) expect(batch.body.includes(Buffer.from(id, 'hex'))).toBe(true);
    for (const word of [
      'the-box',
      'chat priced',
      'gen_ai.usage.input_tokens',
      'gen_ai.request.model',
      '0.010021',
      'signalbox.request_id',
    ])
      expect(batch.body.includes(word), word).toBe(true);
  });

  it('an upstream that fails is told in its span', async () => {
    upstream.play(() => [{ send: whole(500, '{}') }]);
    await chat('chat', {}, { traceparent: `00-${trace('c')}-${parent}-01` });
    await until(() => exported(trace('c')) !== undefined);
    expect(exported(trace('c'))!.body.includes('upstream_error')).toBe(true);
  });

  it('go on upstream unsampled, and are not exported', async () => {
    await chat('chat', {}, { traceparent: `00-${trace('d')}-${parent}-00` });
    expect(spanIn()).toEqual(['00', trace('d'), expect.any(String), '00']);
    // The ratio is 0: what no client decided is not sampled either, but goes on with an id.
    await chat('chat');
    expect(spanIn()).toEqual(['00', expect.stringMatching(/^[0-9a-f]{32}$/), expect.any(String), '00']);
    await chat('chat', {}, { traceparent: 'nonsense', tracestate: 'vendor=1' });
    expect(spanIn()[1]).toMatch(/^[0-9a-f]{32}$/);
    expect(upstream.requests.at(-1)!.headers).not.toHaveProperty('tracestate');
    await chat('chat', {}, { traceparent: `00-${trace('e')}-${parent}-01` });
    await until(() => exported(trace('e')) !== undefined);
    expect(exported(trace('d'))).toBeUndefined();
  });

  function exported(traceId: string): FaultRequest | undefined {
    return collector.requests.find(({ body }) => body.includes(Buffer.from(traceId, 'hex')));
  }
});

describe('metrics', () => {
  const scrape = async (): Promise<string> =>
    (await ask(`${box.url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })).text;
  const seriesIn = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  /** The value of the one series of this name with these labels. */
  const value = (text: string, name: string, labels: Record<string, string>): number => {
    const wanted = Object.entries(labels).map(([label, word]) => `${label}="${word}"`);
    const found = seriesIn(text).filter((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)));
    expect(found.length, `${name} ${wanted.join()}`).toBeLessThan(2);
    return Number(found[0]?.split(' ').at(-1) ?? 0);
  };

  it('need the admin key', async () => {
    for (const headers of [{}, { authorization: `Bearer ${KEY}` }, { 'x-api-key': ADMIN_KEY }] as Record<string, string>[]) {
      const reply = await ask(`${box.url}/metrics`, { headers });
      expect(reply.status).toBe(401);
      expect(reply.text).not.toContain('signalbox_');
    }
    const reply = await ask(`${box.url}/metrics?x=1`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
    expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect((await call('/metrics', { method: 'POST', body: {} })).status).toBe(401);
  });

  it('count what happened', async () => {
    const before = await scrape();
    const replies = [
      await chat('priced'),
      await chat('priced', { stream: true }),
      await messages('priced'),
      await chat('both-closed'),
    ];
    for (const reply of replies) await lineOf(reply);
    const after = await scrape();
    const rise = (name: string, labels: Record<string, string>): number =>
      value(after, name, labels) - value(before, name, labels);
    const of = { model: 'priced', provider: 'chat' };
    expect(rise('signalbox_requests_total', { surface: 'chat', ...of, key: 'client', outcome: 'ok', status: '200' })).toBe(2);
    expect(rise('signalbox_requests_total', { surface: 'messages', ...of, key: 'client', outcome: 'ok', status: '200' })).toBe(1);
    // Whichever of the two was asked last.
    const failed = { surface: 'chat', model: 'both-closed', code: 'upstream_unreachable' };
    const failures = ['closed', 'nowhere'].map((provider) => rise('signalbox_errors_total', { ...failed, provider }));
    expect(failures.reduce((sum, each) => sum + each)).toBe(1);
    expect(rise('signalbox_tokens_total', { ...of, key: 'client', kind: 'input' })).toBe(33);
    expect(rise('signalbox_tokens_total', { ...of, key: 'client', kind: 'output' })).toBe(15);
    expect(rise('signalbox_cost_usd_total', { ...of, key: 'client' })).toBeCloseTo(0.030063, 9);
    expect(rise('signalbox_upstream_attempts_total', { provider: 'chat', result: '2xx' })).toBe(3);
    expect(
      rise('signalbox_upstream_attempts_total', { provider: 'closed', result: 'upstream_unreachable' }),
    ).toBeGreaterThanOrEqual(1);
    for (const name of ['first_byte', 'request']) {
      expect(rise(`signalbox_${name}_seconds_count`, { surface: 'chat', ...of })).toBe(2);
    }
    expect(rise('signalbox_overhead_seconds_count', { surface: 'messages' })).toBe(1);
    for (const name of ['build_info', 'inflight_exchanges', 'loop_delay_p99_seconds', 'inflight_bytes', 'journal_lag_bytes']) {
      expect(new RegExp(`^signalbox_${name}(\\{.*\\})? [\\d.e-]+$`, 'm').test(after), name).toBe(true);
    }
    expect(value(after, 'signalbox_inflight_exchanges', { worker: '0' })).toBe(0);
  });

  it('cannot be grown by anybody: ten thousand names, paths and headers later they are the same series', async () => {
    const nonsense = async (at: number): Promise<unknown> => {
      const name = `bogus-${at}`;
      if (at % 5 === 0) return chat(`openai/ft:${name}`);
      if (at % 5 === 1) return call(`/v1/models/${name}`);
      if (at % 5 === 2) return call(`/v1/${name}`, { body: {} });
      if (at % 5 === 3) return messages(name, {}, { 'anthropic-version': name, 'x-request-id': name });
      return chat(name);
    };
    await inParallel(
      Array.from({ length: 10 }, (_, at) => at),
      1,
      nonsense,
    );
    await delay(300);
    const before = await scrape();
    await inParallel(
      Array.from({ length: 10_000 }, (_, at) => 100 + at),
      48,
      nonsense,
    );
    await lineOf(await chat('priced'));
    const after = await scrape();
    const names = (text: string): string[] =>
      seriesIn(text)
        .map((line) => line.slice(0, line.lastIndexOf(' ')))
        .sort();
    expect(names(after)).toEqual(names(before));
    expect(after).not.toContain('bogus');
    expect(value(after, 'signalbox_requests_total', { model: 'openai/ft:*', outcome: 'ok' })).toBeGreaterThan(1_999);
  });
});

describe('what was said', () => {
  it('stands in no log, metric, trace or journal', async () => {
    const canary = 'canary-of-the-prompt-31337';
    const said = 'canary-of-the-answer-31338';
    upstream.play((request) => {
      const steps = answerInKind(request);
      return steps.map((step) => (typeof step === 'object' && 'send' in step ? { send: mentioning(step.send, said) } : step));
    });
    const traced = { traceparent: `00-${'f'.repeat(32)}-00f067aa0ba902b7-01` };
    const question = [{ role: 'user', content: canary }];
    const tools = [
      { type: 'function', function: { name: canary, parameters: { type: 'object', properties: { [canary]: {} } } } },
    ];
    for (const stream of [false, true]) {
      for (const model of ['chat', 'claude']) {
        expect((await chat(model, { stream, tools, messages: question, user: 'somebody' }, traced)).text).toContain(said);
        expect((await messages(model, { stream, system: canary, messages: question }, traced)).text).toContain(said);
      }
    }
    upstream.play(() => [{ send: whole(400, refusalOf('chat', 'no')) }]);
    await chat('chat', { messages: question }, traced);
    await chat('claude', { messages: canary }, traced);
    await lineOf(await call(CHAT, { body: `{"model":"chat","messages":[{"content":"${canary}` }));
    await until(() => collector.requests.some(({ body }) => body.includes(Buffer.from('f'.repeat(32), 'hex'))));
    const metrics = (await ask(`${box.url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })).text;
    const files = filesIn(box.dataDir);
    expect(files.some(([path, bytes]) => path.endsWith('.jnl') && bytes.includes('"outcome"'))).toBe(true);
    const places: [string, string | Buffer][] = [['the log', box.stdout() + box.stderr()], ['the metrics', metrics], ...files];
    places.push(...collector.requests.map(({ body }): [string, Buffer] => ['a trace', body]));
    for (const [place, text] of places) {
      for (const word of [canary, said]) expect(text.includes(word), `${word} in ${place}`).toBe(false);
    }
  });
});

/** The same bytes on the wire with another text in the place of the first word of the answer; of the same length. */
function mentioning(bytes: string | Buffer, word: string): Buffer {
  const text = Buffer.from(bytes).toString('latin1');
  const [, body = ''] = text.split('\r\n\r\n');
  // Whole answers are told apart by their head, events by their chunk's size line: both are written anew.
  if (text.startsWith('HTTP/1.1') && body !== '') return whole(200, body.replaceAll('clear', `clear ${word}`));
  const [size = '', ...rest] = text.split('\r\n');
  if (!/^[0-9a-f]+$/.test(size) || size === '0') return Buffer.from(bytes);
  const data = rest.join('\r\n').slice(0, -2).replaceAll('clear', `clear ${word}`);
  return Buffer.from(`${data.length.toString(16)}\r\n${data}\r\n`);
}

function filesIn(folder: string): [string, Buffer][] {
  const names = readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
  return names.filter((path) => statSync(path).isFile()).map((path) => [path, readFileSync(path)]);
}

async function until(condition: () => boolean, withinMs = 8_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await delay(10);
  }
}
