/** LiteLLM's router: its aliases, strategy, retries and cooldowns as keys of every model, since here each model has its own. */
import { modelNameProblem } from '../../config/values.ts';
import { strategyNamed } from '../../core/routing.ts';
import type { Model } from './litellm-models.ts';
import { type Fields, type Note, fieldsOf, numberOf, textOf } from './note.ts';

type Tell = (note: Note) => void;

/** What is read of `router_settings`, and of `litellm_settings` where it does not stand there. */
export const READ_OF_ROUTING = [
  'num_retries',
  'allowed_fails',
  'cooldown_time',
  'fallbacks',
  'context_window_fallbacks',
  'content_policy_fallbacks',
] as const;

export interface Setting {
  value: unknown;
  place: string;
}

export function settingOf(file: Fields, name: (typeof READ_OF_ROUTING)[number], note: Tell): Setting | undefined {
  const [used, ...others] = ['router_settings', 'litellm_settings'].flatMap((section) => {
    const value = fieldsOf(file[section])[name];
    const isSet = value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
    return isSet ? [{ value, place: `${section}.${name}` }] : [];
  });
  for (const { place } of others) note({ place, message: `is not used: ${used!.place} goes before it` });
  return used;
}

const MOST_ALIASES = 100;

/** `alias: model` or `alias: { model, hidden }`. */
export function withAliases(models: readonly Model[], file: Fields, note: Tell): Model[] {
  const aliases = new Map<string, string[]>();
  for (const [alias, value] of Object.entries(fieldsOf(fieldsOf(file['router_settings'])['model_group_alias']))) {
    const name = textOf(value) ?? textOf(fieldsOf(value)['model']) ?? '';
    const place = `router_settings.model_group_alias.${alias}`;
    const present = aliases.get(name) ?? [];
    const problem = aliasProblem(alias, name, models) ?? (present.length < MOST_ALIASES ? undefined : 'the model has too many');
    if (problem !== undefined) note({ place, message: `is left out: ${problem}` });
    else aliases.set(name, [...present, alias]);
    if (problem === undefined && fieldsOf(value)['hidden'] === true)
      note({ place, message: 'is shown by `/v1/models`: no name is hidden here' });
  }
  return models.map((model) => {
    const own = aliases.get(model.name);
    return own === undefined ? model : { ...model, aliases: own };
  });
}

function aliasProblem(alias: string, name: string, models: readonly Model[]): string | undefined {
  if (!models.some((model) => model.name === name)) return `there is no model \`${name}\` here`;
  if (models.some((model) => model.name === alias)) return 'a model has that name';
  if (alias.endsWith('*') || name.endsWith('*')) return 'wildcards have no other names here';
  return modelNameProblem(alias);
}

export function withRouting(models: readonly Model[], file: Fields, note: Tell): Model[] {
  const strategy = strategyOf(fieldsOf(file['router_settings'])['routing_strategy'], note);
  const retries = boundedOf(settingOf(file, 'num_retries', note), [0, 10], note);
  const fails = boundedOf(settingOf(file, 'allowed_fails', note), [0, 999], note);
  const openS = boundedOf(settingOf(file, 'cooldown_time', note), [1, 3_600], note);
  const breaker = {
    // So many are allowed: the next one is too much.
    ...(fails !== undefined && { failures: fails + 1 }),
    ...(openS !== undefined && { open_s: openS }),
  };
  return models.map((model) => ({
    ...model,
    // Of one target there is no choice.
    ...(strategy !== undefined && model.targets.length > 1 && { strategy }),
    ...(retries !== undefined && { retries }),
    ...(Object.keys(breaker).length > 0 && { breaker }),
  }));
}

/** Undefined: ours where nothing is said, which is theirs too. */
function strategyOf(written: unknown, note: Tell): string | undefined {
  const name = textOf(written);
  if (name === undefined) return undefined;
  const strategy = strategyNamed(name);
  if (strategy === undefined)
    note({
      place: 'router_settings.routing_strategy',
      message: `\`${name}\` has no counterpart here: targets are chosen at random by weight`,
    });
  return strategy === 'weighted' ? undefined : strategy;
}

function boundedOf(setting: Setting | undefined, [least, most]: [number, number], note: Tell): number | undefined {
  if (setting === undefined) return undefined;
  const { value, place } = setting;
  const written = numberOf(value);
  if (written === undefined) {
    note({ place, message: 'is left out: it is no number' });
    return undefined;
  }
  const within = Math.min(most, Math.max(least, Math.round(written)));
  if (within !== written) note({ place, message: `became ${within}: it is a whole number from ${least} to ${most} here` });
  return within;
}
