/** The schema over a tree: every complaint at the place it is about, in our words. */
import type { core } from 'zod';

import { nearest } from '../lib/nearest.ts';
import type { ConfigIssue, Path } from './issue.ts';
import { issueAt } from './issue.ts';
import { notBuiltKey } from './not-built.ts';
import { configSchema, jsonSchema } from './schema.ts';
import type { Config, JsonSchema } from './schema.ts';
import { locate, mapScalars, toPlain } from './tree.ts';
import type { Found, MapNode, ScalarNode, Tree } from './tree.ts';

type Complaint = core.$ZodIssue;

export function validate(tree: MapNode): { config: Config | undefined; issues: ConfigIssue[] } {
  const root = mapScalars(tree, asWanted);
  const result = configSchema.safeParse(toPlain(root));
  if (result.success) return { config: result.data, issues: [] };
  const schema = jsonSchema();
  return { config: undefined, issues: result.error.issues.flatMap((issue) => describe(issue, [], root, schema)) };
}

/** A reference is text; where the schema wants a number or a truth value and no text, it is read as one. */
function asWanted(node: ScalarNode, path: Path): ScalarNode {
  const text = String(node.value);
  const [isNumber, isTruth] = [/^-?\d+(\.\d+)?$/.test(text), text === 'true' || text === 'false'];
  // The schema of the whole is a fifth of a second's work.
  if (node.reference === undefined || !(isNumber || isTruth)) return node;
  const schemas = schemasAt(jsonSchema(), path);
  if (schemas.some(acceptsText)) return node;
  const types = new Set(schemas.map(({ type }) => type));
  if (isNumber && (types.has('integer') || types.has('number'))) return { ...node, value: Number(text) };
  return isTruth && types.has('boolean') ? { ...node, value: text === 'true' } : node;
}

function acceptsText({ type, const: only, enum: choices }: JsonSchema): boolean {
  return (type === 'string' || type === undefined) && only === undefined && choices === undefined;
}

/** The schemas a value at `path` may follow; several where a union stands there, none where nothing may. */
export function schemasAt(root: JsonSchema, path: Path): JsonSchema[] {
  return path.reduce<JsonSchema[]>((schemas, step) => schemas.flatMap((schema) => unions(child(schema, step))), [root]);
}

function child(schema: JsonSchema, step: string | number): JsonSchema | undefined {
  if (typeof step === 'number') return schema.items;
  const { properties, additionalProperties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, step)) return properties[step];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

function unions(schema: JsonSchema | undefined): JsonSchema[] {
  return schema === undefined ? [] : (schema.anyOf ?? [schema]);
}

/** `prefix` leads to the union a complaint was found in. */
function describe(issue: Complaint, prefix: Path, root: Tree, schema: JsonSchema): ConfigIssue[] {
  const path = [...prefix, ...(issue.path as Path)];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], root, schema));
  const found = locate(root, path);
  if (issue.code === 'invalid_union' && found.node.kind !== 'scalar') {
    const branch = closest(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => describe(inner, path, root, schema));
  }
  if (issue.code === 'invalid_key') return [issueAt(found.keyPlace, path, issue.issues[0]?.message ?? 'not a valid key')];
  const isMissing = found.path.length < path.length;
  return isMissing ? [issueAt(found.keyPlace, path, 'is missing')] : [wrongValue(issue, path, found)];
}

function wrongValue(issue: Complaint, path: Path, found: Found): ConfigIssue {
  const value = found.node.kind === 'scalar' && found.node.reference === undefined ? found.node.value : undefined;
  const message = wording(issue, found.node);
  const choices = issue.code === 'invalid_value' && typeof value === 'string' ? nearest(value, issue.values.map(String)) : [];
  return issueAt(found.node.place, path, message, choices);
}

/** The branch that was meant: the one that at least accepts the kind of value. */
function closest(branches: readonly (readonly Complaint[])[]): readonly Complaint[] | undefined {
  return branches.find((issues) => issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'));
}

function unknownKey(path: Path, root: Tree, schema: JsonSchema): ConfigIssue {
  const place = locate(root, path).keyPlace;
  const notBuilt = notBuiltKey(path);
  if (notBuilt !== undefined) return issueAt(place, path, notBuilt);
  const known = schemasAt(schema, path.slice(0, -1)).flatMap(({ properties }) => Object.keys(properties ?? {}));
  return issueAt(place, path, 'unknown key', nearest(String(path.at(-1)), known));
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text; quote it',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of keys to values',
  record: 'a mapping of keys to values',
};

const UNITS: Readonly<Record<string, string>> = { array: ' item(s) long', string: ' characters long' };

/** Never holds the value. */
function wording(issue: Complaint, node: Tree): string {
  if (node.kind === 'scalar' && node.value === null) return 'has no value';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    case 'too_small':
    case 'too_big':
      return `must be ${bound(issue)}${UNITS[issue.origin] ?? ''}`;
    default:
      return issue.message;
  }
}

function bound(issue: core.$ZodIssueTooSmall | core.$ZodIssueTooBig): string {
  if (issue.code === 'too_big') return `at most ${issue.maximum}`;
  return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
}
