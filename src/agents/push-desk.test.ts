/** Main's part of push notifications against a real store and real receivers. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type WebhookReceiver, startWebhookReceiver } from '../../test/support/webhook-receiver.ts';
import type { PushMade, PushTarget } from '../core/push.ts';
import { createKeyring } from '../lib/seal.ts';
import { openStore } from '../store/sql/open.ts';
import type { Store } from '../store/store.ts';
import type { Lookup } from '../upstream/connect.ts';
import { resolvedProblem } from '../upstream/vet.ts';
import { createWayOut } from '../upstream/way-out.ts';
import { type PushDesk, type PushDeskParts, createPushDesk } from './push-desk.ts';

let receiver: WebhookReceiver;
let store: Store;
let dead: string[];
let stops: (() => void)[];
let timeoutMs: number;

beforeEach(async () => {
  receiver = await startWebhookReceiver('unused-by-these-tests');
  store = await openStore(':memory:');
  dead = [];
  stops = [];
  timeoutMs = 300;
});
afterEach(async () => {
  stops.forEach((stop) => stop());
  await receiver.close();
  await store.close();
});

const ring = createKeyring([randomBytes(32)], randomBytes);

function startDesk(change: Partial<PushDeskParts> = {}): PushDesk {
  const out = createWayOut('test');
  out.use({ allowPrivate: ['127.0.0.0/8'], clientCertificates: [] });
  const desk = createPushDesk({
    store: store.pushes,
    ring,
    post: async (url, headers, body) =>
      (await out.ask({ url, method: 'POST', headers, body, timeoutMs, maxBytes: 1_024, trust: 'outside' })).status,
    addressProblem: () => Promise.resolve(undefined),
    nowMs: Date.now,
    random: () => 0.5,
    newId: () => randomBytes(8).toString('hex'),
    onDead: (agent, reason) => dead.push(`${agent} ${reason}`),
    pausesMs: [20, 20, 20, 20, 20],
    ...change,
  });
  stops.push(desk.start());
  return desk;
}

async function placed(desk: PushDesk, path: string, owner = 'key:ci'): Promise<string> {
  const url = `${receiver.url}${path}`;
  const asked = { agent: 'a', task: `task-of-${path}`, configId: '', version: '1.0', who: { owner } } as const;
  const made = (await desk.answer({ ask: 'push_create', ...asked, target: { url } })) as PushMade;
  if ('refused' in made) throw new Error(made.refused);
  return made.push;
}

const tell = (desk: PushDesk, push: string, said: string, owner = 'key:ci'): Promise<unknown> =>
  desk.answer({ ask: 'push_came', push, owner, body: JSON.stringify({ said }), repeats: false });
const saidTo = (path: string): unknown[] => receiver.calls.filter((call) => call.path === path).map(({ body }) => body.said);

test('six tries with pauses, then a dead letter, then the next one', async () => {
  receiver.play(({ body }) => (body.said === 'first' ? 500 : 204));
  const desk = startDesk();
  const push = await placed(desk, '/x');
  const startedAt = Date.now();
  await tell(desk, push, 'first');
  await tell(desk, push, 'second');
  await receiver.until(7);
  expect(saidTo('/x')).toEqual([...Array.from({ length: 6 }, () => 'first'), 'second']);
  expect(receiver.calls[5]!.atMs - startedAt).toBeGreaterThan(95);
  await expect.poll(() => dead).toEqual(['a status 500']);
  expect(await store.pushes.dead({ agent: 'a', limit: 9 })).toMatchObject([{ push, tries: 6, reason: 'status 500' }]);
});

test('timeouts, closed doors and redirects are tried again, what is refused is not', async () => {
  const answers: Record<string, (() => unknown)[]> = {
    '/slow': [() => new Promise(() => {}), () => 204],
    '/busy': [() => 429, () => 503, () => 204],
    '/gone': [() => 410, () => 204],
  };
  receiver.play(({ path }, response) => {
    if (path === '/moved' && saidTo('/moved').length === 1) return void response.writeHead(302, { location: '/gone' }).end();
    return (answers[path]?.shift() ?? (() => 204))();
  });
  const desk = startDesk();
  for (const path of ['/slow', '/busy', '/gone', '/moved']) await tell(desk, await placed(desk, path), 'it');
  await expect.poll(() => ['/slow', '/busy', '/gone', '/moved'].map((path) => saidTo(path).length)).toEqual([2, 3, 1, 2]);
  await expect.poll(() => dead).toEqual(['a status 410']);
  await delay(100);
  expect(saidTo('/gone')).toHaveLength(1);
});

test('a receiver that hangs holds up no other', async () => {
  receiver.play(({ path }) => (path === '/hangs' ? new Promise(() => {}) : 204));
  const desk = startDesk();
  const hanging = await placed(desk, '/hangs');
  for (let index = 0; index < 5; index++) await tell(desk, hanging, String(index));
  const well = await placed(desk, '/well');
  for (let index = 0; index < 20; index++) await tell(desk, well, String(index));
  await expect.poll(() => saidTo('/well')).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  expect(new Set(saidTo('/hangs'))).toEqual(new Set(['0']));
});

test('whose receivers all hang holds up himself, and nobody else', async () => {
  receiver.play(({ path }) => (path.startsWith('/hangs') ? new Promise(() => {}) : 204));
  timeoutMs = 60_000;
  const desk = startDesk();
  for (let index = 0; index < 100; index++) await tell(desk, await placed(desk, `/hangs/${index}`, 'key:bad'), 'it', 'key:bad');
  await tell(desk, await placed(desk, '/well'), 'it');
  await receiver.until(9);
  // Not one of the hanging ones has come to its end, and the others of his have not begun.
  expect(receiver.calls.map(({ path }) => path).filter((path) => path === '/well')).toHaveLength(1);
  expect(receiver.calls.filter(({ path }) => path !== '/well').length).toBeLessThanOrEqual(8);
});

test('tries are counted over restarts: who was tried six times is not tried again', async () => {
  receiver.play(() => 500);
  const patient = startDesk({ pausesMs: [20, 20, 60_000, 60_000, 60_000] });
  const push = await placed(patient, '/x');
  await tell(patient, push, 'it');
  await receiver.until(3);
  stops.pop()!();
  // So much later.
  startDesk({ nowMs: () => Date.now() + 120_000 });
  await receiver.until(6);
  await expect.poll(() => dead).toEqual(['a status 500']);
  await delay(60);
  expect(receiver.calls).toHaveLength(6);
});

test('a name that turns inward is refused when it is said, and when it is sent to', async () => {
  const port = new URL(receiver.url).port;
  let address = '127.0.0.1';
  const lookup = ((_host: string, _options: unknown, callback: (error: null, found: object[]) => void) =>
    callback(null, [{ address, family: 4 }])) as unknown as Lookup;
  const desk = startDesk({ addressProblem: (url) => resolvedProblem(url, ['192.0.2.0/24'], lookup) });
  const said = { ask: 'push_create', agent: 'a', task: 't', configId: '', version: '1.0', who: { owner: 'key:ci' } } as const;
  const target = { url: `http://hooks.test:${port}/x` };
  expect(await desk.answer({ ...said, target })).toEqual({ refused: expect.stringContaining('public address') });
  address = '192.0.2.1';
  const { push } = (await desk.answer({ ...said, target })) as { push: string };
  address = '127.0.0.1';
  await tell(desk, push, 'it');
  await expect.poll(() => dead).toEqual(['a address']);
  expect(receiver.calls).toEqual([]);
});

test('what waits beyond a hundred is the agent’s to say again; what was said is known', async () => {
  receiver.play(() => 500);
  const desk = startDesk({ pausesMs: [60_000] });
  const push = await placed(desk, '/x');
  for (let index = 0; index < 100; index++) expect(await tell(desk, push, String(index))).toBe('taken');
  expect(await tell(desk, push, 'one more')).toBe('full');
  expect(await tell(desk, push, '7')).toBe('known');
  expect(await tell(desk, 'no-such-push', '1')).toBe('gone');
});

test('names: none is the task’s own, and the same one again keeps its place', async () => {
  const desk = startDesk();
  const of = { agent: 'a', task: 't', version: '1.0', who: { owner: 'key:ci' } } as const;
  const create = (configId: string, target: PushTarget): Promise<unknown> =>
    desk.answer({ ask: 'push_create', ...of, configId, target });
  const [first, again, other] = [
    (await create('', { url: 'https://one.example/' })) as { push: string },
    (await create('t', { url: 'https://two.example/', scheme: 'Bearer', credentials: 'secret' })) as { push: string },
    (await create('o', { url: 'https://three.example/', token: 'secret' })) as { push: string },
  ];
  expect(first).toMatchObject({ isNew: true });
  expect(again).toEqual({ push: first.push, isNew: false });
  expect(await desk.answer({ ask: 'push_list', agent: 'a', task: 't' })).toEqual([
    { id: 't', task: 't', url: 'https://two.example/', scheme: 'Bearer' },
    { id: 'o', task: 't', url: 'https://three.example/' },
  ]);
  expect(await desk.answer({ ask: 'push_remove', agent: 'a', task: 't', configId: 'o' })).toBe(other.push);
  expect(await desk.answer({ ask: 'push_remove', agent: 'a', task: 't', configId: 'o' })).toBeUndefined();
});
