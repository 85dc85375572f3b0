/** Which entries two documents do not have alike. */
import { API_SECTIONS, type ApiDocument, type ApiSection } from '../../config/api-document.ts';

export interface EntryChange {
  section: ApiSection;
  name: string;
  change: 'added' | 'removed' | 'changed';
  before?: unknown;
  after?: unknown;
}

export function differences(before: ApiDocument, after: ApiDocument): EntryChange[] {
  return API_SECTIONS.flatMap((section) => {
    const [old, now] = [named(before, section), named(after, section)];
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => changeOf(section, name, [old, now]));
  });
}

type Named = ReadonlyMap<string, unknown>;

function changeOf(section: ApiSection, name: string, [old, now]: readonly [Named, Named]): EntryChange[] {
  const [before, after] = [old.get(name), now.get(name)];
  if (!old.has(name)) return [{ section, name, change: 'added', after }];
  if (!now.has(name)) return [{ section, name, change: 'removed', before }];
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ section, name, change: 'changed', before, after }];
}

/** Entries of a section by their names; those without one are an error that is told elsewhere. */
export function named(document: ApiDocument, section: ApiSection): Map<string, unknown> {
  if (section !== 'models') return new Map(Object.entries(document[section] ?? {}));
  return new Map((document.models ?? []).map((model) => [nameOf(model), model]));
}

export function nameOf(model: unknown): string {
  return String((model as { name?: unknown } | null)?.name);
}
