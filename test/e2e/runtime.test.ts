/** The process as its operator meets it: start, keys, signals, reload, death. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';

import { type Signalbox, type SignalboxOptions, runSignalbox, startSignalbox } from '../support/signalbox.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const KEY = 'a-key-of-the-file-0001';
const OTHER_KEY = 'another-key-of-the-file';
const CONFIG = `
server: { workers: 2 }
providers: { demo: {} }
models: [{ name: demo, targets: [{ provider: demo, model: demo }] }]
keys: [{ name: ci, key: "\${env:TEST_KEY}", models: ["*"] }]
admin: { key: "\${env:TEST_ADMIN_KEY}" }
`;
const ADMIN_KEY = 'the-admin-key-of-this-test';
const SECRETS = { TEST_ADMIN_KEY: ADMIN_KEY, TEST_KEY: KEY, TEST_OTHER_KEY: OTHER_KEY };
/** With another key in the place of the first one. */
const OTHER_CONFIG = CONFIG.replace('env:TEST_KEY', 'env:TEST_OTHER_KEY');

const started: Signalbox[] = [];
async function box(options?: SignalboxOptions): Promise<Signalbox> {
  const one = await startSignalbox(options);
  started.push(one);
  return one;
}
afterEach(async () => {
  for (const one of started.splice(0)) if (one.process.exitCode === null) await one.kill();
});

/** A connection of its own, so that any worker may answer. */
async function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const { statusCode, body } = await request(url, { headers: { connection: 'close', ...headers } });
  return { status: statusCode, text: await body.text() };
}

function chat(one: Signalbox, key: string, body: object = {}): ReturnType<typeof request> {
  return request(`${one.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }], ...body }),
  });
}

describe('first-run mode', () => {
  test('prints a curl line that works, then the ready line; keeps digests only; later starts go on with them', async () => {
    const first = await box();
    expect(first.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const lines = first.stdout().trim().split('\n');
    const curl = lines.find((line) => line.startsWith('curl ')) ?? '';
    expect(lines.at(-1)).toBe(`signalbox listening on ${first.url}`);
    expect(first.stdout()).not.toContain(first.adminKey);
    expect(statSync(first.dataDir).mode & 0o777).toBe(0o700);

    const answer = spawn('sh', ['-c', `${curl} --silent --show-error`]);
    let text = '';
    answer.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(answer, 'close');
    expect(JSON.parse(text)).toMatchObject({ object: 'chat.completion', choices: [{ message: { role: 'assistant' } }] });

    for (const file of ['first-run.json', 'pepper', 'admin-key']) {
      expect(statSync(join(first.dataDir, file)).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(first.dataDir, file), 'utf8')).not.toContain(first.key);
    }
    await first.kill();
    const second = await box({ dataDir: first.dataDir });
    expect(second.key).toBe('');
    expect(second.stdout()).toContain('first-run.json');
    expect((await chat(second, first.key)).statusCode).toBe(200);
    expect((await get(`${second.url}/admin/v1/status`, { authorization: `Bearer ${first.adminKey}` })).status).toBe(200);
  });

  test('serves loopback only, and says why', async () => {
    const refused = await runSignalbox(['--host', '0.0.0.0', '--port', '0']);
    expect(refused.code).toBe(78);
    expect(refused.stderr).toContain('serves this machine only');
  });

  test('a provider of the environment serves as a wildcard', async () => {
    const one = await box({ env: { GROQ_API_KEY: 'gsk-not-a-real-one' } });
    const { data } = JSON.parse((await get(`${one.url}/v1/models`, { authorization: `Bearer ${one.key}` })).text) as {
      data: { id: string }[];
    };
    expect(data.map(({ id }) => id)).toContain('demo');
    const { statusCode, body } = await chat(one, one.key, { model: 'grog/x' });
    expect(statusCode).toBe(404);
    // The wildcard is the nearest name that would do.
    expect(await body.text()).toContain('groq/');
  });
});

describe('a start that cannot be', () => {
  test('the port is in use: one line, exit 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const failed = await runSignalbox(['--port', String(port)]);
    other.close();
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr.trim().split('\n').at(-1)).toBe(`signalbox: port ${port} is in use on 127.0.0.1`);
  });

  test('another Signalbox has the port, or the data directory: one line each, and the first one serves on', async () => {
    const first = await box();
    const samePort = await runSignalbox(['--port', new URL(first.url).port]);
    expect(samePort).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('is in use on 127.0.0.1') });
    const sameData = await runSignalbox(['--port', '0', '--data', first.dataDir]);
    expect(sameData).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('is in use by another Signalbox') });
    expect(sameData.stderr.split('\n').filter((line) => line.includes('signalbox: the data'))).toHaveLength(1);
    expect((await chat(first, first.key)).statusCode).toBe(200);
  });

  test('after kill -9 the same data directory starts at once', async () => {
    const first = await box();
    await first.kill();
    const second = await box({ dataDir: first.dataDir });
    expect((await get(`${second.url}/health/ready`)).status).toBe(200);
  });

  test('a named file that is missing is 78; so is one with errors, all of them told with their lines', async () => {
    expect((await runSignalbox(['--config', '/nowhere/gateway.yaml'])).code).toBe(78);
    expect((await runSignalbox([], { env: { SIGNALBOX_CONFIG: '/nowhere/gateway.yaml' } })).code).toBe(78);
    await expect(
      box({ config: 'server: { prot: 4000 }\nmodels: [{ name: a, targets: [{ provider: nobody, model: x }] }]\n' }),
    ).rejects.toThrow(/gateway\.yaml:1:\d+ .*"port"[\s\S]*gateway\.yaml:2:\d+/);
  });

  test('an old Node gets one sentence', async ({ skip }) => {
    const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path));
    if (old === undefined) return skip('this machine has no Node of its own');
    const { stdout } = await finished(spawn(old, ['--version']));
    if (Number(/^v(\d+)/.exec(stdout)?.[1]) >= 24) return skip(`the machine's own Node is ${stdout.trim()}`);
    await finished(spawn(process.execPath, [join(ROOT, 'scripts/setup.mjs')]));
    const refused = await finished(spawn(old, [join(ROOT, 'dist/main.js')]));
    expect(refused.code).toBe(1);
    expect(refused.stderr.trim()).toMatch(/^signalbox: Signalbox needs Node 24 or newer; this is Node [\d.]+$/);
  });
});

describe('the end', () => {
  test(
    'SIGTERM with nothing in flight, idle connections open: gone within a second, exit 0, no journal left',
    { retry: 2 },
    async () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'signalbox-data-'));
      const one = await box({ config: CONFIG, env: SECRETS, dataDir });
      const agent = new Agent({ connections: 4, pipelining: 1 });
      await Promise.all(
        Array.from({ length: 4 }, () => request(`${one.url}/health/live`, { dispatcher: agent }).then(({ body }) => body.text())),
      );
      expect((await chat(one, KEY)).statusCode).toBe(200);
      const at = performance.now();
      expect(await one.stop()).toBe(0);
      expect(performance.now() - at).toBeLessThan(1_000);
      await agent.destroy();
      expect(readdirSync(join(dataDir, 'journal'))).toEqual([]);
      rmSync(dataDir, { recursive: true });
    },
  );

  test('SIGTERM with a live stream: not ready at once, the stream ends whole, exit 0', async () => {
    const one = await box({ config: CONFIG, env: SECRETS });
    const { body, statusCode } = await chat(one, KEY, {
      stream: true,
      messages: [{ role: 'user', content: 'word '.repeat(60) }],
    });
    expect(statusCode).toBe(200);
    const text = body.text();
    one.process.kill('SIGTERM');
    await sleep(100);
    await expect(get(`${one.url}/health/ready`)).rejects.toThrow();
    expect(await text).toMatch(/data: \[DONE\]\n\n$/);
    expect(await one.exited).toBe(0);
  });

  test('a second signal ends it at once; the echo that npm sends does not', async () => {
    const one = await box();
    const { body } = await chat(one, one.key, { stream: true, messages: [{ role: 'user', content: 'word '.repeat(200) }] });
    const cut = body.text().catch(() => 'cut');
    one.process.kill('SIGINT');
    one.process.kill('SIGINT');
    await sleep(700);
    expect(one.process.exitCode).toBeNull();
    one.process.kill('SIGINT');
    await cut;
    expect(await one.exited).toBe(130);
  });
});

describe('the control plane', () => {
  test('/admin and /metrics need the admin key, on every worker; status tells of each worker', async () => {
    const one = await box({ config: CONFIG, env: SECRETS });
    expect(one.adminKey).toBe('');
    for (const path of ['/admin/v1/status', '/admin/v1/nothing', '/metrics']) {
      for (const headers of [{}, { authorization: `Bearer ${KEY}` }])
        expect((await get(`${one.url}${path}`, headers)).status).toBe(401);
    }
    const admin = { authorization: `Bearer ${ADMIN_KEY}` };
    const status = JSON.parse((await get(`${one.url}/admin/v1/status`, admin)).text) as {
      workers: object[];
      snapshot_hash: string;
    };
    expect(status).toMatchObject({
      config_file: one.configPath,
      workers: [0, 1].map((worker) => expect.objectContaining({ worker, serving: true })),
    });
    expect((await get(`${one.url}/health/ready`)).text).toContain(status.snapshot_hash);
    expect((await get(`${one.url}/metrics`, admin)).status).toBe(200);
    expect((await get(`${one.url}/admin/v1/nothing`, admin)).status).toBe(404);
  });

  test('where the file names no admin key, one is minted into a private file', async () => {
    const one = await box({ config: CONFIG.replace(/^admin.*$/m, ''), env: SECRETS });
    expect(one.adminKey).toMatch(/^sk-sb-admin-\w{49}$/);
    expect(one.key).toBe('');
    expect((await get(`${one.url}/admin/v1/status`, { authorization: `Bearer ${one.adminKey}` })).status).toBe(200);
    expect((await chat(one, one.adminKey)).statusCode).toBe(401);
  });
});

describe('the journal', () => {
  const ONE_WORKER = CONFIG.replace('workers: 2', 'workers: 1');
  const admin = { authorization: `Bearer ${ADMIN_KEY}` };

  test('kill -9 right after an answer: the next start recovers its fact, once', async () => {
    const first = await box({ config: ONE_WORKER, env: SECRETS });
    const { headers, body } = await chat(first, KEY);
    await body.text();
    // The fact is settled off the reply's path.
    await sleep(20);
    await first.kill();
    const second = await box({ config: ONE_WORKER, env: SECRETS, dataDir: first.dataDir });
    await sleep(500);
    expect(second.stderr()).toContain(headers['x-request-id'] as string);
    expect(second.stderr()).toContain('facts of an earlier run were recovered');
    expect(readdirSync(join(first.dataDir, 'journal'))).toEqual([]);
  });

  test('while facts cannot be written the worker is not ready but lives; then it is ready again and nothing is lost', async () => {
    const one = await box({ config: ONE_WORKER, env: SECRETS });
    const journal = join(one.dataDir, 'journal');
    rmSync(journal, { recursive: true });
    const { headers, statusCode } = await chat(one, KEY);
    expect(statusCode).toBe(200);
    await until(async () => (await get(`${one.url}/health/ready`)).status === 503);
    mkdirSync(journal);
    await until(async () => (await get(`${one.url}/health/ready`)).status === 200);
    await until(() => Promise.resolve(one.stderr().includes(headers['x-request-id'] as string)));
    expect((await get(`${one.url}/metrics`, admin)).text).toMatch(/journal_lag_bytes 0\n/);
  });
});

describe('reload', () => {
  test('SIGHUP: what changed is in force on every worker; what cannot change is named', async () => {
    const one = await box({ config: CONFIG, env: SECRETS });
    const said = await one.reload(OTHER_CONFIG.replace('workers: 2', 'workers: 4'));
    expect(said).toContain('in force');
    expect(one.stderr()).toContain('server.workers');
    for (let round = 0; round < 10; round++) {
      expect((await chat(one, KEY)).statusCode).toBe(401);
      expect((await chat(one, OTHER_KEY)).statusCode).toBe(200);
    }
  });

  test('a configuration with errors: all are logged with file and line, the old one stays in force', async () => {
    const one = await box({ config: CONFIG, env: SECRETS });
    const said = await one.reload(CONFIG.replace('workers:', 'worker:').replace('provider: demo,', 'provider: nobody,'));
    expect(said).toContain('the old one stays in force');
    expect(said).toMatch(/gateway\.yaml:2:.*gateway\.yaml:4:/);
    expect((await chat(one, KEY)).statusCode).toBe(200);
  });

  test('a swapped symlink is seen without a signal', async () => {
    const one = await box({ config: CONFIG, env: SECRETS });
    const target = join(mkdtempSync(join(tmpdir(), 'swapped-')), 'new.yaml');
    writeFileSync(target, OTHER_CONFIG);
    rmSync(one.configPath);
    symlinkSync(target, one.configPath);
    for (let waited = 0; waited < 100 && (await chat(one, OTHER_KEY)).statusCode !== 200; waited++) await sleep(100);
    expect((await chat(one, OTHER_KEY)).statusCode).toBe(200);
    expect((await chat(one, KEY)).statusCode).toBe(401);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 200; waited++) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error('not within 5 s');
}

async function finished(child: ReturnType<typeof spawn>): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
