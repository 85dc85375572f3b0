/** Every key of routing shows what it does, in the running product. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { LAST_CHUNK, SSE_HEAD, chunk, whole } from '../support/fault-upstream.ts';
import { BEGIN, answerSteps, streamSteps } from '../support/fronts.ts';
import { type RoutingBox, at, refuses, startRoutingBox } from '../support/routing-box.ts';

const PRICED = (usd: number) => ({ price: { input_usd_per_mtok: usd, output_usd_per_mtok: usd } });
const HASTY = { timeouts: { total_ms: 300, first_byte_ms: 300 } };
const FIRST = { order: 1 };
const SECOND = { order: 2 };
const FAILS = refuses(500, 'broken');

const MODELS: object[] = [
  at('in-turn', { a: {}, b: {} }, { strategy: 'round_robin' }),
  at('by-order', { a: SECOND, b: FIRST }, { strategy: 'priority' }),
  at('idle', { a: {}, b: {} }, { strategy: 'least_busy' }),
  at('quick', { a: {}, b: {} }, { strategy: 'latency-based-routing' }),
  at('cheap', { a: PRICED(9), b: PRICED(1), c: PRICED(5) }, { strategy: 'cost' }),
  at('used', { a: { limits: { tpm: 10_000 } }, b: { limits: { tpm: 10_000 } } }, { strategy: 'usage' }),
  at('aware', { a: { limits: { rpm: 4 } }, b: { limits: { rpm: 100 } } }, { strategy: 'rate_limit_aware' }),
  at('weighted', { a: { weight: 1 }, b: { weight: 0 } }),
  at('no-retry', { a: FIRST, b: SECOND }, { retries: 0 }),
  at('one-retry', { a: { order: 1 }, b: { order: 2 }, c: { order: 3 } }, { retries: 1 }),
  at('late', { a: { ...FIRST, ...HASTY }, b: SECOND }, { deadline_ms: 200 }),
  at('client-late', { a: { ...FIRST, timeouts: { total_ms: 1_200 } }, b: SECOND }),
  at('row', { a: FIRST, b: SECOND }, { breaker: { failures: 2, open_s: 1 } }),
  at('share', { a: FIRST, b: SECOND }, { retries: 1, breaker: { failures: 100, failure_share: 0.3, open_s: 60 } }),
  at('window', { a: FIRST, b: SECOND }, { breaker: { failures: 100, failure_share: 0.9, window_s: 1, open_s: 60 } }),
  at('kept', { a: FIRST, b: SECOND }, { breaker: { failures: 1, open_s: 60 } }),
  at(
    'falls',
    { a: {} },
    {
      retries: 0,
      fallbacks: ['saves'],
      fallbacks_on: { context_window: ['wide'], content_policy: ['lenient'], rate_limit: ['roomy'] },
    },
  ),
  at('falls-plainly', { a: {} }, { retries: 0, fallbacks: ['saves'] }),
  ...['saves', 'wide', 'lenient', 'roomy', 'granted', 'wished'].map((name) => at(name, { b: {} })),
  at('held', { a: {} }, { retries: 0, fallbacks: ['tiny'], breaker: { failures: 1, open_s: 60 } }),
  at(
    'crowded',
    { a: { limits: { rpm: 1 }, context_window: 1_000 } },
    { fallbacks: ['saves'], fallbacks_on: { rate_limit: ['roomy'], context_window: ['wide'] } },
  ),
  at('tiny', { b: {} }, { limits: { rpm: 1 } }),
  at('session', { a: {}, b: {}, c: {} }, { strategy: 'round_robin', sticky: ['session', 'user'] }),
  at('prefix', { a: {}, b: {}, c: {} }, { strategy: 'round_robin', sticky: 'prefix' }),
  at('by-name', { a: {} }, { aliases: ['by-another-name', 'third-name'], limits: { rpm: 1000 } }),
  { name: 'group', models: ['member-1', 'member-2'], strategy: 'round_robin' },
  at('member-1', { a: {} }),
  at('member-2', { b: {} }),
  at('tagged', { a: { tags: ['eu'] }, b: { tags: ['us', 'default'] }, c: { tags: ['eu', 'fast'] } }),
  at('placed', { a: { region: 'eu-west-1' }, b: { region: 'us-east-1' }, c: {} }, { strategy: 'round_robin' }),
  at('small', { a: { ...FIRST, context_window: 100 }, b: { ...SECOND, context_window: 100_000 } }),
  at('able', { a: { ...FIRST, capabilities: ['tools'] }, b: { ...SECOND, capabilities: ['tools', 'vision', 'json_schema'] } }),
  at('refused', { a: FIRST, b: SECOND }),
  at('unknown', { a: FIRST, b: SECOND }),
  at('poor', { a: FIRST, b: SECOND }),
  at('patient', { a: {} }, { breaker: { open_s: 1 } }),
  at('impatient', { a: {} }),
  at('spent', { a: {}, b: {} }),
  at('overloaded', { a: FIRST, b: SECOND }),
  at('thinks', { a: {} }),
  at('floods', { a: {} }),
  at('silent', { a: {} }),
  at('limited', { a: { ...FIRST, limits: { rpm: 1 } }, b: SECOND }),
  at('signed', { claude: {} }),
  at('crossing', { claude: FIRST, a: SECOND }),
  at(
    'explained',
    { a: { ...PRICED(2), tags: ['x'] }, b: { ...PRICED(1), tags: ['x'] } },
    { strategy: 'cost', fallbacks: ['saves'], sticky: ['session'] },
  ),
  {
    name: 'wild/*',
    strategy: 'round_robin',
    targets: [
      { provider: 'a', model: '*' },
      { provider: 'b', model: '*' },
    ],
  },
];

let own: RoutingBox;
beforeAll(async () => {
  own = await startRoutingBox(MODELS);
});
afterAll(() => own?.close());

const providersOf = (model: string): string =>
  own
    .asked(model)
    .map((target) => target.split('/')[0])
    .join(' ');
const served = (reply: { headers: Record<string, string> }): string | undefined => reply.headers['x-signalbox-provider'];
const many = async (model: string, count: number, more: object = {}, headers: Record<string, string> = {}): Promise<string[]> => {
  const found: string[] = [];
  for (let n = 0; n < count; n++) found.push(served(await own.chat(model, more, { headers })) ?? 'none');
  return found;
};
const count = (all: readonly string[], one: string): number => all.filter((each) => each === one).length;

/** What the store has of an exchange. */
async function recordOf(reply: Reply): Promise<unknown> {
  const headers = { authorization: 'Bearer key-of-the-operator-01' };
  const get = async (path: string) => jsonOf(await ask(`${own.box.url}/admin/v1/requests${path}`, { headers }));
  const rows = async () => (await get(`?request_id=${reply.headers['x-request-id']!}`))['data'] as { id: string }[];
  await expect.poll(async () => (await rows()).length, { timeout: 10_000 }).toBe(1);
  return get(`/${(await rows())[0]!.id}`);
}

describe('strategies', () => {
  it('round_robin: in turn', async () => {
    const found = await many('in-turn', 6);
    expect(new Set(found.slice(0, 2))).toEqual(new Set(['a', 'b']));
    expect(found.slice(2)).toEqual([...found.slice(0, 2), ...found.slice(0, 2)]);
  });

  it('priority: the lowest order there is', async () => {
    expect(count(await many('by-order', 5), 'b')).toBe(5);
  });

  it('weighted: none without weight while another can', async () => {
    expect(count(await many('weighted', 5), 'a')).toBe(5);
  });

  it('least_busy: where less is under way', async () => {
    own.play('a/idle', () => [{ waitMs: 800 }, ...answerSteps('chat')]);
    const slow = Array.from({ length: 4 }, () => own.chat('idle'));
    await delay(200);
    const found = await many('idle', 6);
    await Promise.all(slow);
    expect(count(found, 'b')).toBeGreaterThanOrEqual(5);
  });

  it('latency, by another gateway’s name too: where answers come sooner', async () => {
    own.play('a/quick', () => [{ waitMs: 120 }, ...answerSteps('chat')]);
    await many('quick', 15);
    expect(count(await many('quick', 20), 'b')).toBeGreaterThanOrEqual(17);
  });

  it('cost: where this request costs least', async () => {
    expect(count(await many('cheap', 5), 'b')).toBe(5);
  });

  it('usage: where fewer tokens of the limit are used', async () => {
    const found = await many('used', 4);
    expect(count(found, 'a')).toBe(2);
  });

  it('rate_limit_aware: where most of the limit is left', async () => {
    const found = await many('aware', 8);
    expect(count(found, 'b')).toBeGreaterThanOrEqual(6);
  });
});

describe('retries', () => {
  it('none; one; each at another target', async () => {
    for (const target of ['a/no-retry', 'a/one-retry', 'b/one-retry']) own.play(target, FAILS);
    expect((await own.chat('no-retry')).status).toBe(502);
    expect(providersOf('no-retry')).toBe('a');
    expect((await own.chat('one-retry')).status).toBe(502);
    expect(providersOf('one-retry')).toBe('a b');
  });

  it('none begins behind the deadline, the model’s or the client’s', async () => {
    own.play('a/late', () => ['hang']);
    expect((await own.chat('late')).status).toBe(504);
    expect(providersOf('late')).toBe('a');
    own.play('a/client-late', () => ['hang']);
    expect((await own.chat('client-late', {}, { headers: { 'x-stainless-timeout': '1' } })).status).toBe(504);
    expect(providersOf('client-late')).toBe('a');
  });

  it('clients need not try again what was tried again', async () => {
    for (const target of ['a/spent', 'b/spent']) own.play(target, FAILS);
    const reply = await own.chat('spent');
    expect(reply.status).toBe(502);
    expect(reply.headers['x-should-retry']).toBe('false');
    expect(Number(reply.headers['x-signalbox-attempts'])).toBe(3);
  });

  it('a short Retry-After of the only target is waited for, a long one is told', async () => {
    let asked = 0;
    own.play('a/patient', () => (asked++ === 0 ? refuses(429, 'slow down', { 'retry-after': 1 })() : answerSteps('chat')));
    const from = performance.now();
    expect((await own.chat('patient')).status).toBe(200);
    expect(performance.now() - from).toBeGreaterThan(990);
    own.play('a/impatient', refuses(429, 'slow down', { 'retry-after': 30 }));
    const reply = await own.chat('impatient');
    expect([reply.status, reply.headers['retry-after'], reply.headers['x-should-retry']]).toEqual([429, '30', undefined]);
    expect(own.asked('impatient')).toHaveLength(1);
  });

  it('an overload within the stream, before its content, is one that another target answers', async () => {
    const error = `data: ${JSON.stringify({ error: { message: 'overloaded', type: 'overloaded_error', code: 503 } })}\n\n`;
    own.play('a/overloaded', () => [
      { send: SSE_HEAD },
      { send: chunk(BEGIN.chat) },
      { send: chunk(error) },
      { send: LAST_CHUNK },
    ]);
    const reply = await own.chat('overloaded', { stream: true });
    expect([reply.status, served(reply), reply.headers['x-signalbox-attempts']]).toEqual([200, 'b', '2']);
    expect(reply.text).not.toContain('overloaded');
    expect(reply.text.match(/"role":"assistant"/g)).toHaveLength(1);
  });
});

describe('a stream is held until its first content', () => {
  it('for two seconds at most: who thinks longer has shown his role by then', async () => {
    own.play('a/thinks', () => [
      { send: SSE_HEAD },
      { send: chunk(BEGIN.chat) },
      { waitMs: 2_700 },
      ...streamSteps('chat').slice(2),
    ]);
    const from = performance.now();
    const reply = await own.chat('thinks', { stream: true });
    expect(reply.text.match(/"role":"assistant"/g)).toHaveLength(1);
    expect(reply.text).toContain('clear.');
    expect(reply.arrivedAt[0]! - from).toBeGreaterThan(1_900);
    expect(reply.arrivedAt[0]! - from).toBeLessThan(2_600);
  });

  it('and for so many bytes: a flood of nothing goes on as it comes, whole and in its order', async () => {
    const pings = Array.from({ length: 2_000 }, (_, n) => `: ping ${n} ${'x'.repeat(40)}\n\n`);
    own.play('a/floods', () => [
      { send: SSE_HEAD },
      { send: chunk(BEGIN.chat) },
      ...pings.map((ping) => ({ send: chunk(ping) })),
      ...streamSteps('chat').slice(2),
    ]);
    const { text } = await own.chat('floods', { stream: true });
    expect(text).toContain(pings.join(''));
    expect(text.indexOf('"role"')).toBeLessThan(text.indexOf('ping 0'));
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  it('and without any it is answered whole', async () => {
    own.play('a/silent', () => streamSteps('chat', []));
    const { text } = await own.chat('silent', { stream: true });
    expect(text).toContain('"role":"assistant"');
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });
});

describe('the breaker', () => {
  it('opens after so many failures in a row, for so long; then one attempt finds out', async () => {
    own.play('a/row', FAILS);
    expect(count(await many('row', 6), 'b')).toBe(6);
    expect(count(own.asked('row'), 'a/row')).toBe(2);
    expect(await own.metrics()).toMatch(/signalbox_target_state\{target="a\/row"\} 2/);
    own.play('a/row', () => answerSteps('chat'));
    await delay(1_100);
    expect(count(await many('row', 3), 'a')).toBe(3);
    expect(await own.metrics()).toMatch(/signalbox_target_state\{target="a\/row"\} 0/);
  });

  it('opens at a share of failures', async () => {
    let asked = 0;
    own.play('a/share', () => (asked++ % 2 === 0 ? FAILS() : answerSteps('chat')));
    await many('share', 16);
    expect(count(own.asked('share'), 'a/share')).toBeGreaterThanOrEqual(10);
    expect(count(own.asked('share'), 'a/share')).toBeLessThan(14);
  });

  it('counts no further back than its window', async () => {
    own.play('a/window', FAILS);
    await many('window', 6);
    await delay(2_100);
    await many('window', 6);
    expect(count(own.asked('window'), 'a/window')).toBe(12);
  });

  it('outlives a reload', async () => {
    own.play('a/kept', FAILS);
    await many('kept', 2);
    expect(count(own.asked('kept'), 'a/kept')).toBe(1);
    await own.box.reload(own.config([...MODELS, at('new', { a: {} })]));
    expect((await own.chat('new')).status).toBe(200);
    expect(count(await many('kept', 3), 'b')).toBe(3);
    expect(count(own.asked('kept'), 'a/kept')).toBe(1);
  });

  it.each([
    ['refused', refuses(401, 'no such key'), 'credential'],
    ['unknown', refuses(404, 'no such model'), 'model'],
    ['poor', refuses(402, 'pay first'), 'exhausted'],
  ])('%s by a provider: another one is asked, the operator is told, and it is left alone', async (model, script, reason) => {
    own.play(`a/${model}`, script);
    expect(count(await many(model, 3), 'b')).toBe(3);
    expect(count(own.asked(model), `a/${model}`)).toBe(1);
    const told = () =>
      own.log.lines().find((line) => line['event'] === 'target.failing' && String(line['scope']) === `target:a/${model}`);
    await expect.poll(told).toMatchObject({ reason });
  });
});

describe('fallbacks', () => {
  const servedBy = async (model: string, more: object = {}): Promise<unknown[]> => {
    const reply = await own.chat(model, more);
    return [reply.status, reply.headers['x-signalbox-model']];
  };

  it('by cause', async () => {
    own.play('a/falls', FAILS);
    expect(await servedBy('falls')).toEqual([200, 'saves']);
    own.play('a/falls', refuses(400, 'too long', {}, { code: 'context_length_exceeded' }));
    expect(await servedBy('falls')).toEqual([200, 'wide']);
    own.play('a/falls', refuses(400, 'no', {}, { code: 'content_filter' }));
    expect(await servedBy('falls')).toEqual([200, 'lenient']);
    own.play('a/falls', refuses(429, 'slow down', { 'retry-after': 60 }));
    expect(await servedBy('falls')).toEqual([200, 'roomy']);
  });

  it('what has no list of its own: the general one, but never for what a provider will not say', async () => {
    own.play('a/falls-plainly', refuses(400, 'too long', {}, { code: 'context_length_exceeded' }));
    expect(await servedBy('falls-plainly')).toEqual([200, 'saves']);
    own.play('a/falls-plainly', refuses(400, 'no', {}, { code: 'content_filter' }));
    expect((await servedBy('falls-plainly'))[0]).toBe(400);
    own.play('a/falls-plainly', refuses(400, 'bad temperature'));
    expect((await servedBy('falls-plainly'))[0]).toBe(400);
  });

  it('of the caller: by his own grant, and none if he says so; nothing of it goes upstream', async () => {
    own.play('a/falls-plainly', FAILS);
    expect(await servedBy('falls-plainly', { fallbacks: ['wished'] })).toEqual([200, 'wished']);
    expect((await servedBy('falls-plainly', { disable_fallbacks: true }))[0]).toBe(502);
    for (const body of [...own.bodies('a/falls-plainly'), ...own.bodies('b/wished')]) {
      expect(body).not.toHaveProperty('fallbacks');
      expect(body).not.toHaveProperty('disable_fallbacks');
    }
    expect((await own.chat('granted', { fallbacks: ['wished'] }, { key: 'NARROW_KEY' })).status).toBe(404);
    expect((await own.chat('granted', { fallbacks: 'wished' })).status).toBe(400);
    expect((await own.chat('granted', { disable_fallbacks: 1 })).status).toBe(400);
  });

  it('also where our own limits, or our own count of the prompt, left nobody to ask', async () => {
    expect(await servedBy('crowded')).toEqual([200, 'crowded']);
    expect(await servedBy('crowded')).toEqual([200, 'roomy']);
    const messages = [{ role: 'user', content: 'word '.repeat(5_000) }];
    expect(await servedBy('crowded', { messages })).toEqual([200, 'wide']);
  });

  it('an open breaker holds nobody back once no fallback has room', async () => {
    own.play('a/held', FAILS);
    expect(await servedBy('held')).toEqual([200, 'tiny']);
    own.play('a/held', () => answerSteps('chat'));
    expect(await servedBy('held')).toEqual([200, 'held']);
  });

  it('the record says where it came from', async () => {
    const record = await recordOf(await own.chat('falls'));
    expect(record).toMatchObject({
      model: 'saves',
      detail: {
        routing: {
          strategy: 'weighted',
          fellFrom: ['falls'],
          candidates: 1,
          considered: [{ target: 'a/falls', excludedBy: 'breaker' }],
        },
      },
    });
  });
});

describe('what stays together', () => {
  it('a session; else a user', async () => {
    expect(new Set(await many('session', 5, {}, { 'x-session-id': 'one' })).size).toBe(1);
    expect(new Set(await many('session', 5, { user: 'somebody' })).size).toBe(1);
    const spread = await Promise.all(
      Array.from({ length: 20 }, (_, n) => own.chat('session', {}, { headers: { 'x-session-id': `s${n}` } })),
    );
    expect(new Set(spread.map(served)).size).toBe(3);
  });

  it('prompts that begin alike', async () => {
    const prompt = (begin: string, end: string) => ({ messages: [{ role: 'user', content: begin.repeat(5_000) + end }] });
    const found = [
      served(await own.chat('prefix', prompt('x', '1'))),
      served(await own.chat('prefix', prompt('x', '2'))),
      served(await own.chat('prefix', prompt('x', '3'))),
    ];
    expect(new Set(found).size).toBe(1);
    expect(new Set(await many('prefix', 3)).size).toBe(3);
  });
});

describe('names', () => {
  it('aliases: granted by any of them, listed, and one model to limits and records', async () => {
    const narrow = { key: 'NARROW_KEY' } as const;
    expect((await own.chat('by-another-name', {}, narrow)).status).toBe(200);
    expect((await own.chat('third-name', {}, narrow)).status).toBe(404);
    const reply = await own.chat('third-name');
    expect(reply.headers['x-signalbox-model']).toBe('third-name');
    expect(reply.headers['x-ratelimit-limit-requests']).toBe('1000');
    expect(await recordOf(reply)).toMatchObject({ model: 'by-name' });
    const listed = await ask(`${own.box.url}/v1/models`, { headers: { authorization: 'Bearer key-of-the-client-0003' } });
    expect((jsonOf(listed)['data'] as { id: string }[]).map(({ id }) => id).sort()).toEqual(['by-another-name', 'granted']);
  });

  it('groups: the targets of all their members', async () => {
    expect(new Set(await many('group', 4))).toEqual(new Set(['a', 'b']));
    expect(new Set([...own.asked('member-1'), ...own.asked('member-2')])).toEqual(new Set(['a/member-1', 'b/member-2']));
  });

  it('wildcards take turns as other models do', async () => {
    expect(count(await many('wild/one', 4), 'a')).toBe(2);
  });
});

describe('filters', () => {
  it('tags: of a header, of the key, which binds', async () => {
    expect(new Set(await many('tagged', 4))).toEqual(new Set(['b']));
    expect(new Set(await many('tagged', 8, {}, { 'x-signalbox-tags': 'fast' }))).toEqual(new Set(['c']));
    const european = { key: 'EU_KEY' } as const;
    const europeans = await Promise.all(Array.from({ length: 12 }, () => own.chat('tagged', {}, european)));
    expect(new Set(europeans.map(served))).toEqual(new Set(['a', 'c']));
    const widened = await own.chat('tagged', {}, { ...european, headers: { 'x-signalbox-tags': 'us' } });
    expect(widened.status).toBe(503);
    expect(widened.text).toContain('tags');
    expect((await own.chat('tagged', {}, { headers: { 'x-signalbox-tags': 'a b' } })).status).toBe(400);
  });

  it('regions', async () => {
    expect(new Set(await many('placed', 4, {}, { 'x-signalbox-region': 'eu' }))).toEqual(new Set(['a']));
    const nowhere = await own.chat('placed', {}, { headers: { 'x-signalbox-region': 'ap' } });
    expect([nowhere.status, nowhere.headers['x-should-retry']]).toEqual([503, 'false']);
    expect(new Set(await many('placed', 6))).toEqual(new Set(['a', 'b', 'c']));
  });

  it('the context window, by what the prompt has', async () => {
    expect(served(await own.chat('small'))).toBe('a');
    expect(served(await own.chat('small', { messages: [{ role: 'user', content: 'word '.repeat(2_000) }] }))).toBe('b');
  });

  it('what a target can do', async () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    expect(served(await own.chat('able', { tools }))).toBe('a');
    expect(
      served(await own.chat('able', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } })),
    ).toBe('b');
    const image = [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }];
    expect(served(await own.chat('able', { messages: [{ role: 'user', content: image }] }))).toBe('b');
  });

  it('limits of a target', async () => {
    expect(await many('limited', 3)).toEqual(['a', 'b', 'b']);
  });
});

describe('thinking', () => {
  const thinking = { type: 'thinking', thinking: 'hm', signature: 'of-somebody-else' };
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: [thinking, { type: 'text', text: 'b' }] },
    { role: 'user', content: 'c' },
  ];
  const send = (model: string) => own.call('/v1/messages', { model, max_tokens: 50, messages });

  it('that a provider refuses is left out, and the same target asked again', async () => {
    own.play('claude/signed', ({ body }) =>
      body.includes('of-somebody-else')
        ? refuses(400, 'messages.1.content.0: Invalid `signature` in `thinking` block')()
        : answerSteps('messages'),
    );
    const reply = await send('signed');
    expect([reply.status, reply.headers['x-signalbox-attempts']]).toEqual([200, '2']);
    expect(JSON.stringify(own.bodies('claude/signed')[0])).toContain('of-somebody-else');
    expect(own.bodies('claude/signed')[1]!['messages']).toEqual([
      messages[0],
      { role: 'assistant', content: [{ type: 'text', text: 'b' }] },
      messages[2],
    ]);
  });

  it('does not follow to another family', async () => {
    own.play('claude/crossing', () => [
      { send: whole(529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}') },
    ]);
    expect((await send('crossing')).status).toBe(200);
    expect(JSON.stringify(own.bodies('claude/crossing')[0])).toContain('of-somebody-else');
    expect(JSON.stringify(own.bodies('a/crossing')[0])).not.toContain('of-somebody-else');
  });
});

describe('explain', () => {
  const body = { model: 'explained', messages: [{ role: 'user', content: 'x' }] };

  it('tells candidates in their order, prices, breakers, fallbacks; nothing is sent', async () => {
    const before = own.asked().length;
    const told = await own.explain({ body, headers: { 'x-signalbox-tags': 'x', 'x-session-id': 's' } });
    expect(told).toMatchObject({
      model: 'explained',
      strategy: 'cost',
      sticky: true,
      sticky_by: ['session'],
      retries: 2,
      request: { tags: ['x'], region: null, needs: [] },
      fallbacks: { general: ['saves'] },
      plans_of_fallbacks: [{ model: 'saves', candidates: [{ target: 'b/saves', rank: 1 }] }],
    });
    const candidates = told['candidates'] as Record<string, unknown>[];
    expect(candidates).toHaveLength(2);
    expect(new Set(candidates.map(({ rank }) => rank))).toEqual(new Set([1, 2]));
    expect(candidates[0]).toMatchObject({
      target: 'a/explained',
      provider: 'a',
      breaker: 'closed',
      in_flight: 0,
      excluded_by: [],
      open_until: null,
    });
    expect(Number(candidates[0]!['cost_usd'])).toBeGreaterThan(Number(candidates[1]!['cost_usd']));
    expect(own.asked()).toHaveLength(before);
  });

  it('tells which filter excludes whom, for a key of its own', async () => {
    const told = await own.explain({
      body: { ...body, model: 'tagged' },
      key: 'european',
      headers: { 'x-signalbox-tags': 'fast' },
    });
    const excluded = Object.fromEntries(
      (told['candidates'] as { target: string; excluded_by: object[] }[]).map(({ target, excluded_by }) => [target, excluded_by]),
    );
    expect(excluded).toEqual({
      'a/tagged': [{ filter: 'tags', because: 'carries eu; the request asks for fast' }],
      'b/tagged': [{ filter: 'tags', because: expect.stringContaining('the key is bound to eu') }],
      'c/tagged': [],
    });
  });

  it.each([
    [{}, 'body'],
    [{ body: 'x' }, 'body'],
    [{ body, surface: 'video' }, 'surface'],
    [{ body, headers: { a: 1 } }, 'headers'],
    [{ body, key: 'nobody' }, 'key'],
    [{ body, strange: 1 }, 'strange'],
    [{ body: { messages: [] } }, 'model'],
  ])('%j is refused', async (asked, param) => {
    expect(await own.explain(asked)).toMatchObject({ error: { param } });
  });

  it('is the operator’s', async () => {
    const reply = await own.call('/admin/v1/route/explain', { body });
    expect(reply.status).toBe(401);
  });
});

describe('stored responses', () => {
  it('what refers to one goes where it is stored, whichever worker asks', async () => {
    await using pinned = await (async () => {
      const box = await startRoutingBox([at('stores', { openai: {}, azure: {} }, { strategy: 'round_robin' })], 2);
      return Object.assign(box, { [Symbol.asyncDispose]: () => box.close() });
    })();
    let next = 0;
    const stored = new Map<string, string>();
    for (const provider of ['openai', 'azure']) {
      pinned.play(`${provider}/stores`, () => {
        const id = `resp_${provider}_${next++}`;
        return [
          {
            send: whole(
              200,
              JSON.stringify({
                id,
                object: 'response',
                status: 'completed',
                model: 'm',
                output: [],
                usage: { input_tokens: 1, output_tokens: 1 },
              }),
            ),
          },
        ];
      });
    }
    for (let n = 0; n < 8; n++) {
      const reply = await pinned.call('/v1/responses', { model: 'stores', input: 'x' });
      stored.set(String(jsonOf(reply)['id']), served(reply)!);
    }
    expect(new Set(stored.values())).toEqual(new Set(['openai', 'azure']));
    for (const [id, provider] of stored) {
      for (let n = 0; n < 4; n++) {
        const reply = await pinned.call(
          '/v1/responses',
          { model: 'stores', input: 'x', previous_response_id: id },
          { headers: { connection: 'close' } },
        );
        expect(served(reply)).toBe(provider);
      }
    }
  });
});

describe('health checks', () => {
  it('take a target out before any request hits it; a real answer brings it back', async () => {
    const checked = await startRoutingBox([at('checked', { a: FIRST, b: SECOND }, { breaker: { failures: 1, open_s: 1 } })], 2, {
      a: { health_check: { interval_s: 1, timeout_s: 1, path: '/models' } },
    });
    try {
      checked.play('a/GET', refuses(500, 'down'));
      await expect.poll(checked.metrics, { timeout: 10_000 }).toMatch(/signalbox_target_state\{target="a\/checked"\} 2/);
      expect(served(await checked.chat('checked'))).toBe('b');
      expect(checked.asked('checked')).toEqual(['b/checked']);
      checked.play('a/GET', () => [{ send: whole(200, '{"data":[]}') }]);
      await expect.poll(async () => served(await checked.chat('checked')), { timeout: 10_000, interval: 200 }).toBe('a');
      expect(await checked.metrics()).toMatch(/signalbox_target_state\{target="a\/checked"\} 0/);
    } finally {
      await checked.close();
    }
  });
});
