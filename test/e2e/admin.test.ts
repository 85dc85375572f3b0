/** The admin API as people use it: who may mint what, who sees what was used, what lists and reports look like. */
import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ask } from '../support/ask.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ADMIN_KEY = 'admin-key-zyxwvutsrq-0123456789';
const FILE_KEY = 'file-key-abcdefghij-0123456789';
const CONFIG = `
server: { workers: 1 }
providers: { demo: {} }
models:
  - { name: dear, targets: [{ provider: demo, model: demo, price: { input_usd_per_mtok: 100000, output_usd_per_mtok: 100000 } }] }
  - { name: plain, targets: [{ provider: demo, model: demo, price: free }] }
keys:
  - { name: filed, key: "\${env:FILE_KEY}", budget: { limit_usd: 1000, window: total } }
admin: { key: "\${env:ADMIN_KEY}" }
`;

type Body = Record<string, unknown>;
interface Answer {
  status: number;
  body: Body & { error?: { code: string; param: string; message: string } };
}

let box: Signalbox;
const ids: Record<'org' | 'other' | 'team' | 'foreign' | 'ann' | 'bob' | 'lea' | 'service', string> = {} as never;
const tokens: Record<'ann' | 'bob' | 'lea' | 'olaf', string> = {} as never;

beforeAll(async () => {
  box = await startSignalbox({ config: CONFIG, env: { ADMIN_KEY, FILE_KEY } });
  ids.org = await make('/orgs', { name: 'acme', models: ['plain', 'dear'] });
  ids.other = await make('/orgs', { name: 'other' });
  ids.team = await make('/teams', {
    name: 'red',
    org: ids.org,
    models: ['plain', 'de*'],
    budget: { limit_usd: 100, window: 'day' },
  });
  ids.foreign = await make('/teams', { name: 'blue', org: ids.other });
  for (const name of ['ann', 'bob', 'lea', 'olaf'] as const) {
    const id = await make('/users', { name, email: `${name}@example.com` });
    Object.assign(ids, { [name]: id });
    tokens[name] = String((await call('POST', `/users/${id}/tokens`, { name: 't' })).body.token);
    const group = name === 'olaf' ? `/orgs/${ids.org}` : `/teams/${ids.team}`;
    const role = { ann: 'member', bob: 'member', lea: 'team_admin', olaf: 'org_admin' }[name];
    await call('PUT', `${group}/members/${id}`, { role });
  }
  ids.service = await make('/service-accounts', { name: 'bot', team: ids.team });
});
afterAll(() => box.stop());

async function call(method: string, path: string, body?: object, token = ADMIN_KEY): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}` };
  const reply = await ask(`${box.url}/admin/v1${path}`, {
    method: method as 'GET',
    headers,
    ...(body !== undefined && { body }),
  });
  return { status: reply.status, body: JSON.parse(reply.text) as Answer['body'] };
}

async function make(path: string, body: object): Promise<string> {
  const { status, body: made } = await call('POST', path, body);
  expect({ path, status, made }).toMatchObject({ status: 201 });
  return String(made.id);
}

async function chat(key: unknown, model: string, more: object = {}): Promise<number> {
  const { status } = await ask(`${box.url}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${String(key)}` },
    body: { model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 50, ...more },
  });
  return status;
}

/** What a refusal says, without its sentence. */
const refused = (status: number, param?: string) => ({ status, body: { error: param === undefined ? {} : { param } } });

describe('minting', () => {
  test('a member mints for himself in his team, within its bounds, and with the fields that are his to choose', async () => {
    const mine = (body: object) => call('POST', '/me/keys', { name: `k${Math.random()}`, team: ids.team, ...body }, tokens.ann);
    expect(await mine({ models: ['plain'], budget: { limit_usd: 5, window: 'day' }, expires_at: '2099-01-01' })).toMatchObject({
      status: 201,
      body: { user: ids.ann, team: ids.team, org: ids.org, models: ['plain'], expires_at: '2099-01-01T00:00:00.000Z' },
    });
    expect(await mine({ models: ['dear'] })).toMatchObject({ status: 201 });
    expect(await mine({ models: ['other'] })).toMatchObject(refused(400, 'models'));
    expect(await mine({ budget: { limit_usd: 101, window: 'day' } })).toMatchObject(refused(400, 'budget'));
    expect(await mine({ budget: { limit_usd: 101, window: 'hour' } })).toMatchObject(refused(400, 'budget'));
    // In a longer window more is no excess: the team's own budget holds anyway.
    expect(await mine({ budget: { limit_usd: 101, window: 'month' } })).toMatchObject({ status: 201 });
    expect(await mine({ tags: ['batch'] })).toMatchObject(refused(403, 'tags'));
    expect(await mine({ priority: 'high' })).toMatchObject(refused(403, 'priority'));
    expect(await mine({ record_bodies: true })).toMatchObject(refused(403, 'record_bodies'));
    expect(await mine({ team: ids.foreign })).toMatchObject(refused(400, 'team'));
    expect(await call('POST', '/me/keys', { name: 'nowhere' }, tokens.ann)).toMatchObject({ status: 403 });
    expect(await call('POST', '/me/keys', { name: 'x', team: ids.team })).toMatchObject({ status: 403 });
    expect(await call('POST', '/keys', { name: 'x', team: ids.team, user: ids.bob }, tokens.ann)).toMatchObject({ status: 403 });
    expect(await call('POST', '/keys', { name: 'x', team: ids.team }, tokens.ann)).toMatchObject({ status: 403 });
  });

  test('he rotates, blocks and removes his own, widens nothing, and sees nobody else’s', async () => {
    const { body: key } = await call('POST', '/me/keys', { name: 'own', team: ids.team, models: ['plain'] }, tokens.ann);
    const at = `/keys/${String(key.id)}`;
    expect(await call('PATCH', at, { name: 'renamed', metadata: { a: 'b' } }, tokens.ann)).toMatchObject({
      status: 200,
      body: { name: 'renamed' },
    });
    for (const body of [
      { models: ['*'] },
      { budgets: [] },
      { limits: null },
      { expires_at: null },
      { blocked: false },
      { ips: null },
    ]) {
      expect(await call('PATCH', at, body, tokens.ann)).toMatchObject({ status: 403 });
    }
    for (const [method, path, body] of [
      ['GET', at],
      ['PATCH', at, { name: 'x' }],
      ['POST', `${at}/rotate`, {}],
      ['DELETE', at],
    ] as const) {
      expect(await call(method, path, body, tokens.bob)).toMatchObject({ status: 404 });
    }
    const { body: rotated } = await call('POST', `${at}/rotate`, { grace_s: 3600 }, tokens.ann);
    expect(rotated.key).not.toBe(key.key);
    expect(rotated.old_secrets).toHaveLength(1);
    expect([await chat(rotated.key, 'plain'), await chat(key.key, 'plain')]).toEqual([200, 200]);
    expect(await call('POST', `${at}/block`, {}, tokens.ann)).toMatchObject({ status: 200, body: { blocked: true } });
    expect(await chat(rotated.key, 'plain')).toBe(401);
    expect(await call('POST', `${at}/unblock`, {}, tokens.ann)).toMatchObject({ status: 403 });
    expect(await call('POST', `${at}/unblock`, {}, tokens.lea)).toMatchObject({ status: 200, body: { blocked: false } });
    expect(await chat(rotated.key, 'plain')).toBe(200);
    expect(await call('DELETE', at, undefined, tokens.ann)).toMatchObject({ status: 200 });
    expect(await call('GET', at, undefined, tokens.ann)).toMatchObject({ status: 404 });
  });

  test('whoever leads a team mints for it, its people and its machines, and not above himself', async () => {
    const led = (body: object) => call('POST', '/keys', { name: `l${Math.random()}`, ...body }, tokens.lea);
    expect(await led({ team: ids.team, user: ids.bob, tags: ['batch'], record_bodies: true })).toMatchObject({ status: 201 });
    expect(await led({ service_account: ids.service })).toMatchObject({
      status: 201,
      body: { service_account: ids.service, team: ids.team },
    });
    expect(await led({ team: ids.team, priority: 'high' })).toMatchObject(refused(403, 'priority'));
    expect(await led({ team: ids.team, models: ['*', 'forbidden'] })).toMatchObject(refused(400, 'models'));
    expect(await led({ org: ids.org })).toMatchObject(refused(400, 'org'));
    expect(await led({})).toMatchObject({ status: 403 });
    expect(await call('PATCH', `/teams/${ids.team}`, { budget: { limit_usd: 9_999 } }, tokens.lea)).toMatchObject(
      refused(403, 'budget'),
    );
    expect(await call('PATCH', `/teams/${ids.team}`, { blocked: false }, tokens.lea)).toMatchObject(refused(403, 'blocked'));
    expect(await call('PATCH', `/teams/${ids.team}`, { metadata: { floor: '3' } }, tokens.lea)).toMatchObject({ status: 200 });
    expect(await call('PATCH', `/teams/${ids.team}`, { models: ['more'] }, tokens.olaf)).toMatchObject(refused(400, 'models'));
    expect(await call('PATCH', `/orgs/${ids.org}`, { models: null }, tokens.olaf)).toMatchObject(refused(403, 'models'));
    expect(await call('PUT', `/teams/${ids.team}/members/${ids.bob}`, { role: 'org_admin' }, tokens.lea)).toMatchObject(
      refused(400, 'role'),
    );
    expect(await call('PATCH', `/users/${ids.bob}`, { role: 'admin' }, tokens.olaf)).toMatchObject({ status: 403 });
    expect(await call('POST', `/users/${ids.bob}/tokens`, { name: 'his' }, tokens.olaf)).toMatchObject({ status: 403 });
  });

  test('whoever leads an organisation widens its teams again, within the organisation', async () => {
    const team = await make('/teams', { name: `w${Math.random()}`, org: ids.org });
    const change = (body: object) => call('PATCH', `/teams/${team}`, body, tokens.olaf);
    const narrow = { models: ['plain'], budget: { limit_usd: 10, window: 'day' } };
    const wide = { models: ['plain', 'dear'], budget: { limit_usd: 20, window: 'day' } };
    for (const body of [narrow, wide]) expect(await change(body)).toMatchObject({ status: 200, body: { models: body.models } });
    expect(await change({ models: ['*', 'more'] })).toMatchObject(refused(400, 'models'));
    const service = await make('/service-accounts', { name: `w${Math.random()}`, team, models: ['plain'] });
    expect(await call('PATCH', `/service-accounts/${service}`, { models: ['dear'] }, tokens.olaf)).toMatchObject({ status: 200 });
    expect(await call('PATCH', `/service-accounts/${service}`, { models: ['more'] }, tokens.olaf)).toMatchObject(
      refused(400, 'models'),
    );
  });

  test('who is taken out of an organisation is out of its teams, and his keys there end', async () => {
    const team = await make('/teams', { name: `o${Math.random()}`, org: ids.org });
    const eve = await make('/users', { name: 'eve' });
    for (const path of [`/orgs/${ids.org}`, `/teams/${team}`, `/teams/${ids.foreign}`])
      await call('PUT', `${path}/members/${eve}`, {});
    const [key, elsewhere] = [
      await call('POST', '/keys', { name: 'eve', team, user: eve }),
      await call('POST', '/keys', { name: 'eve', team: ids.foreign, user: eve }),
    ].map(({ body }) => body.key);
    expect([await chat(key, 'plain'), await chat(elsewhere, 'plain')]).toEqual([200, 200]);
    const out = () => call('DELETE', `/orgs/${ids.org}/members/${eve}`, undefined, tokens.olaf);
    expect(await out()).toMatchObject({ status: 200, body: { user: eve, role: 'member' } });
    expect([await chat(key, 'plain'), await chat(elsewhere, 'plain')]).toEqual([401, 200]);
    expect(await out()).toMatchObject({ status: 404 });
    const { body: log } = await call('GET', '/audit?action=org.member.remove&outcome=done');
    expect((log.data as Body[])[0]).toMatchObject({ before: { role: 'member', teams: [{ team, role: 'member' }] } });
    // Also who is only in one of its teams.
    await call('PUT', `/teams/${team}/members/${eve}`, {});
    expect(await chat(key, 'plain')).toBe(200);
    expect(await out()).toMatchObject({ status: 200 });
    expect(await chat(key, 'plain')).toBe(401);
  });

  test('roles end when they are taken away, in the next call', async () => {
    await call('PUT', `/teams/${ids.team}/members/${ids.bob}`, { role: 'team_admin' });
    expect(await call('GET', `/teams/${ids.team}/members`, undefined, tokens.bob)).toMatchObject({ status: 200 });
    await call('PUT', `/teams/${ids.team}/members/${ids.bob}`, { role: 'member' });
    expect(await call('GET', `/teams/${ids.team}/members`, undefined, tokens.bob)).toMatchObject({ status: 403 });
    await call('DELETE', `/teams/${ids.team}/members/${ids.bob}`);
    expect(await call('GET', `/teams/${ids.team}`, undefined, tokens.bob)).toMatchObject({ status: 404 });
    await call('PUT', `/teams/${ids.team}/members/${ids.bob}`, {});
  });
});

describe('keys', () => {
  test('pages go through those of the file and of the store, each once', async () => {
    const all = (await call('GET', '/keys?limit=1000')).body.data as Body[];
    expect(all[0]).toMatchObject({ id: 'filed', source: 'file', budgets: [{ limit_usd: 1000, spent_usd: 0 }] });
    const seen: unknown[] = [];
    for (let after = ''; ;) {
      const { body } = await call('GET', `/keys?limit=2${after}`);
      seen.push(...(body.data as Body[]).map(({ id }) => id));
      if (typeof body.next !== 'string') break;
      after = `&after=${encodeURIComponent(body.next)}`;
    }
    expect(seen).toEqual(all.map(({ id }) => id));
    const ofService = (await call('GET', `/keys?service_account=${ids.service}`)).body.data as Body[];
    expect(ofService.map(({ service_account }) => service_account)).toEqual([ids.service]);
  });

  test('those of the file are changed in the file', async () => {
    for (const [method, path, body] of [
      ['PATCH', '/keys/filed', { blocked: true }],
      ['POST', '/keys/filed/rotate', {}],
      ['POST', '/keys/filed/block', {}],
      ['DELETE', '/keys/filed', undefined],
    ] as const) {
      expect(await call(method, path, body)).toMatchObject({
        status: 409,
        body: { error: { message: expect.stringContaining('file') } },
      });
    }
    expect(await chat(FILE_KEY, 'plain')).toBe(200);
  });

  test('are taken over by the hash of their secret; one that is there already is refused alone', async () => {
    const secret = 'sk-from-elsewhere-0123456789';
    const sha256 = hash('sha256', secret);
    const keys = [
      { name: 'imported', sha256, team: ids.team },
      { name: 'again', sha256 },
      { name: 'odd', sha256: hash('sha256', 'other'), team: 'team_00000000000000000000' },
    ];
    const { status, body } = await call('POST', '/keys/import', { keys });
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { imported: [{ index: 0 }], refused: [{ index: 1 }, { index: 2 }] },
    });
    expect(await chat(secret, 'plain')).toBe(200);
  });
});

describe('usage', () => {
  let key: Body;

  beforeAll(async () => {
    key = (await call('POST', '/me/keys', { name: 'used', team: ids.team, budget: { limit_usd: 90, window: 'day' } }, tokens.ann))
      .body;
    expect(await chat(key.key, 'dear', { user: 'customer-7' })).toBe(200);
    expect(await chat(key.key, 'plain')).toBe(200);
    expect(await chat(FILE_KEY, 'plain')).toBe(200);
    await imported(String(key.id), 2);
  });

  /** Facts reach the store some time after the answer. */
  async function imported(id: string, count: number): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (((await call('GET', `/requests?key=${id}`)).body.data as Body[]).length === count) return;
      await sleep(100);
    }
    throw new Error('the requests never reached the log');
  }

  test('the log shows each request to whom it concerns, and nobody else', async () => {
    const seen = async (token?: string): Promise<unknown[]> =>
      ((await call('GET', `/requests?key=${String(key.id)}`, undefined, token)).body.data as Body[]).map(({ model }) => model);
    for (const token of [undefined, tokens.ann, tokens.lea, tokens.olaf]) expect(await seen(token)).toEqual(['plain', 'dear']);
    expect(await seen(tokens.bob)).toEqual([]);
    const [line] = (await call('GET', `/requests?key=${String(key.id)}&model=dear`)).body.data as Body[];
    expect(line).toMatchObject({
      key: key.id,
      principal: ids.ann,
      team: ids.team,
      org: ids.org,
      end_user: 'customer-7',
      status: 200,
      outcome: 'ok',
    });
    expect(line!.cost_usd).toBeGreaterThan(0);
    const at = `/requests/${String(line!.id)}`;
    expect(await call('GET', at, undefined, tokens.ann)).toMatchObject({
      status: 200,
      body: { id: line!.id, detail: { attempts: [{}] } },
    });
    expect(await call('GET', at, undefined, tokens.bob)).toMatchObject({ status: 404 });
  });

  test('budgets say what is spent of them', async () => {
    const [line] = (await call('GET', `/requests?key=${String(key.id)}&model=dear`)).body.data as Body[];
    const { body } = await call('GET', `/keys/${String(key.id)}`, undefined, tokens.ann);
    expect(body.budgets).toMatchObject([
      { limit_usd: 90, spent_usd: line!.cost_usd, window_start: expect.stringMatching(/T00:00:00\.000Z$/) },
    ]);
    expect((await call('GET', `/teams/${ids.team}`)).body.budgets).toMatchObject([{ limit_usd: 100, spent_usd: line!.cost_usd }]);
  });

  test('reports add up by any two, as JSON and as CSV, within what the caller may see', async () => {
    const { body } = await call('GET', `/usage?by=key,model&key=${String(key.id)}`);
    const rows = body.data as Body[];
    expect(rows).toMatchObject([
      { key: key.id, model: 'dear', requests: 1 },
      { key: key.id, model: 'plain', requests: 1, spent_usd: 0 },
    ]);
    expect((await call('GET', '/usage?by=team,day', undefined, tokens.ann)).body.data).toMatchObject([
      { team: ids.team, at: expect.stringContaining('T00:00') },
    ]);
    // A member sees his team's sums, a stranger to the team only his own: nothing.
    expect((await call('GET', `/usage?by=key&key=${String(key.id)}`, undefined, tokens.bob)).body.data).toHaveLength(1);
    await call('DELETE', `/teams/${ids.team}/members/${ids.bob}`);
    expect((await call('GET', `/usage?by=key&key=${String(key.id)}`, undefined, tokens.bob)).body.data).toEqual([]);
    await call('PUT', `/teams/${ids.team}/members/${ids.bob}`, {});
    const csv = await ask(`${box.url}/admin/v1/usage?by=model,key&key=${String(key.id)}&format=csv`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    expect(csv.headers['content-type']).toContain('text/csv');
    expect(csv.headers['x-signalbox-cut']).toBe('false');
    const cut = await ask(`${box.url}/admin/v1/usage?by=model,key&key=${String(key.id)}&format=csv&limit=1`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    expect(cut.headers['x-signalbox-cut']).toBe('true');
    const [head, first] = csv.text.split('\r\n');
    expect(head).toBe(
      'model,key,requests,refused,failed,attempts,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,reasoning_tokens,spent_usd,estimated_usd,total_ms',
    );
    expect(first!.split(',').slice(0, 3)).toEqual(['dear', String(key.id), '1']);
    expect(Number(first!.split(',')[11])).toBeCloseTo(Number(rows[0]!.spent_usd), 9);
    expect(await call('GET', '/usage?by=key,team,model')).toMatchObject(refused(400, 'by'));
    expect(await call('GET', '/usage?by=hour,end_user')).toMatchObject(refused(400, 'by'));
    expect(await call('GET', '/usage?since=2030-01-01&until=2029-01-01')).toMatchObject(refused(400, 'since'));
  });

  test('end users are known by what they used', async () => {
    expect((await call('GET', '/end-users')).body.data).toMatchObject([{ end_user: 'customer-7', requests: 1 }]);
    expect(await call('GET', '/end-users/customer-7', undefined, tokens.ann)).toMatchObject({
      status: 200,
      body: { requests: 1 },
    });
    expect(await call('GET', '/end-users/customer-8')).toMatchObject({ status: 404 });
  });
});

test('events can be read where nobody listens', async () => {
  const { body } = await call('GET', '/events?type=key.created&limit=2');
  expect(body.data).toMatchObject([{ type: 'key.created', scope: expect.stringMatching(/^key:key_/) }, { type: 'key.created' }]);
  expect(await call('GET', '/events', undefined, tokens.olaf)).toMatchObject({ status: 403 });
});

test('the document of the API is served, and names every route', async () => {
  const { status, body } = await call('GET', '/openapi.json', undefined, tokens.ann);
  expect({ status, version: body.openapi }).toEqual({ status: 200, version: '3.1.0' });
  expect(Object.keys(body.paths as object).length).toBeGreaterThan(40);
});
