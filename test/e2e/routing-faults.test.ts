/** Three providers, each a process of its own, one of which fails in every way there is, under load: no request of a client fails. */
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ask } from '../support/ask.ts';
import { type Command, ROOT, startCommand } from '../support/command.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const KEY = 'key-of-the-client-0001';
const OPEN_S = 1;
const RATE = 80;

interface Provider {
  name: string;
  port: number;
  command: Command;
}

let providers: Provider[];
let box: Signalbox;
let log: ExchangeLog;

async function startProvider(name: string, port = 0): Promise<Provider> {
  const command = startCommand(process.execPath, ['test/fixtures/model-server.ts', String(port)], { cwd: ROOT, env: {} });
  const [, found] = await command.until(/listening on (\d+)/, 20_000);
  return { name, port: Number(found), command };
}

const tell = ({ port }: Provider, kind: string, retryAfterS?: number) =>
  ask(`http://127.0.0.1:${port}/mode`, { body: { kind, ...(retryAfterS !== undefined && { retryAfterS }) } });
const askedOf = async ({ port }: Provider): Promise<number> => Number((await ask(`http://127.0.0.1:${port}/asked`)).text);

beforeAll(async () => {
  providers = await Promise.all(['a', 'b', 'c'].map((name) => startProvider(name)));
  const timeouts = { connect_ms: 300, first_byte_ms: 500, idle_ms: 500, total_ms: 500 };
  const targets = providers.map(({ name }) => ({ provider: name, model: 'm', timeouts }));
  const breaker = { failures: 3, open_s: OPEN_S };
  box = await startSignalbox({
    env: { KEY },
    config: JSON.stringify({
      server: { workers: 2 },
      providers: Object.fromEntries(
        providers.map(({ name, port }) => [
          name,
          { type: 'openai-compatible', base_url: `http://127.0.0.1:${port}/v1`, api_key: 'none' },
        ]),
      ),
      models: [
        { name: 'm', targets, breaker },
        { name: 'stormed', targets, breaker },
      ],
      keys: [{ name: 'client', key: '${env:KEY}', models: ['*'] }],
      telemetry: { log: { format: 'json' } },
    }),
  });
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  for (const { command } of providers ?? []) command.process.kill('SIGKILL');
});
beforeEach(async () => {
  for (const provider of providers) await tell(provider, 'ok');
  // Whatever was open is closed again by those who find out.
  await delay(OPEN_S * 1000);
  await load(0.5);
});

interface Load {
  requests: number;
  failed: string[];
}

/** Half of them streamed. */
async function load(seconds: number, model = 'm'): Promise<Load> {
  const failed: string[] = [];
  const replies: Promise<void>[] = [];
  for (let n = 0; n < seconds * RATE; n++) {
    const stream = n % 2 === 0;
    const one = async (): Promise<void> => {
      const reply = await ask(`${box.url}/v1/chat/completions`, {
        headers: { authorization: `Bearer ${KEY}` },
        body: { model, stream, messages: [{ role: 'user', content: 'Is the line clear?' }] },
      });
      const isWhole = stream
        ? reply.text.includes('clear.') && reply.text.trimEnd().endsWith('data: [DONE]')
        : reply.text.includes('The line is clear.');
      if (reply.status !== 200 || !isWhole || reply.broken !== undefined)
        failed.push(`${reply.status} ${reply.text.slice(0, 200)}`);
    };
    replies.push(one());
    await delay(1000 / RATE);
  }
  await Promise.all(replies);
  return { requests: replies.length, failed };
}

describe('one of three', () => {
  it.each([
    ['answers 500', 'error'],
    ['hangs', 'hang'],
    ['storms 429', 'storm'],
    ['is overloaded, in the stream too', 'overload'],
  ])('%s: no request fails; it is left alone but for one probe each time, and serves again afterwards', async (_, kind) => {
    const [bad] = providers;
    await tell(bad!, kind);
    const before = await askedOf(bad!);
    const seconds = 3;
    const { failed } = await load(seconds);
    expect(failed).toEqual([]);
    const attempts = (await askedOf(bad!)) - before;
    // Until it opens: what was under way by then; then one at the end of each open time.
    const underWay = kind === 'hang' ? RATE : 20;
    expect(attempts).toBeLessThanOrEqual(3 + underWay + seconds / OPEN_S + 1);
    await tell(bad!, 'ok');
    await delay(OPEN_S * 1000);
    const served = await askedOf(bad!);
    expect((await load(1)).failed).toEqual([]);
    expect((await askedOf(bad!)) - served).toBeGreaterThan(RATE / 3 / 2);
  });

  it('is killed: no request fails; started again, it serves again', async () => {
    const [bad] = providers;
    setTimeout(() => bad!.command.process.kill('SIGKILL'), 700);
    expect((await load(3)).failed).toEqual([]);
    providers[0] = await startProvider(bad!.name, bad!.port);
    await delay(OPEN_S * 1000);
    expect((await load(1)).failed).toEqual([]);
    expect(await askedOf(providers[0])).toBeGreaterThan(RATE / 3 / 2);
  });
});

describe('all of them', () => {
  it('storm: retries stay within their budget', async () => {
    for (const provider of providers) await tell(provider, 'storm', 0);
    const before = await Promise.all(providers.map(askedOf));
    const { requests, failed } = await load(3, 'stormed');
    expect(failed.length).toBeGreaterThan(requests / 2);
    const after = await Promise.all(providers.map(askedOf));
    const attempts = after.reduce((sum, each, at) => sum + each - before[at]!, 0);
    expect(attempts).toBeLessThanOrEqual(requests * 1.2 + 10);
  });

  it('fail: an SDK with retries of its own multiplies nothing', async () => {
    for (const provider of providers) await tell(provider, 'error');
    const client = new OpenAI({ apiKey: KEY, baseURL: `${box.url}/v1` });
    const user = 'sdk-that-retries';
    const chat = client.chat.completions.create({ model: 'm', user, messages: [{ role: 'user', content: 'x' }] });
    await expect(chat).rejects.toMatchObject({ status: 502 });
    await delay(1_500);
    const seen = log.lines().filter((line) => line['msg'] === 'exchange' && line['end_user'] === user);
    expect(seen).toHaveLength(1);
  });
});
