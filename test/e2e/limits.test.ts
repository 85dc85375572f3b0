/** Limits through the whole product: exact over workers, corrected, refunded, given back. */
import { Client } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';

import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { KEYS, type LimitsBox, answered, endless, startLimitsBox, statuses, streamed, usage } from '../support/limits-box.ts';

const started: LimitsBox[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop()));
});

async function serve(...args: Parameters<typeof startLimitsBox>): Promise<LimitsBox> {
  const one = await startLimitsBox(...args);
  started.push(one);
  return one;
}

const many = <Result>(count: number, work: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

/** One model `m` of one target, and a key with these limits. */
const simple =
  (limits: string, more = '') =>
  (lab: string): string =>
    `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models:
  - { name: m, targets: [{ provider: lab, model: up }] }
keys:
  - { name: ci, key: "\${env:CI}", limits: ${limits} }
  - { name: other, key: "\${env:OTHER}" }
${more}`;

describe.each([1, 4])('requests, %i workers', (workers) => {
  test('1,000 at once against 100 a minute: 100 are served, and nobody else pays for it', async () => {
    const { chat, seen } = await serve(simple('{ rpm: 100 }'), { workers });
    const [limited, free] = await Promise.all([many(1_000, () => chat(KEYS.CI)), many(50, () => chat(KEYS.OTHER))]);
    expect(statuses(limited)).toEqual({ 200: 100, 429: 900 });
    expect(statuses(free)).toEqual({ 200: 50 });
    expect(seen('up')).toBe(150);
    for (const { headers, body } of limited.filter(({ status }) => status === 429)) {
      const retryAfterS = Number(headers['retry-after']);
      expect(retryAfterS).toBeGreaterThan(30);
      expect(retryAfterS).toBeLessThanOrEqual(60);
      expect(body.error).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded' });
      expect(body.error!.message).toContain('key `ci`');
      expect(headers).toMatchObject({ 'x-ratelimit-limit-requests': '100', 'x-ratelimit-remaining-requests': '0' });
    }
  });
});

test('a refused caller keeps his connection, and his body is not relayed', async () => {
  const { chat, box, seen } = await serve(simple('{ rpm: 1 }'), { workers: 1 });
  const client = new Client(box.url, { pipelining: 1 });
  const opened: unknown[] = [];
  client.on('connect', () => opened.push(1));
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(116_000) }] });
  const headers = { authorization: `Bearer ${KEYS.CI}`, 'content-type': 'application/json' };
  expect((await chat(KEYS.CI)).status).toBe(200);
  for (let each = 0; each < 20; each++) {
    const answer = await client.request({ path: '/v1/chat/completions', method: 'POST', headers, body });
    expect(answer.statusCode).toBe(429);
    await answer.body.dump();
  }
  await client.close();
  expect(opened).toHaveLength(1);
  expect(seen('up')).toBe(1);
});

describe('tokens', () => {
  test('are corrected to what was charged: 2,000 a minute are 40 calls of 50, whatever was estimated', async () => {
    const { chat, play } = await serve(simple('{ tpm: 2000 }'));
    play(() => answered(usage(1_030, 20, 1_000)));
    const remaining: number[] = [];
    for (;;) {
      const { status, headers } = await chat(KEYS.CI, { max_tokens: 20 });
      if (status !== 200) {
        expect(headers['x-ratelimit-limit-tokens']).toBe('2000');
        break;
      }
      remaining.push(Number(headers['x-ratelimit-remaining-tokens']));
    }
    // The last ones may be kept out by an estimate that is a little too large.
    expect(remaining.length).toBeGreaterThanOrEqual(38);
    expect(remaining.length).toBeLessThanOrEqual(40);
    expect(remaining[10]! - remaining[20]!).toBe(500);
  });

  test('overdrawn by an answer, a window stays so', async () => {
    const { chat, play } = await serve(simple('{ tpm: 1000 }'));
    play(() => answered(usage(4_000, 1_000)));
    expect((await chat(KEYS.CI)).status).toBe(200);
    const refused = await chat(KEYS.CI);
    expect(refused.status).toBe(429);
    expect(refused.body.error!.message).toContain('1000 tokens in any 60 s');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(55);
  });

  test('of an answer that failed, none are charged; of an embedding, its input', async () => {
    const { chat, play } = await serve(simple('{ tpm: 1000 }'));
    play(() => [{ send: 'HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n' }]);
    for (let each = 0; each < 5; each++) expect((await chat(KEYS.CI, { max_tokens: 900 })).status).toBe(502);
    play(() => answered(usage(10, 0)));
    const { headers } = await chat(KEYS.CI, { max_tokens: 900 });
    expect(Number(headers['x-ratelimit-remaining-tokens'])).toBeGreaterThan(50);
  });
});

describe('concurrency', () => {
  test('as many at once as allowed; leases come back when clients leave, and when answers end', async () => {
    const { chat, play, seen } = await serve(simple('{ concurrent: 3 }'), { workers: 4 });
    play(() => endless());
    const leaving = new AbortController();
    const streams = many(3, () => chat(KEYS.CI, { stream: true }, { signal: leaving.signal }).catch(() => 'left'));
    await expect.poll(() => seen('up')).toBe(3);
    const refused = await chat(KEYS.CI);
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(refused.body.error!.message).toContain('3 requests at once');
    leaving.abort();
    expect(await streams).toEqual(['left', 'left', 'left']);
    play(() => answered());
    await expect.poll(async () => (await chat(KEYS.CI)).status).toBe(200);
    for (let each = 0; each < 20; each++) expect((await chat(KEYS.CI)).status).toBe(200);
  });

  test.each([false, true])('one after the other are never in each other’s way, streams: %s', async (stream) => {
    const { box, play, seen } = await serve(simple('{ concurrent: 1 }'), { workers: 4 });
    if (stream) play(() => streamed());
    // Connections of all workers, by turns; a stream's reader goes on at its last event, before its connection has ended.
    const clients = Array.from({ length: 8 }, () => new Client(box.url));
    const body = JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'hello' }] });
    const headers = { authorization: `Bearer ${KEYS.CI}`, 'content-type': 'application/json' };
    for (let each = 0; each < 200; each++) {
      const client = clients[each % clients.length]!;
      const answer = await client.request({ path: '/v1/chat/completions', method: 'POST', headers, body });
      expect(answer.statusCode).toBe(200);
      await new Promise<void>((resolve) => {
        answer.body.on('data', (chunk: Buffer) => void (chunk.includes('[DONE]') && resolve())).once('end', resolve);
      });
    }
    expect(seen('up')).toBe(200);
    await Promise.all(clients.map((client) => client.destroy()));
  });

  test('1,000 at once against 5: never more at the upstream', async () => {
    const { chat, play } = await serve(simple('{ concurrent: 5 }'), { workers: 4 });
    let now = 0;
    let most = 0;
    play(() => [{ run: () => void (most = Math.max(most, ++now)) }, { waitMs: 300 }, { run: () => void now-- }, ...answered()]);
    const answers = await many(1_000, () => chat(KEYS.CI));
    expect(most).toBe(5);
    const { 200: served = 0, 429: refused = 0 } = statuses(answers);
    expect(served).toBeGreaterThanOrEqual(5);
    expect(served + refused).toBe(1_000);
  });

  test('a worker that dies gives back what it held, and nothing else', { timeout: 60_000 }, async () => {
    const { chat, play, seen, box } = await serve(simple('{ concurrent: 16 }'), { workers: 2, env: INSPECTED });
    play(() => endless());
    let cut = 0;
    const streams = many(16, () => chat(KEYS.CI, { stream: true }).then(String, () => String(cut++)));
    await expect.poll(() => seen('up')).toBe(16);
    expect((await chat(KEYS.CI)).status).toBe(429);
    await killWorker(box);
    await expect.poll(() => box.stderr(), { timeout: 10_000 }).toContain('a dead worker was replaced');
    await expect.poll(() => cut, { timeout: 10_000 }).toBeGreaterThan(0);
    const free = cut;
    expect(free).toBeLessThan(16);
    // Exactly as many as were cut may come in again.
    const more = many(free, () => chat(KEYS.CI, { stream: true }).then(String, String));
    await expect.poll(() => seen('up'), { timeout: 10_000 }).toBe(16 + free);
    expect((await chat(KEYS.CI)).status).toBe(429);
    await box.kill();
    await Promise.all([streams, more]);
  });
});

describe('refunds', () => {
  const config = (lab: string): string => `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models:
  - { name: m, targets: [{ provider: lab, model: up }] }
  - { name: narrow, limits: { rpm: 1, tpm: 100000 }, targets: [{ provider: lab, model: narrow }] }
  - { name: closed, limits: { rpm: 0 }, targets: [{ provider: lab, model: closed }] }
keys: [{ name: ci, key: "\${env:CI}", limits: { rpm: 5, tpm: 100000, concurrent: 1 } }]
`;
  test('what a later check refuses has cost the caller nothing', async () => {
    const { chat, seen } = await serve(config);
    const first = await chat(KEYS.CI, { model: 'narrow' });
    expect([first.status, first.headers['x-ratelimit-remaining-requests']]).toEqual([200, '0']);
    for (let each = 0; each < 10; each++) {
      const refused = await chat(KEYS.CI, { model: 'narrow' });
      expect(refused.status).toBe(429);
      expect(refused.body.error!.message).toContain('model `narrow`');
    }
    const closed = await chat(KEYS.CI, { model: 'closed' });
    expect(closed).toMatchObject({ status: 429, headers: { 'x-should-retry': 'false' } });
    expect((await chat(KEYS.CI, { model: 'nothing' })).status).toBe(404);
    expect((await chat(KEYS.CI, { model: 7 })).status).toBe(400);
    const rest = [];
    for (let each = 0; each < 5; each++) rest.push(await chat(KEYS.CI));
    expect(rest.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429]);
    expect([seen('up'), seen('narrow'), seen('closed')]).toEqual([4, 1, 0]);
  });
});

describe('targets', () => {
  const config = (lab: string): string => `
providers:
  lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none }
  gone: { type: openai-compatible, base_url: "http://127.0.0.1:1/v1", api_key: none, limits: { rpm: 3 } }
models:
  - name: m
    targets:
      - { provider: lab, model: one, weight: 1000000, limits: { rpm: 2 } }
      - { provider: lab, model: two, weight: 0, limits: { rpm: 3 } }
  - { name: dead, targets: [{ provider: gone, model: x }] }
  - { name: "any/*", targets: [{ provider: lab, model: "*", limits: { rpm: 1 } }] }
keys: [{ name: ci, key: "\${env:CI}", limits: { rpm: 100 } }]
`;
  test('one that is used up is passed over; when all are, the soonest to have room says when', async () => {
    const { chat, seen } = await serve(config);
    const answers = [];
    for (let each = 0; each < 6; each++) answers.push(await chat(KEYS.CI));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
    expect([seen('one'), seen('two')]).toEqual([2, 3]);
    expect(answers[5]!.body.error!.message).toContain('target `lab/one`');
    expect(answers[5]!.headers['x-signalbox-attempts']).toBe('0');
    // The key paid for five.
    expect((await chat(KEYS.CI, { model: 'any/thing' })).headers['x-ratelimit-remaining-requests']).toBe('94');
  });

  test('the limit of a wildcard’s target holds for all that it serves', async () => {
    const { chat } = await serve(config);
    expect((await chat(KEYS.CI, { model: 'any/a' })).status).toBe(200);
    expect((await chat(KEYS.CI, { model: 'any/b' })).status).toBe(429);
  });

  test('an attempt that reached nobody does not count', async () => {
    const { chat } = await serve(config);
    for (let each = 0; each < 6; each++) expect((await chat(KEYS.CI, { model: 'dead' })).status).toBe(502);
  });
});

test('priority: a part of a model’s limit is kept for higher classes', async () => {
  const { chat, play, seen } = await serve(
    (lab) => `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models: [{ name: m, limits: { concurrent: 10 }, targets: [{ provider: lab, model: up }] }]
keys:
  - { name: low, key: "\${env:LOW}", priority: low }
  - { name: normal, key: "\${env:OTHER}" }
  - { name: high, key: "\${env:CI}", priority: high }
priorities: { reserve: { high: 0.1, normal: 0.2 } }
`,
  );
  play(() => endless());
  /** Streams until one is refused; how many the upstream then has. */
  const hold = async (key: string): Promise<number> => {
    let refused = false;
    const goesOn = (): boolean => !refused;
    while (goesOn()) {
      const before = seen('up');
      void chat(key, { stream: true }).then(
        ({ status }) => (refused = status === 429),
        () => undefined,
      );
      await expect.poll(() => refused || seen('up') > before, { interval: 5 }).toBe(true);
    }
    return seen('up');
  };
  expect(await hold(KEYS.LOW)).toBe(7);
  expect(await hold(KEYS.OTHER)).toBe(9);
  expect(await hold(KEYS.CI)).toBe(10);
});

test('counting tokens is a request, a list of models is none', async () => {
  const { chat, box } = await serve(simple('{ rpm: 3, tpm: 10 }'));
  const counted = await chat(KEYS.CI, { max_tokens: 5 }, { path: '/v1/messages/count_tokens' });
  expect(counted.headers).toMatchObject({ 'x-ratelimit-remaining-requests': '2' });
  expect(counted.headers['x-ratelimit-limit-tokens']).toBeUndefined();
  for (let each = 0; each < 5; each++) {
    const answer = await fetch(`${box.url}/v1/models`, { headers: { authorization: `Bearer ${KEYS.CI}` } });
    expect(answer.status).toBe(200);
    await answer.text();
  }
  expect((await chat(KEYS.CI)).headers['x-ratelimit-remaining-requests']).toBe('1');
});

test('a limit that is lowered or raised holds at once, for what is already in the window', async () => {
  const { chat, box, upstream } = await serve(simple('{ rpm: 10 }'));
  const head = 'server: { workers: 2 }\nadmin: { key: "${env:ADMIN}" }\n';
  for (let each = 0; each < 5; each++) expect((await chat(KEYS.CI)).status).toBe(200);
  expect(await box.reload(head + simple('{ rpm: 5 }')(upstream.url))).toContain('in force');
  expect((await chat(KEYS.CI)).status).toBe(429);
  expect(await box.reload(head + simple('{ rpm: 6 }')(upstream.url))).toContain('in force');
  expect((await chat(KEYS.CI)).status).toBe(200);
  expect((await chat(KEYS.CI)).status).toBe(429);
});
