/**
 * The README as its reader meets it: a fresh clone, the machine's own Node (as old as 20), and every command that it shows. A command
 * that is added there without a test here fails.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Command, ROOT, machinePath, runCommand, shellEnvironment, startCommand } from '../support/command.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const MOST_LINES = 120;
/** Packages come from npm's cache where it has them. */
const INSTALL_MS = 240_000;
const READY = /^signalbox listening on (\S+)$/m;

/** What fenced blocks of a language hold, one text each. */
function fenced(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);
}

/** A line each; what a backslash continues is one command. */
const COMMANDS = fenced('sh').flatMap((block) =>
  block
    .replace(/\\\n\s*/g, '')
    .trim()
    .split('\n'),
);

/** By how they begin: the tests below that run them. */
const RUN_HERE = ['npm start', 'curl ', 'npm run signalbox -- check ', 'npm start -- '] as const;
/** These run what runs this test. */
const RUN_ELSEWHERE = ['npm run check', 'npm test', 'npm run bench'];

/** The one command of the README that begins so. */
function command(start: (typeof RUN_HERE)[number]): string {
  const found = COMMANDS.find((each) => (start.endsWith(' ') ? each.startsWith(start) : each === start));
  if (found === undefined) throw new Error(`the README has no command "${start}" any more`);
  return found;
}

describe('the README', () => {
  test(`has at most ${MOST_LINES} lines`, () => {
    expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
  });

  test('shows no command that nothing runs', () => {
    const known = [...RUN_HERE.map(command), ...RUN_ELSEWHERE];
    expect(COMMANDS.toSorted()).toEqual(known.toSorted());
  });

  test('names scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const named = COMMANDS.flatMap((each) => /^npm (?:run )?([a-z]+)/.exec(each)?.[1] ?? []);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('a fresh clone', () => {
  const path = machinePath();
  let clone = '';
  const env = (extra: Record<string, string> = {}) => shellEnvironment(path, { npm_config_prefer_offline: 'true', ...extra });
  const shell = (line: string, extra?: Record<string, string>): Command =>
    startCommand('sh', ['-c', `exec ${line}`], { cwd: clone, env: env(extra) });

  beforeAll(async () => {
    clone = join(mkdtempSync(join(tmpdir(), 'signalbox-readme-')), 'signalbox');
    if (existsSync(join(ROOT, '.git'))) {
      const cloned = await runCommand('git', ['clone', '--quiet', ROOT, clone], { cwd: tmpdir(), env: env() });
      expect(cloned, cloned.stderr).toMatchObject({ code: 0 });
    } else {
      console.warn('this is no git repository: a copy without node_modules and dist stands for the clone');
      cpSync(ROOT, clone, { recursive: true, filter: (file) => !/\/(node_modules|dist|\.signalbox)\/?$/.test(file) });
    }
    const node = await runCommand('node', ['--version'], { cwd: tmpdir(), env: env() });
    console.log(`the machine's own Node: ${node.stdout.trim()}`);
  });
  afterAll(() => rmSync(join(clone, '..'), { recursive: true, force: true }));

  test(
    'npm start installs, builds and prints a curl line that answers, plain and streamed; SIGTERM to npm lets a stream end whole',
    async () => {
      const began = performance.now();
      const npm = shell(`${command('npm start')} -- --port 0`);
      const [, url = ''] = await npm.until(READY, INSTALL_MS);
      console.log(`clone to ready: ${Math.round(performance.now() - began)} ms`);

      const printed = /^curl .*$/m.exec(npm.stdout())?.[0] ?? '';
      const plain = await shell(`${printed} --silent --show-error`).finished;
      expect(JSON.parse(plain.stdout)).toMatchObject({
        object: 'chat.completion',
        choices: [{ message: { role: 'assistant' } }],
      });

      const [key = ''] = /sk-sb-\w+/.exec(printed) ?? [];
      const shown = command('curl ').replace('http://127.0.0.1:4000', url);
      const streamed = await shell(`${shown} --silent --no-buffer`, { SIGNALBOX_KEY: key }).finished;
      expect(streamed.stdout).toMatch(/^data: \{[^]*"delta"[^]*\n\ndata: \[DONE\]\n\n$/);

      const long = shell(`${shown.replace('Hello', 'word '.repeat(40))} --silent --no-buffer`, { SIGNALBOX_KEY: key });
      await long.until(/^data: /m, 5_000);
      npm.process.kill('SIGTERM');
      expect(await long.finished).toMatchObject({ code: 0, stdout: expect.stringMatching(/\n\ndata: \[DONE\]\n\n$/) });
      expect(await npm.finished).toMatchObject({ code: 0 });
    },
    INSTALL_MS,
  );

  test("the README's configuration: the check names each variable that is not set, with its line, and then passes", async () => {
    const [yaml = ''] = fenced('yaml');
    writeFileSync(join(clone, 'gateway.yaml'), yaml);
    const check = command('npm run signalbox -- check ');
    const variables = [...yaml.matchAll(/\$\{env:(\w+)\}/g)].map(([, name = '']) => name);

    const bare = await shell(check, Object.fromEntries(variables.map((name) => [name, '']))).finished;
    expect(bare.code).toBe(78);
    for (const name of variables) expect(bare.stderr).toMatch(new RegExp(`^gateway\\.yaml:\\d+:\\d+ .*${name}`, 'm'));

    const set = await shell(check, secrets(variables)).finished;
    expect(set, set.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('gateway.yaml is valid: 2 providers, 2 models, 1 key'),
    });
  }, 60_000);

  test('and serves', async () => {
    const line = command('npm start -- ').replace('--port 4000', '--port 0');
    expect(line).toMatch(/--config gateway\.yaml .*--port 0/);
    const variables = [...(fenced('yaml')[0] ?? '').matchAll(/\$\{env:(\w+)\}/g)].map(([, name = '']) => name);
    const npm = shell(line, secrets(variables));
    const [, url = ''] = await npm.until(READY, 30_000);
    const { statusCode, body } = await request(`${url}/v1/models`, {
      headers: { authorization: `Bearer ${secrets(variables)['MY_APP_KEY'] ?? ''}` },
    });
    expect(statusCode).toBe(200);
    expect(await body.json()).toMatchObject({ data: expect.arrayContaining([expect.objectContaining({ id: 'fast' })]) });
    npm.process.kill('SIGTERM');
    expect(await npm.finished).toMatchObject({ code: 0 });
  }, 60_000);
});

/** A value of its own for each. */
function secrets(variables: readonly string[]): Record<string, string> {
  return Object.fromEntries(variables.map((name) => [name, `not-a-real-${name.toLowerCase()}`]));
}
