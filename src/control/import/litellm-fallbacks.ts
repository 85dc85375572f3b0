/** LiteLLM's fallbacks, lists of `model: [others]`, at the models they are for. What names no model of the file, or closes a circle, would not load. */
import { modelNameProblem } from '../../config/values.ts';
import type { Model } from './litellm-models.ts';
import { type Setting, settingOf } from './litellm-routing.ts';
import { type Fields, type Note, fieldsOf } from './note.ts';

type Tell = (note: Note) => void;
type Lists = Pick<Model, 'fallbacks' | 'fallbacks_on'>;

/** Theirs, and how a list of it stands at a model of ours. */
const KINDS = [
  ['fallbacks', (fallbacks: string[]) => ({ fallbacks })],
  [
    'context_window_fallbacks',
    (context_window: string[], { fallbacks_on }: Lists) => ({ fallbacks_on: { ...fallbacks_on, context_window } }),
  ],
  [
    'content_policy_fallbacks',
    (content_policy: string[], { fallbacks_on }: Lists) => ({ fallbacks_on: { ...fallbacks_on, content_policy } }),
  ],
] as const satisfies readonly (readonly [Parameters<typeof settingOf>[1], (names: string[], present: Lists) => Lists])[];

const MOST_FALLBACKS = 5;

interface Wish {
  from: string;
  to: readonly unknown[];
  place: string;
}

export function withFallbacks(models: readonly Model[], file: Fields, note: Tell): Model[] {
  const book = createBook(models);
  const lists = new Map<string, Lists>();
  for (const [name, asList] of KINDS) {
    const done = new Set<string>();
    for (const { from, to, place } of wishesIn(settingOf(file, name, note), note)) {
      const problem = sourceProblem(from, book) ?? (done.has(from) ? 'there is a list for that model before it' : undefined);
      if (problem !== undefined) {
        note({ place, message: `is left out: ${problem}` });
        continue;
      }
      done.add(from);
      const names = fallbacksOf({ from, to, place }, book, note);
      const present = lists.get(from) ?? {};
      if (names.length > 0) lists.set(from, { ...present, ...asList(names, present) });
    }
  }
  return models.map((model) => ({ ...model, ...lists.get(model.name) }));
}

function wishesIn(setting: Setting | undefined, note: Tell): Wish[] {
  if (setting === undefined) return [];
  const { value, place } = setting;
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  return entries.flatMap((entry, index) => {
    const wishes = Object.entries(fieldsOf(entry));
    if (wishes.length === 0) note({ place: `${place}[${index}]`, message: 'is left out: it does not say which model it is for' });
    return wishes.map(([from, to]) => ({ from, to: Array.isArray(to) ? to : [to], place: `${place}[${index}].${from}` }));
  });
}

interface Book {
  /** The model of that very name. */
  has: (name: string) => boolean;
  /** The name of the model that serves it, by an alias or a wildcard too. */
  modelOf: (name: string) => string | undefined;
  /** False: it would close a circle. */
  connect: (from: string, to: string) => boolean;
}

function createBook(models: readonly Model[]): Book {
  const names = new Map(models.flatMap(({ name, aliases = [] }) => [name, ...aliases].map((each) => [each, name] as const)));
  const wildcards = models.filter(({ name }) => name.endsWith('*')).toSorted((a, b) => b.name.length - a.name.length);
  const after = new Map<string, Set<string>>();
  const reaches = (from: string, to: string): boolean => {
    const reached = new Set([from]);
    for (const each of reached) for (const next of after.get(each) ?? []) reached.add(next);
    return reached.has(to);
  };
  return {
    has: (name) => names.get(name) === name,
    modelOf: (name) => names.get(name) ?? wildcards.find((each) => name.startsWith(each.name.slice(0, -1)))?.name,
    connect: (from, to) => {
      if (reaches(to, from)) return false;
      after.set(from, (after.get(from) ?? new Set()).add(to));
      return true;
    },
  };
}

function sourceProblem(from: string, { has, modelOf }: Book): string | undefined {
  if (from === '*') return 'name them in `fallbacks` of each model that they are for';
  if (has(from)) return undefined;
  const served = modelOf(from);
  return served === undefined
    ? `there is no model \`${from}\` here`
    : `\`${from}\` is only another name of \`${served}\`, whose fallbacks hold for all of its names`;
}

function fallbacksOf({ from, to, place }: Wish, book: Book, note: Tell): string[] {
  const names: string[] = [];
  for (const each of to) {
    const name = typeof each === 'string' ? each : undefined;
    if (name !== undefined && names.includes(name)) continue;
    const problem = name === undefined ? 'only names of models can stand here' : targetProblem(from, name, { book, names });
    if (problem === undefined) names.push(name!);
    else note({ place, message: `${name === undefined ? 'an entry' : `\`${name}\``} is left out: ${problem}` });
  }
  return names;
}

function targetProblem(
  from: string,
  name: string,
  { book, names }: { book: Book; names: readonly string[] },
): string | undefined {
  const model = name.endsWith('*') || modelNameProblem(name) !== undefined ? undefined : book.modelOf(name);
  if (model === undefined) return 'there is no such model here';
  if (names.length >= MOST_FALLBACKS) return `${MOST_FALLBACKS} are the most`;
  return book.connect(from, model) ? undefined : 'the fallbacks would go in a circle';
}
