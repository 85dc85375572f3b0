/** Keys and those they belong to, over the admin API and the data plane of a real Signalbox with several workers. */
import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ENV = {
  ADMIN: 'admin-key-zyxwvutsrq0123',
  FILE_KEY: 'the-key-of-the-file-01234',
  FAR_KEY: 'the-key-from-afar-0123456',
};
const config = (): string => `server: { workers: 2, trusted_proxies: [127.0.0.1] }
providers: { demo: {} }
models:
  - { name: demo, targets: [{ provider: demo, model: demo, price: free }] }
  - { name: other, targets: [{ provider: demo, model: demo, price: free }] }
keys:
  - { name: ci, key: "\${env:FILE_KEY}" }
  - { name: far, key: "\${env:FAR_KEY}", ips: [10.0.0.0/8] }
admin: { key: "\${env:ADMIN}" }
`;

let box: Signalbox;
beforeAll(async () => {
  box = await startSignalbox({ config: config(), env: ENV });
});
afterAll(() => box.stop());

interface Answer {
  status: number;
  body: { error?: { message: string; code: string; request_id?: string } };
}

/** What a POST made, as far as it is looked at here. */
interface Made {
  id: string;
  name: string;
  /** The secret. */
  key: string;
}

async function admin(method: string, path: string, body?: object, key = ENV.ADMIN): Promise<Answer> {
  const answer = await fetch(`${box.url}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

async function make(path: string, body: object): Promise<Made> {
  const { status, body: made } = await admin('POST', path, body);
  expect(made, JSON.stringify(made)).toHaveProperty('id');
  expect(status).toBe(201);
  return made as unknown as Made;
}

interface Ask {
  model?: string;
  from?: string;
}

/** Each on a connection of its own, so that every worker is asked. */
async function ask(key: string, { model = 'demo', from }: Ask = {}): Promise<Answer> {
  const answer = await fetch(`${box.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      connection: 'close',
      ...(from !== undefined && { 'x-forwarded-for': from }),
    },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

const WIDTH = 12;
/** The statuses that all workers answer with. */
async function statuses(key: string, options?: Ask): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: WIDTH }, () => ask(key, options)));
  return [...new Set(answers.map(({ status }) => status))].sort((a, b) => a - b);
}

function secretOf({ body }: Answer): string {
  return (body as unknown as Made).key;
}

/** A refusal without what differs in every answer. */
function told({ status, body }: Answer): unknown {
  return { status, error: { ...body.error, request_id: undefined } };
}

test('a minted key is good in every worker with the answer that shows it, and refused with the answer that blocks it', async () => {
  const minted = await make('/keys', { name: 'minted', models: ['demo'] });
  expect(await statuses(minted.key)).toEqual([200]);
  expect(await statuses(minted.key, { model: 'other' })).toEqual([404]);
  expect((await admin('POST', `/keys/${minted.id}/block`)).status).toBe(200);
  expect(await statuses(minted.key)).toEqual([401]);
  expect((await admin('POST', `/keys/${minted.id}/unblock`)).status).toBe(200);
  expect(await statuses(minted.key)).toEqual([200]);
  expect((await admin('PATCH', `/keys/${minted.id}`, { models: ['other'] })).status).toBe(200);
  expect(await statuses(minted.key)).toEqual([404]);
  expect((await admin('DELETE', `/keys/${minted.id}`)).status).toBe(200);
  expect(await statuses(minted.key)).toEqual([401]);
});

test('outsiders cannot tell unknown, blocked, expired, removed, misplaced and ownerless keys apart', async () => {
  const unknown = told(await ask('sk-nobody-knows-this-0123'));
  expect(unknown).toMatchObject({ status: 401, error: { code: 'invalid_api_key' } });
  const blocked = await make('/keys', { name: 'blocked', blocked: true });
  const brief = await make('/keys', { name: 'brief', expires_at: new Date(Date.now() + 1_500).toISOString() });
  const removed = await make('/keys', { name: 'removed' });
  await admin('DELETE', `/keys/${removed.id}`);
  const far = await make('/keys', { name: 'far-away', ips: ['10.0.0.0/8'] });
  const team = await make('/teams', { name: 'to be blocked' });
  const orphan = await make('/keys', { name: 'orphan', team: team.id });
  await admin('PATCH', `/teams/${team.id}`, { blocked: true });
  expect((await ask(brief.key)).status).toBe(200);
  await sleep(1_600);
  for (const key of [blocked, brief, removed, far, orphan]) expect(told(await ask(key.key)), key.name).toEqual(unknown);
});

test('addresses: a key of the store or the file is accepted from its ranges only, seen through trusted proxies', async () => {
  const minted = await make('/keys', { name: 'ranged', ips: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'] });
  for (const key of [minted.key, ENV.FAR_KEY]) {
    expect(await statuses(key, { from: '10.9.8.7' })).toEqual([200]);
    expect(await statuses(key, { from: '10.9.8.7, 203.0.113.5' })).toEqual([401]);
    expect(await statuses(key)).toEqual([401]);
  }
  expect(await statuses(minted.key, { from: '192.0.2.7' })).toEqual([200]);
  expect(await statuses(minted.key, { from: '2001:db8::9' })).toEqual([200]);
  await admin('PATCH', `/keys/${minted.id}`, { ips: null });
  expect(await statuses(minted.key)).toEqual([200]);
});

test('rotation: both secrets during the grace, the new one after it', async () => {
  const first = await make('/keys', { name: 'rotated' });
  const rotated = await admin('POST', `/keys/${first.id}/rotate`, { grace_s: 2 });
  expect(rotated).toMatchObject({ status: 200, body: { id: first.id, old_secrets: [{}] } });
  expect([await statuses(first.key), await statuses(secretOf(rotated))]).toEqual([[200], [200]]);
  await sleep(2_100);
  expect([await statuses(first.key), await statuses(secretOf(rotated))]).toEqual([[401], [200]]);
  const again = await admin('POST', `/keys/${first.id}/rotate`, {});
  expect([await statuses(secretOf(rotated)), await statuses(secretOf(again))]).toEqual([[401], [200]]);
});

test('a person’s key needs his membership; an organisation’s end is the end of all below it', async () => {
  const org = await make('/orgs', { name: 'acme', models: ['demo'] });
  const team = await make('/teams', { name: 'rag', org: org.id });
  const user = await make('/users', { name: 'Ada', email: 'ada@example.com' });
  const member = (role: string) => admin('PUT', `/teams/${team.id}/members/${user.id}`, { role });
  expect((await member('member')).status).toBe(200);
  const { key } = await make('/keys', { name: 'laptop', user: user.id, team: team.id });
  expect(await statuses(key)).toEqual([200]);
  // What the organisation does not grant, the key does not have, whatever it says itself.
  expect(await statuses(key, { model: 'other' })).toEqual([404]);
  expect((await admin('DELETE', `/teams/${team.id}/members/${user.id}`)).status).toBe(200);
  expect(await statuses(key)).toEqual([401]);
  await member('team_admin');
  expect(await statuses(key)).toEqual([200]);
  for (const path of [`/orgs/${org.id}`, `/teams/${team.id}`, `/users/${user.id}`]) {
    expect((await admin('PATCH', path, { blocked: true })).status).toBe(200);
    expect(await statuses(key), path).toEqual([401]);
    expect((await admin('PATCH', path, { blocked: false })).status).toBe(200);
    expect(await statuses(key), path).toEqual([200]);
  }
  expect((await admin('DELETE', `/users/${user.id}`)).status).toBe(200);
  expect(await statuses(key)).toEqual([401]);
});

test('a child is bounded by its parent at its making and at its use', async () => {
  const parent = await make('/keys', {
    name: 'agent',
    models: ['demo', 'other'],
    limits: { rpm: 1000 },
    budget: { limit_usd: 5, window: 'day' },
  });
  const refused = async (more: object) => admin('POST', '/keys', { name: 'child', parent: parent.id, ...more });
  expect(await refused({ models: ['*'] })).toMatchObject({ status: 400, body: { error: { param: 'models' } } });
  expect((await refused({ budget: { limit_usd: 6, window: 'day' } })).status).toBe(400);
  expect((await refused({ limits: { rpm: 1001 } })).status).toBe(400);
  const child = await make('/keys', { name: 'child', parent: parent.id, task: 'review', models: ['demo'] });
  expect(await statuses(child.key)).toEqual([200]);
  expect(await statuses(child.key, { model: 'other' })).toEqual([404]);
  await admin('PATCH', `/keys/${parent.id}`, { models: ['other'] });
  expect(await statuses(child.key)).toEqual([404]);
  await admin('PATCH', `/keys/${parent.id}`, { models: ['demo'] });
  await admin('POST', `/keys/${parent.id}/block`);
  expect(await statuses(child.key)).toEqual([401]);
  await admin('POST', `/keys/${parent.id}/unblock`);
  expect(await statuses(child.key)).toEqual([200]);
  await admin('DELETE', `/keys/${parent.id}`);
  expect(await statuses(child.key)).toEqual([401]);
});

test('a key from elsewhere goes on by its hash; the hash itself is none', async () => {
  const sha256 = hash('sha256', 'sk-from-elsewhere-0123456789');
  const answer = await admin('POST', '/keys/import', {
    keys: [
      { name: 'moved', sha256 },
      { name: 'moved again', sha256 },
    ],
  });
  expect(answer).toMatchObject({ status: 200, body: { imported: [{ index: 0 }], refused: [{ index: 1 }] } });
  expect(await statuses('sk-from-elsewhere-0123456789')).toEqual([200]);
  expect(await statuses(sha256)).toEqual([401]);
});

test('neither the admin key nor a person’s token calls models', async () => {
  const user = await make('/users', { name: 'Grace' });
  const made: unknown = await make(`/users/${user.id}/tokens`, { name: 'cli' });
  for (const secret of [ENV.ADMIN, (made as { token: string }).token]) {
    const { status, body } = await ask(secret);
    expect([status, body.error?.message]).toEqual([401, expect.stringContaining('not call models')]);
  }
});

describe('two layers', () => {
  test('a key of the file goes before one of the store of its name, which comes back when it leaves', async () => {
    const env = { ...ENV, TWIN: 'the-twin-of-the-file-0123' };
    const own = await startSignalbox({ config: config(), env });
    const before = box;
    box = own;
    try {
      const twin = await make('/keys', { name: 'twin' });
      expect(await statuses(twin.key)).toEqual([200]);
      await own.reload(config().replace('keys:\n', 'keys:\n  - { name: twin, key: "${env:TWIN}" }\n'));
      expect([await statuses(twin.key), await statuses(env.TWIN)]).toEqual([[401], [200]]);
      expect((await admin('GET', `/keys/${twin.id}`)).body).toMatchObject({ shadowed: true, source: 'store' });
      await own.reload(config());
      expect([await statuses(twin.key), await statuses(env.TWIN)]).toEqual([[200], [401]]);
    } finally {
      box = before;
      await own.stop();
    }
  });
});

describe('what was told', () => {
  /** Runs on an own Signalbox. */
  async function elsewhere(env: Record<string, string>, work: (own: Signalbox) => Promise<void>): Promise<void> {
    const before = box;
    const own = await startSignalbox({ config: config(), env: { ...ENV, ...env } });
    box = own;
    try {
      await work(own);
    } finally {
      await box.stop();
      await own.stop();
      box = before;
    }
  }

  async function keptAndBlocked(): Promise<() => Promise<number[][]>> {
    const [kept, blocked] = [await make('/keys', { name: 'kept' }), await make('/keys', { name: 'blocked' })];
    await admin('POST', `/keys/${blocked.id}/block`);
    return () => Promise.all([kept.key, blocked.key, ENV.FILE_KEY].map((key) => statuses(key)));
  }

  test('survives kill -9', () =>
    elsewhere({}, async (own) => {
      const all = await keptAndBlocked();
      await own.kill();
      box = await startSignalbox({ config: config(), env: ENV, dataDir: own.dataDir });
      expect(await all()).toEqual([[200], [401], [200]]);
    }));

  test('is known to a worker that takes the place of a dead one', () =>
    elsewhere(INSPECTED, async (own) => {
      const all = await keptAndBlocked();
      await killWorker(own);
      await vi.waitFor(() => expect(own.stderr()).toContain('a dead worker was replaced'), 5_000);
      expect(await all()).toEqual([[200], [401], [200]]);
    }));
});
