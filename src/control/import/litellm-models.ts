/** LiteLLM's `model_list`: deployments of one name become the targets of one model. */
import type { Catalog } from '../../config/catalog-port.ts';
import { modelNameProblem, upstreamModelProblem } from '../../config/values.ts';
import { type Deployment, raised, targetsOf } from './litellm-group.ts';
import { type ProviderBook, placeOf } from './litellm-providers.ts';
import { type Target, losesItsTags, targetRoutingOf, tokensOf } from './litellm-target.ts';
import { type Fields, type Note, fieldsOf, listOf, numberOf, textOf } from './note.ts';

export interface Model {
  name: string;
  targets: Target[];
  aliases?: string[];
  strategy?: string;
  retries?: number;
  breaker?: { failures?: number; open_s?: number };
  fallbacks?: string[];
  fallbacks_on?: { context_window?: string[]; content_policy?: string[] };
  context_window?: number;
  max_output_tokens?: number;
  capabilities?: string[];
}

export interface ModelParts {
  catalog: Catalog;
  book: ProviderBook;
  /** Whether tags decide there at all. */
  byTags: boolean;
  note: (note: Note) => void;
}

/** What each setting becomes is in the functions that read them; anything else is told of. */
const READ_PARAMS = new Set(
  (
    'model api_key api_base base_url api_version custom_llm_provider organization extra_headers weight order tags region_name rpm tpm max_parallel_requests ' +
    'timeout stream_timeout additional_drop_params drop_params input_cost_per_token output_cost_per_token cache_read_input_token_cost ' +
    'cache_creation_input_token_cost cache_creation_input_token_cost_above_1hr input_cost_per_request'
  ).split(' '),
);
/** Sent with every request that does not say otherwise. */
const REQUEST_PARAMS = new Set(
  'temperature top_p max_tokens max_completion_tokens presence_penalty frequency_penalty seed stop reasoning_effort top_k user response_format service_tier'.split(
    ' ',
  ),
);
const SERVED_MODES = new Set(['chat', 'completion', 'embedding', 'responses']);
const PARAM_ADVICE: Readonly<Record<string, string>> = {
  cooldown_time: 'stands at the model here, for all of its targets: `breaker.open_s`',
  num_retries: 'stands at the model here, for all of its targets: `retries`',
  max_retries: 'stands at the model here, for all of its targets: `retries`',
};

export function modelsOf(list: readonly unknown[], parts: ModelParts): Model[] {
  const deployments = list.flatMap((entry, index) => deploymentOf(fieldsOf(entry), `model_list[${index}]`, parts));
  const groups = Map.groupBy(deployments, ({ name }) => name);
  const models = [...groups].map(([name, group]) => modelOf(name, group, parts.note));
  return withLimitsOnce(models, parts.note);
}

function deploymentOf(entry: Fields, at: string, parts: ModelParts): Deployment[] {
  const params = fieldsOf(entry['litellm_params']);
  const info = fieldsOf(entry['model_info']);
  const name = textOf(entry['model_name']) ?? '';
  const place = servedPlace(name, { params, info, parts, at });
  if (typeof place === 'string') {
    parts.note({ place: at, message: `\`${name}\` is left out: ${place}` });
    return [];
  }
  tellUnread(params, `${at}.litellm_params`, parts.note);
  const rpm = numberOf(params['rpm']);
  const target = {
    ...place,
    ...settingsOf(params, info, { note: parts.note, at }),
    ...targetRoutingOf({ params, info, at, ...parts }),
  };
  return [{ name, target, order: numberOf(params['order']) ?? Infinity, info, at, ...(rpm !== undefined && { rpm }) }];
}

interface Entry {
  params: Fields;
  info: Fields;
  parts: ModelParts;
  at: string;
}

/** Provider and model, as our file calls them; a text: why there are none. */
function servedPlace(name: string, { params, info, parts, at }: Entry): Pick<Target, 'provider' | 'model'> | string {
  const mode = textOf(info['mode']) ?? 'chat';
  if (parts.byTags && losesItsTags(params)) return 'none of its tags could be one here, and without any it would serve all';
  if (!SERVED_MODES.has(mode)) return `mode \`${mode}\` is not served by this version`;
  const place = placeOf(params, parts.catalog);
  if (typeof place === 'string') return place;
  const problem = upstreamModelProblem(place.model) ?? modelNameProblem(name);
  if (problem !== undefined) return problem;
  if (place.model === '*' && !name.endsWith('*')) return 'its name must end in `*`, as its model does';
  const provider = parts.book.nameOf(place.type, params, `${at}.litellm_params`);
  return typeof provider === 'string' ? { provider, model: place.model } : provider.problem;
}

function settingsOf(
  params: Fields,
  info: Fields,
  { note, at }: { note: ModelParts['note']; at: string },
): Omit<Target, 'provider' | 'model'> {
  const weight = numberOf(params['weight']);
  const limits = given({ rpm: params['rpm'], tpm: params['tpm'], concurrent: params['max_parallel_requests'] }, Math.floor);
  const price = priceOf({ ...info, ...params }, note, at);
  const timeouts = given({ total_ms: params['timeout'], first_byte_ms: params['stream_timeout'] }, (seconds) =>
    Math.round(seconds * 1000),
  );
  const defaults = Object.fromEntries(Object.entries(params).filter(([name]) => REQUEST_PARAMS.has(name)));
  const dropped = listOf(params['additional_drop_params']).map(String);
  return {
    ...(weight !== undefined && { weight }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(price !== undefined && { price }),
    ...(Object.keys(timeouts).length > 0 && { timeouts }),
    ...(Object.keys(defaults).length > 0 && { params: defaults }),
    ...(dropped.length > 0 && { drop_params: dropped }),
  };
}

function given(values: Fields, as: (value: number) => number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const number = numberOf(value);
      return number === undefined ? [] : [[name, as(number)]];
    }),
  );
}

/** What they call it, what we do, and what one of theirs is in ours. */
const PRICES: readonly [theirs: string, ours: string, factor: number][] = [
  ['input_cost_per_token', 'input_usd_per_mtok', 1e6],
  ['output_cost_per_token', 'output_usd_per_mtok', 1e6],
  ['cache_read_input_token_cost', 'cache_read_usd_per_mtok', 1e6],
  ['cache_creation_input_token_cost', 'cache_write_usd_per_mtok', 1e6],
  ['cache_creation_input_token_cost_above_1hr', 'cache_write_1h_usd_per_mtok', 1e6],
  ['input_cost_per_request', 'per_request_usd', 1],
];

/** What LiteLLM does not know of a model with a price of its own, it counts as nothing. */
function priceOf(from: Fields, note: ModelParts['note'], at: string): unknown {
  const prices = Object.fromEntries(
    PRICES.flatMap(([theirs, ours, factor]) => {
      const value = numberOf(from[theirs]);
      return value === undefined ? [] : [[ours, scaled(value, factor)]];
    }),
  );
  if (['input_usd_per_mtok', 'output_usd_per_mtok', 'per_request_usd'].every((name) => prices[name] === undefined))
    return undefined;
  if (Object.values(prices).every((value) => value === 0)) return 'free';
  const missing = ['input_usd_per_mtok', 'output_usd_per_mtok'].filter((name) => prices[name] === undefined);
  if (missing.length > 0) note({ place: at, message: `has no ${missing.join(' and ')}: 0, as it counts there` });
  return { input_usd_per_mtok: 0, output_usd_per_mtok: 0, ...prices };
}

/** 1.5e-7 × 1e6 is not 0.15 in floats. */
function scaled(value: number, factor: number): number {
  return Number((value * factor).toFixed(9));
}

function tellUnread(params: Fields, at: string, note: ModelParts['note']): void {
  for (const name of Object.keys(params)) {
    if (!READ_PARAMS.has(name) && !REQUEST_PARAMS.has(name))
      note({ place: `${at}.${name}`, message: PARAM_ADVICE[name] ?? 'has no counterpart here' });
  }
}

function modelOf(name: string, group: readonly Deployment[], note: ModelParts['note']): Model {
  const targets = targetsOf(name, group, note);
  const output = tokensOf(group[0]?.info ?? {}, 'max_output_tokens');
  return { name, ...raised(targets), ...(output !== undefined && { max_output_tokens: output }) };
}

/** A target's limits hold for all models that it serves, so that they may stand once only. */
function withLimitsOnce(models: Model[], note: ModelParts['note']): Model[] {
  const limited = new Set<string>();
  return models.map((model) => ({
    ...model,
    targets: model.targets.map((target) => {
      const { limits, ...others } = target;
      const id = `${target.provider}/${target.model}`;
      if (limits === undefined) return target;
      if (limited.has(id))
        note({ place: `model ${model.name}`, message: `limits of ${id} stand at another model already, for both together` });
      if (limited.has(id)) return others;
      limited.add(id);
      return target;
    }),
  }));
}
