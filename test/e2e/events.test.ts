/** Events through the whole product: raised in a worker, read from its journal, logged, and delivered to a receiver that is there or not. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';

import { ask } from '../support/ask.ts';
import { exchangeLog } from '../support/exchange-log.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

const KEY = 'key-of-the-client-0001';
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const GUARDS = ['one', 'two', 'three'];

let box: Signalbox | undefined;
let receiver: WebhookReceiver | undefined;
afterEach(async () => {
  await box?.kill();
  await receiver?.close();
});

/** Every guard is a place where nobody listens: one call, one event. */
function configText(url: string, more: object = {}): string {
  return JSON.stringify({
    server: { workers: 1 },
    providers: { demo: { type: 'demo' } },
    models: GUARDS.map((name) => ({ name, targets: [{ provider: 'demo', model: 'demo' }] })),
    keys: [{ name: 'client', key: '${env:KEY}' }],
    guards: GUARDS.map((name) => ({ name, url: 'http://127.0.0.1:9/', secret: '${env:SECRET}', models: [name] })),
    events: { webhook: { url: `${url}/events`, secret: '${env:SECRET}', ...more } },
  });
}

async function start(url: string, more: object = {}): Promise<Signalbox> {
  box = await startSignalbox({ config: configText(url, more), env: { KEY, SECRET } });
  return box;
}

async function cause(model: string): Promise<void> {
  const reply = await ask(`${box!.url}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${KEY}` },
    body: { model, messages: [{ role: 'user', content: 'a-word-of-the-prompt' }] },
  });
  expect(reply.status).toBe(503);
}

it('each event is one signed call and one line of the log', async () => {
  receiver = await startWebhookReceiver(SECRET);
  await start(receiver.url);
  for (const name of GUARDS) await cause(name);
  // A second one of the same kind within a minute says nothing new.
  await cause('one');
  const calls = await receiver.until(3);
  await delay(300);
  expect(calls.map(({ genuine, path, body }) => [genuine, path, body['type']])).toEqual(
    GUARDS.map(() => [true, '/events', 'guard.failing']),
  );
  const ids = calls.map(({ headers }) => String(headers['webhook-id']));
  expect(new Set(ids).size).toBe(3);
  const [first] = calls as [(typeof calls)[0]];
  expect(first.body).toEqual({
    type: 'guard.failing',
    timestamp: expect.stringMatching(/^20.*Z$/),
    data: { id: ids[0], scope: 'guard:one', guard: 'one', stage: 'request', reason: 'upstream_unreachable' },
  });
  expect(ids[0]).toMatch(/^evt_[0-9a-z]{24}$/);
  const lines = exchangeLog(box!)
    .lines()
    .filter(({ event }) => event === 'guard.failing');
  expect(lines.map(({ event_id }) => event_id)).toEqual(ids);
  expect(calls.map(({ text }) => text).join()).not.toContain('a-word-of-the-prompt');
  expect(box!.stderr()).not.toContain(SECRET);
});

it('an outage of the receiver delays events, with the same id, and loses none', async () => {
  receiver = await startWebhookReceiver(SECRET);
  const { port, url } = receiver;
  await start(url);
  await receiver.close();
  for (const name of GUARDS) await cause(name);
  await delay(300);
  receiver = await startWebhookReceiver(SECRET, () => 503, port);
  await receiver.until(3);
  const refused = receiver.calls.map(({ body }) => (body['data'] as { id: string }).id);
  receiver.play(() => 204);
  const calls = await receiver.until(6);
  expect(
    calls
      .slice(3)
      .map(({ body }) => (body['data'] as { id: string }).id)
      .sort(),
  ).toEqual(refused.sort());
  expect(
    calls.every(({ genuine, body, headers }) => genuine && headers['webhook-id'] === (body['data'] as { id: string }).id),
  ).toBe(true);
  await delay(1_500);
  expect(receiver.calls).toHaveLength(6);
});

it('what the receiver refuses is named in the log and not sent again', async () => {
  receiver = await startWebhookReceiver(SECRET, () => 401);
  await start(receiver.url);
  await cause('one');
  await receiver.until(1);
  await expect
    .poll(
      () =>
        exchangeLog(box!)
          .lines()
          .find(({ msg }) => msg === 'an event never reached the webhook'),
      { timeout: 5_000 },
    )
    .toMatchObject({ event: 'guard.failing', reason: 'refused', event_id: expect.stringMatching(/^evt_/) });
  await delay(1_500);
  expect(receiver.calls).toHaveLength(1);
});

it('only the types that are wanted are sent; the log has all', async () => {
  receiver = await startWebhookReceiver(SECRET);
  await start(receiver.url, { types: ['budget.*', 'store.down'] });
  await cause('one');
  await expect
    .poll(() =>
      exchangeLog(box!)
        .lines()
        .some(({ event }) => event === 'guard.failing'),
    )
    .toBe(true);
  await delay(200);
  expect(receiver.calls).toEqual([]);
});

it('what waits at the end gets one last try', async () => {
  let up = false;
  receiver = await startWebhookReceiver(SECRET, () => (up ? 204 : 503));
  await start(receiver.url);
  await cause('one');
  await receiver.until(1);
  up = true;
  expect(await box!.stop()).toBe(0);
  expect(receiver.calls).toHaveLength(2);
});
