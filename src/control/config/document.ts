/** Edits of the API's document, entry by entry; the schema of what comes in. */
import * as z from 'zod';

import type { ApiDocument, ApiSection } from '../../config/api-document.ts';
import { nameOf, named } from './diff.ts';

const entry = z.record(z.string(), z.unknown());

/** Sections only: what stands in them is checked with the file, and complained about with its place. */
export const documentInput = z
  .strictObject({
    providers: z.record(z.string(), entry).exactOptional().describe('As in the file, without credentials; by name.'),
    models: z.array(entry).exactOptional().describe('As in the file.'),
    tags: z.record(z.string(), entry).exactOptional().describe('As in the file, by tag.'),
  })
  .describe('The layer of the configuration that is edited over the API: sections of the file, in its language.');

export const entryInput = entry.describe('As in the file.');

/** Every answer about the document has all sections. */
export function whole({ providers = {}, models = [], tags = {} }: ApiDocument) {
  return { providers: { ...providers }, models: [...models], tags: { ...tags } };
}

/** In its own place where it is there, at the end where it is new. */
export function withEntry(document: ApiDocument, section: ApiSection, name: string, value: object): ApiDocument {
  if (section !== 'models') return { ...document, [section]: { ...document[section], [name]: value } };
  const model = { name, ...value };
  const { models = [] } = document;
  const isThere = named(document, 'models').has(name);
  return { ...document, models: isThere ? models.map((each) => (nameOf(each) === name ? model : each)) : [...models, model] };
}

export function withoutEntry(document: ApiDocument, section: ApiSection, name: string): ApiDocument {
  if (section === 'models') return { ...document, models: document.models?.filter((each) => nameOf(each) !== name) ?? [] };
  const { [name]: _, ...others } = document[section] ?? {};
  return { ...document, [section]: others };
}
