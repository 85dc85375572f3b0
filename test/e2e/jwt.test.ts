/** Tokens of a real provider in the place of keys, through the whole product: whose they are, what they may, and how fast they end. */
import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ADMIN_KEY = 'key-of-the-operator-01';
const KEY = 'key-of-the-client-0001';
const WORKERS = 2;

let provider: IdentityProvider;
let box: Signalbox;
let log: ExchangeLog;
let team: string;

beforeAll(async () => {
  provider = await startIdentityProvider();
  provider.knowClient('http://127.0.0.1:1');
  box = await startSignalbox({ config: configText(), env: { ADMIN_KEY, KEY } });
  team = (await admin('POST', '/teams', { name: 'Search', models: ['demo', 'small'] }))['id'] as string;
  await box.reload(configText());
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  await provider?.close();
});

function configText(more: object = {}): string {
  return JSON.stringify({
    server: { workers: WORKERS },
    providers: { demo: { type: 'demo' } },
    models: ['demo', 'small', 'other'].map((name) => ({ name, targets: [{ provider: 'demo', model: 'demo' }] })),
    keys: [{ name: 'client', key: '${env:KEY}' }],
    admin: { key: '${env:ADMIN_KEY}' },
    jwt: {
      issuer: provider.issuer,
      audience: ['llm'],
      models: ['demo', 'other'],
      claims: { groups: 'realm_access.roles' },
      groups: team === undefined ? [] : [{ group: 'search', team }],
      ...more,
    },
  });
}

async function admin(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const reply = await ask(`${box.url}/admin/v1${path}`, { method: method as 'POST', headers, ...(body && { body }) });
  expect({ path, status: reply.status, text: reply.status < 300 ? '' : reply.text }).toMatchObject({ text: '' });
  return jsonOf(reply);
}

function token(sub: string, more: JWTPayload = {}, header: { expiresS?: number } = {}): Promise<string> {
  return provider.token({ sub, aud: 'llm', ...more }, header);
}

const SEARCH = { realm_access: { roles: ['search'] } };

function chat(bearer: string, model = 'demo', headers: Record<string, string> = {}): Promise<Reply> {
  return ask(`${box.url}/v1/chat/completions`, {
    // A connection of its own: the kernel chooses the worker.
    headers: { authorization: `Bearer ${bearer}`, connection: 'close', ...headers },
    body: { model, messages: [{ role: 'user', content: 'Is the line clear?' }] },
  });
}

/** The same on every worker, as often as chance needs. */
async function everywhere(work: () => Promise<Reply>): Promise<Reply[]> {
  const replies: Reply[] = [];
  const seen = new Set<string>();
  for (let tries = 0; tries < 60 && seen.size < WORKERS; tries++) {
    const reply = await work();
    replies.push(reply);
    seen.add(reply.headers['x-signalbox-worker'] ?? '?');
  }
  expect(seen.size).toBe(WORKERS);
  return replies;
}

async function userOf(name: string): Promise<Record<string, unknown>> {
  const { data } = (await admin('GET', `/users?search=${name}`)) as { data: Record<string, unknown>[] };
  expect(data).toHaveLength(1);
  return data[0]!;
}

describe('a token', () => {
  it('makes its person a user at first use, one and the same on every worker', async () => {
    const mine = await token('ann', { name: 'Ann Lee', ...SEARCH });
    const replies = await Promise.all(Array.from({ length: 12 }, () => chat(mine)));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    const user = await userOf('Ann Lee');
    expect(user).toMatchObject({ id: expect.stringMatching(/^usr_/), role: 'none', blocked: false });
    const line = await log.of(replies[0]!.headers['x-request-id']!);
    expect(line).toMatchObject({ key: 'jwt:ann', outcome: 'ok' });
    expect(box.stderr()).not.toContain(mine.slice(-40));
  });

  it('may what its grant, its person and its team all may', async () => {
    const mine = await token('ann', SEARCH);
    // The team has `demo` and `small`, tokens have `demo` and `other`.
    expect((await chat(mine, 'demo')).status).toBe(200);
    expect((await chat(mine, 'small')).status).toBe(404);
    expect((await chat(mine, 'other')).status).toBe(404);
    const models = await ask(`${box.url}/v1/models`, { headers: { authorization: `Bearer ${mine}` } });
    expect((jsonOf(models)['data'] as { id: string }[]).map(({ id }) => id)).toEqual(['demo']);
    // Without the team's group it is the person's own call.
    expect((await chat(await token('ann'), 'other')).status).toBe(200);
  });

  it('counts for its person and team in the log of requests', async () => {
    const reply = await chat(await token('ann', SEARCH));
    const { id } = await userOf('Ann Lee');
    await expect
      .poll(
        async () =>
          ((await admin('GET', `/requests?principal=${String(id)}&team=${team}`))['data'] as { request_id: string }[]).map(
            (each) => each.request_id,
          ),
        { timeout: 10_000 },
      )
      .toContain(reply.headers['x-request-id']);
  });

  it('stops at once, on every worker, when its person or team is blocked', async () => {
    const mine = await token('ben', { name: 'Ben', ...SEARCH });
    await everywhere(() => chat(mine));
    const { id } = await userOf('Ben');
    for (const [path, entity] of [
      [`/users/${String(id)}`, 'user'],
      [`/teams/${team}`, 'team'],
    ]) {
      await admin('PATCH', path!, { blocked: true });
      const refused = await Promise.all(Array.from({ length: 20 }, () => chat(mine)));
      expect([entity, new Set(refused.map(({ status }) => status))]).toEqual([entity, new Set([401])]);
      await admin('PATCH', path!, { blocked: false });
      expect((await chat(mine)).status).toBe(200);
    }
  });

  it('ends with its own time', async () => {
    expect((await chat(await token('ann', SEARCH, { expiresS: -120 }))).status).toBe(401);
  });

  it.each([
    ['for another audience', () => token('ann', { aud: 'signalbox' })],
    ['of another issuer', () => token('ann', { iss: 'http://127.0.0.1:1' })],
    ['with another signature', async () => `${(await token('ann')).slice(0, -6)}AAAAAA`],
    ['that is no token', () => Promise.resolve('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.')],
  ])('%s proves nothing', async (_what, make) => {
    const reply = await chat(await make());
    expect(reply.status).toBe(401);
    expect(jsonOf(reply)).toMatchObject({ error: { code: 'invalid_api_key' } });
  });

  it('beside a key of ours conflicts with it; a foreign one is none of ours', async () => {
    expect((await chat(await token('ann', SEARCH), 'demo', { 'x-api-key': KEY })).status).toBe(401);
    expect((await chat(await token('ann', { aud: 'elsewhere' }), 'demo', { 'x-api-key': KEY })).status).toBe(200);
  });

  it('does not manage', async () => {
    const reply = await ask(`${box.url}/admin/v1/me`, { headers: { authorization: `Bearer ${await token('ann', SEARCH)}` } });
    expect(reply.status).toBe(401);
  });

  it('of people that are not made users is refused with a word', async () => {
    await box.reload(configText({ create_users: false }));
    const reply = await chat(await token('never-seen', SEARCH));
    expect(reply.status).toBe(403);
    expect(reply.text).toContain('not let in');
    expect((await chat(await token('ann', SEARCH))).status).toBe(200);
    await box.reload(configText());
  });

  it('is checked against the keys of its issuer, whose outage is no forgery', async () => {
    await box.reload(configText({ jwks_url: `${provider.issuer}/no-keys-here` }));
    const reply = await chat(await token('ann', SEARCH));
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('5');
    expect(jsonOf(reply)).toMatchObject({ error: { code: 'identity_unavailable' } });
    await box.reload(configText());
    expect((await chat(await token('ann', SEARCH))).status).toBe(200);
  });
});
