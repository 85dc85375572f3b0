import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { CATALOG, configFolder } from '../../../test/support/config-files.ts';
import { formatIssue } from '../../config/issue.ts';
import { importLitellmConfig } from './litellm-config.ts';

const ENV = { OPENAI_API_KEY: 'k-openai-12345678' };
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Models of those names with two targets each, and the rest of the file. */
const imported = (rest: string, names: readonly string[] = NAMES) => {
  const list = names.flatMap((name) =>
    ['x', 'y'].map((suffix) => `  - { model_name: "${name}", litellm_params: { model: openai/${name}-${suffix} } }`),
  );
  const { config, notes } = importLitellmConfig(parse(`model_list:\n${list.join('\n')}\n${rest}`), CATALOG);
  const model = (name: string) => config.models.find((each) => each.name === name);
  return { config, notes, model, told: notes.map(({ place, message }) => `${place}: ${message}`) };
};

const deployments = (settings: string, ...params: string[]) => {
  const list = params.map((each) => `  - { model_name: m, ${each} }`);
  const { config, notes } = importLitellmConfig(
    parse(`model_list:\n${list.join('\n')}\nrouter_settings: {${settings}}`),
    CATALOG,
  );
  return { model: config.models[0], targets: config.models[0]?.targets ?? [], notes };
};

async function issuesOf(config: object): Promise<string[]> {
  await using folder = await configFolder({ 'gateway.yaml': stringify(config, { aliasDuplicateObjects: false }) });
  const loaded = await folder.load({ env: ENV });
  return loaded.ok ? [] : loaded.issues.map(formatIssue);
}

describe('router settings at every model', () => {
  test.each([
    ['latency-based-routing', 'latency'],
    ['least-busy', 'least_busy'],
    ['usage-based-routing-v2', 'usage'],
    ['cost-based-routing', 'cost'],
    ['simple-shuffle', undefined],
  ])('%s is %s', async (theirs, ours) => {
    const { config, model, told } = imported(`router_settings: { routing_strategy: ${theirs} }`);
    expect(model('a')?.strategy).toBe(ours);
    expect(told).toEqual([]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test('a strategy without a counterpart is told, and one target has none', () => {
    expect(imported('router_settings: { routing_strategy: my-own }').told).toEqual([
      expect.stringContaining('`my-own` has no counterpart here'),
    ]);
    const single = deployments('routing_strategy: least-busy', 'litellm_params: { model: openai/a }');
    expect(single.model).toEqual({ name: 'm', targets: [{ provider: 'openai', model: 'a' }] });
  });

  test('retries and cooldowns; so many failures are allowed that the next one is too much', async () => {
    const { config, model, told } = imported('router_settings: { num_retries: 4, allowed_fails: 2, cooldown_time: 60 }');
    expect(model('b')).toMatchObject({ retries: 4, breaker: { failures: 3, open_s: 60 } });
    expect(told).toEqual([]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test('what goes beyond our bounds is brought within and told; router_settings go before litellm_settings', async () => {
    const { config, model, told } = imported(
      'router_settings: { num_retries: 50, cooldown_time: 0.2 }\nlitellm_settings: { num_retries: 1, allowed_fails: many }',
    );
    expect(model('a')).toMatchObject({ retries: 10, breaker: { open_s: 1 } });
    expect(told).toEqual([
      'litellm_settings.num_retries: is not used: router_settings.num_retries goes before it',
      'router_settings.num_retries: became 10: it is a whole number from 0 to 10 here',
      'litellm_settings.allowed_fails: is left out: it is no number',
      'router_settings.cooldown_time: became 1: it is a whole number from 1 to 3600 here',
    ]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test('aliases are other names of a model', async () => {
    const { config, model, told } = imported(
      'router_settings: { model_group_alias: { gpt-4: a, old: { model: a, hidden: true }, b: a, lost: nothing, "x*": a } }',
    );
    expect(model('a')?.aliases).toEqual(['gpt-4', 'old']);
    expect(told).toEqual([
      expect.stringMatching(/alias\.old: is shown/),
      expect.stringMatching(/alias\.b: is left out: a model has that name/),
      expect.stringMatching(/alias\.lost: is left out: there is no model `nothing`/),
      expect.stringMatching(/alias\.x\*: is left out: wildcards/),
    ]);
    expect(await issuesOf(config)).toEqual([]);
  });
});

describe('fallbacks', () => {
  test('by cause, from either section, over names and aliases', async () => {
    const { config, model, told } = imported(`
router_settings: { fallbacks: [{ a: [b, second] }, { b: c }], model_group_alias: { second: c } }
litellm_settings: { context_window_fallbacks: [{ a: [d] }], content_policy_fallbacks: [{ a: [e] }] }`);
    expect(model('a')).toMatchObject({
      fallbacks: ['b', 'second'],
      fallbacks_on: { context_window: ['d'], content_policy: ['e'] },
    });
    expect(model('b')).toMatchObject({ fallbacks: ['c'] });
    expect(model('c')).not.toHaveProperty('fallbacks');
    expect(told).toEqual([]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test.each([
    ['[{ a: [b] }, { b: [a] }]', '`a` is left out: the fallbacks would go in a circle', { a: ['b'] }],
    ['[{ a: [a, b] }]', '`a` is left out: the fallbacks would go in a circle', { a: ['b'] }],
    ['[{ a: [nowhere, b] }]', '`nowhere` is left out: there is no such model here', { a: ['b'] }],
    ['[{ nowhere: [b] }]', 'is left out: there is no model `nowhere` here', {}],
    ['[{ second: [b] }]', 'is left out: `second` is only another name of `c`', {}],
    ['[{ c: [second] }]', '`second` is left out: the fallbacks would go in a circle', {}],
    ['[{ "*": [b] }]', 'is left out: name them in `fallbacks` of each model', {}],
    ['[{ a: [b] }, { a: [c] }]', 'is left out: there is a list for that model before it', { a: ['b'] }],
    ['[{ a: [b, c, d, e, f, g] }]', '`g` is left out: 5 are the most', { a: ['b', 'c', 'd', 'e', 'f'] }],
    ['[{ a: [{ model: b, messages: [] }] }]', 'an entry is left out: only names of models', {}],
    ['[b]', 'is left out: it does not say which model it is for', {}],
    ['none', 'is left out: it does not say which model it is for', {}],
  ])('%s: %s', async (fallbacks, message, expected) => {
    const { config, told } = imported(`router_settings: { fallbacks: ${fallbacks}, model_group_alias: { second: c } }`);
    expect(Object.fromEntries(config.models.flatMap((each) => (each.fallbacks ? [[each.name, each.fallbacks]] : [])))).toEqual(
      expected,
    );
    expect(told).toEqual([expect.stringContaining(message)]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test('under a wildcard any name is one; default_fallbacks are told of', async () => {
    const list =
      'model_list: [{ model_name: "oa/*", litellm_params: { model: "openai/*" } }, { model_name: a, litellm_params: { model: openai/a } }]';
    const { config, notes } = importLitellmConfig(
      parse(`${list}
router_settings: { model_group_alias: { short: "oa/*" } }
litellm_settings: { fallbacks: [{ a: [oa/gpt-x] }], default_fallbacks: [a] }`),
      CATALOG,
    );
    expect(config.models.find(({ name }) => name === 'a')).toMatchObject({ fallbacks: ['oa/gpt-x'] });
    expect(notes).toEqual([
      { place: 'router_settings.model_group_alias.short', message: 'is left out: wildcards have no other names here' },
      { place: 'litellm_settings.default_fallbacks', message: expect.stringContaining('name them in `fallbacks`') },
    ]);
    expect(await issuesOf(config)).toEqual([]);
  });

  test('whatever falls back to whatever: the result loads', async () => {
    const list = fc.array(
      fc.tuple(fc.constantFrom(...NAMES, 'lost'), fc.array(fc.constantFrom(...NAMES, 'lost', 'second'), { maxLength: 7 })),
      {
        maxLength: 12,
      },
    );
    await fc.assert(
      fc.asyncProperty(list, list, list, async (general, window, policy) => {
        const asFile = (pairs: [string, string[]][]) => pairs.map(([from, to]) => ({ [from]: to }));
        const settings = {
          fallbacks: asFile(general),
          context_window_fallbacks: asFile(window),
          content_policy_fallbacks: asFile(policy),
          model_group_alias: { second: 'b' },
        };
        expect(await issuesOf(imported(stringify({ router_settings: settings })).config)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test('a hundred models that all fall back to all others take no time', () => {
    const names = Array.from({ length: 100 }, (_, index) => `m${index}`);
    const all = names.map((name) => ({ [name]: names.filter((each) => each !== name) }));
    const { config } = imported(stringify({ router_settings: { fallbacks: all } }), names);
    expect(config.models[0]?.fallbacks).toHaveLength(5);
  });
});

describe('what a deployment says of its place in the choice', () => {
  test('orders by their rank, those without one last', () => {
    const orders = (...params: string[]) =>
      deployments('', ...params.map((each, index) => `litellm_params: { model: openai/t${index}${each} }`)).targets.map(
        ({ order }) => order,
      );
    expect(orders(', order: 5', ', order: -1', ', order: 5', '')).toEqual([2, undefined, 2, 3]);
    expect(orders('', '')).toEqual([undefined, undefined]);
    expect(orders(', order: 3')).toEqual([undefined]);
  });

  test('the same target twice goes where the first of them went', () => {
    const { targets } = deployments(
      'enable_tag_filtering: true',
      'litellm_params: { model: openai/a, order: 2, tags: [paid, default] }',
      'litellm_params: { model: openai/a, order: 1, tags: [free] }',
    );
    expect(targets).toEqual([{ provider: 'openai', model: 'a', weight: 2, tags: ['paid', 'default', 'free'] }]);
  });

  test('regions and tags, where tags decide there', () => {
    const params = [
      'litellm_params: { model: openai/a, region_name: EU, tags: [free, "no good"] }',
      'litellm_params: { model: openai/b, region_name: "?" }',
    ];
    const on = deployments('enable_tag_filtering: true', ...params);
    expect(on.targets).toEqual([
      { provider: 'openai', model: 'a', tags: ['free'], region: 'eu' },
      { provider: 'openai', model: 'b' },
    ]);
    expect(on.notes.map(({ place }) => place)).toEqual([
      'model_list[0].litellm_params.tags',
      'model_list[1].litellm_params.region_name',
      'model m',
    ]);
    const off = deployments('', ...params);
    expect(off.targets[0]).toEqual({ provider: 'openai', model: 'a', region: 'eu' });
    expect(off.notes[0]).toEqual({
      place: 'model_list[0].litellm_params.tags',
      message: expect.stringContaining('`enable_tag_filtering`'),
    });
  });

  test('a target that would lose all of its tags would serve all: it is left out', () => {
    const { targets } = deployments(
      'enable_tag_filtering: true',
      'litellm_params: { model: openai/a, tags: ["no good"] }',
      'litellm_params: { model: openai/b }',
    );
    expect(targets).toEqual([{ provider: 'openai', model: 'b' }]);
  });

  test('windows and abilities stand at the model where all say alike, else at each target', () => {
    const abilities = (vision: boolean) =>
      `supports_function_calling: true, supports_vision: ${vision}, supports_response_schema: true, supports_reasoning: false`;
    const of = (...infos: string[]) =>
      deployments('', ...infos.map((info, index) => `litellm_params: { model: openai/t${index} }, model_info: { ${info} }`));
    expect(of(`max_input_tokens: 1000, ${abilities(true)}`, `max_input_tokens: 1000, ${abilities(true)}`).model).toEqual({
      name: 'm',
      context_window: 1000,
      capabilities: ['tools', 'vision', 'json_schema'],
      targets: [
        { provider: 'openai', model: 't0' },
        { provider: 'openai', model: 't1' },
      ],
    });
    expect(of(`max_input_tokens: 1000, ${abilities(true)}`, `max_input_tokens: 2000, ${abilities(false)}`).model).toEqual({
      name: 'm',
      targets: [
        { provider: 'openai', model: 't0', context_window: 1000, capabilities: ['tools', 'vision', 'json_schema'] },
        { provider: 'openai', model: 't1', context_window: 2000, capabilities: ['tools', 'json_schema'] },
      ],
    });
    expect(of('max_input_tokens: 0').model).not.toHaveProperty('context_window');
  });

  test('a list of abilities that is not whole would say what a model lacks: it is told and left out', () => {
    const { model, notes } = deployments('', 'litellm_params: { model: openai/a }, model_info: { supports_vision: true }');
    expect(model).not.toHaveProperty('capabilities');
    expect(notes).toEqual([{ place: 'model_list[0].model_info', message: expect.stringContaining('supports_function_calling') }]);
  });
});
