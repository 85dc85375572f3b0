import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';

import { configFolder } from '../../test/support/config-files.ts';
import { formatIssue } from './issue.ts';
import type { LoadOptions } from './load.ts';

const KEY = 'k-3f9a1c77e2b84d05';
const ENV = { KEY, OTHER_KEY: 'k-77aa10bc93de4f61', OPENAI_API_KEY: 'sk-upstream-1' };

/** Every complaint about `text`, as it is printed, the folder taken out. */
async function complaints(
  text: string,
  options: Partial<LoadOptions> = {},
  more: Record<string, string> = {},
): Promise<string[]> {
  await using files = await configFolder({ 'gateway.yaml': text, ...more });
  const result = await files.load({ env: ENV, ...options });
  if (result.ok) return [];
  return result.issues.map((issue) => formatIssue(issue).replaceAll(`${files.folder}/`, ''));
}

const VALID = `
providers:
  openai: { api_key: "\${env:OPENAI_API_KEY}" }
  lab: { type: openai-compatible, base_url: "http://127.0.0.1:9100/v1/", api_key: none }
models:
  - name: gpt-4o
    targets: [{ provider: openai, model: gpt-4o-2024-08-06 }]
  - name: "lab/*"
    targets: [{ provider: lab, model: "*" }]
keys:
  - { name: ci, key: "\${env:KEY}", models: ["*"] }
`;

describe('what is accepted', () => {
  it('the contract as far as it is built', async () => {
    await using files = await configFolder({ 'gateway.yaml': VALID });
    const result = await files.load({ env: ENV });
    expect(result).toMatchObject({ ok: true, warnings: [], files: [files.path('gateway.yaml')] });
    expect(result.ok && result.loaded.settings.keys).toMatchObject([{ name: 'ci', key: KEY, models: ['*'], blocked: false }]);
  });

  it('an empty file, empty sections, and no file at all', async () => {
    expect(await complaints('')).toEqual([]);
    expect(await complaints('# nothing yet\nkeys:\nmodels:\n')).toEqual([]);
    expect(await complaints('', { path: undefined })).toEqual([]);
  });

  it('numbers and truth values by reference where the schema wants them, text elsewhere', async () => {
    await using files = await configFolder({
      'gateway.yaml':
        'server: { port: "${env:PORT}", workers: "${env:N}" }\nkeys: [{ name: "${env:N}", key: "${env:DIGITS}", blocked: "${env:NO}" }]',
    });
    const result = await files.load({ env: { PORT: '0', N: '3', DIGITS: '1234567890987654', NO: 'false' } });
    expect(result.ok && result.loaded.settings.server).toMatchObject({ port: 0, workers: 3 });
    expect(result.ok && result.loaded.settings.keys[0]).toMatchObject({ name: '3', key: '1234567890987654', blocked: false });
  });

  it('aliases, unfolded', async () => {
    const text =
      'models:\n  - { name: a, targets: &t [{ provider: demo, model: x }] }\n  - { name: b, targets: *t }\nproviders: { demo: {} }';
    expect(await complaints(text)).toEqual([]);
  });

  it('a literal ${ written as $${', async () => {
    await using files = await configFolder({
      'gateway.yaml':
        'providers: { demo: {} }\nmodels: [{ name: a, targets: [{ provider: demo, model: x, params: { stop: "$${env:X}" } }] }]',
    });
    const result = await files.load();
    expect(result.ok && result.loaded.settings.models[0]!.targets[0]!.params).toEqual({ stop: '${env:X}' });
  });

  it('flags before the file', async () => {
    await using files = await configFolder({ 'gateway.yaml': 'server: { port: 4001, drain_s: 5 }' });
    const result = await files.load({ overrides: { port: 0, workers: 2 } });
    expect(result.ok && result.loaded.settings.server).toMatchObject({ port: 0, workers: 2, drain_s: 5 });
  });
});

describe('what is refused, with its line', () => {
  it.each<[string, string, string[]]>([
    ['an unknown key', 'server:\n  prot: 4000', ['gateway.yaml:2:3 server.prot: unknown key (did you mean "port"?)']],
    ['an unknown section', 'modles: []', ['gateway.yaml:1:1 modles: unknown key (did you mean "models"?)']],
    ['a key far from any', 'server:\n  zzzz: 1', ['gateway.yaml:2:3 server.zzzz: unknown key']],
    ['a wrong type', 'server: { port: high }', ['gateway.yaml:1:17 server.port: must be a number']],
    [
      'a number for text',
      'keys:\n  - name: 12\n    key: "${env:KEY}"',
      ['gateway.yaml:2:11 keys[0].name: must be text; quote it'],
    ],
    ['a value out of range', 'server: { port: 70000 }', ['gateway.yaml:1:17 server.port: must be at most 65535']],
    [
      'a wrong word',
      'telemetry: { log: { level: wran } }',
      ['gateway.yaml:1:28 telemetry.log.level: must be `debug` or `info` or `warn` or `error` (did you mean "warn"?)'],
    ],
    ['a key without a value', 'server:\n  port:\n', ['gateway.yaml:2:8 server.port: has no value']],
    ['a key left out', 'keys:\n  - name: a', ['gateway.yaml:2:5 keys[0].key: is missing']],
    [
      'a key given twice',
      'server:\n  port: 1\n  port: 2',
      ['gateway.yaml:3:3 server.port: given twice; first at gateway.yaml:2:3'],
    ],
    [
      'broken YAML',
      'server: { port: 1',
      ['gateway.yaml:1:18 not valid YAML: Flow map in block collection must be sufficiently indented and end with a }'],
    ],
    ['a list at the top', '- a', ['gateway.yaml:1:1 the file must hold a mapping of settings']],
    ['an alias to itself', 'models: &a [*a]', ['gateway.yaml:1:13 more than 32 levels or 200000 values']],
    [
      'a bad range',
      'server: { trusted_proxies: [10.0.0.0/40] }',
      ['gateway.yaml:1:29 server.trusted_proxies[0]: must be an address range such as 10.0.0.0/8 or fd00::/8'],
    ],
    [
      'a short address',
      'egress: { allow_private: ["10.1"] }',
      ['gateway.yaml:1:27 egress.allow_private[0]: must be an address range such as 10.0.0.0/8 or fd00::/8'],
    ],
    [
      'a bad URL',
      'providers: { demo: { base_url: "ftp://x" } }',
      ['gateway.yaml:1:32 providers.demo.base_url: must be an http:// or https:// URL'],
    ],
    [
      'a wildcard inside',
      'providers: { demo: {} }\nmodels:\n  - name: "a*b"\n    targets: [{ provider: demo, model: x }]',
      ['gateway.yaml:3:11 models[0].name: `*` may stand only at the end'],
    ],
    [
      'a wildcard target of a plain model',
      'providers: { demo: {} }\nmodels:\n  - name: a\n    targets: [{ provider: demo, model: "*" }]',
      [
        'gateway.yaml:4:40 models[0].targets[0].model: `*` needs a model whose own name ends in `*`; name the model of the provider',
      ],
    ],
    [
      'the name of an agent',
      'providers: { demo: {} }\nmodels:\n  - name: a2a/x\n    targets: [{ provider: demo, model: x }]',
      ['gateway.yaml:3:11 models[0].name: names that begin with a2a/ are reserved for agents'],
    ],
    [
      'an agent of a model that is not there',
      'providers: { demo: {} }\nmodels: [{ name: small, targets: [{ provider: demo, model: x }] }]\nagents:\n  - { name: w, model: smal }',
      ['gateway.yaml:4:23 agents[0].model: there is no model `smal` under `models` (did you mean "small"?)'],
    ],
    [
      'an agent of an agent',
      'agents:\n  - { name: w, model: a2a/x }',
      ['gateway.yaml:2:23 agents[0].model: an agent is no model of an agent; name a model under `models`'],
    ],
    [
      'an agent of a model with another place',
      'providers: { demo: {} }\nmodels: [{ name: "x/*", targets: [{ provider: demo, model: "*" }] }]\nagents:\n  - { name: w, model: x/y, url: "http://127.0.0.1:1" }',
      ['gateway.yaml:4:5 agents[0].url: has no meaning beside `model`: that agent lives here'],
    ],
    [
      'all that an agent of a model cannot have, and limits that contradict each other',
      'providers: { demo: {} }\nmodels: [{ name: "x/*", targets: [{ provider: demo, model: "*" }] }]\nagents:\n  - { name: w, model: x/y, headers: { a: b }, protocol: "1.0", rate_limit_rpm: 5, limits: { rpm: 6 } }',
      [
        'gateway.yaml:4:5 agents[0].headers: has no meaning beside `model`: that agent lives here',
        'gateway.yaml:4:5 agents[0].protocol: callers of a `model` may use all',
        'gateway.yaml:4:5 agents[0].rate_limit_rpm: is the same as `limits.rpm`, which says something else: leave one out',
      ],
    ],
    [
      'instructions for an agent of another place',
      'agents:\n  - { name: w, url: "http://127.0.0.1:1", instructions: x }',
      ['gateway.yaml:2:5 agents[0].instructions: belongs to an agent with `model`; others have their own'],
    ],
    [
      'an unknown provider',
      'providers: { openai: { api_key: none } }\nmodels:\n  - name: a\n    targets: [{ provider: opnai, model: x }]',
      [
        'gateway.yaml:4:27 models[0].targets[0].provider: there is no provider `opnai` under `providers` (did you mean "openai"?)',
      ],
    ],
    [
      'two models of one name',
      'providers: { demo: {} }\nmodels:\n  - { name: a, targets: [{ provider: demo, model: x }] }\n  - { name: a, targets: [{ provider: demo, model: y }] }',
      ['gateway.yaml:4:13 models[1].name: a model of the name `a` is already defined at gateway.yaml:3:13'],
    ],
    [
      'two equal targets',
      'providers: { demo: {} }\nmodels:\n  - name: a\n    targets:\n      - { provider: demo, model: x }\n      - { provider: demo, model: x, weight: 2 }',
      [
        'gateway.yaml:6:9 models[0].targets[1]: the same provider and model as the target at gateway.yaml:5:9; give one target more weight instead',
      ],
    ],
    [
      'default parameters of ours',
      'providers: { demo: {} }\nmodels:\n  - name: a\n    targets:\n      - { provider: demo, model: x, params: { stream: true }, drop_params: [model] }',
      [
        'gateway.yaml:5:47 models[0].targets[0].params.stream: is set by the request or by Signalbox and cannot be changed here',
        'gateway.yaml:5:77 models[0].targets[0].drop_params[0]: is set by the request or by Signalbox and cannot be changed here',
      ],
    ],
    [
      'an unknown type',
      'providers: { lab: { type: openai-compatibel } }',
      [
        'gateway.yaml:1:27 providers.lab.type: no such type of provider; docs/providers.md lists them (did you mean "openai-compatible" or "openai"?)',
      ],
    ],
    [
      'a name that is no type',
      'providers: { lab: { api_key: none } }',
      ['gateway.yaml:1:14 providers.lab: no provider of this name is built in: give a `type`, such as `openai-compatible`'],
    ],
    [
      'a name that cannot be a label',
      'providers: { "my lab": { type: demo } }',
      ['gateway.yaml:1:14 providers.my lab: a name has 1 to 64 letters, digits, `.`, `_` and `-`'],
    ],
    [
      'a provider without a place',
      'providers:\n  azure: { api_key: none }',
      [
        'gateway.yaml:2:3 providers.azure.base_url: is missing: `azure` has no address of its own, such as https://{resource}.openai.azure.com/openai/v1',
      ],
    ],
    [
      'a provider without a credential',
      'providers:\n  openai: {}',
      ['gateway.yaml:2:3 providers.openai.api_key: is missing: write "${env:OPENAI_API_KEY}", or `none` to send no credential'],
    ],
    [
      'a credential for one that takes none',
      'providers: { demo: { api_key: "${env:KEY}" } }',
      ['gateway.yaml:1:31 providers.demo.api_key: `demo` takes no credential'],
    ],
    [
      'one credential in two ways',
      'providers: { openai: { api_key: "${env:KEY}", api_keys: ["${env:KEY}"] } }',
      ['gateway.yaml:1:47 providers.openai.api_keys: give `api_key` or `api_keys`'],
    ],
    [
      'the credential as a header too',
      'providers: { openai: { api_key: "${env:KEY}", headers: { Authorization: "Bearer ${env:KEY}" } } }',
      [
        'gateway.yaml:1:58 providers.openai.headers.Authorization: this header carries the credential; set `api_key: none` to write it yourself',
      ],
    ],
    [
      'a header of ours',
      'providers: { demo: { headers: { Host: x } } }',
      ['gateway.yaml:1:33 providers.demo.headers.Host: this header is set by Signalbox'],
    ],
    [
      'a name with a line break',
      'keys: [{ name: "a\\nb", key: "${env:KEY}" }]',
      ['gateway.yaml:1:16 keys[0].name: must have at most 128 characters, none of them a control character'],
    ],
    [
      'two keys of one name',
      'keys:\n  - { name: a, key: "${env:KEY}" }\n  - { name: a, key: "${env:OTHER_KEY}" }',
      ['gateway.yaml:3:13 keys[1].name: a key of the name `a` is already defined at gateway.yaml:2:13'],
    ],
    [
      'two keys with one secret',
      'keys:\n  - { name: a, key: "${env:KEY}" }\n  - { name: b, key: "${env:KEY}" }',
      ['gateway.yaml:3:21 keys[1].key: has the same secret as keys[0].key'],
    ],
    [
      'an admin key that is a key',
      'admin: { key: "${env:KEY}" }\nkeys: [{ name: a, key: "${env:KEY}" }]',
      ['gateway.yaml:2:24 keys[0].key: has the same secret as admin.key'],
    ],
    [
      'an open port without an admin key',
      'server: { host: 0.0.0.0 }',
      ['gateway.yaml:1:17 server.host: listening beyond this machine needs an admin key: set `admin.key`'],
    ],
    [
      'a time zone that is nowhere',
      'keys: [{ name: a, key: "${env:KEY}", budget: { limit_usd: 1, time_zone: Mars/Olympus } }]',
      ['gateway.yaml:1:73 keys[0].budget.time_zone: must be a time zone such as UTC or Europe/Berlin'],
    ],
    [
      'a team by its name',
      'keys: [{ name: a, key: "${env:KEY}", team: ours }]',
      ['gateway.yaml:1:44 keys[0].team: must be an id such as team_…'],
    ],
    [
      'a tag of two words',
      'tags: { "a b": {} }',
      ['gateway.yaml:1:9 tags.a b: a tag has 1 to 64 letters, digits, `.`, `_`, `/` and `-`'],
    ],
    [
      'two limits for one target',
      'providers: { demo: {} }\nmodels:\n  - { name: a, targets: [{ provider: demo, model: x, limits: { rpm: 1 } }] }\n' +
        '  - { name: b, targets: [{ provider: demo, model: x, limits: { rpm: 2 } }] }',
      [
        'gateway.yaml:4:54 models[1].targets[0].limits: this target has limits already, at gateway.yaml:3:54; they hold for all models it serves',
      ],
    ],
    [
      'a date that machines read differently',
      'keys: [{ name: a, key: "${env:KEY}", expires_at: 01/02/2027 }]',
      ['gateway.yaml:1:50 keys[0].expires_at: must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z'],
    ],
    [
      'half a certificate',
      'server: { tls: { cert_file: missing.pem } }',
      [
        'gateway.yaml:1:16 server.tls: give either `key_file` or `key`',
        'gateway.yaml:1:29 server.tls.cert_file: the file cannot be read: it does not exist',
      ],
    ],
    [
      'a price that is half a mapping',
      'providers: { demo: {} }\nmodels:\n  - name: a\n    targets: [{ provider: demo, model: x, price: { input_usd_per_mtok: -1, outptu: 2 } }]',
      [
        'gateway.yaml:4:43 models[0].targets[0].price.output_usd_per_mtok: is missing',
        'gateway.yaml:4:72 models[0].targets[0].price.input_usd_per_mtok: must be at least 0',
        'gateway.yaml:4:76 models[0].targets[0].price.outptu: unknown key',
      ],
    ],
    [
      'a price that is neither word nor mapping',
      'providers: { demo: {} }\nmodels:\n  - name: a\n    targets: [{ provider: demo, model: x, price: cheap }]',
      ['gateway.yaml:4:50 models[0].targets[0].price: must be `free` or a mapping of prices'],
    ],
  ])('%s', async (_what, text, expected) => {
    expect(await complaints(text)).toEqual(expected);
  });

  it('everything at once, in the order of the file', async () => {
    const found = await complaints(
      'server:\n  prot: 1\n  host: 0.0.0.0\nkeys:\n  - { name: a, key: "${env:NOWHERE}", modles: [] }\nproviders: { nope: {} }',
    );
    expect(found.map((line) => line.split(' ')[1])).toEqual([
      'server.prot:',
      'server.host:',
      'keys[0].key:',
      'keys[0].modles:',
      'providers.nope:',
    ]);
  });

  it('a file that is not there', async () => {
    await using files = await configFolder({});
    const result = await files.load();
    expect(result).toMatchObject({ ok: false, files: [files.path('gateway.yaml')] });
    expect(result.ok || result.issues.map(formatIssue)).toEqual([
      `${files.path('gateway.yaml')} the configuration file cannot be read: it does not exist`,
    ]);
  });

  it('a flag that opens the port', async () => {
    expect(await complaints('', { overrides: { host: '0.0.0.0' } })).toEqual([
      '--host server.host: listening beyond this machine needs an admin key: set `admin.key`',
    ]);
    expect(await complaints('admin: { key: "${env:KEY}" }', { overrides: { host: '0.0.0.0' } })).toEqual([]);
  });

  it('keys named like members of every object', async () => {
    const found = await complaints('__proto__: { a: 1 }\nconstructor: 1\nproviders: { __proto__: { type: demo } }');
    expect(found).toEqual([
      'gateway.yaml:1:1 __proto__: unknown key',
      'gateway.yaml:2:1 constructor: unknown key',
      'gateway.yaml:3:14 providers.__proto__: a name has 1 to 64 letters, digits, `.`, `_` and `-`',
    ]);
  });
});

describe('what is not built yet', () => {
  it.each([
    ['metrics: {}', 'metrics: `metrics` (a listener of its own for /metrics) is not built yet in this version; remove it'],
    [
      'admin: { listen: 1 }',
      'admin.listen: `listen` (a listener of its own for the control plane) is not built yet in this version; remove it',
    ],
  ])('%s', async (text, expected) => {
    expect(await complaints(text)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('routing that cannot work', () => {
  const models = (...rows: string[]) => `providers: { demo: {} }\nmodels:\n${rows.map((row) => `  - { ${row} }\n`).join('')}`;
  const TARGETS = 'targets: [{ provider: demo, model: x }]';

  it('fallbacks that go in circles, by aliases too', async () => {
    const text = models(
      `name: a, aliases: [z], fallbacks: [b], ${TARGETS}`,
      `name: b, fallbacks_on: { rate_limit: [c] }, ${TARGETS}`,
      `name: c, fallbacks: [c, z], ${TARGETS}`,
    );
    expect(await complaints(text)).toEqual([
      'gateway.yaml:5:28 models[2].fallbacks[0]: the fallbacks go in a circle: `c` → `c`',
      'gateway.yaml:5:31 models[2].fallbacks[1]: the fallbacks go in a circle: `a` → `b` → `c` → `z`',
    ]);
  });

  it.each([
    [
      models(`name: a, fallbacks: [gtp], ${TARGETS}`, `name: gpt, ${TARGETS}`),
      'models[0].fallbacks[0]: there is no model `gtp` (did you mean',
    ],
    [models(`name: a, aliases: [b], ${TARGETS}`, `name: b, ${TARGETS}`), 'models[0].aliases[0]: the name is already given at'],
    [models(`name: a, aliases: [b, b], ${TARGETS}`), 'models[0].aliases[1]: the name is already given at'],
    [models(`name: a, aliases: ["b*"], ${TARGETS}`), 'models[0].aliases[0]: an alias is one name'],
    [models('name: a'), 'models[0].targets: a model needs `targets`, or `models`'],
    [
      models(`name: a, models: [b], ${TARGETS}`, `name: b, ${TARGETS}`),
      'models[0].models: a model has `targets` or `models`, not both',
    ],
    [models('name: a, models: [c]', `name: b, ${TARGETS}`), 'models[0].models[0]: there is no model `c`'],
    [models('name: a, models: [b]', 'name: b, models: [c]', `name: c, ${TARGETS}`), 'models[0].models[0]: is a group itself'],
    [
      models('name: a, models: ["b*"]', 'name: "b*", targets: [{ provider: demo, model: "*" }]'),
      'a wildcard has no targets of its own',
    ],
    [models(`name: a, strategy: fastest, ${TARGETS}`), 'models[0].strategy: must be'],
    [models(`name: a, retries: 11, ${TARGETS}`), 'models[0].retries: must be'],
    [models(`name: a, sticky: [prefix, ip], ${TARGETS}`), 'models[0].sticky'],
    [models('name: a, targets: [{ provider: demo, model: x, region: "EU west" }]'), 'a region has 1 to 32 lower case letters'],
  ])('%s', async (text, expected) => {
    expect(await complaints(text)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('references', () => {
  it('read files relative to the file they stand in, one line break trimmed', async () => {
    await using files = await configFolder({
      'gateway.yaml': 'include: [teams/a.yaml]',
      'teams/a.yaml': 'keys: [{ name: a, key: "${file:secrets/key}" }]',
      'teams/secrets/key': `${KEY}\n`,
    });
    const result = await files.load();
    expect(result.ok && result.loaded.settings.keys[0]!.key).toBe(KEY);
    expect(result.files.map((file) => basename(file)).sort()).toEqual(['a.yaml', 'gateway.yaml', 'key']);
  });

  it.each([
    ['${env:NOWHERE}', 'the environment variable NOWHERE is not set'],
    ['${env:EMPTY}', 'the environment variable EMPTY is empty'],
    ['${file:nowhere}', /^the file .*\/nowhere cannot be read: it does not exist$/],
    ['${KEY}', '${KEY…} is not a reference; the forms are ${env:NAME} and ${file:/path}; write $${ for a literal ${'],
  ])('%s', async (reference, message) => {
    await using files = await configFolder({ 'gateway.yaml': `admin: { key: "${reference}" }` });
    const result = await files.load({ env: { EMPTY: '' } });
    expect(result.ok || result.issues).toEqual([
      {
        file: files.path('gateway.yaml'),
        line: 1,
        column: 15,
        path: 'admin.key',
        message: message instanceof RegExp ? expect.stringMatching(message) : message,
      },
    ]);
  });
});

describe('include', () => {
  const part = (name: string) => `models: [{ name: ${name}, targets: [{ provider: demo, model: ${name} }] }]`;

  it('joins lists and merges sections', async () => {
    await using files = await configFolder({
      'gateway.yaml': `include: [a.yaml, b.yaml]\nserver: { port: 4001 }\nproviders: { demo: {} }\n${part('one')}`,
      'a.yaml': `server: { drain_s: 5 }\n${part('two')}`,
      'b.yaml': `include: [deep/c.yaml]\nproviders: { ollama: {} }`,
      'deep/c.yaml': part('three'),
    });
    const result = await files.load();
    if (!result.ok) throw new Error(result.issues.map(formatIssue).join('\n'));
    const { server, providers, models } = result.loaded.settings;
    expect(server).toMatchObject({ port: 4001, drain_s: 5 });
    expect(Object.keys(providers)).toEqual(['demo', 'ollama']);
    expect(models.map(({ name }) => name)).toEqual(['one', 'two', 'three']);
    expect(result.files).toHaveLength(4);
  });

  it.each<[string, string, Record<string, string>, string[]]>([
    [
      'the same key in two files',
      'include: [a.yaml]\nserver: { port: 1 }\nproviders: { demo: {} }',
      { 'a.yaml': 'server:\n  port: 2\nproviders:\n  demo: {}' },
      [
        'a.yaml:2:3 server.port: already given at gateway.yaml:2:11',
        'a.yaml:4:3 providers.demo: already given at gateway.yaml:3:14',
      ],
    ],
    [
      'the same model in two files',
      `include: [a.yaml]\nproviders: { demo: {} }\n${part('one')}`,
      { 'a.yaml': part('one') },
      ['a.yaml:1:18 models[1].name: a model of the name `one` is already defined at gateway.yaml:3:18'],
    ],
    [
      'a file that includes itself',
      'include: [a.yaml]',
      { 'a.yaml': 'include: [gateway.yaml]' },
      ['a.yaml:1:11 include: gateway.yaml includes itself'],
    ],
    [
      'a file included twice',
      'include: [a.yaml, b.yaml]',
      { 'a.yaml': 'include: [b.yaml]', 'b.yaml': '' },
      ['gateway.yaml:1:19 include: b.yaml is included twice; first at a.yaml:1:11'],
    ],
    [
      'a file that is not there',
      'include:\n  - a.yaml',
      {},
      ['gateway.yaml:2:5 include: a.yaml cannot be read: it does not exist'],
    ],
    ['something else than a list', 'include: a.yaml', {}, ['gateway.yaml:1:10 include: must be a list of files']],
    [
      'an error inside',
      'include: [a.yaml]',
      { 'a.yaml': '\nserver: { prot: 1 }' },
      ['a.yaml:2:11 server.prot: unknown key (did you mean "port"?)'],
    ],
  ])('refuses %s', async (_what, text, more, expected) => {
    expect(await complaints(text, {}, more)).toEqual(expected);
  });
});

describe('secrets', () => {
  const CANARY = 'canary-7d1f0e5b9c3a-secret';
  const LITERAL = 'a secret must not stand in the file: write a reference, ${env:NAME} or ${file:/path}';

  it.each([
    `admin: { key: ${CANARY} }`,
    `keys: [{ name: a, key: ${CANARY} }]`,
    `keys: [{ name: a, key: "${CANARY}-\${env:KEY}" }]`,
    `providers: { openai: { api_key: ${CANARY} } }`,
    `providers: { openai: { api_keys: [${CANARY}] } }`,
    `providers: { openai: { endpoints: [{ api_key: ${CANARY} }] } }`,
    `providers: { openai: { api_key: none, headers: { X-Api-Token: ${CANARY} } } }`,
    `telemetry: { otlp: { endpoint: "http://127.0.0.1:4318", headers: { Authorization: "Bearer ${CANARY}" } } }`,
    `egress: { proxy: { url: "http://user:${CANARY}@proxy:3128" } }`,
  ])('are refused as literals: %s', async (text) => {
    const found = await complaints(text);
    expect(found).toEqual([expect.stringContaining(LITERAL)]);
    expect(found.join('\n')).not.toContain(CANARY);
  });

  it('never show in a complaint, wherever they came to stand', async () => {
    const everywhere = [
      'keys: [{ name: "${env:C}", key: "${env:C}" }, { name: "${env:C}", key: "${env:C}", expires_at: "${env:C}", models: ["${env:C}*x"] }]',
      'providers: { lab: { type: "${env:C}", base_url: "${env:C}", api_key: "${env:B}", headers: { "x-a": "${env:B}" } }, demo: {} }',
      'models: [{ name: "${env:B}", strategy: "${env:C}", fallbacks: ["${env:B}"], targets: [{ provider: "${env:C}", model: "${env:C}*" }, { provider: "${env:C}", model: "${env:C}*" }] }]',
      'server: { host: "${env:C}", port: "${env:C}", workers: "${env:C}", trusted_proxies: ["${env:C}"], cors: { origins: ["${env:C}"] } }',
      'server: { tls: { cert: "${env:C}", key: "${env:C}" } }',
      'egress: { proxy: { url: "${env:C}" }, client_certificates: [{ origin: "${env:C}", cert_file: "${env:C}", key_file: "${env:C}" }] }',
      'telemetry: { otlp: { endpoint: "https://u:${env:C}@x" }, log: { level: "${env:C}" } }',
      `admin: { key: "\${env:C}\n  ${CANARY}`,
      `admin: { key: ${CANARY} }}`,
      `admin: {key: ${CANARY}: x}`,
      `admin: "${CANARY}`,
      `admin: {key: @${CANARY}}`,
      CANARY,
      `- ${CANARY}`,
      `admin: [${CANARY}]`,
      `admin: { key: *${CANARY} }`,
      `admin: { key: !${CANARY} x }`,
    ];
    for (const text of everywhere) {
      const found = await complaints(text, { env: { C: CANARY, B: `${CANARY}\u0001` } });
      expect(found, text).not.toEqual([]);
      expect(found.join('\n'), text).not.toContain(CANARY.slice(7));
    }
  });

  it.each([
    'short-key-12345',
    'sk-1234567890abcdef',
    'changeme-changeme-1',
    'aaaaaaaaaaaaaaaaaaaa',
    'has a blank in the middle',
    'your-api-key-goes-here',
  ])('are refused when weak: %s', async (key) => {
    const found = await complaints('keys: [{ name: a, key: "${env:K}" }]', { env: { K: key } });
    expect(found).toHaveLength(1);
    expect(found[0]).not.toContain(key);
  });
});

describe('warnings', () => {
  it('of what is allowed but hardly meant', async () => {
    await using files = await configFolder({
      'gateway.yaml':
        'providers: { anthropic: { base_url: "http://127.0.0.1:9101/v1", api_key: none } }\n' +
        'models: [{ name: claude, targets: [{ provider: anthropic, model: x }] }, { name: "lab/*", targets: [{ provider: anthropic, model: "*" }] }]\n' +
        'keys: [{ name: a, key: "${env:KEY}", models: [cluade, lab/x, "l*", "*", gpt] }]',
    });
    const result = await files.load({ env: ENV });
    expect(result.ok && result.warnings.map(formatIssue).map((line) => line.split(':').slice(2).join(':'))).toEqual([
      '37 providers.anthropic.base_url: ends in /v1, which Signalbox adds itself for this provider',
      '47 keys[0].models[0]: grants no model that is configured (did you mean "claude"?)',
      '73 keys[0].models[4]: grants no model that is configured',
    ]);
  });
});
