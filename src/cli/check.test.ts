import { describe, expect, it } from 'vitest';

import { configFolder } from '../../test/support/config-files.ts';
import type { CheckOptions } from './check.ts';
import { runCheck } from './check.ts';
import { runSchema } from './schema.ts';

/** Runs `signalbox check` in a folder that holds these files. */
async function check(given: Record<string, string>, options: CheckOptions = {}, env: Record<string, string> = {}) {
  await using files = await configFolder(given);
  let [out, err] = ['', ''];
  const io = { env, cwd: files.folder, out: (text: string) => void (out += text), err: (text: string) => void (err += text) };
  const code = await runCheck({ ...options, ...(options.config !== undefined && { config: files.path(options.config) }) }, io);
  return { code, out: out.replaceAll(`${files.folder}/`, ''), err: err.replaceAll(`${files.folder}/`, '') };
}

const WRONG = 'server:\n  prot: 1\nkeys: [{ name: a, key: "${env:SECRET}" }, { name: a, key: "${env:NOWHERE}" }]';

describe('signalbox check', () => {
  it('prints every mistake with its line and exits 78', async () => {
    expect(await check({ 'my.yaml': WRONG }, { config: 'my.yaml' }, { SECRET: 'canary-secret' })).toEqual({
      code: 78,
      out: '',
      err:
        'my.yaml:2:3 server.prot: unknown key (did you mean "port"?)\n' +
        'my.yaml:3:24 keys[0].key: must have at least 16 visible ASCII characters and no blanks\n' +
        'my.yaml:3:51 keys[1].name: a key of the name `a` is already defined at my.yaml:3:16\n' +
        'my.yaml:3:59 keys[1].key: the environment variable NOWHERE is not set\n' +
        '4 errors\n',
    });
  });

  it('prints one JSON object when asked', async () => {
    const { code, out, err } = await check({ 'my.yaml': 'server:\n  prot: 1' }, { config: 'my.yaml', json: true });
    expect([code, err]).toEqual([78, '']);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      file: 'my.yaml',
      errors: [{ file: 'my.yaml', line: 2, column: 3, path: 'server.prot', message: 'unknown key', nearest: ['port'] }],
      warnings: [],
    });
  });

  it('sums up what is valid, and warns of targets without a price', async () => {
    const text =
      'providers: { openai: { api_key: none }, lab: { type: openai-compatible, base_url: "http://127.0.0.1:1/v1" } }\n' +
      'models: [{ name: "a/*", targets: [{ provider: lab, model: "*" }] }, { name: b, targets: [{ provider: openai, model: gpt-4o }, { provider: lab, model: mine }] }]';
    const result = await check({ 'my.yaml': text }, { config: 'my.yaml' });
    expect(result).toEqual({
      code: 0,
      out: 'my.yaml is valid: 2 providers, 2 models, 0 keys\n',
      err: 'warning: my.yaml models[1].targets[1]: no price is known for lab/mine: its cost stays unknown until the target has a `price`\n',
    });
  });

  it('exits 78 for a named file that is not there', async () => {
    const { code, err } = await check({}, { config: 'my.yaml' });
    expect([code, err]).toEqual([78, 'my.yaml the configuration file cannot be read: it does not exist\n1 error\n']);
  });

  it('takes the file of SIGNALBOX_CONFIG, and says so where there is none', async () => {
    await using files = await configFolder({ 'my.yaml': '' });
    expect((await check({}, {}, { SIGNALBOX_CONFIG: files.path('my.yaml') })).out).toContain('my.yaml is valid');
    expect(await check({})).toEqual({
      code: 0,
      out: 'no configuration file: Signalbox would start in first-run mode\n',
      err: '',
    });
  });
});

describe('signalbox schema', () => {
  it('prints a JSON Schema that editors understand', () => {
    let out = '';
    expect(runSchema({ out: (text) => void (out += text) })).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'Signalbox configuration',
      additionalProperties: false,
      properties: { server: { properties: { port: { type: 'integer', default: 4000, description: expect.any(String) } } } },
    });
  });
});
