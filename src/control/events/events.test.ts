/** Events against a real receiver: what is logged, what is sent, and when. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { type WebhookReceiver, startWebhookReceiver } from '../../../test/support/webhook-receiver.ts';
import type { EventFact } from '../../core/fact.ts';
import { createWayOut } from '../../upstream/way-out.ts';
import { type Events, createEvents } from './events.ts';

const SECRET = 'sixteen-bytes-at-least';
let receiver: WebhookReceiver;
let logged: Record<string, unknown>[];
let events: Events;

beforeEach(async () => {
  receiver = await startWebhookReceiver(SECRET);
  logged = [];
  const out = createWayOut('test');
  out.use({ allowPrivate: [], clientCertificates: [] });
  let ids = 0;
  events = createEvents({
    log: (level, fields, message) => logged.push({ level, ...fields, message }),
    post: (url, headers, body, { timeoutMs }) => out.ask({ url, method: 'POST', headers, body, timeoutMs, maxBytes: 1024 }),
    nowMs: Date.now,
    eventId: () => `evt_${++ids}`,
    random: () => 0.5,
    pausesMs: [30, 30, 30],
  });
});
afterEach(() => receiver.close());

const settings = (types?: string[]) => ({ url: `${receiver.url}/hook`, secret: SECRET, timeoutMs: 500, ...(types && { types }) });
const event = (id: string, type: EventFact['type'] = 'budget.exceeded'): EventFact => ({
  kind: 'event',
  id,
  atMs: 1_900_000_000_000,
  type,
  scope: 'key:ci',
  details: { limit_usd: 5, window: 'day' },
});
const idsOf = (calls: WebhookReceiver['calls']): string[] => calls.map(({ headers }) => String(headers['webhook-id']));

test('an event is a line of the log and a signed call', async () => {
  events.use(settings());
  events.observe(event('evt_a'));
  events.raise('store.down', undefined, { reason: 'SQLite 5' });
  const calls = await receiver.until(2);
  expect(calls.every(({ genuine, path }) => genuine && path === '/hook')).toBe(true);
  expect(calls[0]!.body).toEqual({
    type: 'budget.exceeded',
    timestamp: '2030-03-17T17:46:40.000Z',
    data: { id: 'evt_a', scope: 'key:ci', limit_usd: 5, window: 'day' },
  });
  expect(logged).toEqual([
    {
      level: 'warn',
      event: 'budget.exceeded',
      event_id: 'evt_a',
      scope: 'key:ci',
      limit_usd: 5,
      window: 'day',
      message: 'a budget is used up',
    },
    { level: 'error', event: 'store.down', event_id: 'evt_1', reason: 'SQLite 5', message: 'the store cannot be used' },
  ]);
});

test('what an earlier run left is sent once there is a configuration, if it wants it', async () => {
  events.observe(event('evt_a'));
  events.observe(event('evt_b', 'key.created'));
  events.use(settings(['budget.*']));
  events.observe(event('evt_a'));
  events.observe(event('evt_c'));
  await receiver.until(2);
  expect(idsOf(receiver.calls)).toEqual(['evt_a', 'evt_c']);
});

test('without a webhook events are lines of the log only', async () => {
  events.use(undefined);
  events.observe(event('evt_a'));
  events.use(settings());
  events.observe(event('evt_b'));
  await receiver.until(1);
  expect(idsOf(receiver.calls)).toEqual(['evt_b']);
  expect(logged).toHaveLength(2);
});

test('a receiver that is slow, redirects or fails is asked again; what it never takes is named', async () => {
  const answers = [
    () => new Promise(() => {}),
    (_call: unknown, response: import('node:http').ServerResponse) =>
      void response.writeHead(302, { location: '/elsewhere' }).end(),
    () => 500,
    () => 429,
  ];
  receiver.play((call, response) => answers.shift()!(call, response));
  events.use(settings());
  events.observe(event('evt_a'));
  await expect.poll(() => logged.length, { timeout: 5_000 }).toBe(2);
  expect(logged[1]).toEqual({
    level: 'error',
    event_id: 'evt_a',
    event: 'budget.exceeded',
    reason: 'tries',
    message: 'an event never reached the webhook',
  });
  expect(receiver.calls.map(({ path }) => path)).toEqual(['/hook', '/hook', '/hook', '/hook']);
  expect(JSON.stringify(logged)).not.toContain(SECRET);
});

test('a webhook that is changed gets what waits', async () => {
  const other = await startWebhookReceiver('another-secret-of-it');
  receiver.play(() => 503);
  events.use(settings());
  events.observe(event('evt_a'));
  await receiver.until(1);
  events.use({ url: other.url, secret: 'another-secret-of-it', timeoutMs: 500 });
  const [call] = await other.until(1);
  expect(call!.genuine).toBe(true);
  await events.close();
  await other.close();
});
