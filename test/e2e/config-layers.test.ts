/** The configuration's second layer, edited over the admin API of a real Signalbox, beside the file's. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type Signalbox, runSignalbox, startSignalbox } from '../support/signalbox.ts';

const ENV = { ADMIN: 'admin-key-zyxwvutsrq0123', FILE_KEY: 'the-key-of-the-file-01234', UPSTREAM_KEY: 'file-canary-5d1c0e77aa' };
const CANARY = 'api-canary-8c2f41d99b';

const file = (more = ''): string => `server: { workers: 2 }
providers:
  demo: {}
  filed: { type: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key: "\${env:UPSTREAM_KEY}" }
models:
  - { name: demo, targets: [{ provider: demo, model: demo, price: free }] }
keys: [{ name: ci, key: "\${env:FILE_KEY}" }]
admin: { key: "\${env:ADMIN}" }
egress: { allow_private: ["127.0.0.0/8"] }
${more}`;

/** Answers chat completions, and keeps the credentials it was sent. */
async function startUpstream(): Promise<{ url: string; seen: string[]; server: Server }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization ?? '');
    request.resume().on('end', () => {
      const refused = request.headers.authorization !== `Bearer ${CANARY}`;
      const error = { error: { message: `no such key: ${request.headers.authorization}`, type: 'invalid_request_error' } };
      const message = { role: 'assistant', content: 'OK' };
      const answer = {
        id: 'c1',
        object: 'chat.completion',
        created: 1,
        model: 'm',
        choices: [{ index: 0, message, finish_reason: 'stop' }],
      };
      response.writeHead(refused ? 401 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refused ? error : answer));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, seen, server };
}

/** Outlives each of the processes on it. */
const home = mkdtempSync(join(tmpdir(), 'signalbox-layers-'));
const dataDir = join(home, 'data');
let box: Signalbox;
let upstream: Awaited<ReturnType<typeof startUpstream>>;
/** Every answer of the admin API, to be searched for secrets. */
const answers: string[] = [];

beforeAll(async () => {
  upstream = await startUpstream();
  box = await startSignalbox({ config: file(), env: ENV, dataDir });
});
afterAll(async () => {
  await box.stop();
  upstream.server.close();
  rmSync(home, { recursive: true });
});

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

async function admin(method: Method, path: string, body?: object, headers: Record<string, string> = {}): Promise<Reply> {
  const reply = await ask(`${box.url}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${ENV.ADMIN}`, ...headers },
    ...(body !== undefined && { body }),
  });
  answers.push(reply.text, JSON.stringify(reply.headers));
  return reply;
}

async function done(reply: Promise<Reply>): Promise<Record<string, unknown>> {
  const { status, text } = await reply;
  expect(status, text).toBe(200);
  return JSON.parse(text) as Record<string, unknown>;
}

function chat(model: string): Promise<Reply> {
  const body = { model, messages: [{ role: 'user', content: 'hi' }] };
  return ask(`${box.url}/v1/chat/completions`, { body, headers: { authorization: `Bearer ${ENV.FILE_KEY}` } });
}

interface Entry {
  name: string;
  origin: string;
  problem?: string;
  credential?: string;
  settings: Record<string, unknown>;
}

async function entries(section: 'models' | 'providers'): Promise<Entry[]> {
  return (await done(admin('GET', '/config')))[section] as Entry[];
}

const one = (all: Entry[], name: string): Entry[] => all.filter((each) => each.name === name);
const demoModel = { targets: [{ provider: 'demo', model: 'demo', price: 'free' }] };

describe('models and providers over the API', () => {
  test('a model answers in every worker as soon as it is made, and no more once it is taken away', async () => {
    expect((await chat('new-one')).status).toBe(404);
    expect(await done(admin('PUT', '/models/new-one', demoModel))).toMatchObject({ in_force: true, late_workers: [] });
    for (let call = 0; call < 8; call++) expect((await chat('new-one')).status).toBe(200);
    expect(one(await entries('models'), 'new-one')).toEqual([
      { name: 'new-one', origin: 'api', settings: { name: 'new-one', ...demoModel } },
    ]);
    await done(admin('DELETE', '/models/new-one'));
    for (let call = 0; call < 8; call++) expect((await chat('new-one')).status).toBe(404);
    expect((await admin('DELETE', '/models/new-one')).status).toBe(404);
  });

  test('a name with a slash is one segment, percent-encoded', async () => {
    await done(
      admin('PUT', `/models/${encodeURIComponent('lab/*')}`, { targets: [{ provider: 'demo', model: '*', price: 'free' }] }),
    );
    expect((await chat('lab/anything')).status).toBe(200);
    await done(admin('DELETE', `/models/${encodeURIComponent('lab/*')}`));
  });

  test('a provider of the API is sent its credential, which nothing ever shows', async () => {
    await done(admin('PUT', '/providers/lab', { type: 'openai-compatible', base_url: upstream.url }));
    await done(admin('PUT', '/models/lab-model', { targets: [{ provider: 'lab', model: 'm', price: 'free' }] }));
    expect(one(await entries('providers'), 'lab')[0]).toMatchObject({ origin: 'api', credential: 'missing' });
    expect(await done(admin('POST', '/providers/lab/test', {}))).toMatchObject({ ok: false, endpoints: [{ status: 401 }] });
    const credential = await done(admin('PUT', '/providers/lab/credential', { api_key: CANARY }));
    expect(credential).toEqual({ provider: 'lab', credential: 'set', in_force: true, late_workers: [] });
    expect((await chat('lab-model')).status).toBe(200);
    expect(upstream.seen.at(-1)).toBe(`Bearer ${CANARY}`);
    expect(await done(admin('POST', '/providers/lab/test', {}))).toMatchObject({ ok: true, model: 'm' });
    expect(one(await entries('providers'), 'lab')[0]).toMatchObject({ origin: 'api', credential: 'set' });
  });

  test('with another address the credential is gone, and stays gone with the address put back', async () => {
    const count = upstream.seen.length;
    const moved = { type: 'openai-compatible', base_url: upstream.url.replace('/v1', '/v2') };
    expect(await done(admin('POST', '/config/diff', { providers: { lab: moved } }))).toMatchObject({
      clears_credentials: ['lab'],
    });
    expect(await done(admin('PUT', '/providers/lab', moved))).toMatchObject({ cleared_credentials: ['lab'] });
    expect((await chat('lab-model')).status).toBe(502);
    await done(admin('PUT', '/providers/lab', { type: 'openai-compatible', base_url: upstream.url }));
    expect((await chat('lab-model')).status).toBe(502);
    expect(upstream.seen.slice(count)).toEqual(['', '']);
    expect(one(await entries('providers'), 'lab')[0]).toMatchObject({ credential: 'missing' });
    await done(admin('PUT', '/providers/lab/credential', { api_key: CANARY }));
    expect((await chat('lab-model')).status).toBe(200);
    // What does not concern the address leaves it be.
    await done(admin('PUT', '/providers/lab', { type: 'openai-compatible', base_url: upstream.url, limits: { rpm: 600 } }));
    expect((await chat('lab-model')).status).toBe(200);
  });

  test('a provider that models use cannot go, and a credential needs a provider of the API', async () => {
    const refused = await admin('DELETE', '/providers/lab');
    expect(refused.status).toBe(400);
    expect(jsonOf(refused)).toMatchObject({ error: { issues: [{ place: 'api:/models/0/targets/0/provider' }] } });
    expect((await admin('PUT', '/providers/filed/credential', { api_key: CANARY })).status).toBe(409);
    expect((await admin('PUT', '/providers/none-such/credential', { api_key: CANARY })).status).toBe(404);
    expect((await admin('DELETE', '/models/demo')).status).toBe(409);
  });
});

describe('what the document may not say', () => {
  const cases: [string, object, string][] = [
    ['a reference', { providers: { p: { type: 'openai', headers: { 'x-a': '${env:ADMIN}' } } } }, 'api:/providers/p/headers/x-a'],
    [
      'a file reference',
      { models: [{ name: 'm', targets: [{ provider: 'demo', model: '${file:/etc/passwd}' }] }] },
      'api:/models/0/targets/0/model',
    ],
    ['a credential', { providers: { openai: { api_key: 'sk-literal-secret' } } }, 'api:/providers/openai/api_key'],
    [
      'a secret header',
      { providers: { p: { type: 'openai', headers: { 'x-api-key': 'abcdefgh' } } } },
      'api:/providers/p/headers/x-api-key',
    ],
    [
      'an unknown provider',
      { models: [{ name: 'm', targets: [{ provider: 'demmo', model: 'demo' }] }] },
      'api:/models/0/targets/0/provider',
    ],
    ['an unknown key', { models: [{ name: 'm', targts: [] }] }, 'api:/models/0/targts'],
    ['a wrong value', { tags: { batch: { limits: { rpm: -1 } } } }, 'api:/tags/batch/limits/rpm'],
    [
      'two models of one name',
      {
        models: [
          { name: 'm', ...demoModel },
          { name: 'm', ...demoModel },
        ],
      },
      'api:/models/1/name',
    ],
    [
      'a private address',
      { providers: { p: { type: 'openai-compatible', base_url: 'https://10.0.0.1/v1' } } },
      'api:/providers/p/base_url',
    ],
    [
      'the metadata service',
      { providers: { p: { type: 'openai-compatible', base_url: 'http://169.254.169.254/v1' } } },
      'api:/providers/p/base_url',
    ],
    [
      'plain http to the world',
      { providers: { p: { type: 'openai-compatible', base_url: 'http://93.184.216.34/v1' } } },
      'api:/providers/p/base_url',
    ],
    [
      'the control plane behind the demo',
      { providers: { p: { type: 'openai-compatible', base_url: 'http://demo.invalid/admin/v1' } } },
      'api:/providers/p/base_url',
    ],
  ];
  test.each(cases)('%s', async (_, document, place) => {
    const before = (await admin('GET', '/config/document')).headers['etag'];
    const verdict = await done(admin('POST', '/config/validate', document));
    expect(verdict).toMatchObject({ valid: false });
    expect((verdict['issues'] as { place: string }[]).map((issue) => issue.place)).toContain(place);
    const refused = await admin('PUT', '/config/document', document, { 'if-match': before! });
    expect(refused.status).toBe(400);
    expect(refused.text).not.toContain('sk-literal-secret');
    expect((await admin('GET', '/config/document')).headers['etag']).toBe(before);
  });

  test('sections of the file only', async () => {
    for (const section of ['server', 'admin', 'store', 'egress', 'keys', 'guards', 'include']) {
      expect((await admin('POST', '/config/validate', { [section]: {} })).status).toBe(400);
    }
  });

  test('the demo by its own address', async () => {
    await done(admin('PUT', '/providers/my-demo', { type: 'demo' }));
    await done(admin('PUT', '/models/my-demo', { targets: [{ provider: 'my-demo', model: 'demo', price: 'free' }] }));
    expect((await chat('my-demo')).status).toBe(200);
    await done(admin('DELETE', '/models/my-demo'));
    await done(admin('DELETE', '/providers/my-demo'));
  });
});

describe('versions', () => {
  test('PUT needs If-Match, and only the version that was read is replaced', async () => {
    const read = await admin('GET', '/config/document');
    const document = jsonOf(read) as { models: object[] };
    const etag = read.headers['etag']!;
    expect((await admin('PUT', '/config/document', document)).status).toBe(428);
    expect((await admin('PUT', '/config/document', document, { 'if-match': '"v0"' })).status).toBe(412);
    expect((await admin('PUT', '/config/document', document, { 'if-match': 'nonsense' })).status).toBe(412);
    const changed = { ...document, models: [...document.models, { name: 'second', ...demoModel }], note: 'a second one' };
    const put = await admin('PUT', '/config/document', changed, { 'if-match': etag });
    expect(put.status, put.text).toBe(200);
    expect(put.headers['etag']).not.toBe(etag);
    expect((await admin('PUT', '/config/document', changed, { 'if-match': etag })).status).toBe(412);
    expect((await chat('second')).status).toBe(200);
  });

  test('the history says who changed what, and any of it can be gone back to', async () => {
    const { data } = (await done(admin('GET', '/config/versions?limit=2'))) as {
      data: { version: number; by: string; note: string }[];
    };
    expect(data).toHaveLength(2);
    expect(data[0]).toMatchObject({ by: 'root', note: 'a second one' });
    const newest = await done(admin('GET', `/config/versions/${data[0]!.version}`));
    expect(newest).toMatchObject({ changes: [{ section: 'models', name: 'second', change: 'added' }] });
    const back = await done(admin('POST', '/config/rollback', { to: data[1]!.version }));
    expect(back).toMatchObject({ version: data[0]!.version + 1, in_force: true });
    expect((await chat('second')).status).toBe(404);
    expect((await chat('lab-model')).status).toBe(200);
    expect((await admin('POST', '/config/rollback', { to: 9_999 })).status).toBe(404);
    expect((await admin('GET', '/config/versions/9999')).status).toBe(404);
  });

  test('many edits at once are all there', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `at-once-${index}`);
    await Promise.all(names.map((name) => done(admin('PUT', `/models/${name}`, demoModel))));
    const there = new Set((await entries('models')).map(({ name }) => name));
    expect(names.filter((name) => !there.has(name))).toEqual([]);
    await Promise.all(names.map((name) => done(admin('DELETE', `/models/${name}`))));
  });
});

/** The log also tells of edits over the API: what came of a reload is looked at where it shows. */
async function reload(config: string, shows: () => Promise<void>): Promise<void> {
  await box.reload(config);
  await vi.waitFor(shows, { timeout: 10_000, interval: 50 });
}

const originsOf = async (name: string): Promise<string[]> => one(await entries('models'), name).map(({ origin }) => origin);
const problemOf = async (section: 'models' | 'providers', name: string): Promise<string | undefined> =>
  one(await entries(section), name)[0]?.problem;

describe('beside the file', () => {
  test('the same name in both: the file wins, the other is shadowed', async () => {
    await done(admin('PUT', '/models/both', { targets: [{ provider: 'lab', model: 'm', price: 'free' }] }));
    const calls = upstream.seen.length;
    const both = file().replace('keys:', '  - { name: both, targets: [{ provider: demo, model: demo, price: free }] }\nkeys:');
    await reload(both, async () => expect(await originsOf('both')).toEqual(['file', 'shadowed']));
    expect((await chat('both')).status).toBe(200);
    expect(upstream.seen).toHaveLength(calls);
    await reload(file(), async () => expect(await originsOf('both')).toEqual(['api']));
    expect((await chat('both')).status).toBe(200);
    expect(upstream.seen).toHaveLength(calls + 1);
    await done(admin('DELETE', '/models/both'));
  });

  test('what a file takes away from an entry leaves that one out, with its reason; all else serves and can be edited', async () => {
    await done(admin('PUT', '/models/leaning', { targets: [{ provider: 'filed', model: 'm', price: 'free' }] }));
    expect(await problemOf('models', 'leaning')).toBeUndefined();
    const less = file()
      .replace(/^ {2}filed:.*$/m, '')
      .replace('127.0.0.0/8', '10.0.0.0/8');
    await reload(less, async () => expect(await problemOf('models', 'leaning')).toContain('there is no provider `filed`'));
    // Its address is no longer covered.
    expect(await problemOf('providers', 'lab')).toContain('allow_private');
    expect(await problemOf('models', 'lab-model')).toContain('there is no provider `lab`');
    expect((await chat('leaning')).status).toBe(404);
    expect((await chat('lab-model')).status).toBe(404);
    expect((await chat('demo')).status).toBe(200);
    expect(await done(admin('PUT', '/models/unrelated', demoModel))).toMatchObject({ in_force: true, cleared_credentials: [] });
    expect((await admin('PUT', '/models/leaning', { targets: [{ provider: 'filed', model: 'n' }] })).status).toBe(400);
    await reload(file(), async () => expect(await problemOf('models', 'leaning')).toBeUndefined());
    expect((await chat('lab-model')).status).toBe(200);
    for (const name of ['leaning', 'unrelated']) await done(admin('DELETE', `/models/${name}`));
  });

  test('an edit comes into force while the file on disk is broken', async () => {
    await reload(file('nonsense: 1\n'), async () => expect(box.stderr()).toContain('nonsense: unknown key'));
    await done(admin('PUT', '/models/meanwhile', demoModel));
    expect((await chat('meanwhile')).status).toBe(200);
    expect((await chat('demo')).status).toBe(200);
    await done(admin('DELETE', '/models/meanwhile'));
    await reload(file('tags: { batch: { limits: { rpm: 9 } } }\n'), async () => {
      expect((await done(admin('GET', '/config')))['tags']).toMatchObject([{ name: 'batch', origin: 'file' }]);
    });
  });
});

describe('kept', () => {
  test('all of it is there after kill -9', async () => {
    await done(admin('PUT', '/models/lasting', { targets: [{ provider: 'lab', model: 'm', price: 'free' }] }));
    await box.kill();
    box = await startSignalbox({ config: file(), env: ENV, dataDir });
    expect((await chat('lasting')).status).toBe(200);
    expect(upstream.seen.at(-1)).toBe(`Bearer ${CANARY}`);
  });

  test('no secret is in any answer, log, journal or store', async () => {
    await box.stop();
    const found = filesBelow(dataDir).filter((path) => {
      const bytes = readFileSync(path, 'latin1');
      return bytes.includes(CANARY) || bytes.includes(ENV.UPSTREAM_KEY);
    });
    expect(found).toEqual([]);
    const told = [...answers, box.stdout(), box.stderr()].filter(
      (text) => text.includes(CANARY) || text.includes(ENV.UPSTREAM_KEY),
    );
    expect(told).toEqual([]);
    expect(statSync(join(dataDir, 'kek')).mode & 0o777).toBe(0o600);
    box = await startSignalbox({ config: file(), env: ENV, dataDir });
  });

  test('the key is rotated while nothing runs, and the old one is of no use then', async () => {
    await box.stop();
    const path = join(dataDir, 'kek');
    const old = readFileSync(path, 'utf8').trim().split('\n')[0]!;
    const configPath = join(home, 'gateway.yaml');
    const args = ['vault', 'rotate', '--data', dataDir, '--config', configPath];
    writeFileSync(configPath, file());
    const rotated = await runSignalbox(args, { env: ENV });
    expect(rotated, rotated.stderr).toMatchObject({ code: 0 });
    expect(readFileSync(path, 'utf8').startsWith(old)).toBe(false);
    box = await startSignalbox({ config: file(), env: ENV, dataDir });
    expect((await chat('lasting')).status).toBe(200);
    await box.stop();
    writeFileSync(path, `${old}\n`);
    const refused = await runSignalbox(['serve', '--port', '0', '--data', dataDir, '--config', configPath], { env: ENV });
    expect(refused.code).not.toBe(0);
    const lines = refused.stderr.split('\n').filter((line) => line !== '' && !/^signalbox: Node |^\{/.test(line));
    expect(lines, refused.stderr).toEqual([expect.stringContaining('sealed with the key')]);
    const forgotten = await runSignalbox(['vault', 'forget', '--data', dataDir, '--config', configPath], { env: ENV });
    expect(forgotten).toMatchObject({ code: 0, stdout: 'removed the credentials of lab\n' });
    box = await startSignalbox({ config: file(), env: ENV, dataDir });
    expect(one(await entries('providers'), 'lab')[0]).toMatchObject({ credential: 'missing' });
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
