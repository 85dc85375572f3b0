/** What must not be noticed by clients: reloads, the death of a worker, and what is told when a drain runs out of time. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Pool } from 'undici';
import { afterEach, expect, test } from 'vitest';

import { startFaultUpstream } from '../support/fault-upstream.ts';
import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const KEY = 'under-load-key-0123456789';
const ENV = { KEY, ADMIN: 'under-load-admin-0123456789' };
const config = (round: number, drainS = 30): string => `
server: { workers: 2, drain_s: ${drainS} }
providers: { demo: {} }
models:
  - { name: demo, targets: [{ provider: demo, model: demo, params: { user: "round-${round}" } }] }
  - { name: "extra-${round}", targets: [{ provider: demo, model: demo }] }
keys: [{ name: load, key: "\${env:KEY}", models: ["*"] }]
admin: { key: "\${env:ADMIN}" }
`;

const open: { signalbox: Signalbox; pools: Pool[] }[] = [];

async function serve(
  options: { config?: string; env?: Record<string, string> } = {},
): Promise<{ one: Signalbox; connect: () => Pool }> {
  const one = await startSignalbox({ config: options.config ?? config(0), env: { ...ENV, ...options.env } });
  const pools: Pool[] = [];
  open.push({ signalbox: one, pools });
  const connect = (): Pool => {
    const pool = new Pool(one.url, { connections: 1 });
    pools.push(pool);
    return pool;
  };
  return { one, connect };
}

afterEach(async () => {
  for (const { signalbox, pools } of open.splice(0)) {
    await Promise.all(pools.map((pool) => pool.destroy()));
    await signalbox.kill();
  }
});

interface Asked {
  status: number;
  text: string;
  worker: string;
}

async function ask(pool: Pool, words: number, stream = false): Promise<Asked> {
  const body = JSON.stringify({ model: 'demo', stream, messages: [{ role: 'user', content: 'word '.repeat(words) }] });
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const answer = await pool.request({ path: '/v1/chat/completions', method: 'POST', headers, body });
  return { status: answer.statusCode, text: await answer.body.text(), worker: String(answer.headers['x-signalbox-worker']) };
}

test('ten reloads under load: no request fails, no stream is cut', { timeout: 60_000 }, async () => {
  const { one, connect } = await serve();
  const until = new AbortController();
  const counts = { whole: 0, streamed: 0 };
  const loop = async (pool: Pool, stream: boolean): Promise<void> => {
    while (!until.signal.aborted) {
      const { status, text } = await ask(pool, 3, stream);
      expect(status).toBe(200);
      if (stream) expect(text).toMatch(/data: \[DONE\]\n\n$/);
      counts[stream ? 'streamed' : 'whole']++;
    }
  };
  const loops = Array.from({ length: 8 }, (_, index) => loop(connect(), index % 2 === 0));
  for (let round = 1; round <= 10; round++) {
    expect(await one.reload(config(round))).toContain('in force');
    await sleep(300);
  }
  until.abort();
  await Promise.all(loops);
  expect(counts.whole).toBeGreaterThan(8);
  expect(counts.streamed).toBeGreaterThan(8);
});

test('a worker dies under load: streams of the other go on whole, and it is replaced', { timeout: 60_000 }, async () => {
  const { one, connect } = await serve({ env: INSPECTED });
  const streams = Array.from({ length: 16 }, () =>
    ask(connect(), 150, true).then(
      (asked) => asked,
      (error: Error) => error,
    ),
  );
  await sleep(500);
  await killWorker(one);
  const ended = await Promise.all(streams);
  const whole = ended.filter((each): each is Asked => !(each instanceof Error));
  const survivors = new Set(whole.map((each) => each.worker));
  expect(survivors.size).toBe(1);
  for (const each of whole) expect(each.text).toMatch(/data: \[DONE\]\n\n$/);
  expect(whole.length).toBeGreaterThan(0);
  expect(whole.length).toBeLessThan(16);
  await expect.poll(() => one.stderr(), { timeout: 10_000 }).toContain('a dead worker was replaced');
  const after = await Promise.all(Array.from({ length: 24 }, () => ask(connect(), 1)));
  expect(new Set(after.map((each) => each.status))).toEqual(new Set([200]));
  expect(new Set(after.map((each) => each.worker)).size).toBe(2);
});

test(
  'a drain that runs out of time: the open stream is told so in its own words, and the exit is 0',
  { timeout: 60_000 },
  async () => {
    const event = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: 'and then' } }] })}\n\n`;
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
    const endless = await startFaultUpstream(() => [{ send: head + event }, 'hang']);
    const provider = `demo: { type: openai-compatible, base_url: "${endless.url}/v1", api_key: none }`;
    const { one, connect } = await serve({ config: config(0, 1).replace('demo: {}', provider) });
    const stream = ask(connect(), 1, true);
    await expect.poll(() => endless.requests.length).toBe(1);
    one.process.kill('SIGTERM');
    const { text } = await stream;
    expect(text.startsWith(event)).toBe(true);
    expect(text).not.toContain('[DONE]');
    expect(text.trimEnd().split('\n\n').at(-1)).toMatch(/^data: \{"error":\{"message":"Signalbox is shutting down"/);
    expect(await one.exited).toBe(0);
    await endless.close();
  },
);
