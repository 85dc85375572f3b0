/**
 * Everything that serves, as one file that loads again: both layers, and the keys of the store. What is secret stands as a reference to fill in: nothing can take
 * it out of here. What only the store can hold (organisations, teams, people) follows as comments.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { stringify } from 'yaml';

import type { ApiSection } from '../../config/api-document.ts';
import type { LayerEntry } from '../../config/layers.ts';
import { escaped } from '../../config/references.ts';
import { keyIdentity } from '../../core/directory.ts';
import type { Key } from '../../store/ports/entities.ts';
import type { Store } from '../../store/store.ts';
import { isoOf } from '../contract/fields.ts';
import { budgetViewOf } from '../routes/entity-fields.ts';
import type { InForce } from './desk.ts';
import { fileOnly } from './views.ts';

const PAGE = 1_000;
const KEYS_AT_ONCE = 50;
const STORED = ['org', 'team', 'user', 'service'] as const;
type Stored = (typeof STORED)[number];

export async function exportYaml(state: InForce, store: Pick<Store, 'entities'>, nowMs: number): Promise<string> {
  const { keys: filed = [], ...others } = fileOnly(state) as { keys?: FiledKey[] };
  const keys = await listAll((afterId) => store.entities.list('key', { afterId, limit: PAGE }));
  const whyNot = createWhyNot(filed);
  const { kept = [], left = [] } = Object.groupBy(keys, (key) => (whyNot(key) === undefined ? 'kept' : 'left'));
  const variableFor = createVariables({ others, filed, providers: serving(state, 'providers').map(written) });
  const document = {
    ...others,
    providers: Object.fromEntries(serving(state, 'providers').map((entry) => [entry.name, providerOf(entry, variableFor)])),
    models: serving(state, 'models').map(written),
    tags: Object.fromEntries(serving(state, 'tags').map((entry) => [entry.name, written(entry)])),
  };
  const notes = [
    ...leftOut(state),
    ...left.map((key) => `Left out: key ${key.name} (${key.id}): ${whyNot(key)}.`),
    ...(await entitiesAsNotes(store)),
  ];
  const head = [
    `Exported ${isoOf(nowMs)}. It loads again once every reference can be resolved.`,
    'Credentials and keys cannot be read out of a running Signalbox: set the variables that are named here.',
  ];
  const keysAsText = await yamlOf([...filed, ...namedApart(kept, filed, variableFor)]);
  const parts = [commented(head), `${stringify(document, { lineWidth: 0 })}${keysAsText}`];
  return [...parts, ...(notes.length === 0 ? [] : [commented(notes)])].join('\n');
}

/** Of the file, as written. */
interface FiledKey {
  name: string;
  user?: string;
  team?: string;
}

/** Why a key of the store stays out of the file. */
function createWhyNot(filed: readonly FiledKey[]): (key: Key) => string | undefined {
  const identities = new Set(filed.map(({ name, user: principal, team }) => identityOf({ name, principal, team })));
  return (key) => {
    if (key.parent !== undefined) return `it descends from ${key.parent}, which a file cannot say`;
    if (key.principal?.startsWith('svc_') === true) return 'a service account has it, which a file cannot say';
    // It does not serve now, and would under another name.
    return identities.has(identityOf(key)) ? 'a key of the file of its name is in its place' : undefined;
  };
}

function identityOf({
  name,
  principal = '',
  team = '',
}: {
  name: string;
  principal?: string | undefined;
  team?: string | undefined;
}): string {
  return keyIdentity({ name, principal, team });
}

/** Some at a time, some 5 ms each: a hundred thousand at once would hold everybody up for ten seconds. */
async function yamlOf(keys: readonly object[]): Promise<string> {
  if (keys.length === 0) return 'keys: []\n';
  const texts = ['keys:\n'];
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    const text = stringify(keys.slice(at, at + KEYS_AT_ONCE), { lineWidth: 0 });
    texts.push(text.replaceAll(/^(?=.)/gm, '  '));
    await nextTurn();
  }
  return texts.join('');
}

/** Answers for each name a variable that nothing else in the file reads. */
function createVariables(file: object): (name: string, suffix: string) => string {
  const taken = new Set([...JSON.stringify(file).matchAll(/\$\{env:(\w+)/g)].map(([, name]) => name));
  const numbers = new Map<string, number>();
  return (name, suffix) => {
    const wanted = `${variable(name)}_${suffix}`;
    let number = numbers.get(wanted) ?? 1;
    let free = number === 1 ? wanted : `${wanted}_${number}`;
    while (taken.has(free)) free = `${wanted}_${++number}`;
    numbers.set(wanted, number);
    taken.add(free);
    return free;
  };
}

type VariableFor = ReturnType<typeof createVariables>;

function serving({ layered }: InForce, section: ApiSection): LayerEntry[] {
  return layered.entries.filter(
    (entry) => entry.section === section && entry.origin !== 'shadowed' && entry.problem === undefined,
  );
}

/** What came over the API has no references, so that every `${` in it means itself. */
function written({ origin, written: value }: LayerEntry): unknown {
  return origin === 'file' ? value : escapedIn(value);
}

function escapedIn(value: unknown): unknown {
  if (typeof value === 'string') return escaped(value);
  if (Array.isArray(value)) return value.map(escapedIn);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, escapedIn(member)]));
}

function providerOf(entry: LayerEntry, variableFor: VariableFor): unknown {
  const settings = written(entry) as Record<string, unknown>;
  if (entry.credential === 'set') return { ...settings, api_key: `\${env:${variableFor(entry.name, 'API_KEY')}}` };
  return entry.credential === 'missing' ? { ...settings, api_key: 'none' } : settings;
}

/** Names are unique within an owner in the store, in the file among all. */
function namedApart(keys: readonly Key[], filed: readonly { name: string }[], variableFor: VariableFor): object[] {
  const taken = new Set(filed.map(({ name }) => name));
  return keys.map((key) => {
    const name = taken.has(key.name) ? `${key.name} ${key.id}` : key.name;
    taken.add(name);
    return keyOf(key, name, variableFor(name, 'KEY'));
  });
}

function keyOf(key: Key, name: string, env: string): object {
  const { models, tags, priority, blocked, ips, team, principal, limits, budgets, expiresAtMs, recordBodies } = key;
  return {
    name,
    key: `\${env:${env}}`,
    models,
    ...(tags.length > 0 && { tags }),
    ...(priority !== 'normal' && { priority }),
    ...(blocked && { blocked }),
    ...(ips !== undefined && { ips }),
    ...(team !== undefined && { team }),
    ...(principal !== undefined && { user: principal }),
    ...(expiresAtMs !== undefined && { expires_at: isoOf(expiresAtMs) }),
    ...(recordBodies && { record_bodies: true }),
    ...(limits !== undefined && { limits }),
    ...(budgets.length > 0 && { budgets: budgets.map(budgetViewOf) }),
  };
}

function variable(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
    .replace(/^(?=\d)|^_/, 'X_');
}

function leftOut({ layered }: InForce): string[] {
  return layered.entries
    .filter(({ origin, problem }) => origin === 'shadowed' || problem !== undefined)
    .map(({ section, name, origin, problem }) => `Left out: ${section} ${name} of the API: ${problem ?? origin}.`);
}

async function entitiesAsNotes({ entities }: Pick<Store, 'entities'>): Promise<string[]> {
  const lines: string[] = [];
  for (const kind of STORED) {
    const rows = await listAll((afterId) => entities.list<Stored>(kind, { afterId, limit: PAGE }));
    lines.push(...rows.map(({ id, name }) => `In the store: ${kind} ${id} ${JSON.stringify(name)}.`));
  }
  return lines;
}

async function listAll<Row extends { id: string }>(page: (afterId: string | undefined) => Promise<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const next = await page(rows.at(-1)?.id);
    rows.push(...next);
    if (next.length < PAGE) return rows;
  }
}

function commented(lines: readonly string[]): string {
  return lines.map((line) => `# ${line.replace(/[\r\n]+/g, ' ')}\n`).join('');
}
