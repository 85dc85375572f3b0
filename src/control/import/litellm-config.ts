/** LiteLLM's config.yaml as a file of ours, as far as it can be said here; the rest as notes. */
import type { Catalog } from '../../config/catalog-port.ts';
import { type Model, type Target, modelsOf } from './litellm-models.ts';
import { createProviderBook, referenceOf } from './litellm-providers.ts';
import { type Fields, type Note, fieldsOf, listOf, textOf } from './note.ts';

export interface ImportedConfig {
  /** What the file is to hold. */
  config: { providers: Record<string, object>; models: Model[]; admin?: { key: string } };
  notes: Note[];
  /** Names that stand for several models: LiteLLM's access groups. */
  groups: ReadonlyMap<string, readonly string[]>;
}

/** `source`: the parsed file. */
export function importLitellmConfig(source: unknown, catalog: Catalog): ImportedConfig {
  const notes: Note[] = [];
  const note = (each: Note): void => void notes.push(each);
  const file = fieldsOf(source);
  const book = createProviderBook(catalog, note);
  const list = listOf(file['model_list']);
  const models = modelsOf(list, { catalog, book, note });
  const aliases = aliasesOf(fieldsOf(fieldsOf(file['router_settings'])['model_group_alias']), models, note);
  const admin = adminOf(fieldsOf(file['general_settings']), note);
  tellUnread(file, note);
  return {
    config: { providers: book.providers, models: [...models, ...aliases], ...(admin !== undefined && { admin }) },
    notes,
    groups: groupsOf(list),
  };
}

/** `alias: model` or `alias: { model, hidden }`: a model of its own with the same targets. */
function aliasesOf(aliases: Fields, models: readonly Model[], note: (note: Note) => void): Model[] {
  return Object.entries(aliases).flatMap(([alias, value]) => {
    const name = textOf(value) ?? textOf(fieldsOf(value)['model']);
    const model = models.find((each) => each.name === name);
    if (model === undefined || models.some((each) => each.name === alias)) {
      note({
        place: `router_settings.model_group_alias.${alias}`,
        message: 'is left out: there is no such model, or one of the alias’s name',
      });
      return [];
    }
    return [{ ...model, name: alias, targets: model.targets.map(withoutLimits) }];
  });
}

/** They stand at the model itself, and hold for both. */
function withoutLimits(target: Target): Target {
  const { limits, ...others } = target;
  return limits === undefined ? target : others;
}

function adminOf(general: Fields, note: (note: Note) => void): { key: string } | undefined {
  const master = textOf(general['master_key']);
  if (master === undefined) return undefined;
  const reference = referenceOf(master);
  if (reference === undefined) {
    note({
      place: 'general_settings.master_key',
      message: 'is not copied: put an admin key into the variable LITELLM_MASTER_KEY',
    });
  }
  note({ place: 'general_settings.master_key', message: 'manages here, and never calls models: clients that use it need a key' });
  return { key: reference ?? '${env:LITELLM_MASTER_KEY}' };
}

/** What each section loses. `model_list` tells of itself. */
const READ: Readonly<Record<string, readonly string[]>> = {
  general_settings: ['master_key', 'database_url'],
  router_settings: ['model_group_alias'],
  litellm_settings: ['drop_params'],
};
const ADVICE: Readonly<Record<string, string>> = {
  'router_settings.routing_strategy': 'targets are chosen at random by weight in this version',
  'litellm_settings.callbacks': 'see docs/metrics.md for metrics and traces',
  'litellm_settings.success_callback': 'see docs/metrics.md for metrics and traces',
  'general_settings.alerting': 'see docs/events.md for the webhook of events',
  environment_variables: 'set them where Signalbox is started',
};

function tellUnread(file: Fields, note: (note: Note) => void): void {
  for (const [section, value] of Object.entries(file)) {
    if (section === 'model_list') continue;
    const read = READ[section];
    if (read === undefined) note({ place: section, message: ADVICE[section] ?? 'has no counterpart here' });
    for (const name of read === undefined ? [] : Object.keys(fieldsOf(value))) {
      const place = `${section}.${name}`;
      const isDefault = place === 'router_settings.routing_strategy' && fieldsOf(value)[name] === 'simple-shuffle';
      if (!read?.includes(name) && !isDefault) note({ place, message: ADVICE[place] ?? 'has no counterpart here' });
    }
  }
}

function groupsOf(list: readonly unknown[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const entry of list) {
    const { model_name: name, model_info: info } = fieldsOf(entry);
    for (const group of listOf(fieldsOf(info)['access_groups'])) {
      groups.set(String(group), [...new Set([...(groups.get(String(group)) ?? []), String(name)])]);
    }
  }
  return groups;
}
