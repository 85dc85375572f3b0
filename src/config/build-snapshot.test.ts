import { describe, expect, it, test } from 'vitest';

import { CATALOG, configFolder } from '../../test/support/config-files.ts';
import { keyDigest } from '../core/key-digest.ts';
import { DEFAULT_ROUTING } from '../core/routing.ts';
import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import { createPriceBook } from '../ledger/price.ts';
import { modelFacts } from '../providers/models/facts.ts';
import { buildSnapshot } from './build-snapshot.ts';
import type { SnapshotParts } from './build-snapshot.ts';
import { formatIssue } from './issue.ts';
import type { Snapshot } from './snapshot.ts';

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const PARTS: SnapshotParts = {
  catalog: CATALOG,
  prices: await createPriceBook({ nowMs: () => NOW_MS }),
  modelFacts,
  pepper: 'ab'.repeat(32),
  slotOf: () => 7,
  nowMs: NOW_MS,
  version: 7,
  platform: 'linux',
  cores: 12,
};
const ENV = { A: 'credential-a', B: 'credential-b', KEY: 'k-3f9a1c77e2b84d05', ADMIN: 'adm-51c09f6fd2ab7e33' };

async function snapshotOf(
  text: string,
  parts: Partial<SnapshotParts> = {},
  env: Record<string, string> = ENV,
): Promise<Snapshot> {
  await using files = await configFolder({ 'gateway.yaml': text });
  const result = await files.load({ env });
  if (!result.ok) throw new Error(result.issues.map(formatIssue).join('\n'));
  return buildSnapshot(result.loaded, { ...PARTS, ...parts });
}

describe('providers', () => {
  it('take what they lack from the catalog', async () => {
    const { providers } = await snapshotOf('providers: { anthropic: { api_key: "${env:A}" } }');
    expect(providers['anthropic']).toMatchObject({
      name: 'anthropic',
      type: 'anthropic',
      dialect: 'anthropic-messages',
      endpoints: [{ baseUrl: 'https://api.anthropic.com', headers: { 'x-api-key': 'credential-a' }, weight: 1 }],
      priceProvider: 'anthropic',
    });
  });

  it('send no credential for `none`, and the URL as it is written but for its last slash', async () => {
    const { providers } = await snapshotOf(
      'providers: { lab: { type: openai-compatible, base_url: "http://127.0.0.1:9100/v1/", api_key: none } }',
    );
    expect(providers['lab']).toMatchObject({
      type: 'openai-compatible',
      dialect: 'openai-chat',
      endpoints: [{ baseUrl: 'http://127.0.0.1:9100/v1', headers: {}, weight: 1 }],
    });
    expect(providers['lab']).not.toHaveProperty('priceProvider');
  });

  it('have an endpoint for each credential', async () => {
    const { providers } = await snapshotOf(
      'providers: { openai: { api_keys: ["${env:A}", "${env:B}"], headers: { X-Org: o } } }',
    );
    expect(providers['openai']!.endpoints).toEqual(
      ['a', 'b'].map((letter) => ({
        baseUrl: 'https://api.openai.com/v1',
        headers: { 'x-org': 'o', authorization: `Bearer credential-${letter}` },
        weight: 1,
      })),
    );
  });

  it('share their URL and credential with endpoints that have none', async () => {
    const { providers } = await snapshotOf(
      'providers: { openai: { base_url: "http://a/v1", api_key: "${env:A}", endpoints: [{ base_url: "http://b/v1", weight: 3 }, { api_key: "${env:B}" }] } }',
    );
    expect(providers['openai']!.endpoints).toEqual([
      { baseUrl: 'http://b/v1', headers: { authorization: 'Bearer credential-a' }, weight: 3 },
      { baseUrl: 'http://a/v1', headers: { authorization: 'Bearer credential-b' }, weight: 1 },
    ]);
  });

  it('let the operator replace single quirks', async () => {
    const { providers } = await snapshotOf(
      'providers: { vllm: { quirks: { include_usage: false, unsupported: [seed], reasoning_field: reasoning } } }',
    );
    expect(providers['vllm']!.quirks).toEqual({
      rename: { max_completion_tokens: 'max_tokens' },
      includeUsage: false,
      unsupported: ['seed'],
      reasoningField: 'reasoning',
    });
  });
});

describe('models', () => {
  const PROVIDERS = 'providers: { openai: { api_key: none }, ollama: {} }\n';

  it('stand in order of precedence', async () => {
    const names = ['"*"', 'b', '"lab/*"', '"lab/big/*"', 'a', '"laz/*"'];
    const list = names.map((name) => `  - { name: ${name}, targets: [{ provider: ollama, model: x }] }`).join('\n');
    const { models } = await snapshotOf(`${PROVIDERS}models:\n${list}`);
    expect(models.map(({ name, wildcardPrefix }) => [name, wildcardPrefix])).toEqual([
      ['b', undefined],
      ['a', undefined],
      ['lab/big/*', 'lab/big/'],
      ['lab/*', 'lab/'],
      ['laz/*', 'laz/'],
      ['*', ''],
    ]);
  });

  it('carry all that the file says of their targets', async () => {
    const { models } = await snapshotOf(
      `${PROVIDERS}models: [{ name: a, context_window: 1000, max_output_tokens: 100, capabilities: [tools], targets: [{ provider: ollama, model: x, weight: 2, price: free, timeouts: { connect_ms: 1 }, params: { temperature: 0 }, drop_params: [user] }] }]`,
    );
    expect(models).toEqual([
      {
        name: 'a',
        contextWindow: 1000,
        maxOutputTokens: 100,
        capabilities: ['tools'],
        createdS: NOW_MS / 1000,
        routing: DEFAULT_ROUTING,
        targets: [
          {
            id: 'ollama/x',
            provider: 'ollama',
            upstreamModel: 'x',
            weight: 2,
            order: 1,
            timeouts: { ...DEFAULT_TIMEOUTS, connectMs: 1 },
            price: 'free',
            priceState: { status: 'free' },
            defaultParams: { temperature: 0 },
            dropParams: ['user'],
            capabilities: ['tools'],
            bounds: { contextWindow: 1000, maxOutputTokens: 100, reasons: false },
          },
        ],
      },
    ]);
  });

  it('carry all that the file says of their routing', async () => {
    const { models } = await snapshotOf(
      `${PROVIDERS}models:
  - name: a
    aliases: [other]
    strategy: latency-based-routing
    retries: 5
    deadline_ms: 1000
    breaker: { failures: 2, failure_share: 0.25, window_s: 10, open_s: 5 }
    fallbacks: [b]
    fallbacks_on: { content_policy: [b], rate_limit: [b] }
    sticky: prefix
    continue_on_failure: true
    targets: [{ provider: ollama, model: x, order: 2, tags: [eu], region: eu-west-1, context_window: 500, capabilities: [vision], can_continue: true }]
  - { name: b, targets: [{ provider: ollama, model: y }] }
  - { name: both, models: [a, b], strategy: cost, sticky: [session, user] }`,
    );
    expect(models[0]).toMatchObject({
      aliases: ['other'],
      routing: {
        strategy: 'latency',
        retries: 5,
        deadlineMs: 1_000,
        breaker: { failures: 2, failureShare: 0.25, windowMs: 10_000, openMs: 5_000 },
        fallbacks: { general: ['b'], content_policy: ['b'], rate_limit: ['b'] },
        sticky: ['prefix'],
        continueOnFailure: true,
      },
      targets: [
        {
          order: 2,
          tags: ['eu'],
          region: 'eu-west-1',
          capabilities: ['vision'],
          canContinue: true,
          bounds: { contextWindow: 500 },
        },
      ],
    });
    expect(models[2]!.targets.map(({ id }) => id)).toEqual(['ollama/x', 'ollama/y']);
    expect(models[2]!.routing).toEqual({ ...DEFAULT_ROUTING, strategy: 'cost', sticky: ['session', 'user'] });
  });

  it.each([
    ['strategy: cost'],
    ['retries: 1'],
    ['deadline_ms: 5'],
    ['breaker: { failures: 4 }'],
    ['breaker: { failure_share: 0.4 }'],
    ['breaker: { window_s: 4 }'],
    ['breaker: { open_s: 4 }'],
    ['fallbacks: [b]'],
    ['fallbacks_on: { context_window: [b] }'],
    ['sticky: user'],
    ['continue_on_failure: true'],
    ['aliases: [other]'],
  ])('have another hash with %s', async (key) => {
    const text = (line: string) =>
      `${PROVIDERS}models: [{ name: a, ${line}targets: [{ provider: ollama, model: x }] }, { name: b, targets: [{ provider: ollama, model: y }] }]`;
    expect((await snapshotOf(text(`${key}, `))).hash).not.toBe((await snapshotOf(text(''))).hash);
  });

  it('are priced from the list, by override, later, or not', async () => {
    const target = (provider: string, model: string, more = '') => `{ provider: ${provider}, model: "${model}"${more} }`;
    const { models } = await snapshotOf(
      `${PROVIDERS}models: [{ name: "a*", targets: [${target('openai', 'gpt-4o')}, ${target('ollama', 'gpt-4o')}, ${target('openai', '*')}, ${target('ollama', '*', ', price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }')}] }]`,
    );
    expect(models[0]!.targets.map(({ priceState }) => priceState)).toMatchObject([
      { status: 'priced', source: 'list', price: { input: { picoUsd: 2_500_000 } } },
      { status: 'unpriced' },
      { status: 'lazy' },
      { status: 'priced', source: 'config', price: { input: { picoUsd: 1_000_000 }, output: { picoUsd: 2_000_000 } } },
    ]);
    expect(models[0]!.contextWindow).toBe(128_000);
  });
});

describe('sizes and capabilities', () => {
  const modelOf = async (targets: string, more = '') => {
    const text = `providers: { openai: { api_key: none }, anthropic: { api_key: none }, ollama: {} }\nmodels: [{ name: a, targets: [${targets}]${more} }]`;
    return (await snapshotOf(text)).models[0]!;
  };
  const [GPT, CLAUDE] = ['{ provider: openai, model: gpt-4o }', '{ provider: anthropic, model: claude-opus-5-5 }'];

  it('are those that every target has', async () => {
    const [gpt, claude, both] = [await modelOf(GPT), await modelOf(CLAUDE), await modelOf(`${GPT}, ${CLAUDE}`)];
    expect(gpt.maxOutputTokens).toBe(16_384);
    expect(claude.maxOutputTokens).toBe(128_000);
    expect(both).toMatchObject({ maxOutputTokens: 16_384, contextWindow: 128_000 });
    expect(claude.capabilities).toContain('reasoning');
    expect(both.capabilities).toContain('tools');
    expect(both.capabilities).not.toContain('reasoning');
    // Bounds of a cost are those of the very target.
    expect(both.targets.map(({ bounds }) => bounds)).toMatchObject([
      { maxOutputTokens: 16_384, contextWindow: 128_000, reasons: false },
      { maxOutputTokens: 128_000, reasons: true },
    ]);
  });

  it('claim nothing for a target nobody knows', async () => {
    const model = await modelOf(`${GPT}, { provider: ollama, model: mine }`);
    expect(model).not.toHaveProperty('capabilities');
    expect(await modelOf('{ provider: ollama, model: mine }')).not.toHaveProperty('contextWindow');
  });

  it('give way to what the file says', async () => {
    const model = await modelOf(GPT, ', context_window: 5, max_output_tokens: 6, capabilities: [x]');
    expect(model).toMatchObject({ contextWindow: 5, maxOutputTokens: 6, capabilities: ['x'] });
    expect(model.targets[0]!.bounds).toEqual({ contextWindow: 5, maxOutputTokens: 6, reasons: false });
  });
});

describe('keys', () => {
  it('are digests', async () => {
    const snapshot = await snapshotOf(
      'keys: [{ name: ci, key: "${env:KEY}", models: [a, "b*"], expires_at: 2027-01-31, blocked: true }]\nadmin: { key: "${env:ADMIN}" }',
    );
    expect(snapshot.keys).toEqual([
      {
        id: 'ci',
        name: 'ci',
        digests: [{ digest: keyDigest(PARTS.pepper, ENV.KEY) }],
        models: ['a', 'b*'],
        agents: [],
        tags: [],
        blocked: true,
        expiresAtMs: Date.UTC(2027, 0, 31),
      },
    ]);
    expect(snapshot.adminKeyDigest).toBe(keyDigest(PARTS.pepper, ENV.ADMIN));
    expect(JSON.stringify(snapshot)).not.toMatch(new RegExp(`${ENV.KEY}|${ENV.ADMIN}`));
  });

  it('have limits, budgets and bonds', async () => {
    const rules =
      'limits: { rpm: 6, concurrent: 2 }, budget: { limit_usd: 0.1, window: day }, budgets: [{ limit_usd: 3, hard: false }]';
    const bonds = 'tags: [x], ips: [10.0.0.1], user: usr_01234567, team: team_01234567, priority: low, record_bodies: true';
    const { keys } = await snapshotOf(`keys: [{ name: ci, key: "\${env:KEY}", ${rules}, ${bonds} }]`);
    const budget = { mode: 'strict', unpriced: 'ceiling', timeZone: 'UTC', slot: 7 };
    expect(keys[0]).toMatchObject({
      tags: ['x'],
      ips: ['10.0.0.1/32'],
      principal: 'usr_01234567',
      team: 'team_01234567',
      priority: 'low',
      recordBodies: true,
      rules: {
        scope: 'key:ci',
        requests: { slot: 7, perMinute: 6 },
        concurrent: { slot: 7, most: 2 },
        budgets: [
          { ...budget, limitNanoUsd: 100_000_000, window: 'day', hard: true },
          { ...budget, limitNanoUsd: 3_000_000_000, window: 'month', hard: false },
        ],
      },
    });
  });

  it('minted ones come beside those of the file; a minted admin key gives way to a configured one', async () => {
    const minted = { id: 'm', name: 'm', digests: [{ digest: 'd' }], models: ['*'], agents: [], tags: [], blocked: false };
    const parts = { mintedKeys: [minted], mintedAdminKeyDigest: 'minted' };
    const snapshot = await snapshotOf('', parts);
    expect(snapshot).toMatchObject({ keys: [minted], adminKeyDigest: 'minted' });
    expect((await snapshotOf('admin: { key: "${env:ADMIN}" }', parts)).adminKeyDigest).not.toBe('minted');
    expect((await snapshotOf('')).adminKeyDigest).toBe('');
  });
});

test('models, targets, providers and tags have rules, each a scope of its own', async () => {
  const limits = 'limits: { rpm: 5 }';
  const { rules } = await snapshotOf(
    `providers: { ollama: { ${limits} } }\nmodels: [{ name: "a/*", ${limits}, targets: [{ provider: ollama, model: "*", ${limits} }] }]\n` +
      `tags: { batch: { ${limits} }, free: {} }`,
  );
  const rule = (scope: string) => ({ scope, requests: { slot: 7, perMinute: 5 }, budgets: [] });
  expect(rules).toEqual({
    models: { 'a/*': rule('model:a/*') },
    targets: { 'ollama/*': rule('target:ollama/*') },
    providers: { ollama: rule('provider:ollama') },
    tags: { batch: rule('tag:batch') },
  });
});

test('places in shared memory do not change the hash; what is counted there does', async () => {
  const text = (rpm: number) => `keys: [{ name: ci, key: "\${env:KEY}", limits: { rpm: ${rpm} } }]`;
  const { hash } = await snapshotOf(text(1));
  expect((await snapshotOf(text(1), { slotOf: () => 8 })).hash).toBe(hash);
  expect((await snapshotOf(text(2))).hash).not.toBe(hash);
});

describe('server', () => {
  it.each([
    ['auto', 'linux', 12, 8],
    ['auto', 'linux', 2, 2],
    ['3', 'linux', 12, 3],
    ['auto', 'darwin', 12, 1],
    ['3', 'darwin', 12, 1],
  ])('%s workers on %s with %i cores: %i', async (workers, platform, cores, expected) => {
    const snapshot = await snapshotOf(`server: { workers: ${workers} }`, { platform, cores });
    expect(snapshot.server.workers).toBe(expected);
  });

  it('has every default without a file', async () => {
    const { server, egress, telemetry } = await snapshotOf('');
    expect(server).toEqual({
      host: '127.0.0.1',
      port: 4000,
      workers: 8,
      maxBodyBytes: 33_554_432,
      maxHeaderBytes: 16_384,
      maxInflightBytes: 268_435_456,
      headersTimeoutMs: 15_000,
      bodyTimeoutMs: 60_000,
      keepAliveTimeoutMs: 75_000,
      drainS: 300,
      trustedProxies: [],
    });
    expect(egress).toEqual({ allowPrivate: [], clientCertificates: [] });
    expect(telemetry).toEqual({ logLevel: 'info', logFormat: 'auto' });
  });

  it('knows single addresses as ranges', async () => {
    const { server } = await snapshotOf(
      'server: { trusted_proxies: [10.0.0.1, "fd00::1", 10.0.0.0/8], cors: { origins: ["*"] }, public_url: "https://x.test/" }',
    );
    expect(server).toMatchObject({
      trustedProxies: ['10.0.0.1/32', 'fd00::1/128', '10.0.0.0/8'],
      cors: { origins: ['*'], maxAgeS: 600 },
      publicUrl: 'https://x.test',
    });
  });

  it('carries egress and telemetry over', async () => {
    const { egress, telemetry } = await snapshotOf(
      'egress: { allow_private: [127.0.0.0/8], proxy: { url: "http://proxy:3128", no_proxy: [".internal"] } }\n' +
        'telemetry: { otlp: { endpoint: "http://127.0.0.1:4318/", headers: { x-team: a } }, log: { level: warn, format: json } }',
    );
    expect(egress).toEqual({
      allowPrivate: ['127.0.0.0/8'],
      proxy: { url: 'http://proxy:3128', noProxy: ['.internal'] },
      clientCertificates: [],
    });
    expect(telemetry).toEqual({
      otlp: { endpoint: 'http://127.0.0.1:4318', headers: { 'x-team': 'a' }, serviceName: 'signalbox', sampleRatio: 1 },
      logLevel: 'warn',
      logFormat: 'json',
    });
  });
});

describe('the hash', () => {
  const TEXT =
    'providers: { openai: { api_key: "${env:A}" }, ollama: {} }\nmodels: [{ name: gpt-4o, targets: [{ provider: openai, model: gpt-4o }] }]\nkeys: [{ name: ci, key: "${env:KEY}" }]';
  const SAME =
    '# The same, in other words\nkeys:\n  - key: "${env:KEY}"\n    blocked: false\n    name: ci\nmodels: [{ targets: [{ model: gpt-4o, provider: openai, weight: 1 }], name: gpt-4o }]\nproviders: { ollama: {}, openai: { api_key: "${env:A}" } }';

  it('is equal where the meaning is', async () => {
    const { hash } = await snapshotOf(TEXT);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect((await snapshotOf(SAME)).hash).toBe(hash);
    expect((await snapshotOf(TEXT, { nowMs: NOW_MS + 1e9, version: 8 })).hash).toBe(hash);
  });

  it('changes with a setting, a credential, a key, and the installation', async () => {
    const hashes = [
      await snapshotOf(TEXT),
      await snapshotOf(`${TEXT}\nserver: { drain_s: 1 }`),
      await snapshotOf(TEXT.replace('model: gpt-4o', 'model: gpt-4o, price: free')),
      await snapshotOf(TEXT, {}, { ...ENV, A: 'rotated' }),
      await snapshotOf(TEXT, {}, { ...ENV, KEY: `${ENV.KEY}-2` }),
      await snapshotOf(TEXT, { pepper: 'cd'.repeat(32) }),
    ].map(({ hash }) => hash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
