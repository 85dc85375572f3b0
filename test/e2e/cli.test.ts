/** Commands against a real server: by its data directory and by its URL, for people and for programs. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ask } from '../support/ask.ts';
import type { Finished } from '../support/command.ts';
import { type Signalbox, runSignalbox, startSignalbox } from '../support/signalbox.ts';

const FILE_KEY = 'the-key-of-the-file-01234';
const CONFIG = `providers: { demo: {} }
models: [{ name: demo, targets: [{ provider: demo, model: demo, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 } }] }]
keys: [{ name: ci, key: "\${env:FILE_KEY}" }]
`;

const home = mkdtempSync(join(tmpdir(), 'signalbox-cli-'));
let box: Signalbox;

beforeAll(async () => {
  // No admin key is configured: the one in the data directory is for commands on this machine.
  box = await startSignalbox({ config: CONFIG, env: { FILE_KEY } });
});
afterAll(async () => {
  await box.stop();
  rmSync(home, { recursive: true });
});

const cli = (...args: string[]): Promise<Finished> => runSignalbox([...args, '--data', box.dataDir], { cwd: home });

async function json<Answer>(...args: string[]): Promise<Answer> {
  const done = await cli(...args, '--json');
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return JSON.parse(done.stdout) as Answer;
}

async function chat(key: string, model = 'demo'): Promise<number> {
  const body = { model, messages: [{ role: 'user', content: 'hi' }] };
  return (await ask(`${box.url}/v1/chat/completions`, { body, headers: { authorization: `Bearer ${key}` } })).status;
}

interface Made {
  id: string;
  key: string;
  name: string;
}

describe('keys, teams, people', () => {
  test('a key is made, works, is changed, rotated, blocked and removed', async () => {
    const made = await json<Made>(
      'keys',
      'create',
      'laptop',
      '--models',
      'demo',
      '--rpm',
      '600',
      '--concurrent',
      '9',
      '--budget',
      '2.5/day',
      '--tags',
      'a,b',
    );
    expect(made).toMatchObject({
      name: 'laptop',
      models: ['demo'],
      limits: { rpm: 600, concurrent: 9 },
      budgets: [{ limit_usd: 2.5, window: 'day' }],
      tags: ['a', 'b'],
    });
    expect(await chat(made.key)).toBe(200);
    expect(await json('keys', 'update', made.id, '--models', 'other')).toMatchObject({ models: ['other'], tags: ['a', 'b'] });
    expect(await chat(made.key)).toBe(404);
    await json('keys', 'update', made.id, '--models', '*');
    const rotated = await json<Made>('keys', 'rotate', made.id, '--grace', '0');
    expect([await chat(made.key), await chat(rotated.key)]).toEqual([401, 200]);
    await json('keys', 'block', made.id);
    expect(await chat(rotated.key)).toBe(401);
    await json('keys', 'unblock', made.id);
    expect(await chat(rotated.key)).toBe(200);
    expect((await cli('keys', 'delete', made.id)).stdout).toBe(`removed ${made.id}\n`);
    expect(await chat(rotated.key)).toBe(401);
  });

  test('limits that no flag names stay; `none` takes away', async () => {
    const made = await json<Made>(
      'keys',
      'create',
      'bounded',
      '--rpm',
      '60',
      '--tpm',
      '9000',
      '--budget',
      '1/day',
      '--ips',
      'none',
    );
    expect(await json('keys', 'update', made.id, '--rpm', '50', '--expires', '2099-01-31')).toMatchObject({
      limits: { rpm: 50, tpm: 9000 },
      budgets: [{ limit_usd: 1 }],
      expires_at: '2099-01-31T00:00:00.000Z',
    });
    const less = await json<object>('keys', 'update', made.id, '--tpm', 'none', '--budget', 'none', '--expires', 'none');
    expect(less).toMatchObject({ limits: { rpm: 50 }, budgets: [] });
    expect(less).not.toHaveProperty('limits.tpm');
    expect(less).not.toHaveProperty('expires_at');
    expect(await json('keys', 'update', made.id, '--rpm', 'none')).not.toHaveProperty('limits.rpm');
  });

  test('a child has a parent, a task, a class', async () => {
    const parent = await json<Made>('keys', 'create', 'agent');
    const child = ['--parent', parent.id, '--task', 'review 7', '--priority', 'low'];
    expect(await json('keys', 'create', 'agent-1', ...child)).toMatchObject({
      parent: parent.id,
      task: 'review 7',
      priority: 'low',
    });
  });

  test('service accounts are made, have keys, and are removed with them', async () => {
    const org = await json<Made>('orgs', 'create', 'Programs');
    const team = await json<Made>('teams', 'create', 'Robots', '--org', org.id);
    const account = await json<Made>('service-accounts', 'create', 'rag', '--team', team.id, '--rpm', '60');
    const key = await json<Made>('keys', 'create', 'rag-1', '--service-account', account.id, '--team', team.id);
    expect(await json('service-accounts', 'list', '--team', team.id)).toMatchObject({ data: [{ id: account.id, name: 'rag' }] });
    expect(await chat(key.key)).toBe(200);
    await json('service-accounts', 'delete', account.id);
    expect(await chat(key.key)).toBe(401);
    await json('teams', 'delete', team.id);
    await json('orgs', 'delete', org.id);
  });

  test('people and teams are blocked, and with them their keys', async () => {
    const user = await json<Made>('users', 'create', 'Eve');
    const key = await json<Made>('keys', 'create', 'hers too', '--user', user.id);
    expect(await chat(key.key)).toBe(200);
    expect(await json('users', 'block', user.id)).toMatchObject({ blocked: true });
    expect(await chat(key.key)).toBe(401);
    expect(await json('users', 'unblock', user.id)).toMatchObject({ blocked: false });
    expect(await chat(key.key)).toBe(200);
    await json('users', 'delete', user.id);
  });

  test('lists are tables for people, and never show a secret', async () => {
    const made = await json<Made>('keys', 'create', 'table');
    const { stdout } = await cli('keys', 'list');
    expect(stdout.split('\n')[0]).toMatch(/^ID +NAME +SHOWN +SOURCE/);
    expect(stdout).toMatch(/^ci +ci +file/m);
    expect(stdout).toContain(`${made.id}  table`);
    expect(stdout).not.toContain(made.key);
    expect((await cli('keys', 'list', '--search', 'nothing-like-it')).stdout).toBe('nothing\n');
    expect((await cli('keys', 'show', made.id)).stdout).toMatch(/^name +table$/m);
  });

  test('teams have members, and their keys', async () => {
    const org = await json<Made>('orgs', 'create', 'Acme', '--budget', '100/month');
    const team = await json<Made>('teams', 'create', 'Search', '--org', org.id, '--models', 'demo');
    const user = await json<Made>('users', 'create', 'Ada', '--email', 'ada@example.com', '--role', 'viewer');
    await json('teams', 'add', team.id, user.id, '--role', 'team_admin');
    expect(await json('teams', 'members', team.id)).toEqual({ data: [{ user: user.id, role: 'team_admin' }] });
    const key = await json<Made>('keys', 'create', 'hers', '--user', user.id, '--team', team.id);
    expect(await json('keys', 'list', '--team', team.id)).toMatchObject({ data: [{ id: key.id, org: org.id }] });
    expect(await chat(key.key)).toBe(200);
    await json('teams', 'remove', team.id, user.id);
    expect(await chat(key.key)).not.toBe(200);
    expect(await cli('teams', 'delete', team.id)).toMatchObject({ code: 1, stderr: expect.stringContaining('(409)') });
    await json('keys', 'delete', key.id);
    await json('teams', 'delete', team.id);
    expect(await json('users', 'list')).toMatchObject({ data: [{ email: 'ada@example.com' }] });
  });
});

describe('usage and audit', () => {
  test('usage by key and day, as JSON and CSV', async () => {
    await chat(FILE_KEY);
    await expect
      .poll(
        async () => (await json<{ data: { key: string }[] }>('usage', '--by', 'key,day')).data.some(({ key }) => key === 'ci'),
        { timeout: 15_000 },
      )
      .toBe(true);
    expect((await cli('usage', '--by', 'model', '--csv')).stdout).toMatch(/^model,/);
    expect((await cli('usage', '--by', 'model')).stdout).toMatch(/^MODEL +REQUESTS/);
  });

  test('the log says what was done here', async () => {
    const { data } = await json<{ data: { action: string; actor: string; via: string }[] }>(
      'audit',
      'list',
      '--action',
      'key.create',
      '--limit',
      '3',
    );
    expect(data[0]).toMatchObject({ action: 'key.create', actor: 'root', via: 'admin_key' });
  });
});

describe('the configuration', () => {
  const document = join(home, 'document.yaml');

  test('validate, diff, apply, show, get, versions, rollback', async () => {
    writeFileSync(document, 'models:\n  - { name: second, targets: [{ provider: demmo, model: demo }] }\n');
    expect(await cli('config', 'validate', document)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^api:\/models\/0\/targets\/0\/provider: there is no provider/),
    });
    writeFileSync(document, 'models:\n  - { name: second, targets: [{ provider: demo, model: demo, price: free }] }\n');
    expect((await cli('config', 'validate', document)).stdout).toBe('valid\n');
    expect((await cli('config', 'diff', document)).stdout).toMatch(/added +models +second/);
    expect((await cli('config', 'apply', document, '--note', 'a second one')).stdout).toBe('version 1, in force\n');
    expect(await chat(FILE_KEY, 'second')).toBe(200);
    expect(await cli('config', 'apply', document, '--from', '0')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(412\).*--from/),
    });
    expect((await cli('config', 'show')).stdout).toMatch(/models +second +api/);
    expect((await cli('config', 'get')).stdout).toMatch(/^# version 1\n[^]*name: second/);
    expect((await cli('config', 'versions')).stdout).toContain('a second one');
    expect((await cli('config', 'rollback', '0')).stdout).toBe('version 2, in force\n');
    expect(await chat(FILE_KEY, 'second')).toBe(404);
  });

  test('the export is a file that loads again, with everything in it but secrets', async () => {
    writeFileSync(
      document,
      JSON.stringify({
        providers: {
          lab: { type: 'openai-compatible', base_url: 'https://lab.example/v1', headers: { 'x-note': 'costs ${5}' } },
        },
        models: [{ name: 'lab', targets: [{ provider: 'lab', model: 'm', price: 'free' }] }],
        tags: { batch: { limits: { rpm: 5 } } },
      }),
    );
    expect(await cli('config', 'apply', document)).toMatchObject({ code: 0 });
    const admin = readFileSync(join(box.dataDir, 'admin-key'), 'utf8').trim();
    await ask(`${box.url}/admin/v1/providers/lab/credential`, {
      method: 'PUT',
      body: { api_key: 'lab-secret-0123456789' },
      headers: { authorization: `Bearer ${admin}` },
    });
    const twin = await json<Made>('keys', 'create', 'ci', '--budget', '3/week', '--expires', '2099-01-31');
    const done = await cli('export');
    expect(done, done.stderr).toMatchObject({ code: 0 });
    for (const secret of ['lab-secret-0123456789', FILE_KEY, twin.key, admin]) expect(done.stdout).not.toContain(secret);
    const path = join(home, 'exported.yaml');
    writeFileSync(path, done.stdout);
    const names = new Set([...done.stdout.matchAll(/\$\{env:([A-Z0-9_]+)\}/g)].map(([, name]) => name!));
    expect([...names]).toContain('LAB_API_KEY');
    const env = Object.fromEntries([...names].map((name, index) => [name, `filled-in-${index}-zyxwvutsrq`]));
    const checked = await runSignalbox(['check', path, '--json'], { cwd: home, env });
    expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true, errors: [], summary: { providers: 2, models: 2 } });
    const again = await startSignalbox({ config: done.stdout, env });
    const models = await ask(`${again.url}/v1/models`, { headers: { authorization: `Bearer ${env['FILE_KEY']}` } });
    expect((JSON.parse(models.text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['demo', 'lab']);
    await again.stop();
  });
});

describe('where and as whom', () => {
  test('by URL and key, from the environment', async () => {
    const admin = readFileSync(join(box.dataDir, 'admin-key'), 'utf8').trim();
    const env = { SIGNALBOX_URL: box.url, SIGNALBOX_ADMIN_KEY: admin };
    const done = await runSignalbox(['keys', 'list', '--json'], { cwd: home, env });
    expect(JSON.parse(done.stdout)).toHaveProperty('data');
    const wrong = await runSignalbox(['keys', 'list'], {
      cwd: home,
      env: { ...env, SIGNALBOX_ADMIN_KEY: 'sk-sb-admin-nonsense' },
    });
    expect(wrong).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/\(401\).*SIGNALBOX_ADMIN_KEY/) });
  });

  test.each([
    [['keys', 'list'], {}, 'no admin key'],
    [['keys', 'list'], { SIGNALBOX_ADMIN_KEY: 'x' }, 'no server runs on'],
    [['keys', 'list', '--url', 'http://127.0.0.1:9'], { SIGNALBOX_ADMIN_KEY: 'x' }, 'cannot be reached'],
  ])('%s with %o says what is missing', async (args, env, message) => {
    const done = await runSignalbox(args, { cwd: home, env });
    expect(done).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) });
    expect(done.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('bad input is told in a line, at its field', async () => {
    expect(await cli('keys', 'create', 'x', '--budget', 'lots')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--budget must look like'),
    });
    expect(await cli('keys', 'create', 'x', '--rpm', 'many')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--rpm must be a whole number'),
    });
    expect(await cli('frobnicate')).toMatchObject({ code: 1, stderr: expect.stringContaining('no command frobnicate') });
    const torn = join(home, 'torn.yaml');
    writeFileSync(torn, 'models: []\n providers: {}\n');
    expect(await cli('config', 'validate', torn)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/torn\.yaml:2:\d+ is not/),
    });
    expect(await cli('keys', 'create', 'x', '--expires', 'tomorrow')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('expires_at: must be a date'),
    });
    expect(await cli('keys', 'show', 'key_0000000000000000')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(404)'),
    });
    expect(await cli('config', 'apply', '/nowhere/at/all.yaml')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot be read'),
    });
  });

  test('an admin key that others can read is not used', async () => {
    const path = join(box.dataDir, 'admin-key');
    chmodSync(path, 0o644);
    expect(await cli('keys', 'list')).toMatchObject({ code: 1, stderr: expect.stringContaining('chmod 600') });
    chmodSync(path, 0o600);
  });
});
