import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { CATALOG, configFolder } from '../../../test/support/config-files.ts';
import { formatIssue } from '../../config/issue.ts';
import { importLitellmConfig } from './litellm-config.ts';

const imported = (yaml: string) => importLitellmConfig(parse(yaml), CATALOG);
const one = (params: string, info = '{}') =>
  imported(`model_list: [{ model_name: m, litellm_params: { ${params} }, model_info: ${info} }]`);

describe('where a model is served', () => {
  test.each([
    ['model: openai/gpt-4o', 'openai', 'gpt-4o', { api_key: '${env:OPENAI_API_KEY}' }],
    ['model: gpt-4o, api_key: os.environ/MY_KEY', 'openai', 'gpt-4o', { api_key: '${env:MY_KEY}' }],
    ['model: claude-sonnet-4-5', 'anthropic', 'claude-sonnet-4-5', { api_key: '${env:ANTHROPIC_API_KEY}' }],
    ['model: anthropic/claude-x, api_base: "https://a.example/v1"', 'anthropic', 'claude-x', { base_url: 'https://a.example' }],
    [
      'model: openai/llama, api_base: "http://10.0.0.5:8000/v1", api_key: none',
      'openai-compatible',
      'llama',
      { api_key: 'none' },
    ],
    [
      'model: azure/prod-gpt, api_base: "https://r.openai.azure.com/", api_key: os.environ/AZ',
      'azure',
      'prod-gpt',
      { base_url: 'https://r.openai.azure.com/openai/v1' },
    ],
    ['model: ollama_chat/qwen3, api_base: "http://box:11434"', 'ollama', 'qwen3', { base_url: 'http://box:11434/v1' }],
    ['model: together_ai/meta/llama-3', 'together', 'meta/llama-3', {}],
    ['model: openrouter/anthropic/claude-x', 'openrouter', 'anthropic/claude-x', {}],
    [
      'model: my_own/thing, api_base: "https://own.example/v1"',
      'openai-compatible',
      'thing',
      { base_url: 'https://own.example/v1' },
    ],
    ['model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY', 'gemini', 'gemini-2.5-flash', {}],
  ])('%s', (params, type, model, entry) => {
    const { config, notes } = one(params);
    expect(config.models, JSON.stringify(notes)).toMatchObject([{ name: 'm', targets: [{ provider: type, model }] }]);
    expect(config.providers[type]).toMatchObject(entry);
  });

  test.each([
    ['model: vertex_ai/gemini-pro', 'another way'],
    ['model: bedrock/anthropic.claude-v2', 'another way'],
    ['model: unheard_of/thing', 'no provider that is known'],
    ['model: mystery', 'does not say which provider'],
    ['model: "openai/gpt-*"', '`*` must stand alone'],
    ['model: "openai/*"', 'its name must end in `*`'],
    ['model: azure/prod', 'needs an `api_base`'],
  ])('%s is left out, with its reason', (params, reason) => {
    const { config, notes } = one(params);
    expect(config).toEqual({ providers: {}, models: [] });
    expect(notes).toEqual([{ place: 'model_list[0]', message: expect.stringContaining(reason) }]);
  });

  test('a key that stands in the file is not copied, and not told', () => {
    const { config, notes } = one(
      'model: openai/gpt-4o, api_key: sk-proj-verysecretvalue, extra_headers: { x-api-key: verysecretvalue, x-team: red }',
    );
    expect(config.providers['openai']).toEqual({ api_key: '${env:OPENAI_API_KEY}', headers: { 'x-team': 'red' } });
    expect(JSON.stringify([config, notes])).not.toContain('verysecretvalue');
    expect(notes.map(({ place }) => place)).toEqual([
      'model_list[0].litellm_params.extra_headers.x-api-key',
      'model_list[0].litellm_params.api_key',
    ]);
  });
});

describe('what a deployment says of itself', () => {
  test('prices per token are prices per million, without the noise of floats', () => {
    const price = (text: string, info?: string) => one(`model: openai/x, ${text}`, info).config.models[0]?.targets[0]?.price;
    expect(price('input_cost_per_token: 0.00000015, output_cost_per_token: 6e-7')).toEqual({
      input_usd_per_mtok: 0.15,
      output_usd_per_mtok: 0.6,
    });
    expect(
      price('rpm: 1', '{ input_cost_per_token: 1e-6, output_cost_per_token: 2e-6, cache_read_input_token_cost: 1e-7 }'),
    ).toEqual({
      input_usd_per_mtok: 1,
      output_usd_per_mtok: 2,
      cache_read_usd_per_mtok: 0.1,
    });
    expect(price('input_cost_per_token: 0, output_cost_per_token: 0')).toBe('free');
    expect(price('rpm: 1')).toBeUndefined();
  });

  test('limits, timeouts, defaults and what is dropped', () => {
    const { config, notes } = one(
      'model: openai/x, rpm: 60, tpm: 1000, max_parallel_requests: 3, timeout: 30, stream_timeout: 2.5, temperature: 0, max_tokens: 100, additional_drop_params: [seed], mock_response: x',
      '{ max_input_tokens: 128000, max_output_tokens: 4096 }',
    );
    expect(config.models).toEqual([
      {
        name: 'm',
        context_window: 128_000,
        max_output_tokens: 4096,
        targets: [
          {
            provider: 'openai',
            model: 'x',
            limits: { rpm: 60, tpm: 1000, concurrent: 3 },
            timeouts: { total_ms: 30_000, first_byte_ms: 2_500 },
            params: { temperature: 0, max_tokens: 100 },
            drop_params: ['seed'],
          },
        ],
      },
    ]);
    expect(notes).toEqual([{ place: 'model_list[0].litellm_params.mock_response', message: 'has no counterpart here' }]);
  });

  test('deployments of one name are targets of one model', () => {
    const list = (...params: string[]) =>
      imported(`model_list:\n${params.map((each) => `  - { model_name: m, litellm_params: { ${each} } }`).join('\n')}`).config;
    const weights = (...params: string[]) => list(...params).models[0]?.targets.map(({ model, weight }) => [model, weight]);
    expect(weights('model: openai/a, weight: 3', 'model: openai/b')).toEqual([
      ['a', 3],
      ['b', undefined],
    ]);
    expect(weights('model: openai/a, rpm: 60', 'model: openai/b, rpm: 30')).toEqual([
      ['a', 60],
      ['b', 30],
    ]);
    expect(weights('model: openai/a', 'model: openai/a')).toEqual([['a', 2]]);
    const keys = list('model: openai/a, api_key: os.environ/K1', 'model: openai/a, api_key: os.environ/K2');
    expect(keys.models[0]?.targets).toEqual([
      { provider: 'openai', model: 'a' },
      { provider: 'openai-2', model: 'a' },
    ]);
    expect(keys.providers['openai-2']).toEqual({ type: 'openai', api_key: '${env:K2}' });
  });
});

test('a whole file: what cannot be said is told, what can loads without a complaint', async () => {
  const { config, notes, groups } = imported(`
model_list:
  - { model_name: gpt-4o, litellm_params: { model: azure/eu, api_base: "https://eu.openai.azure.com", api_key: os.environ/EU, api_version: "2024-06-01", rpm: 100 }, model_info: { access_groups: [beta] } }
  - { model_name: gpt-4o, litellm_params: { model: azure/ca, api_base: os.environ/CA_BASE, api_key: os.environ/CA, order: 2 } }
  - { model_name: mini, litellm_params: { model: azure/eu, api_base: "https://eu.openai.azure.com", api_key: os.environ/EU, rpm: 100 } }
  - { model_name: "anthropic/*", litellm_params: { model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY }, model_info: { access_groups: [beta] } }
  - { model_name: local, litellm_params: { model: hosted_vllm/qwen, api_base: "http://10.0.0.9:8000/v1", input_cost_per_token: 0, output_cost_per_token: 0 } }
  - { model_name: pics, litellm_params: { model: openai/gpt-image-1 }, model_info: { mode: image_generation } }
router_settings: { routing_strategy: latency-based-routing, model_group_alias: { gpt-4: gpt-4o, lost: nothing }, timeout: 20 }
litellm_settings: { drop_params: true, success_callback: [langfuse] }
general_settings: { master_key: sk-1234, database_url: os.environ/DATABASE_URL, alerting: [slack] }
environment_variables: { REDIS_HOST: x }
guardrails: []
`);
  const env = {
    EU: 'k-eu-12345678',
    CA: 'k-ca-12345678',
    CA_BASE: 'https://ca.openai.azure.com/openai/v1',
    ANTHROPIC_API_KEY: 'k-an-12345678',
    LITELLM_MASTER_KEY: 'master-zyxwvutsrqponm',
  };
  await using folder = await configFolder({ 'gateway.yaml': stringify(config) });
  const loaded = await folder.load({ env });
  expect(loaded.ok ? [] : loaded.issues.map(formatIssue)).toEqual([]);
  expect(config.models.map(({ name }) => name)).toEqual(['gpt-4o', 'mini', 'anthropic/*', 'local']);
  expect(groups.get('beta')).toEqual(['gpt-4o', 'anthropic/*']);
  const places = notes.map(({ place }) => place);
  for (const place of [
    'model_list[5]',
    'model mini',
    'router_settings.timeout',
    'router_settings.model_group_alias.lost',
    'litellm_settings.success_callback',
    'general_settings.master_key',
    'general_settings.alerting',
    'environment_variables',
    'guardrails',
  ]) {
    expect(places).toContain(place);
  }
  expect(JSON.stringify(config)).not.toContain('sk-1234');
});

test.each(['', '[]', 'text', 'model_list: {}', 'model_list: [1, null, {}]', 'model_list: [{ litellm_params: [] }]'])(
  '%s breaks nothing',
  (yaml) => {
    expect(imported(yaml).config.models).toEqual([]);
  },
);
