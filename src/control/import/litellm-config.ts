/** LiteLLM's config.yaml as a file of ours, as far as it can be said here; the rest as notes. */
import type { Catalog } from '../../config/catalog-port.ts';
import { withFallbacks } from './litellm-fallbacks.ts';
import { type Model, modelsOf } from './litellm-models.ts';
import { createProviderBook, referenceOf } from './litellm-providers.ts';
import { READ_OF_ROUTING, withAliases, withRouting } from './litellm-routing.ts';
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
  const byTags = fieldsOf(file['router_settings'])['enable_tag_filtering'] === true;
  const named = withAliases(modelsOf(list, { catalog, book, byTags, note }), file, note);
  const models = withFallbacks(withRouting(named, file, note), file, note);
  const admin = adminOf(fieldsOf(file['general_settings']), note);
  tellUnread(file, note);
  return {
    config: { providers: book.providers, models, ...(admin !== undefined && { admin }) },
    notes,
    groups: groupsOf(list),
  };
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
  router_settings: ['model_group_alias', 'routing_strategy', 'enable_tag_filtering', ...READ_OF_ROUTING],
  litellm_settings: ['drop_params', ...READ_OF_ROUTING],
};
const DEFAULT_FALLBACKS = 'have no counterpart here: name them in `fallbacks` of each model that they are for';
const ADVICE: Readonly<Record<string, string>> = {
  'router_settings.default_fallbacks': DEFAULT_FALLBACKS,
  'litellm_settings.default_fallbacks': DEFAULT_FALLBACKS,
  'router_settings.enable_pre_call_checks': 'needs no key: windows, regions and limits of targets are always looked at',
  'router_settings.disable_cooldowns': 'has no counterpart here; the only target of a model is tried whatever its breaker says',
  'router_settings.max_fallbacks': 'has no counterpart here: a request goes through five other models at most',
  'router_settings.tag_filtering_match_any': 'has no counterpart here: a target with any tag of the request serves it',
  'router_settings.optional_pre_call_checks': 'see `sticky` in docs/routing.md',
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
      if (!read?.includes(name)) note({ place, message: ADVICE[place] ?? 'has no counterpart here' });
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
